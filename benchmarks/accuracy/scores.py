"""Scores of held-out rows, and the ratio of two who are scored on the same folds, with its standard error."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.folds import FOLDS

LEAST_PROBABILITY = 1e-15
# Of a table on which nobody is wrong about more rows than this, a ratio would tell of a handful of rows.
FEW_WRONG = 15
NEARLY_ALL_EXPLAINED = 0.999
Array = NDArray[np.float64]


def scored(y: Array, answers: Array) -> dict[str, float]:
    """Return the RMSE and R² of numbers (n_rows,), or the log loss and the wrong rows of probabilities (n_rows, k).

    The value `loss` is the RMSE or the log loss. Raises ValueError where an answer is not finite.
    """
    if len(answers) != len(y) or not np.isfinite(answers).all():
        raise ValueError(f"{len(answers)} answers to {len(y)} rows, {int((~np.isfinite(answers)).sum())} not finite")
    if answers.ndim == 1:
        squares = np.square(answers - y)
        return {"loss": math.sqrt(squares.mean()), "r2": 1 - float(squares.sum() / np.square(y - y.mean()).sum())}
    labels = y.astype(np.intp)
    chances = np.clip(answers, LEAST_PROBABILITY, None)
    chances = chances / chances.sum(axis=1, keepdims=True)
    wrong = int((answers.argmax(axis=1) != labels).sum())
    loss = -np.log(chances[np.arange(len(labels)), labels]).mean()
    return {"loss": float(loss), "accuracy": 1 - wrong / len(labels), "wrong": wrong}


@dataclass(frozen=True)
class Ratio:
    value: float
    error: float
    """The standard error; NaN where there is one fold only."""


def ratio(ours: Sequence[float], theirs: Sequence[float], in_folds: bool) -> Ratio:
    """Return the mean loss of ours to theirs, with an error from the pairs of losses on the same fold.

    Folds of a cross-validation share training rows, so that their variance is raised by n_test / n_train, 1/4 here
    (Nadeau and Bengio, Inference for the generalization error, 2003). Without folds it is that of seeds alone.
    """
    own, other = np.array(ours), np.array(theirs)
    if not other.mean() > 0:
        return Ratio(math.nan, math.nan)
    value = float(own.mean() / other.mean())
    if len(own) < 2:
        return Ratio(value, math.nan)
    deviation = np.std((own - value * other) / other.mean(), ddof=1)
    shared = 1 / (FOLDS - 1) if in_folds else 0.0
    return Ratio(value, float(deviation * math.sqrt(1 / len(own) + shared)))


def geometric_mean(ratios: Iterable[Ratio]) -> Ratio:
    """Return the geometric mean of ratios that are independent of each other, and its error. NaN of none."""
    known = [one for one in ratios if one.value > 0]
    if not known:
        return Ratio(math.nan, math.nan)
    mean = math.exp(math.fsum(math.log(one.value) for one in known) / len(known))
    return Ratio(mean, mean * math.sqrt(math.fsum((one.error / one.value) ** 2 for one in known)) / len(known))


def is_solved(runs: Mapping[str, Sequence[Mapping[str, float]]], seeds: int) -> bool:
    """True if everybody is wrong about 15 rows of the table at most, or explains 99.9 % of the variance.

    `runs` holds the scores of each fold by name; over `seeds` cross-validations each row was held out as often.
    """
    return bool(runs) and all(
        sum(run["wrong"] for run in scores) / seeds <= FEW_WRONG
        if "wrong" in scores[0]
        else min(run["r2"] for run in scores) >= NEARLY_ALL_EXPLAINED
        for scores in runs.values()
    )
