"""Target statistics of a column of many categories: the mean target of each value's training rows, drawn towards that
of all rows where they are few (Micci-Barreca, 2001; by scikit-learn's TargetEncoder).

A training row is encoded by the means of other rows: by its own target it would tell the network the answer.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import TargetEncoder

from models_store.arrays import Array
from models_store.encoding.categories import FEWEST_OF_A_CATEGORY, MOST_CATEGORIES, CategoryEncoder
from models_store.tables.table import Values
from training.data.dataset import Labels

FOLDS = 5
# With means beside them, values of fewer rows than this have no input of their own, which would learn their noise.
FEWEST_OF_ITS_OWN = 20
# Labels up to which each has a mean of its own.
MOST_LABELS = 10
NO_VALUE = ""


def are_many(values: Values) -> bool:
    """True if a column has more values than can have an input each, without those that stand in one row."""
    counts = Counter(value for value in values if value is not None)
    return sum(count >= FEWEST_OF_A_CATEGORY for count in counts.values()) > MOST_CATEGORIES


def targets_of(labels: Labels | None, targets: Array) -> Array:
    """Return what means are taken of, float64 (n_rows, n_means): numbers, or 1 where a row has the label.

    Of two labels the second one tells of both; of more than ten there are no means.
    """
    if labels is None:
        return targets
    n_labels = len(labels.names)
    if n_labels == 2:
        return targets
    return np.asarray(targets == np.arange(n_labels if n_labels <= MOST_LABELS else 0), np.float64)


def with_means(encoder: CategoryEncoder, values: Values, targets: Array) -> CategoryEncoder:
    """Return the encoder with the means of all these rows; `targets` are float64 (n_rows, n_means)."""
    if not targets.shape[1]:
        return encoder
    counts = Counter(values.tolist())
    own = tuple(value for value in encoder.values if counts[value] >= FEWEST_OF_ITS_OWN)
    seen = sorted(value for value in counts if value is not None)
    means = _means(values, targets, np.array(seen, object), _spread(targets))
    found = {value: tuple(row) for value, row in zip(seen, means.tolist(), strict=True)}
    return replace(encoder, values=own, means=found)


def of_other_rows(values: Values, targets: Array, folds: NDArray[np.int64]) -> Array:
    """Return the means of each training row's value without the rows of its own fold, float64 (n_rows, n_means).

    `folds` has the number of each row's fold, (n_rows,). Where all rows are of one, there are no others, and no means.
    """
    means = np.zeros(targets.shape)
    for fold in np.unique(folds):
        is_in = folds == fold
        if not is_in.all():
            means[is_in] = _means(values[~is_in], targets[~is_in], values[is_in], _spread(targets))
    return means


def _spread(targets: Array) -> Array:
    """Return the standard deviation of each target, which is the unit of its means."""
    deviations = targets.std(axis=0)
    return np.where(deviations > 0, deviations, 1.0)


def _means(values: Values, targets: Array, asked: Values, unit: Array) -> Array:
    """Return the means of the values that are asked for, of these rows, beside that of all rows; in `unit`."""
    known, wanted = (_cells(cells) for cells in (values, asked))
    found = []
    for target in targets.T:
        encoder = TargetEncoder(target_type="continuous").fit(known, target)
        means = encoder.transform(wanted)[:, 0] - encoder.target_mean_
        found.append(np.where(wanted[:, 0] == NO_VALUE, 0.0, means))
    return np.stack(found, axis=1) / unit


def _cells(values: Values) -> Values:
    cells = np.empty((len(values), 1), object)
    cells[:, 0] = [NO_VALUE if value is None else value for value in values]
    return cells
