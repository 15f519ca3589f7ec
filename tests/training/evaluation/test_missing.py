"""What answers without a column are worth, on test rows."""

from dataclasses import replace
from typing import Any

import numpy as np

from models_store.bundle import Predictor
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.outputs import LabelDecoder, OutputDecoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.scaler import Scaler
from tests.fakes import LinearNetwork
from tests.table_fakes import split_table
from training.data.dataset import Dataset
from training.evaluation.missing import with_worth
from training.evaluation.report import input_columns

NUMBERS: dict[str, Any] = {
    "told": ("number", [float(place % 5) for place in range(100)]),
    "idle": ("number", [float(place % 7) for place in range(100)]),
}


def of_numbers(**fills: float) -> tuple[Dataset, Predictor]:
    """y = told, whatever idle is."""
    data, fitted = split_table(NUMBERS, np.array([NUMBERS["told"][1]]).T)
    identity = Scaler.identity(1)
    columns = {
        name: replace(column, scaler=identity, edges=np.empty(0))
        for name, column in fitted.encoders.items()
        if isinstance(column, NumberEncoder)
    }
    encoder = TableEncoder({**columns}, fills=fills)
    network = LinearNetwork(np.array([[1.0], [0.0]], dtype=np.float32), "linear")
    return data, Predictor(encoder, network, OutputDecoder(("y0",), identity))


def test_the_error_without_a_column_is_measured_on_test_rows() -> None:
    data, predictor = of_numbers(told=2.0, idle=3.0)
    told, idle = with_worth(input_columns(data, predictor.encoder), predictor, data, seed=0)
    assert (told.fill, idle.fill) == (2.0, 3.0)
    # told is 0 to 4, evenly, and 2 is answered throughout.
    assert (told.if_missing, idle.if_missing) == (np.sqrt(2.0), 0.0)


def test_a_column_that_must_have_a_value_has_no_error_without_one() -> None:
    data, predictor = of_numbers(idle=3.0)
    told, idle = with_worth(input_columns(data, predictor.encoder), predictor, data, seed=0)
    assert (told.if_missing, told.fill, idle.if_missing) == (None, None, 0.0)
    assert told.model_dump().keys() == idle.model_dump().keys() - {"fill", "if_missing"}


def test_labels_have_an_accuracy() -> None:
    numbers = np.array([[float(place % 5 > 2)] for place in range(100)])
    data, fitted = split_table(NUMBERS, numbers, "low", "high")
    network = LinearNetwork(np.ones((fitted.n_inputs, 1), dtype=np.float32), "sigmoid")
    encoder = replace(fitted, fills={"told": 0.0, "idle": 0.0})
    predictor = Predictor(encoder, network, LabelDecoder("y0", ("low", "high")))
    columns = with_worth(input_columns(data, encoder), predictor, data, seed=0)
    assert all(column.if_missing is not None and 0 <= column.if_missing <= 1 for column in columns)


def test_few_test_rows_say_nothing() -> None:
    data, predictor = of_numbers(told=2.0, idle=3.0)
    few = replace(data, test=data.test.take(slice(9)))
    assert [column.if_missing for column in with_worth(input_columns(few, predictor.encoder), predictor, few, 0)] == [
        None,
        None,
    ]
