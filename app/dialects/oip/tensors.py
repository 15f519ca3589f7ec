"""Tensors of the Open Inference Protocol and NumPy arrays, either way: as JSON data, or as little-endian bytes.

{"datatype": "FP32", "shape": [2, 1], "data": [2.0, 0.0]}   <->   [[2.0], [0.0]]
BYTES are texts: strings in JSON; else each is its length, 4 bytes, and then itself in UTF-8.
"""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Unprocessable

Values = NDArray[Any]
"""Numbers or booleans of any NumPy type; texts as objects, None where JSON has null."""

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
# The upper half of a float32; NumPy has no type for it.
BF16 = np.dtype("<u2")
DATATYPES = (*NUMBERS, "BF16", "BYTES")
LENGTH = struct.Struct("<I")
NOTHING = type(None)
IN_JSON = {"BOOL": {bool, NOTHING}, "BYTES": {str, NOTHING}}
NUMBERS_IN_JSON = {int, float, NOTHING}


def datatype_of(values: Values) -> str:
    """What an answer of these values is called."""
    if values.dtype.kind in "OU":
        return "BYTES"
    return next(name for name, dtype in NUMBERS.items() if dtype == values.dtype)


# -- JSON ----------------------------------------------------------------------------------------------------------


def to_json(values: Values) -> Any:
    """Flat; an array where orjson writes it faster than a list."""
    return values.ravel().tolist() if values.dtype.kind in "OU" else np.ascontiguousarray(values.ravel())


def from_json(datatype: str, shape: Sequence[int], data: Any) -> Values:
    """`data` flat, or nested as the shape is; null is NaN among numbers. Unprocessable."""
    if datatype in ("FP16", "BF16"):
        raise Unprocessable("bad_type", f"{datatype} has no form in JSON; send it as binary data, or as FP32")
    cells = _flattened(data, shape)
    if not set(map(type, cells)) <= IN_JSON.get(datatype, NUMBERS_IN_JSON):
        raise Unprocessable("bad_value", f"the data hold something else than {datatype}")
    return _from_cells(datatype, cells).reshape(tuple(shape))


def _flattened(data: object, shape: Sequence[int]) -> list[Any]:
    if not isinstance(data, list):
        raise Unprocessable("bad_shape", "data must be a list")
    sizes = [len(data)]
    while data and type(data[0]) is list and len(sizes) <= len(shape):
        if set(map(type, data)) != {list} or len(set(map(len, data))) != 1:
            raise Unprocessable("bad_shape", "nested data must have lists of the same length")
        sizes.append(len(data[0]))
        data = list(chain.from_iterable(data))
    check_count(len(data), shape)
    if len(sizes) > 1 and _without_ones(sizes) != _without_ones(shape):
        raise Unprocessable("bad_shape", "the data are nested in another way than the shape says")
    return data


def _without_ones(sizes: Sequence[int]) -> list[int]:
    """[n, 1] and [n] are the same column."""
    return [size for size in sizes if size != 1]


def _from_cells(datatype: str, cells: list[Any]) -> Values:
    if datatype == "BYTES" or (datatype == "BOOL" and None in cells):
        texts = np.empty(len(cells), dtype=object)
        texts[:] = cells
        return texts
    try:
        if datatype.startswith("FP"):
            return np.array(cells, dtype=np.float64)  # as it is written: 0.1 is not what a float32 makes of it
        if datatype == "BOOL" or set(map(type, cells)) == {int}:
            return np.array(cells, dtype=NUMBERS[datatype])
        numbers = np.array(cells, dtype=np.float64)
    except OverflowError:
        raise Unprocessable("bad_value", f"the data hold a number that {datatype} cannot") from None
    limits = np.iinfo(NUMBERS[datatype])
    fits = (numbers == np.floor(numbers)) & (numbers >= float(limits.min)) & (numbers <= float(limits.max))
    if not (fits | np.isnan(numbers)).all():
        raise Unprocessable("bad_value", f"the data hold a number that {datatype} cannot")
    return numbers


# -- bytes ---------------------------------------------------------------------------------------------------------


def to_bytes(values: Values) -> bytes:
    if values.dtype.kind in "OU":
        texts = [text.encode() for text in values.ravel().tolist()]
        return b"".join(part for text in texts for part in (LENGTH.pack(len(text)), text))
    return values.astype(NUMBERS[datatype_of(values)], copy=False).tobytes()


def from_bytes(datatype: str, shape: Sequence[int], content: memoryview) -> Values:
    """A view of the bytes where they hold numbers. Unprocessable."""
    count = prod(shape)
    if datatype == "BYTES":
        return _texts(content, count).reshape(tuple(shape))
    dtype = BF16 if datatype == "BF16" else NUMBERS[datatype]
    if len(content) != count * dtype.itemsize:
        raise Unprocessable("bad_shape", f"binary_data_size is not that of {datatype} of the tensor's shape")
    if datatype == "BF16":
        values: Values = (np.frombuffer(content, dtype).astype("<u4") << 16).view("<f4")
    elif datatype == "BOOL":
        values = np.frombuffer(content, np.uint8) != 0
    else:
        values = np.frombuffer(content, dtype)
    return values.reshape(tuple(shape))


def least_bytes(datatype: str, count: int) -> int:
    """What so many elements take as bytes, texts at the least."""
    if datatype in ("BYTES", "BF16"):
        return count * (LENGTH.size if datatype == "BYTES" else BF16.itemsize)
    return count * NUMBERS[datatype].itemsize


def _texts(content: memoryview, count: int) -> Values:
    texts = np.empty(count, dtype=object)
    place = 0
    try:
        for number in range(count):
            (length,) = LENGTH.unpack_from(content, place)
            begin, place = place + LENGTH.size, place + LENGTH.size + length
            if place > len(content):
                break
            texts[number] = str(content[begin:place], "utf-8")
        else:
            if place == len(content):
                return texts
    except struct.error:
        pass
    except UnicodeDecodeError:
        raise Unprocessable("bad_value", "BYTES must be texts in UTF-8") from None
    raise Unprocessable("bad_shape", "the lengths of the BYTES do not fit binary_data_size and shape")


def check_count(count: int, shape: Sequence[int]) -> None:
    if count != prod(shape):
        raise Unprocessable("bad_shape", "the number of elements is not that of the shape")
