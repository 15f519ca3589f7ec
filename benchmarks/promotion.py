"""How often a worse version is promoted by `if-better`, and a better one: part of `python -m benchmarks.honesty`.

    rows with the errors of a champion and a challenger -> paired bootstrap -> outcome -> figures -> docs/honesty.md

Nothing is trained: the errors are drawn, so that how much worse the challenger is in truth is known.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from models_store.arrays import Array
from models_store.card import PairedMetric
from models_store.comparison.paired import Paired
from training.promotion import PROMOTED, outcome_of

N_ROWS = (30, 100, 1000)
FEW_ROWS = (10, 15, 20)
# Of a worse challenger, on few rows and on more; of better ones.
DRAWS_OF_FEW, DRAWS, DRAWS_OF_POWER = 2000, 1000, 200
TOLERANCE = 0.05
# The challenger's error in truth, as a share of the champion's.
BETTER = (0.95, 0.9, 0.8)
ALIKE = 0.9
# Rows that a mean log loss is known from.
MANY = 1_000_000

Drawn = tuple[PairedMetric, Array, Array, Array]
"""The metric; the answers of challenger and champion, and the targets, of each row."""
Draw = Callable[[np.random.Generator, int, float], Drawn]
"""Draws so many rows; the challenger's error is so large, as a share of the champion's."""


def _numbers(rng: np.random.Generator, n_rows: int, ratio: float, *, alike: float, tails: int | None) -> Drawn:
    """Errors of both are correlated by `alike`: both find the same rows hard; `tails`: degrees of freedom of t."""
    shared, own, other = rng.normal(size=(3, n_rows, 1))
    errors = [alike**0.5 * shared + (1 - alike) ** 0.5 * each for each in (own, other)]
    hard = 1.0 if tails is None else np.sqrt(tails / rng.chisquare(tails, (n_rows, 1)))
    return "rmse", ratio * errors[0] * hard, errors[1] * hard, np.zeros((n_rows, 1))


def _labels(rng: np.random.Generator, n_rows: int, ratio: float) -> Drawn:
    """Two labels; what both say of a row is its logit and noise, the challenger's as large as makes the ratio."""
    logits = rng.normal(0, 2, n_rows)
    targets = (rng.random(n_rows) < _probability(logits)).astype(np.float64)
    said = [logits + rng.normal(0, sd, n_rows) for sd in (_noise(ratio), CHAMPIONS_NOISE)]
    one, other = (np.stack([1 - _probability(each), _probability(each)], axis=1) for each in said)
    return "log_loss", one, other, targets[:, None]


CHAMPIONS_NOISE = 1.5


def _probability(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


@cache
def _noise(ratio: float) -> float:
    """Return the deviation of the challenger's noise, with which its log loss is `ratio` times the champion's."""
    logits, noise = np.random.default_rng(0).normal(size=(2, MANY))
    right = _probability(2 * logits)

    def loss(sd: float) -> float:
        said = 2 * logits + sd * noise
        return float(np.mean(right * np.logaddexp(0, -said) + (1 - right) * np.logaddexp(0, said)))

    wanted, low, high = ratio * loss(CHAMPIONS_NOISE), 0.0, 2 * CHAMPIONS_NOISE
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if loss(middle) < wanted else (low, middle)
    return (low + high) / 2


WORLDS: Mapping[str, Draw] = {
    "numbers": lambda rng, n, ratio: _numbers(rng, n, ratio, alike=0.0, tails=None),
    "numbers, alike": lambda rng, n, ratio: _numbers(rng, n, ratio, alike=ALIKE, tails=None),
    "numbers, alike, heavy tails": lambda rng, n, ratio: _numbers(rng, n, ratio, alike=ALIKE, tails=5),
    "labels": _labels,
}


def report() -> None:
    """Print how often challengers are promoted: those at the edge of the tolerance, and better ones."""
    for name, draw in WORLDS.items():
        for n_rows, draws in ((FEW_ROWS, DRAWS_OF_FEW), (N_ROWS, DRAWS)):
            shares = _shares(draw, n_rows, 1 + TOLERANCE, TOLERANCE, draws)
            print(f"promotion, {name}: worse by the tolerance, promoted: {shares}", flush=True)
        for ratio in BETTER:
            shares = _shares(draw, N_ROWS, ratio, 0.0, DRAWS_OF_POWER)
            print(f"promotion, {name}: better by {1 - ratio:.0%}, promoted: {shares}", flush=True)


def _shares(draw: Draw, n_rows: Sequence[int], ratio: float, tolerance: float, draws: int) -> str:
    return ", ".join(f"{promoted(draw, each, ratio, tolerance, draws):.1%} of {each} rows" for each in n_rows)


def promoted(draw: Draw, n_rows: int, ratio: float, tolerance: float, draws: int) -> float:
    """Return the share of comparisons on so many rows after which the challenger is promoted."""
    rng = np.random.default_rng(n_rows)
    count = 0
    for seed in range(draws):
        metric, first, second, targets = draw(rng, n_rows, ratio)
        paired = Paired.of(metric, first, second, targets, seed=seed)
        count += outcome_of(paired.difference, tolerance, paired.ratio if tolerance else None) in PROMOTED
    return count / draws
