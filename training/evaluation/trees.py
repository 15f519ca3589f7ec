"""Gradient-boosted trees of a table, on its raw columns. Bounded in time and memory."""

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
from training.data.subsample import places
from training.evaluation import linear

# Some seconds on one core: rows times columns times trees in a step, and columns times trees in all.
MOST_CELLS, FEWEST_ROWS = 2_000_000, 2_000
MOST_BINNED, FEWEST_STEPS, MOST_STEPS = 20_000, 10, 200
# Of texts each word is a column; with more columns than these, trees see those that tell most by themselves.
MOST_COLUMNS = 200
# A step makes a tree for each label, or output.
MOST_LABELS = 100
# A column has 255 bins, and its codes must fit into them.
MOST_CATEGORIES = 250
# Few rows want small and many trees; these settings do well from 100 rows to 20 000.
FEW_ROWS = 2_000
FOR_FEW = {"learning_rate": 0.05, "max_leaf_nodes": 15}
FOR_MANY = {"learning_rate": 0.1, "max_leaf_nodes": 31}

Columns = Callable[[Table], Array]
"""Rows -> float64 (n_rows, n_columns), NaN where missing."""


def answers(encoder: TableEncoder, train: Rows, test: Table, n_labels: int, seed: int) -> Array:
    """For the test rows (n_rows, n_outputs): numbers in raw units, or those of labels."""
    n_trees = n_labels if n_labels > 2 else train.outputs.shape[1]
    width = n_trees * (MOST_COLUMNS if _is_wide(encoder) else len(encoder.encoders))
    rows = train.take(places(len(train), max(FEWEST_ROWS, MOST_CELLS // width), seed))
    assert isinstance(rows.inputs, Table)
    columns, are_codes = _columns(encoder, rows.inputs, rows.outputs, n_labels)
    options: dict[str, Any] = {
        **(FOR_FEW if len(rows) < FEW_ROWS else FOR_MANY),
        "categorical_features": are_codes,
        "max_iter": min(MOST_STEPS, max(FEWEST_STEPS, MOST_BINNED // width)),
        # Where rows are few, so may be those of a leaf.
        "min_samples_leaf": min(20, max(2, len(rows) // 100)),
        "early_stopping": False,
        "random_state": seed,
    }
    kind = HistGradientBoostingClassifier if n_labels else HistGradientBoostingRegressor
    seen, asked = columns(rows.inputs), columns(test)
    each = [kind(**options).fit(seen, output).predict(asked) for output in rows.outputs.T]
    return np.stack(each, axis=1).astype(np.float64)


def _columns(encoder: TableEncoder, train: Table, outputs: Array, n_labels: int) -> tuple[Columns, list[bool]]:
    """How columns are made for trees, and which of them are codes of categories."""
    encoders = encoder.encoders
    if not _is_wide(encoder):
        are_codes = [column.kind == "category" for column in encoders.values() for _ in range(_width(column))]
        return lambda rows: _side_by_side(encoders, rows), are_codes
    straight = linear.straightened(encoder, train)
    targets = outputs[:, :1] == np.arange(n_labels) if n_labels else outputs
    kept = _telling(linear.encoded(straight, train), targets)
    return lambda rows: _some_inputs(straight, rows, kept), [False] * len(kept)


def _is_wide(encoder: TableEncoder) -> bool:
    return "text" in encoder.kinds.values() or len(encoder.encoders) > MOST_COLUMNS


def _telling(inputs: linear.Inputs, targets: Array) -> NDArray[np.int64]:
    """The inputs that vary most together with an output: their largest covariance."""
    together = np.abs(inputs.T @ (targets - targets.mean(axis=0))).max(axis=1)
    return np.sort(np.argsort(-together, kind="stable")[:MOST_COLUMNS])


def _some_inputs(straight: TableEncoder, rows: Table, kept: NDArray[np.int64]) -> Array:
    chosen = (block[:, kept] for block in linear.blocks(straight, rows))
    return np.concatenate([block.toarray() if linear.is_sparse(straight) else block for block in chosen])


def _side_by_side(encoders: dict[str, ColumnEncoder], rows: Table) -> Array:
    return np.concatenate([_raw(column, rows.columns[name]) for name, column in encoders.items()], axis=1)


def _raw(column: ColumnEncoder, values: Values) -> Array:
    """(n_rows, 1), and of dates what the encoder makes of them."""
    match column:
        case DateEncoder():
            return column.encode(values)
        case CategoryEncoder():
            # What is rare or was not seen goes where missing ones go.
            codes = {value: float(code) for code, value in enumerate(column.values[:MOST_CATEGORIES])}
            return np.array([codes.get(value, np.nan) for value in values])[:, None]
    return values.astype(np.float64)[:, None]


def _width(column: ColumnEncoder) -> int:
    return column.width if column.kind == "date" else 1
