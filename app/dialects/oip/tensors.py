"""Tensors of the Open Inference Protocol and NumPy arrays, either way: as JSON data, or as little-endian bytes.

{"datatype": "FP32", "shape": [2, 1], "data": [2.0, 0.0]}   <->   [[2.0], [0.0]]
BYTES are texts: strings in JSON; else each is its length, 4 bytes, and then itself in UTF-8.
"""

import base64
import struct
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Unprocessable
from app.formats.found import kind_of

Values = NDArray[Any]
"""Numbers or booleans of any NumPy dtype; texts as objects, None where JSON has null."""

NUMBERS: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
BY_DTYPE = {dtype: name for name, dtype in NUMBERS.items()}
# A float32 tells whole numbers apart up to it.
LARGEST_WHOLE = 1 << 24
# The upper half of a float32; NumPy has no dtype for it.
BF16 = np.dtype("<u2")
DATATYPES = (*NUMBERS, "BF16", "BYTES")
LENGTH = struct.Struct("<I")
NOTHING = type(None)
IN_JSON = {"BOOL": {bool, NOTHING}, "BYTES": {str, NOTHING}}
NUMBERS_IN_JSON = {int, float, NOTHING}


def datatype_of(values: Values) -> str:
    """Return the datatype of the protocol for these values."""
    if values.dtype.kind in "OU":
        return "BYTES"
    return BY_DTYPE[values.dtype]


# -- JSON ----------------------------------------------------------------------------------------------------------


def to_json(values: Values) -> Any:
    """Return the values flat, in row order: texts as a list, numbers as an array, which orjson writes faster."""
    return values.ravel().tolist() if values.dtype.kind in "OU" else np.ascontiguousarray(values.ravel())


def from_json(datatype: str, shape: Sequence[int], data: Any) -> Values:
    """Return an array of this shape from `data`, which is flat, or nested as the shape is; null is NaN among numbers.

    Raises Unprocessable where data do not fit datatype or shape.
    """
    if datatype in ("FP16", "BF16"):
        raise Unprocessable("bad_type", f"{datatype} has no form in JSON; send it as binary data, or as FP32")
    cells = _flattened(data, shape)
    kinds = IN_JSON.get(datatype, NUMBERS_IN_JSON)
    if not kinds.issuperset(map(type, cells)):
        place, found = next((place, kind_of(cell)) for place, cell in enumerate(cells) if type(cell) not in kinds)
        raise Unprocessable("bad_value", f"element {place} of the data: expected {datatype}, found {found}")
    return _from_cells(datatype, cells).reshape(tuple(shape))


def _flattened(data: object, shape: Sequence[int]) -> list[Any]:
    if not isinstance(data, list):
        raise Unprocessable("bad_shape", f"data must be a list, found {kind_of(data)}")
    sizes = [len(data)]
    while data and type(data[0]) is list and len(sizes) <= len(shape):
        if set(map(type, data)) != {list} or len(set(map(len, data))) != 1:
            raise Unprocessable("bad_shape", "nested data must have lists of the same length")
        sizes.append(len(data[0]))
        data = list(chain.from_iterable(data))
    check_count(len(data), shape)
    if len(sizes) > 1 and _without_ones(sizes) != _without_ones(shape):
        raise Unprocessable("bad_shape", f"the data are nested in another way than the shape says: as {sizes}")
    return data


def _without_ones(sizes: Sequence[int]) -> list[int]:
    """Return the sizes other than 1: [n, 1] and [n] are the same column."""
    return [size for size in sizes if size != 1]


def _from_cells(datatype: str, cells: list[Any]) -> Values:
    if datatype == "BYTES" or (datatype == "BOOL" and None in cells):
        texts = np.empty(len(cells), dtype=object)
        texts[:] = cells
        return texts
    try:
        if datatype.startswith("FP"):
            numbers = np.array(cells, dtype=np.float64)  # 0.1 stays 0.1; as a float32 it would be 0.10000000149
            return _narrowed(numbers) if datatype == "FP32" else numbers
        if datatype == "BOOL" or set(map(type, cells)) == {int}:
            return np.array(cells, dtype=NUMBERS[datatype])
        numbers = np.array(cells, dtype=np.float64)
    except OverflowError:
        raise _beyond(datatype, [cell is None or _is_within(datatype, cell) for cell in cells]) from None
    limits = np.iinfo(NUMBERS[datatype])
    fits = (numbers == np.floor(numbers)) & (numbers >= float(limits.min)) & (numbers <= float(limits.max))
    fits |= np.isnan(numbers)
    if not fits.all():
        raise _beyond(datatype, fits.tolist())
    return numbers


def _narrowed(numbers: Values) -> Values:
    """Return as float32 what clients wrote of float32 in all digits: 0.1 as 0.10000000149011612, as Triton's do."""
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    is_exact = np.array_equal(narrow, numbers, equal_nan=True)
    # Of larger ones, the shortest decimal of a float32 may be another whole number than the one that was written.
    return narrow if is_exact and not (np.abs(numbers) >= LARGEST_WHOLE).any() else numbers


