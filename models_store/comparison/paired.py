"""The paired bootstrap: how far two sets of answers to the same rows differ, beyond the chance that drew the rows.

losses of both, row by row -> rows drawn again and again, with replacement -> the difference, its error, its interval

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: standard error and percentile interval.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.card import Difference, PairedMetric

# Odd, so that the bounds of the interval are resamples as far from either end.
RESAMPLES = 1001
# Resamples beyond either bound of the 95 % interval.
BEYOND = 25
# Rows or groups that are drawn. More rows are dealt at random into so many groups, whose means vary as theirs would.
MOST_DRAWN = 5_000


def compared(
    metric: PairedMetric,
    first: Array,
    second: Array,
    targets: Array,
    *,
    weights: Array | None = None,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Difference:
    """Compare two sets of answers to the same rows, float64 (n_rows, n_answers): raw numbers, or probabilities.

    `targets` are raw numbers (n_rows, n_answers), or the numbers of labels (n_rows, 1). Rows count by their `weights`
    (n_rows,), and those of a group, numbered by `groups` (n_rows,), are drawn together. `seed` draws them.
    """
    counted = np.ones(len(targets)) if weights is None else weights
    unit = _unit(first, second, targets) if metric in ("rmse", "mae") else 1.0
    lost = [_losses(metric, answers / unit, targets / unit) * counted for answers in (first, second)]
    one, other = (_figure(metric)(each.sum() / counted.sum()) for each in lost)
    drawn = _drawn(len(targets), groups, seed)
    sums = [np.bincount(drawn, each).astype(np.float64) for each in (*lost, counted)]
    differences = _resampled(_figure(metric), sums, seed)
    ordered = np.sort(differences)
    return Difference(
        metric=metric,
        first=float(one * unit),
        second=float(other * unit),
        difference=float((one - other) * unit),
        error=float(differences.std(ddof=1) * unit),
        low=float(ordered[BEYOND] * unit),
        high=float(ordered[-1 - BEYOND] * unit),
        rows=len(targets),
        drawn=int(drawn.max()) + 1,
    )


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
    """Return the difference of the figures in each resample.

    `sums` are those of both losses and of the weights, in each of what is drawn, (n_drawn,).
    """
    first, second, counted = sums
    rng, n_units = np.random.default_rng(seed), len(counted)
    found = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        times = np.bincount(rng.integers(0, n_units, n_units), minlength=n_units).astype(np.float64)
        total = times @ counted
        found[number] = figure(times @ first / total) - figure(times @ second / total)
    return found
