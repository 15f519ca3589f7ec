"""Targets with heavy tails: when Huber's loss may pay, which a few far numbers pull less than the squares do."""

import numpy as np

from models_store.arrays import Array
from models_store.comparison.paired import Paired
from training.data.dataset import Rows

# Excess kurtosis of the targets from which on the loss is tried; that of a normal distribution is 0, of Laplace's 3.
HEAVY = 2.0
# Standard errors of the mean error that chance and the network make; a skewed target makes tens of them.
MOST_ERRORS = 4.0
FEWEST_ROWS = 100


def may_pay(targets: Array) -> bool:
    """True if every column of the targets, float64 (n_rows, n_outputs), has heavy tails."""
    if len(targets) < FEWEST_ROWS:
        return False
    unit = np.abs(targets).max(axis=0)
    scaled = targets / np.where(unit > 0, unit, 1.0)
    apart = scaled - scaled.mean(axis=0)
    spread = np.where(apart.std(axis=0) > 0, apart.std(axis=0), np.inf)
    return bool(((apart**4).mean(axis=0) / spread**4 - 3 > HEAVY).all())


def are_better(robust: Array, plain: Array, rows: Rows) -> bool:
    """True if answers that were learned by Huber's loss are better than those of squares.

    All float64 (n_rows, n_outputs), to rows that neither has learned from. Their absolute errors are clearly less,
    their squares not clearly more, and their mean is that of the targets: of skewed ones they could be near the median.
    """
    if not np.isfinite(robust).all() or _is_biased(robust, rows):
        return False
    by_size = Paired.of("mae", robust, plain, rows.targets, weights=rows.weights, groups=rows.groups).difference
    by_squares = Paired.of("rmse", robust, plain, rows.targets, weights=rows.weights, groups=rows.groups).difference
    return by_size.better == "first" and by_squares.better != "second"


def _is_biased(answers: Array, rows: Rows) -> bool:
    """True if the mean error of an output is many of its standard errors."""
    errors = answers - rows.targets
    mean = np.average(errors, axis=0, weights=rows.weights)
    return bool((np.abs(mean) > MOST_ERRORS * errors.std(axis=0) / np.sqrt(len(errors))).any())
