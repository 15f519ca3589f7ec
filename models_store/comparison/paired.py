"""The paired bootstrap: how far two sets of answers to the same rows differ, beyond the chance that drew the rows.

losses of both, row by row -> rows drawn again and again, with replacement -> the difference, its error, its interval

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: standard error and percentile interval. Hesterberg, What
Teachers Should Know about the Bootstrap, The American Statistician 69, 2015: the interval expanded for few rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.card import Difference, PairedMetric

# Odd, so that the bounds of the interval are resamples as far from either end.
RESAMPLES = 1001
# Beyond either bound of the interval of 95 %.
TAIL = 0.025
NORMAL = NormalDist()
# Counts of draws that are held in memory at once.
MOST_AT_ONCE = 1 << 18
# Rows or groups that are drawn. More rows are dealt at random into so many groups, whose means vary as theirs would.
MOST_DRAWN = 5_000


@dataclass(frozen=True, eq=False)
class Paired:
    """Two sets of answers to the same rows, and the figures of both in each resample of these."""

    metric: PairedMetric
    n_rows: int
    sums: list[Array]
    """The losses of both, and the weights, summed in each row or group that is drawn, float64 (n_drawn,) each."""
    resampled: Array
    """Both figures in each resample, float64 (2, n_resamples)."""
    unit: float
    """What figures and losses of numbers are multiples of; of squares, its square."""

    @classmethod
    def of(
        cls,
        metric: PairedMetric,
        first: Array,
        second: Array,
        targets: Array,
        *,
        weights: Array | None = None,
        groups: NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> Self:
        """Pair two sets of answers to the same rows, float64 (n_rows, n_answers): raw numbers, or probabilities.

        `targets` are raw numbers (n_rows, n_answers), or the numbers of labels (n_rows, 1). Rows count by their
        `weights` (n_rows,), and those of a group, numbered by `groups` (n_rows,), are drawn together. `seed` draws
        them.
        """
        unit = _unit(first, second, targets) if metric in ("rmse", "mae") else 1.0
        counted = np.ones(len(targets)) if weights is None else weights
        lost = [_losses(metric, answers / unit, targets / unit) * counted for answers in (first, second)]
        drawn = _drawn(len(targets), groups, seed)
        sums = [np.bincount(drawn, each).astype(np.float64) for each in (*lost, counted)]
        return cls(metric, len(targets), sums, _resampled(_figure(metric), sums, seed), unit)

    @property
    def difference(self) -> Difference:
        """The figures of both, and their difference with its error and its interval of 95 %."""
        figure, total = _figure(self.metric), self.sums[-1].sum()
        first, second = (figure(each.sum() / total) for each in self.sums[:-1])
        differences = self.resampled[0] - self.resampled[1]
        low, high = self._interval(differences)
        return Difference(
            metric=self.metric,
            first=float(first * self.unit),
            second=float(second * self.unit),
            difference=float((first - second) * self.unit),
            error=float(differences.std(ddof=1) * self.unit),
            low=low * self.unit,
            high=high * self.unit,
            rows=self.n_rows,
            drawn=len(self.sums[-1]),
        )

    @property
    def ratio(self) -> tuple[float, float] | None:
        """The interval of 95 % of the first figure as a multiple of the second; None where the second can be 0."""
        first, second = self.resampled
        return self._interval(first / second) if second.all() else None

    def _interval(self, resampled: Array) -> tuple[float, float]:
        """Return the ends of the interval of 95 % that figures of the resamples, (n_resamples,), are an account of."""
        ordered, beyond = np.sort(resampled), _beyond(len(self.sums[-1]))
        return float(ordered[beyond]), float(ordered[-1 - beyond])


def _losses(metric: PairedMetric, answers: Array, targets: Array) -> Array:
    """Return what each row adds to the mean that the metric is made of, (n_rows,)."""
    match metric:
        case "rmse":
            return np.asarray(((answers - targets) ** 2).mean(axis=1))
        case "mae":
            return np.asarray(np.abs(answers - targets).mean(axis=1))
        case "accuracy":
            return np.asarray(answers.argmax(axis=1) == targets[:, 0], dtype=np.float64)
    # Clipped as the log loss on a card is.
    right = answers[np.arange(len(answers)), targets[:, 0].astype(int)]
    rounding = float(np.finfo(np.float64).eps)
    return np.asarray(-np.log(np.clip(right, rounding, 1 - rounding)))


def _figure(metric: PairedMetric) -> Callable[[Array], Array]:
    return np.sqrt if metric == "rmse" else np.asarray


def _unit(first: Array, second: Array, targets: Array) -> float:
    """Return a power of two near the largest error, by which squares neither overflow nor vanish."""
    largest = max(float(np.abs(answers - targets).max()) for answers in (first, second))
    return float(np.ldexp(1.0, np.frexp(largest)[1] - 1)) if largest > 0 else 1.0


def _drawn(n_rows: int, groups: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Return the number of what each row is drawn with, from 0: itself, its group, or rows at random, (n_rows,)."""
    numbers = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(numbers.max()) + 1
    if n_units <= MOST_DRAWN:
        return numbers
    dealt = np.random.default_rng(seed).permutation(n_units) % MOST_DRAWN
    return np.asarray(dealt[numbers])


def _resampled(figure: Callable[[Array], Array], sums: list[Array], seed: int) -> Array:
    """Return both figures in each resample, float64 (2, n_resamples); `sums` are those of a pair."""
    first, second, counted = sums
    rng, n_units = np.random.default_rng(seed), len(counted)
    at_once = max(1, MOST_AT_ONCE // n_units)
    found = []
    for begin in range(0, RESAMPLES, at_once):
        times = _times_drawn(rng, min(at_once, RESAMPLES - begin), n_units)
        total = times @ counted
        found.append(np.stack([figure(times @ first / total), figure(times @ second / total)]))
    return np.concatenate(found, axis=1)


def _times_drawn(rng: np.random.Generator, n_resamples: int, n_units: int) -> Array:
    """Return how often each unit is drawn in each resample, float64 (n_resamples, n_units)."""
    units = rng.integers(0, n_units, (n_resamples, n_units))
    places = units + n_units * np.arange(n_resamples)[:, None]
    times = np.bincount(places.ravel(), minlength=n_resamples * n_units)
    return times.reshape(n_resamples, n_units).astype(np.float64)


def _beyond(n_drawn: int) -> int:
    """Return how many resamples lie beyond either bound of the interval, where so many rows or groups are drawn.

    Resamples of few rows vary less than samples do, by (n - 1) / n, and how much is uncertain, for which Student's
    distribution is wider than the normal one. Percentiles further out make up for both.
    """
    if n_drawn < 2:
        return 0
    return int(RESAMPLES * NORMAL.cdf(-_of_student(n_drawn - 1) * (n_drawn / (n_drawn - 1)) ** 0.5))


def _of_student(freedom: int) -> float:
    """Return what Student's t exceeds in `TAIL` of all cases, to three digits from six degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5. SciPy has it, but not where nothing is trained.
    """
    z = -NORMAL.inv_cdf(TAIL)
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + terms[0] / freedom + terms[1] / freedom**2 + terms[2] / freedom**3
