"""Decoders: network outputs become answers in raw units, or probabilities of labels."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from models_store.arrays import Array
from models_store.encoding.outputs import LabelDecoder, LabelKind, Logarithm, OutputDecoder, output_decoder_from
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from tests.fakes import rows

tables = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-1e6, 1e6))


@given(tables)
def test_decode_undoes_encode(labels: Array) -> None:
    columns = tuple(f"y{place}" for place in range(labels.shape[1]))
    decoder = OutputDecoder(columns, Scaler.standard(labels), "float64")
    np.testing.assert_allclose(decoder.decode(decoder.encode(labels)), labels, rtol=1e-12, atol=1e-8)


def test_a_float32_decoder_loses_no_more_than_float32_must() -> None:
    labels = np.array([[1e9 - 1, 0.1], [1e9 + 1, 0.3]])
    decoder = OutputDecoder(("far", "near"), Scaler.standard(labels))
    np.testing.assert_allclose(decoder.decode(decoder.encode(labels)), labels, rtol=1e-7)


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


# -- logarithms ------------------------------------------------------------------------------------------------------


def of_logarithms(highest: float = 1000.0) -> OutputDecoder:
    logarithm = Logarithm(np.array([1.0, 0.25]), np.array([highest, 10.0]))
    return OutputDecoder(
        ("a", "b"), Scaler("standard", np.array([2.0, 0.5]), np.array([1.5, 3.0])), "float64", logarithm
    )


def test_numbers_come_back_from_their_logarithms_as_saved() -> None:
    decoder = output_decoder_from(json.loads(json.dumps(of_logarithms().to_dict())))
    raw = np.array([[0.0, 0.0], [1.0, 0.5], [999.0, 9.0]])
    assert decoder.encode(raw) == pytest.approx((np.log(raw + np.array([1.0, 0.25])) - [2.0, 0.5]) / [1.5, 3.0])
    assert decoder.decode(decoder.encode(raw)) == pytest.approx(raw, abs=1e-12)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_a_network_says_answers_lie_between_0_and_the_bound(one: float, other: float) -> None:
    with np.errstate(over="ignore"):
        answers = of_logarithms().decode(np.array([[one, other]]))
    assert (answers >= 0).all()
    assert (answers <= [1000.0, 10.0]).all()


def test_a_decoder_without_logarithms_is_saved_as_before() -> None:
    assert set(OutputDecoder(("y",), Scaler.identity(1)).to_dict()) == {"columns", "scaler", "dtype"}


@pytest.mark.parametrize(
    "damaged",
    [
        {"shift": [0.0, 1.0], "highest": [1.0, 1.0]},
        {"shift": [1.0, 1.0], "highest": [1.0]},
        {"shift": [1.0], "highest": [1.0]},
        {"shift": [1.0, float("inf")], "highest": [1.0, 1.0]},
        {"shift": [1.0, 1.0], "highest": [1.0, float("nan")]},
    ],
)
def test_logarithms_that_no_numbers_have_are_damage(damaged: dict[str, list[float]]) -> None:
    with pytest.raises(BundleDamaged, match="logarithm"):
        output_decoder_from(of_logarithms().to_dict() | {"logarithm": damaged})
