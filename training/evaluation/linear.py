"""The linear baseline of a table: least squares or logistic regression, bounded in time and memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.tables.table import Table, Values
from training.data.dataset import Rows
from training.data.subsample import subsample

# Bounds that keep a fit within seconds on one core and some hundred MB.
MOST_SQUARES = 5_000_000_000  # rows times inputs squared
MOST_PRODUCTS = 50_000_000  # rows times inputs times labels, in each step
MOST_CELLS = 1 << 24
MOST_SPARSE_ROWS, FEWEST_ROWS = 50_000, 2_000
MOST_STEPS = 100
# Encoded numbers in memory at a time: texts have thousands a row, most of them 0.
BLOCK = 1 << 23
# Inputs are kept as a sparse matrix if fewer than so many percent of them are not 0.
SPARSE_PERCENT = 10
# Encoded numbers are clipped here: squares of larger ones are beyond float32, so that the network could not use them.
LARGEST = 1e30

Inputs = Any
"""float64 (n_rows, n_inputs), an array or a scipy.sparse matrix."""


def answers(encoder: TableEncoder, train: Rows, test: Table, n_labels: int, seed: int) -> Array:
    """Learn from training rows and predict the test rows: raw numbers, or probabilities, float64 (n_rows, n_answers).

    `n_labels` is 0 for numbers. `seed` draws a subsample of the training rows where there are too many.
    """
    assert isinstance(train.inputs, Table)
    straight = straightened(encoder, train.inputs)
    kept = train.take(subsample(len(train), _most_rows(straight, n_labels), seed))
    assert isinstance(kept.inputs, Table)
    model = _fitted(encoded(straight, kept.inputs), kept, n_labels)
    if n_labels:
        return np.concatenate([probabilities(model, block, n_labels) for block in blocks(straight, test)])
    predicted = [model.predict(block) for block in blocks(straight, test)]
    return np.concatenate(predicted).astype(np.float64).reshape(-1, train.targets.shape[1])


def probabilities(model: Any, inputs: Inputs, n_labels: int) -> Array:
    """Return those of all labels, float64 (n_rows, n_labels); one that the model has not learned from has 0."""
    found = np.zeros((inputs.shape[0], n_labels))
    found[:, model.classes_.astype(int)] = model.predict_proba(inputs)
    return found


def straightened(encoder: TableEncoder, train: Table) -> TableEncoder:
    """Return an encoder of the same columns, with numbers standardised and not piecewise: so its model is linear."""
    columns = {name: _straightened(column, train.columns[name]) for name, column in encoder.encoders.items()}
    return replace(encoder, encoders=columns, dtype="float64", pairs=())


def _straightened(column: ColumnEncoder, values: Values) -> ColumnEncoder:
    match column:
        case NumberEncoder() | TimeEncoder() | DurationEncoder():
            return type(column).fit(values)
        case CategoryEncoder():
            return replace(column, means={})  # fitted to the rows that they are of, they would tell the answers
    # Words keep weights by the labels of all training rows: this model's penalty bounds what they can tell it. On movie
    # reviews it is right about 0.770 and 0.761 of the test rows, with weights of other rows about 0.770 and 0.751, and
    # without about 0.749 and 0.723, which would flatter the network beside it.
    return column


def encoded(straight: TableEncoder, rows: Table) -> Inputs:
    """Return the encoded rows, sparse if most of their numbers are 0."""
    parts = list(blocks(straight, rows))
    return sparse.vstack(parts, format="csr") if is_sparse(straight) else np.concatenate(parts)


def blocks(straight: TableEncoder, rows: Table) -> Iterator[Inputs]:
    """Yield the encoded rows in blocks that fit into memory."""
    size = max(1, BLOCK // straight.n_inputs)
    for start in range(0, len(rows), size):
        block = np.clip(straight.encode(rows.take(slice(start, start + size))), -LARGEST, LARGEST)
        yield sparse.csr_array(block) if is_sparse(straight) else block


def is_sparse(straight: TableEncoder) -> bool:
    """True if few encoded numbers are not 0: one of each category, and nearly none of the words of a text."""
    filled = sum(column.width for column in straight.encoders.values() if column.kind not in ("category", "text"))
    one_hot = sum(column.kind == "category" for column in straight.encoders.values())
    return 100 * (filled + one_hot) < SPARSE_PERCENT * straight.n_inputs


def _fitted(inputs: Inputs, rows: Rows, n_labels: int) -> Any:
    if n_labels:
        return LogisticRegression(max_iter=MOST_STEPS).fit(inputs, rows.targets[:, 0], rows.weights)
    # With about as many inputs as rows, plain least squares would fit the noise of every row.
    has_room = not sparse.issparse(inputs) and len(rows) > 2 * inputs.shape[1]
    return (LinearRegression() if has_room else Ridge()).fit(inputs, rows.targets, rows.weights)


def _most_rows(straight: TableEncoder, n_labels: int) -> int:
    if is_sparse(straight):
        return MOST_SPARSE_ROWS
    n_inputs = straight.n_inputs
    affordable = MOST_PRODUCTS // (n_inputs * n_labels) if n_labels else MOST_SQUARES // n_inputs**2
    return max(FEWEST_ROWS, min(MOST_CELLS // n_inputs, affordable))
