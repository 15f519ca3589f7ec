"""Tensors come back as they went, as JSON and as bytes; what does not fit its shape or datatype is refused."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.dialects.oip import tensors
from app.dialects.oip.tensors import NUMBERS, Values
from app.errors import Unprocessable

shapes = hnp.array_shapes(min_dims=1, max_dims=2, max_side=5)
texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=6)
numbers = st.sampled_from(list(NUMBERS)).flatmap(
    lambda name: hnp.arrays(NUMBERS[name], shapes, elements={"allow_nan": False} if name.startswith("FP") else None)
)
any_values: st.SearchStrategy[Values] = st.one_of(numbers, hnp.arrays(np.dtype(object), shapes, elements=texts))


@given(any_values)
def test_bytes_come_back_as_they_went(values: Values) -> None:
    datatype = tensors.datatype_of(values)
    read = tensors.from_bytes(datatype, values.shape, memoryview(tensors.to_bytes(values)))
    assert (read.dtype, read.shape, read.tolist()) == (values.dtype, values.shape, values.tolist())


@given(any_values, st.booleans())
def test_json_comes_back_as_it_went(values: Values, is_nested: bool) -> None:
    datatype = tensors.datatype_of(values)
    if datatype == "FP16" or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        return
    written = orjson.loads(orjson.dumps(tensors.to_json(values), option=orjson.OPT_SERIALIZE_NUMPY))
    read = tensors.from_json(datatype, values.shape, values.tolist() if is_nested else written)
    assert read.shape == values.shape
    assert read.astype(values.dtype).tolist() == values.tolist()


def test_bytes_are_little_endian_and_texts_say_their_length() -> None:
    assert tensors.to_bytes(np.array([1, 2], dtype="<i2")) == b"\x01\x00\x02\x00"
    assert tensors.to_bytes(np.array(["é", ""])) == b"\x02\x00\x00\x00\xc3\xa9\x00\x00\x00\x00"


def test_bf16_is_the_upper_half_of_a_float32() -> None:
    upper = np.array([1.5, -2.0], dtype="<f4").view("<u2")[1::2].tobytes()
    assert tensors.from_bytes("BF16", [2], memoryview(upper)).tolist() == [1.5, -2.0]


def test_what_is_not_0_is_true() -> None:
    assert tensors.from_bytes("BOOL", [3], memoryview(b"\x00\x01\x02")).tolist() == [False, True, True]


def test_null_is_a_number_that_is_none_or_nothing() -> None:
    assert np.isnan(tensors.from_json("FP32", [2], [None, 1.5])).tolist() == [True, False]
    assert np.isnan(tensors.from_json("INT8", [2], [None, 1])).tolist() == [True, False]
    assert tensors.from_json("BOOL", [2], [None, True]).tolist() == [None, True]
    assert tensors.from_json("BYTES", [2], [None, "a"]).tolist() == [None, "a"]


@pytest.mark.parametrize(
    ("numbers", "read_as"),
    [
        ([0.10000000149011612, 3.0, None], ["0.1", "3.0", "nan"]),
        ([0.1, 0.5], ["0.1", "0.5"]),
        ([123456792.0, 0.5], ["123456792.0", "0.5"]),
        ([1e300, 0.5], ["1e+300", "0.5"]),
    ],
)
def test_a_float32_that_a_client_wrote_in_all_digits_is_one(numbers: list[Any], read_as: list[str]) -> None:
    """Triton's client writes so with binary_data=False."""
    assert [str(number) for number in tensors.from_json("FP32", [len(numbers)], numbers)] == read_as
    assert tensors.from_json("FP64", [1], numbers[:1]).tolist() == numbers[:1]


@pytest.mark.parametrize(
    ("shape", "data"),
    [([3], [[1], [2], [3]]), ([3, 1], [1, 2, 3]), ([3, 1], [[1], [2], [3]]), ([1, 3], [[1, 2, 3]])],
)
def test_a_column_may_be_nested_or_not(shape: list[int], data: Any) -> None:
    assert tensors.from_json("FP32", shape, data).ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP32", [2], [1.0]),
        ("FP32", [1], [1.0, 2.0]),
        ("FP32", [2, 2], [[1, 2], [3]]),
        ("FP32", [2, 2], [[1, 2, 3], [4]]),
        ("FP32", [2, 2], [[1], 2, 3, 4]),
        ("FP32", [2, 3], [[1, 2], [3, 4], [5, 6]]),
        ("FP32", [1], [[[1]]]),
        ("FP32", [1], [{}]),
        ("FP32", [1], ["1"]),
        ("FP32", [1], [True]),
        ("FP32", [1], 1.0),
        ("FP32", [1], None),
        ("FP64", [1], [10**400]),
        ("FP16", [1], [1.0]),
        ("BF16", [1], [1.0]),
        ("INT32", [1], [1.5]),
        ("INT8", [1], [128]),
        ("INT8", [2], [128, None]),
        ("UINT8", [1], [-1]),
        ("UINT64", [1], [1e30]),
        ("BOOL", [1], [1]),
        ("BYTES", [1], [1]),
        ("BYTES", [1], [["a"], ["b"]]),
    ],
)
def test_json_that_does_not_fit_is_refused(datatype: str, shape: list[int], data: Any) -> None:
    with pytest.raises(Unprocessable):
        tensors.from_json(datatype, shape, data)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "said"),
    [
        ("FP32", [3], [1.0, None, "1"], "element 2 of the data: expected FP32, found text"),
        ("FP32", [2, 1], [[1.0], [True]], "element 1 of the data: expected FP32, found a boolean"),
        ("BYTES", [1], [7], "element 0 of the data: expected BYTES, found a number"),
        ("INT8", [2], [127, 128], "element 1 of the data: a number that INT8 cannot hold"),
        ("INT8", [2], [None, 1.5], "element 1 of the data: a number that INT8 cannot hold"),
        ("UINT8", [2], [None, -(10**400)], "element 1 of the data: a number that UINT8 cannot hold"),
        ("FP64", [3], [1, None, 10**400], "element 2 of the data: a number that FP64 cannot hold"),
        ("FP32", [2], {}, "data must be a list, found an object"),
        ("FP32", [2, 3], [[1, 2], [3, 4], [5, 6]], "the data are nested in another way than the shape says: as [3, 2]"),
    ],
)
def test_a_refusal_says_which_element_it_is_and_what_was_found(
    datatype: str, shape: list[int], data: Any, said: str
) -> None:
    with pytest.raises(Unprocessable) as refusal:
        tensors.from_json(datatype, shape, data)
    assert str(refusal.value) == said


@pytest.mark.parametrize(
    ("datatype", "shape", "content"),
    [
        ("FP32", [1], b"\0" * 3),
        ("FP32", [1], b"\0" * 5),
        ("FP32", [2**62], b""),
        ("INT64", [2], b"\0" * 8),
        ("BYTES", [1], b""),
        ("BYTES", [1], b"\x01\0\0"),
        ("BYTES", [1], b"\x02\0\0\0a"),
        ("BYTES", [1], b"\x01\0\0\0ab"),
        ("BYTES", [2], b"\x01\0\0\0a"),
        ("BYTES", [1], b"\x01\0\0\0\xff"),
        ("BYTES", [1], b"\xff\xff\xff\xffa"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, shape: list[int], content: bytes) -> None:
    with pytest.raises(Unprocessable):
        tensors.from_bytes(datatype, shape, memoryview(content))
