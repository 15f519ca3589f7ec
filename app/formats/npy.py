"""NumPy's own file format: one array of numbers or booleans, (n_rows, n_columns), or rows of named fields, (n_rows,).

Numbers are answered as float32 to float32, else as float64, (n_rows, n_outputs); labels in a dtype of their own,
(n_rows, 1). Intervals stand to the right of all outputs, lower and upper end of each. Where probabilities are asked
for, they are the whole answer, (n_rows, n_labels), and so are sets, True for each label that is in one. Named fields
are answered with named fields, and read as the same columns of Arrow are.
"""

import io
from functools import lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from app.errors import Malformed, TooManyRows, Unprocessable
from app.formats import arrow_rows
from app.formats.expected import Expected, row_of, table_of
from app.formats.format import Content
from app.formats.reply import Reply, texts_of_lists
from models_store.bundle import all_finite
from models_store.tables.arrow_files import Batches
from models_store.tables.table import Raw, from_json

# A hostile header may state sizes of thousands of digits, which a message shall not repeat.
LONGEST_SIZE, MOST_AXES = 10**6, 3
# The header of version 3 is that of version 2, but in UTF-8.
UNICODE = (3, 0)
HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    UNICODE: npy_format.read_array_header_2_0,
}
VERSION_1 = b"\x93NUMPY\x01\x00"
# Bytes of headers: NumPy reads none that is longer, and those of arrays of numbers have 128.
LONGEST_HEADER, SHORT = 1 << 16, 256
FLOAT32, FLOAT64 = 4, 8
# Units of moments and durations that Arrow has as well.
UNITS = (("s", 1), ("ms", 1), ("us", 1), ("ns", 1))


def read(body: bytes, expected: Expected, max_rows: int) -> Content:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    The header is checked against the bytes that are there before anything is allocated. Raises Malformed,
    TooManyRows, or Unprocessable where dtype, shape or a value is not as expected.
    """
    try:
        end = _end_of_header(body)
        version, shape, fortran_order, dtype, begin = (_remembered if end <= SHORT else _header)(body[:end])
    except Exception:  # noqa: BLE001  # NumPy's header parser raises whatever its parts raise
        raise Malformed("the body is not an npy file of version 1, 2 or 3") from None
    _check_dtype(dtype)
    shape = _checked(shape, dtype, expected, max_rows)
    size, n_left = prod(shape) * dtype.itemsize, len(body) - begin
    if n_left != size:
        raise Malformed(f"an array of this shape takes {size} bytes, found {n_left}")
    values = np.frombuffer(body, dtype, offset=begin).reshape(shape, order="F" if fortran_order else "C")
    if dtype.names is not None:
        return Content(_of_fields(values, version, expected), _write_fields)
    if dtype.kind == "b":
        values = _booleans(values)
    with np.errstate(invalid="ignore"):  # a signalling NaN; it is refused with the others
        rows = values.astype(np.float64, copy=False)
    answered = np.dtype("<f4" if dtype.kind == "f" and dtype.itemsize == FLOAT32 else "<f8")
    return Content(_raw(rows, expected, is_boolean=dtype.kind == "b"), partial(_written, dtype=answered))


class Header(NamedTuple):
    """What stands before the numbers; `begin` is the place of the first."""

    version: tuple[int, int]
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    begin: int


def _end_of_header(body: bytes) -> int:
    """Return where the header of a file of version 1 ends; of the others, a place behind it."""
    size = len(VERSION_1) + 2
    return size + int.from_bytes(body[size - 2 : size], "little") if body.startswith(VERSION_1) else LONGEST_HEADER


def _header(begin: bytes) -> Header:
    stream = io.BytesIO(begin)
    version = npy_format.read_magic(stream)
    return Header(version, *HEADERS[version](stream), stream.tell())


# A client sends the same header each time, and NumPy reads it as Python source, which takes as long as many rows.
_remembered = lru_cache(maxsize=64)(_header)


def is_array(_body: bytes, _expected: Expected) -> bool:
    """Return True: every npy file is an array as it is in memory."""
    return True


def _check_dtype(dtype: np.dtype[Any]) -> None:
    is_number = dtype.kind in "iub" or (dtype.kind == "f" and dtype.itemsize <= FLOAT64)
    if dtype.hasobject or not dtype.itemsize or (dtype.names is None and not is_number):
        raise Unprocessable("bad_type", f"the array must hold numbers, booleans or named fields, found {dtype.name}")


def _checked(shape: tuple[int, ...], dtype: np.dtype[Any], expected: Expected, max_rows: int) -> tuple[int, ...]:
    """Return the shape, (n_rows, n_columns), or (n_rows,) of named fields. Raises Unprocessable or TooManyRows."""
    width = len(expected.names)
    if dtype.names is not None:
        if len(shape) != 1 or shape[0] < 1:
            raise Unprocessable("bad_shape", f"expected the shape (rows,) of named fields, found {_written_out(shape)}")
    else:
        if len(shape) == 1 and width == 1:
            shape = (shape[0], 1)
        if len(shape) != 2 or shape[1] != width or shape[0] < 1:
            words = f"expected the shape (rows, {width}), found {_written_out(shape)}"
            raise Unprocessable("bad_shape", f"{words}; the columns are {expected.listed}")
    if shape[0] > max_rows:
        raise TooManyRows(max_rows)
    return shape


def _written_out(shape: tuple[int, ...]) -> str:
    sizes = [str(size) if abs(size) < LONGEST_SIZE else "..." for size in shape[:MOST_AXES]]
    return f"({', '.join([*sizes, *['...'] * (len(shape) > MOST_AXES)])}{',' * (len(shape) == 1)})"


def _raw(rows: NDArray[np.float64], expected: Expected, *, is_boolean: bool) -> Raw:
    """Return the array, or a table where columns have kinds. An array has no null: NaN stands for a missing value."""
    if not expected.typed:
        return rows
    for column in expected.typed:
        if column.kind != "number" and not (is_boolean and column.kind == "boolean"):
            words = f"an array holds numbers alone, and column {column.name} is a {column.kind}"
            raise Unprocessable("bad_type", f"{words}; send named fields, or another format")
    columns = [[None if cell != cell else cell for cell in column.tolist()] for column in rows.T]  # NaN
    return table_of(expected, columns, lambda kind, cell: cell if is_boolean else from_json(kind, cell), row_of)


def _booleans(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for every byte but 0, which NumPy writes for False."""
    return values.view(np.uint8).astype(np.bool_)


