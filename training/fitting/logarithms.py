"""Targets learned as logarithms: when that may pay, and answers that are means of the numbers, not of logarithms.

targets >= 0, skewed -> log(y + shift) -> network -> exp(a + b z) - shift

The mean of a number is not exp of the mean of its logarithm (Duan, Smearing Estimate, 1983). Its factor, exp(a) for
b = 1, is found by a generalised linear model with a logarithmic link, of the targets on answers to rows that the
answering member has not learned from. So the answers' sum is that of the targets, among small ones as among large ones.
"""

from dataclasses import replace

import numpy as np

from models_store.arrays import Array
from models_store.comparison.paired import Paired
from models_store.encoding.outputs import Logarithm, OutputDecoder
from models_store.encoding.scaler import Scaler
from models_store.wording import counted
from training.data.dataset import DataError, Rows

# Answers lie below so many times the largest training target.
HIGHEST = 10.0
# Where no target is whole, what is added to them is a small one: that share of those above 0 is smaller.
SMALL = 0.01
# With 2, chance weighs less in small counts than with 1, and their means are learned better.
ADDED_TO_COUNTS = 2.0
# Skewness of the targets from which on logarithms are tried; that of an exponential distribution is 2.
SKEWED = 1.5
FEWEST_ROWS = 100
# The deviance of logarithms is clearly less if it is below this share. No answer counts as less than so many means.
BETTER, LEAST_ANSWER = 0.98, 1e-3
STEPS = 30
LEAST_SLOPE, MOST_SLOPE = 0.5, 2.0


def may_pay(targets: Array) -> bool:
    """True if targets, float64 (n_rows, n_outputs), are from 0 on, and skewed in every column."""
    if len(targets) < FEWEST_ROWS or (targets < 0).any():
        return False
    return bool((_skewness(targets) > SKEWED).all())


def _skewness(targets: Array) -> Array:
    unit = np.abs(targets).max(axis=0)
    scaled = targets / np.where(unit > 0, unit, 1.0)
    apart = scaled - scaled.mean(axis=0)
    spread = apart.std(axis=0)
    return np.asarray((apart**3).mean(axis=0) / np.where(spread > 0, spread, np.inf) ** 3)


def logarithm_of(targets: Array, names: tuple[str, ...]) -> Logarithm:
    """Return the map of training targets, float64 (n_rows, n_outputs). Raises DataError where one is negative."""
    for name, column in zip(names, targets.T, strict=True):
        if (column < 0).any():
            negative = counted(int((column < 0).sum()), "training row has", "training rows have")
            raise DataError(f"scaling.targets: log needs numbers from 0 on, and {negative} a negative {name}; use none")
    highest = np.array([column.max() for column in targets.T])
    return Logarithm(np.array([_shift(column) for column in targets.T]), HIGHEST * np.where(highest > 0, highest, 1.0))


def _shift(targets: Array) -> float:
    """Return what is added to the targets (n_rows,): 2 to counts, else a small one of them."""
    above = targets[targets > 0]
    if not len(above) or (targets == np.round(targets)).all():
        return ADDED_TO_COUNTS
    return float(np.quantile(above, SMALL))


def are_better(of_logarithms: Array, plain: Array, rows: Rows) -> bool:
    """True if answers of a network that learned logarithms are better than those of one that did not.

    All float64 (n_rows, n_outputs), to rows that neither has learned from. Poisson's deviance judges, which as squares
    does is least for the mean, but does not look at the largest numbers alone. By squares they are not clearly worse.
    """
    if not np.isfinite(of_logarithms).all() or deviance(of_logarithms, rows) > BETTER * deviance(plain, rows):
        return False
    by_squares = Paired.of(
        "rmse", of_logarithms, plain, rows.targets, weights=rows.weights, groups=rows.groups
    ).difference
    return by_squares.better != "second"


def deviance(answers: Array, rows: Rows) -> float:
    """Return Poisson's mean deviance from the targets, the mean over outputs; all in units of their means."""
    means = np.average(rows.targets, axis=0, weights=rows.weights)
    y, mu = rows.targets / means, np.maximum(answers / means, LEAST_ANSWER)
    each = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / mu), 0.0) - y + mu
    return 2 * float(np.average(each.mean(axis=1), weights=rows.weights))


def calibrated(decoder: OutputDecoder, logarithms: Array, targets: Array, weights: Array | None) -> OutputDecoder:
    """Return the decoder whose answers are means: `logarithms` are those that were answered to rows with `targets`.

    Both float64 (n_rows, n_outputs); `weights` (n_rows,).
    """
    logarithm = decoder.logarithm
    if logarithm is None:
        return decoder
    columns = zip(logarithms.T, (targets + logarithm.shift).T, strict=True)
    found = np.array([_mean_of(answered, numbers, weights) for answered, numbers in columns])
    intercept, slope = found.T
    scaler = decoder.scaler
    return replace(decoder, scaler=Scaler(scaler.method, intercept + slope * scaler.offset, slope * scaler.scale))


def _mean_of(logarithms: Array, numbers: Array, weights: Array | None) -> tuple[float, float]:
    """Return intercept and slope of the logarithm of the mean: Poisson's quasi-likelihood, by Newton's method."""
    counted = np.ones(len(numbers)) if weights is None else weights
    unit = float(numbers.max())
    centre = float(np.average(logarithms, weights=counted))
    z, y = logarithms - centre, numbers / unit
    slope = 1.0
    level = _level(z, y, counted, slope)
    for _ in range(STEPS):
        mean = np.exp(level + slope * z)
        design = np.stack([np.ones_like(z), z])
        curvature = (design * (counted * mean)) @ design.T
        if not np.isfinite(curvature).all() or np.linalg.cond(curvature) > 1e12:
            break
        step = np.linalg.solve(curvature, design @ (counted * (y - mean)))
        slope = float(np.clip(slope + step[1], LEAST_SLOPE, MOST_SLOPE))
        level = _level(z, y, counted, slope)
        if abs(step[1]) < 1e-10:
            break
    return level + float(np.log(unit)) - slope * centre, slope


def _level(z: Array, y: Array, counted: Array, slope: float) -> float:
    """Return the intercept by which the means of this slope have the sum of the numbers."""
    highest = float((slope * z).max())
    total = float((counted * np.exp(slope * z - highest)).sum())
    return float(np.log((counted * y).sum() / total)) - highest
