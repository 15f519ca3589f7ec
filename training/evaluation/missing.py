"""What answers are worth whose rows lack a value: the error on test rows of which one column is missing."""

from collections.abc import Iterable

import numpy as np

from models_store.bundle import Predictor
from models_store.card import Column, LabelScore
from models_store.encoding.rows import TableEncoder
from models_store.tables.table import Table, column_of
from training.data.dataset import Dataset, Rows
from training.data.subsample import subsample
from training.evaluation.scores import measured

FEWEST_ROWS, MOST_ROWS = 10, 2000
# Network inputs that are computed to measure all columns: some seconds.
MOST_INPUTS = 1 << 30


def with_worth(columns: Iterable[Column], predictor: Predictor, data: Dataset, seed: int) -> list[Column]:
    """Return the columns of the card with the error of answers where each is missing, as far as it may be.

    Of many test rows, or of many columns, a random subsample of the test rows is measured, none below ten of them.
    """
    columns, encoder = list(columns), predictor.encoder
    if not isinstance(encoder, TableEncoder):
        return columns
    n_rows = min(MOST_ROWS, MOST_INPUTS // (encoder.n_inputs * len(columns)))
    rows = data.test.take(subsample(len(data.test), max(1, n_rows), seed))
    if len(rows) < FEWEST_ROWS:
        return columns
    return [
        column.model_copy(update={"if_missing": _error_without(column, predictor, rows, data)})
        if encoder.takes_missing(column.name)
        else column
        for column in columns
    ]


def _error_without(column: Column, predictor: Predictor, rows: Rows, data: Dataset) -> float | None:
    """Return RMSE or accuracy of the rows without the column; None where an answer is not finite."""
    assert isinstance(rows.inputs, Table)
    nothing = column_of(column.kind, [None] * len(rows))
    answers = predictor.answers(Table({**rows.inputs.columns, column.name: nothing}))
    if not np.isfinite(answers).all():
        return None
    found = measured(answers, rows, data).overall
    return found.accuracy if isinstance(found, LabelScore) else found.rmse