# -- named fields --------------------------------------------------------------------------------------------------


def _of_fields(values: NDArray[Any], version: tuple[int, int], expected: Expected) -> Raw:
    """Return the fields as columns. Raises Unprocessable, which names the column."""
    kinds = {column.name: column.kind for column in expected.typed}
    columns = {}
    for written in values.dtype.names or ():
        # NumPy writes names that are not Latin in version 3, whose header is UTF-8; it is read as the others are.
        try:
            name = written.encode("latin-1").decode() if version == UNICODE else written
        except UnicodeError:
            raise Malformed("the name of a field is not UTF-8") from None
        is_read = name in expected.names
        is_number = kinds.get(name, "number") == "number"
        columns[name] = _column(values[written], name, is_number=is_number) if is_read else pa.nulls(len(values))
    batch = pa.record_batch(columns)
    return arrow_rows.raw_of(Batches(batch.schema, iter([batch])), expected)


def _column(values: NDArray[Any], name: str, *, is_number: bool) -> Any:
    dtype = values.dtype
    try:
        if dtype.kind in "Mm" and np.datetime_data(dtype) not in UNITS:
            values = values.astype(f"{dtype.kind}8[us]")
        elif dtype.kind == "b":
            values = _booleans(values).astype(np.uint8) if is_number else _booleans(values)
        return pa.array(np.ascontiguousarray(values, values.dtype.newbyteorder("=")))
    except (pa.ArrowException, ValueError, TypeError, UnicodeError):
        raise Unprocessable("bad_type", f"column {name} is of a type that is not read: {dtype.name}") from None


def _write_fields(reply: Reply) -> bytes:
    columns = {name: _plain(column) for name, column in reply.columns.items()}
    dtype = [(name, column.dtype) for name, column in columns.items()]
    array = np.empty(len(next(iter(columns.values()))), dtype)
    for name, column in columns.items():
        array[name] = column
    content = io.BytesIO()
    version = (1, 0) if all(name.isascii() for name in columns) else UNICODE
    npy_format.write_array(content, array, version, allow_pickle=False)
    return content.getvalue()


def _plain(column: NDArray[Any]) -> NDArray[Any]:
    """Return texts with their longest for their width; numbers as they are."""
    return texts_of_lists(column).astype(str) if column.dtype == object else column


# -- answers -------------------------------------------------------------------------------------------------------


def _array(reply: Reply) -> NDArray[Any]:
    if (numbers := reply.numbers_and_ends) is not None:
        return numbers
    if reply.members is not None:
        return reply.members
    return np.stack(list(next(iter(reply.probabilities.values()), reply.outputs).values()), axis=1)


def _written(reply: Reply, dtype: np.dtype[Any]) -> bytes:
    array = _array(reply)
    if reply.members is None and (reply.probabilities or not reply.are_labels):
        with np.errstate(over="ignore"):
            array = all_finite(array.astype(dtype, copy=False))
    array = np.ascontiguousarray(_plain(array))
    header = io.BytesIO()
    npy_format.write_array_header_1_0(header, npy_format.header_data_from_array_1_0(array))
    return b"".join([header.getvalue(), array.data])
