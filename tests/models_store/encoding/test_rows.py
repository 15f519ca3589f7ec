"""Encoders: raw rows become network inputs."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder, TableEncoder, monomials, n_monomials
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.tables.table import (
    Kind,
    Table,
    column_of,
)
from tests.fakes import rows
from tests.table_fakes import encoder_of


def test_monomials_are_all_products_in_order_of_degree() -> None:
    x, y = 2.0, 3.0
    expected = [x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y]
    assert monomials(np.array([[x, y]]), 3).tolist() == [expected]


@pytest.mark.parametrize("n_columns", [1, 2, 3, 5])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_as_many_monomials_are_made_as_are_counted(n_columns: int, degree: int) -> None:
    assert monomials(np.ones((2, n_columns)), degree).shape == (2, n_monomials(n_columns, degree))


def test_inputs_are_scaled_before_they_are_rounded() -> None:
    far_away = rows(1e9 - 1, 1e9 + 1)
    encoded = InputEncoder(("x",), 1, Scaler.standard(far_away)).encode(far_away)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[-1], [1]]


@pytest.mark.parametrize(("degree", "value"), [(1, 1e300), (1, 3.5e38), (2, 1e200), (2, -1e20)])
def test_what_is_too_large_for_the_network_becomes_infinite(degree: int, value: float) -> None:
    encoder = InputEncoder(("x",), degree, Scaler.identity(degree))
    assert not np.isfinite(encoder.encode(rows(value))).all()
    assert np.isfinite(encoder.encode(rows(1.0))).all()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_columns_in_another_order_give_the_same_features_in_another_order(order: tuple[int, ...]) -> None:
    raw = np.array([[1.0, 20.0, 300.0], [2.0, 10.0, 100.0], [5.0, 60.0, 200.0]])
    features = _encoded(raw)
    assert sorted(_encoded(raw[:, order]).T.tolist()) == sorted(features.T.tolist())


def _encoded(raw: Array) -> Array:
    scaler = Scaler.standard(monomials(raw, 2))
    return InputEncoder(("a", "b", "c"), 2, scaler, "float64").encode(raw).astype(np.float64)


def test_an_encoder_and_a_decoder_are_the_same_after_json() -> None:
    encoder = InputEncoder(("a", "b"), 2, Scaler.identity(5), "float64")
    decoder = OutputDecoder(("y",), Scaler("minmax", np.array([0.1]), np.array([0.2])))
    assert InputEncoder.from_dict(json.loads(json.dumps(encoder.to_dict()))).to_dict() == encoder.to_dict()
    assert OutputDecoder.from_dict(json.loads(json.dumps(decoder.to_dict()))).to_dict() == decoder.to_dict()


def test_a_scaler_of_other_columns_is_refused() -> None:
    saved = InputEncoder(("a", "b"), 2, Scaler.identity(5)).to_dict()
    with pytest.raises(BundleDamaged):
        InputEncoder.from_dict({**saved, "degree": 1})
    with pytest.raises(BundleDamaged):
        OutputDecoder.from_dict({"columns": ["y"], "scaler": Scaler.identity(2).to_dict(), "dtype": "float32"})


def test_columns_of_a_table_stand_side_by_side_in_order() -> None:
    kinds: dict[str, Kind] = {"crew": "boolean", "port": "category"}
    table = Table({"port": column_of("category", ["S", "S"]), "crew": column_of("boolean", [1.0, 0.0])})
    encoder = TableEncoder({name: encoder_of(kind, table.columns[name]) for name, kind in kinds.items()})
    assert (encoder.columns, encoder.kinds, encoder.n_inputs) == (("crew", "port"), kinds, 4)
    assert encoder.encode(table).tolist() == [[1, 1, 0, 0], [-1, 1, 0, 0]]
    restored = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert restored.to_dict() == encoder.to_dict()
    np.testing.assert_array_equal(restored.encode(table), encoder.encode(table))


FILLS: dict[str, float | str] = {"size": 2.5, "port": "S", "crew": 1.0, "note": ""}
COMPLETE = Table(
    {
        "size": column_of("number", [1.0, 2.0, 3.0, 4.0]),
        "port": column_of("category", ["S", "S", "C", "C"]),
        "crew": column_of("boolean", [1.0, 0.0, 1.0, 1.0]),
        "note": column_of("text", ["a cup", "of tea", "a cup", "of tea"]),
    }
)
COMPLETE_KINDS: dict[str, Kind] = {"size": "number", "port": "category", "crew": "boolean", "note": "text"}


def complete_encoder() -> TableEncoder:
    """An encoder of columns without missing values, each with what stands in for one."""
    columns = {name: encoder_of(kind, COMPLETE.columns[name]) for name, kind in COMPLETE_KINDS.items()}
    return TableEncoder(columns, fills=FILLS)


def test_what_was_never_missing_is_filled_in() -> None:
    encoder = complete_encoder()
    missing = Table({name: column_of(kind, [None]) for name, kind in COMPLETE_KINDS.items()})
    filled = Table({name: column_of(kind, [FILLS[name]]) for name, kind in COMPLETE_KINDS.items()})
    assert encoder.encode(missing).tolist() == encoder.encode(filled).tolist()
    assert missing.columns["port"][0] is None
    assert all(map(encoder.takes_missing, COMPLETE_KINDS))
    assert not any(map(replace(encoder, fills={}).takes_missing, COMPLETE_KINDS))


def test_a_missing_value_that_training_had_is_not_filled_in() -> None:
    encoder = TableEncoder({"size": encoder_of("number", column_of("number", [1.0, None, 3.0]))})
    assert encoder.takes_missing("size")
    assert encoder.encode(Table({"size": column_of("number", [None])})).tolist()[0][-1] == 1.0


def test_fills_are_kept_with_the_encoder() -> None:
    encoder = complete_encoder()
    saved = json.loads(json.dumps(encoder.to_dict()))
    assert TableEncoder.from_dict(saved).fills == FILLS
    # Bundles from before there were fills refuse missing values as they did.
    assert TableEncoder.from_dict({name: saved[name] for name in ("table", "dtype", "spelling")}).fills == {}
    for damage in ({"size": "2"}, {"size": float("nan")}, {"port": 1.0}, {"port": None}, {"other": 1.0}):
        with pytest.raises(BundleDamaged, match="its fill must be a"):
            TableEncoder.from_dict({**saved, "fills": damage})