def _is_within(datatype: str, number: float) -> bool:
    if datatype.startswith("FP"):
        return abs(number) <= sys.float_info.max
    limits = np.iinfo(NUMBERS[datatype])
    return int(limits.min) <= number <= int(limits.max)


def _beyond(datatype: str, fits: list[bool]) -> Unprocessable:
    """Return an error for the first number that does not fit."""
    return Unprocessable("bad_value", f"element {fits.index(False)} of the data: a number that {datatype} cannot hold")


# -- bytes ---------------------------------------------------------------------------------------------------------


def to_bytes(values: Values) -> bytes | memoryview:
    """Return the elements in row order, little-endian; of numbers, a view of the array where it lies so in memory."""
    if values.dtype.kind in "OU":
        texts = [text.encode() for text in values.ravel().tolist()]
        return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))
    numbers = np.ascontiguousarray(values.astype(NUMBERS[datatype_of(values)], copy=False))
    return numbers.data.cast("B")


def from_bytes(datatype: str, shape: Sequence[int], content: memoryview) -> Values:
    """Return an array of this shape; of numbers, a view of the bytes. Raises Unprocessable where they do not fit."""
    count = prod(shape)
    if datatype == "BYTES":
        return _texts(content, count).reshape(tuple(shape))
    dtype = BF16 if datatype == "BF16" else NUMBERS[datatype]
    if len(content) != count * dtype.itemsize:
        words = f"the bytes are not as many as {datatype} of the tensor's shape has, found {len(content)}"
        raise Unprocessable("bad_shape", words)
    if datatype == "BF16":
        values: Values = (np.frombuffer(content, dtype).astype("<u4") << 16).view("<f4")
    elif datatype == "BOOL":
        values = np.frombuffer(content, np.uint8) != 0
    else:
        values = np.frombuffer(content, dtype)
    return values.reshape(tuple(shape))


def least_bytes(datatype: str, count: int) -> int:
    """Return the bytes that so many elements take; of texts, the fewest that they may take."""
    if datatype in ("BYTES", "BF16"):
        return count * (LENGTH.size if datatype == "BYTES" else BF16.itemsize)
    return count * NUMBERS[datatype].itemsize


def _texts(content: memoryview, count: int) -> Values:
    """Return texts as objects, (count,). Raises Unprocessable where their lengths do not add up to the content."""
    texts = np.empty(count, dtype=object)
    place = 0
    try:
        for number in range(count):
            (length,) = LENGTH.unpack_from(content, place)
            begin, place = place + LENGTH.size, place + LENGTH.size + length
            if place > len(content):
                break
            texts[number] = _text(number, content[begin:place])
        else:
            if place == len(content):
                return texts
    except struct.error:
        pass
    raise Unprocessable("bad_shape", "the lengths of the BYTES do not fit the tensor's bytes and shape")


def from_texts(shape: Sequence[int], elements: Sequence[bytes]) -> Values:
    """Return texts as objects, in this shape. Raises Unprocessable where one is none, or they are too few or many."""
    check_count(len(elements), shape)
    texts = np.empty(len(elements), dtype=object)
    for number, element in enumerate(elements):
        texts[number] = _text(number, element)
    return texts.reshape(tuple(shape))


def _text(number: int, content: bytes | memoryview) -> str:
    try:
        return str(content, "utf-8")
    except UnicodeDecodeError:
        raise Unprocessable("bad_value", f"element {number} of BYTES is not a text in UTF-8") from None


def from_numbers(datatype: str, shape: Sequence[int], numbers: Values) -> Values:
    """Return numbers of a wider dtype, (n,), in this shape.

    Raises Unprocessable where the datatype cannot hold one, or they are too few or many.
    """
    check_count(len(numbers), shape)
    dtype = NUMBERS[datatype]
    if dtype.kind in "iu" and dtype.itemsize < numbers.dtype.itemsize:
        limits = np.iinfo(dtype)
        fits = (numbers >= limits.min) & (numbers <= limits.max)
        if not fits.all():
            raise _beyond(datatype, fits.tolist())
    return numbers.reshape(tuple(shape))


def from_base64(texts: Values) -> Values:
    """Return the texts whose UTF-8 these are in base64; None stays None. Raises Unprocessable where one is none."""
    decoded = np.empty(texts.size, dtype=object)
    for place, text in enumerate(texts.ravel().tolist()):
        try:
            decoded[place] = None if text is None else base64.b64decode(text, validate=True).decode()
        except ValueError:
            raise Unprocessable("bad_value", f"element {place} is not the base64 of a text in UTF-8") from None
    return decoded.reshape(texts.shape)


def check_count(count: int, shape: Sequence[int]) -> None:
    # A shape may have sizes of thousands of digits, so that its own number of elements is not said.
    if count != prod(shape):
        raise Unprocessable("bad_shape", f"the number of elements is not that of the shape, found {count}")
