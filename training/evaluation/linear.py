"""A linear model of a table: least squares for numbers, logistic regression for labels. Bounded in time and memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from models_store.arrays import Array
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.rows import TableEncoder
from models_store.tables.table import Table
from training.data.dataset import Rows
from training.data.subsample import places

# Some seconds on one core, and some hundred megabytes.
MOST_SQUARES = 5_000_000_000  # rows times inputs squared
MOST_PRODUCTS = 50_000_000  # rows times inputs times labels, in each step
MOST_CELLS = 1 << 24
MOST_SPARSE_ROWS, FEWEST_ROWS = 50_000, 2_000
MOST_STEPS = 100
# Rows are encoded so many numbers at a time, because texts have thousands a row, of which most are 0.
BLOCK = 1 << 23
# Fewer inputs than these in a hundred that are not 0: better held one by one.
SPARSE_PERCENT = 10
# What a float32 network could not hold either.
LARGEST = 1e30

Inputs = Any
"""float64 (n_rows, n_inputs), an array or sparse."""


def answers(encoder: TableEncoder, train: Rows, test: Table, n_labels: int, seed: int) -> Array:
    """For the test rows (n_rows, n_outputs): numbers in raw units, or those of labels."""
    assert isinstance(train.inputs, Table)
    straight = straightened(encoder, train.inputs)
    kept = train.take(places(len(train), _most_rows(straight, n_labels), seed))
    assert isinstance(kept.inputs, Table)
    model = _fitted(encoded(straight, kept.inputs), kept.outputs, n_labels)
    told = [model.predict(block) for block in blocks(straight, test)]
    return np.concatenate(told).astype(np.float64).reshape(-1, train.outputs.shape[1])


def straightened(encoder: TableEncoder, train: Table) -> TableEncoder:
    """The same columns, with numbers standardised and nothing more: so the model bends nowhere."""
    columns = {
        name: NumberEncoder.fit(train.columns[name]) if column.kind == "number" else column
        for name, column in encoder.encoders.items()
    }
    return TableEncoder(columns, dtype="float64")


def encoded(straight: TableEncoder, rows: Table) -> Inputs:
    parts = list(blocks(straight, rows))
    return sparse.vstack(parts, format="csr") if is_sparse(straight) else np.concatenate(parts)


def blocks(straight: TableEncoder, rows: Table) -> Iterator[Inputs]:
    size = max(1, BLOCK // straight.n_inputs)
    for start in range(0, len(rows), size):
        block = np.clip(straight.encode(rows.take(slice(start, start + size))), -LARGEST, LARGEST)
        yield sparse.csr_array(block) if is_sparse(straight) else block


def is_sparse(straight: TableEncoder) -> bool:
    """A category has one input that is not 0, and of a text's words nearly all are."""
    filled = sum(column.width for column in straight.encoders.values() if column.kind not in ("category", "text"))
    one_hot = sum(column.kind == "category" for column in straight.encoders.values())
    return 100 * (filled + one_hot) < SPARSE_PERCENT * straight.n_inputs


def _fitted(inputs: Inputs, outputs: Array, n_labels: int) -> Any:
    if n_labels:
        return LogisticRegression(max_iter=MOST_STEPS).fit(inputs, outputs[:, 0])
    # Where inputs are about as many as rows, plain least squares would learn the rows by heart.
    has_room = not sparse.issparse(inputs) and len(outputs) > 2 * inputs.shape[1]
    return (LinearRegression() if has_room else Ridge()).fit(inputs, outputs)


def _most_rows(straight: TableEncoder, n_labels: int) -> int:
    if is_sparse(straight):
        return MOST_SPARSE_ROWS
    n_inputs = straight.n_inputs
    affordable = MOST_PRODUCTS // (n_inputs * n_labels) if n_labels else MOST_SQUARES // n_inputs**2
    return max(FEWEST_ROWS, min(MOST_CELLS // n_inputs, affordable))
