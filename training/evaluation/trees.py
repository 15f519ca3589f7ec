"""The baseline of gradient-boosted trees on the raw columns of a table, bounded in time and memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.rows import TableEncoder
from models_store.tables.table import Table, Values
from training.data.dataset import Rows
from training.data.subsample import subsample
from training.evaluation import linear

# Bounds that keep a fit within seconds on one core: rows x columns x trees of a step, and columns x trees of all steps.
MOST_CELLS, FEWEST_ROWS = 2_000_000, 2_000
MOST_BINNED, FEWEST_STEPS, MOST_STEPS = 20_000, 10, 200
# Each word of a text is a column. Of more columns than these, trees get those that vary most with the target.
MOST_COLUMNS = 200
# Each step grows one tree a label; with more labels the baseline is left out.
MOST_LABELS = 100
# scikit-learn's trees have 255 bins a column, and each category needs one.
MOST_CATEGORIES = 250
# Few rows need many small trees. These settings do well from 100 rows to 20 000.
FEW_ROWS = 2_000
FOR_FEW = {"learning_rate": 0.05, "max_leaf_nodes": 15}
FOR_MANY = {"learning_rate": 0.1, "max_leaf_nodes": 31}

Columns = Callable[[Table], Array]
"""Rows -> float64 (n_rows, n_columns), NaN where missing."""


def answers(encoder: TableEncoder, train: Rows, test: Table, n_labels: int, seed: int) -> Array:
    """Learn from training rows and predict the test rows: raw numbers, or probabilities, float64 (n_rows, n_answers).

    `n_labels` is 0 for numbers. `seed` draws a subsample of the training rows where there are too many, and the trees.
    """
    n_trees = n_labels if n_labels > 2 else train.targets.shape[1]
    width = n_trees * (MOST_COLUMNS if _is_wide(encoder) else len(encoder.encoders))
    rows = train.take(subsample(len(train), max(FEWEST_ROWS, MOST_CELLS // width), seed))
    assert isinstance(rows.inputs, Table)
    columns, are_codes = _columns(encoder, rows.inputs, rows.targets, n_labels)
    options: dict[str, Any] = {
        **(FOR_FEW if len(rows) < FEW_ROWS else FOR_MANY),
        "categorical_features": are_codes,
        "max_iter": min(MOST_STEPS, max(FEWEST_STEPS, MOST_BINNED // width)),
        # With few rows a leaf may hold fewer of them.
        "min_samples_leaf": min(20, max(2, len(rows) // 100)),
        "early_stopping": False,
        "random_state": seed,
    }
    seen, asked = columns(rows.inputs), columns(test)
    if n_labels:
        model = HistGradientBoostingClassifier(**options).fit(seen, rows.targets[:, 0], rows.weights)
        return linear.probabilities(model, asked, n_labels)
    each = [
        HistGradientBoostingRegressor(**options).fit(seen, target, rows.weights).predict(asked)
        for target in rows.targets.T
    ]
    return np.stack(each, axis=1).astype(np.float64)


def _columns(encoder: TableEncoder, train: Table, targets: Array, n_labels: int) -> tuple[Columns, list[bool]]:
    """Return the function that makes columns for trees, and for each column whether it holds codes of categories."""
    encoders = encoder.encoders
    if not _is_wide(encoder):
        are_codes = [column.kind == "category" for column in encoders.values() for _ in range(_width(column))]
        return lambda rows: _side_by_side(encoders, rows), are_codes
    straight = linear.straightened(encoder, train)
    one_hot = targets[:, :1] == np.arange(n_labels) if n_labels else targets
    kept = _most_covariant(linear.encoded(straight, train), one_hot)
    return lambda rows: _some_inputs(straight, rows, kept), [False] * len(kept)


def _is_wide(encoder: TableEncoder) -> bool:
    return "text" in encoder.kinds.values() or len(encoder.encoders) > MOST_COLUMNS


def _most_covariant(inputs: linear.Inputs, targets: Array) -> NDArray[np.int64]:
    """Return the indices of the inputs with the largest covariance with any target, in ascending order."""
    together = np.abs(inputs.T @ (targets - targets.mean(axis=0))).max(axis=1)
    return np.sort(np.argsort(-together, kind="stable")[:MOST_COLUMNS])


def _some_inputs(straight: TableEncoder, rows: Table, kept: NDArray[np.int64]) -> Array:
    chosen = (block[:, kept] for block in linear.blocks(straight, rows))
    return np.concatenate([block.toarray() if linear.is_sparse(straight) else block for block in chosen])


def _side_by_side(encoders: dict[str, ColumnEncoder], rows: Table) -> Array:
    return np.concatenate([_raw(column, rows.columns[name]) for name, column in encoders.items()], axis=1)


def _raw(column: ColumnEncoder, values: Values) -> Array:
    """Return a column for trees, float64 (n_rows, 1), NaN where missing; dates as encoded, (n_rows, width)."""
    match column:
        case DateEncoder():
            return column.encode(values)
        case CategoryEncoder():
            # Rare and unseen categories count as missing.
            codes = {value: float(code) for code, value in enumerate(column.values[:MOST_CATEGORIES])}
            return np.array([codes.get(value, np.nan) for value in values])[:, None]
    return values.astype(np.float64)[:, None]


def _width(column: ColumnEncoder) -> int:
    return column.width if column.kind == "date" else 1
