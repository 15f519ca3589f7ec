"""Encoders: raw rows in, network inputs out, and the answers all the way back."""

import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models_store.arrays import Array
from models_store.encoding.outputs import LabelDecoder, LabelKind, OutputDecoder, output_decoder_from
from models_store.encoding.rows import InputEncoder, monomials, n_monomials
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from tests.fakes import rows

tables = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6))


def test_monomials_are_all_products_in_order_of_degree() -> None:
    x, y = 2.0, 3.0
    expected = [x, y, x * x, x * y, y * y, x * x * x, x * x * y, x * y * y, y * y * y]
    assert monomials(np.array([[x, y]]), 3).tolist() == [expected]


@pytest.mark.parametrize("n_columns", [1, 2, 3, 5])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_as_many_monomials_are_made_as_are_counted(n_columns: int, degree: int) -> None:
    assert monomials(np.ones((2, n_columns)), degree).shape == (2, n_monomials(n_columns, degree))


@given(tables)
def test_decode_undoes_encode(labels: Array) -> None:
    columns = tuple(f"y{place}" for place in range(labels.shape[1]))
    decoder = OutputDecoder(columns, Scaler.standard(labels), "float64")
    np.testing.assert_allclose(decoder.decode(decoder.encode(labels)), labels, rtol=1e-12, atol=1e-8)


def test_a_float32_decoder_loses_no_more_than_float32_must() -> None:
    labels = np.array([[1e9 - 1, 0.1], [1e9 + 1, 0.3]])
    decoder = OutputDecoder(("far", "near"), Scaler.standard(labels))
    np.testing.assert_allclose(decoder.decode(decoder.encode(labels)), labels, rtol=1e-7)


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


# -- labels --------------------------------------------------------------------------------------------------------


def test_two_labels_share_one_output_and_more_have_one_each() -> None:
    two, three = LabelDecoder("y", ("no", "yes")), LabelDecoder("y", ("a", "b", "c"))
    assert (two.n_outputs, three.n_outputs) == (1, 3)
    assert two.decode(np.array([[0.25], [0.75]])).tolist() == [[0.75, 0.25], [0.25, 0.75]]
    assert three.decode(np.array([[1.0, 2.0, 1.0]])).tolist() == [[0.25, 0.5, 0.25]]


def test_labels_are_learned_as_numbers_or_as_rows_of_ones_and_zeros() -> None:
    labels, numbers = ("a", "b", "c"), rows(2, 0)
    assert LabelDecoder("y", labels).encode(numbers).tolist() == [[2], [0]]
    assert LabelDecoder("y", labels, is_one_hot=True).encode(numbers).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert LabelDecoder("y", labels[:2], is_one_hot=True).encode(rows(1, 0)).tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("labels", "kind", "named"),
    [
        (("a", "b"), "text", ["a", "b"]),
        (("1", "2"), "number", [1, 2]),
        (("0.5", "2"), "number", [0.5, 2.0]),
        (("false", "true"), "boolean", [False, True]),
    ],
)
def test_the_most_probable_label_is_named_as_the_data_had_it(
    labels: tuple[str, ...], kind: LabelKind, named: list[Any]
) -> None:
    decoder = LabelDecoder("y", labels, kind)
    said = decoder.named(np.array([[0.75, 0.25], [0.25, 0.75]]))["y"].tolist()
    assert (said, [type(label) for label in said]) == (named, [type(label) for label in named])


def test_a_label_decoder_is_the_same_after_json() -> None:
    decoder = LabelDecoder("y", ("1", "2", "3"), "number", is_one_hot=True, dtype="float64")
    assert output_decoder_from(json.loads(json.dumps(decoder.to_dict()))).to_dict() == decoder.to_dict()


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ["a"]},
        {"labels": []},
        {"labels": ["a", "a"]},
        {"labels": ["a", 1]},
        {"kind": "colour"},
        {"kind": "number"},
        {"kind": "number", "labels": ["1", "nan"]},
        {"kind": "boolean"},
        {"kind": "boolean", "labels": ["true", "false", "maybe"]},
    ],
    ids=str,
)
def test_labels_that_are_not_what_they_are_said_to_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BundleDamaged):
        output_decoder_from({**LabelDecoder("y", ("a", "b")).to_dict(), **wrong})
