"""NumPy's own file format: one array of float32 or float64, (n_rows, n_columns).

Numbers are answered in the same dtype, (n_rows, n_outputs); labels in a dtype of their own, (n_rows, 1). Where
probabilities are asked for, they are the whole answer, (n_rows, n_labels).
"""

import io
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from app.errors import Malformed, TooManyRows, Unprocessable
from app.formats.expected import Expected, row_of, table_of
from app.formats.reply import Reply
from models_store.bundle import all_finite
from models_store.tables.table import Raw, from_json

# A hostile header may state sizes of thousands of digits, which a message shall not repeat.
LONGEST_SIZE, MOST_AXES = 10**6, 3
HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def read(body: bytes, expected: Expected, max_rows: int) -> tuple[Raw, Callable[[Reply], bytes]]:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    The header is checked against the bytes that are there before anything is allocated. Raises Malformed,
    TooManyRows, or Unprocessable where dtype, shape or a value is not as expected.
    """
    stream = io.BytesIO(body)
    width = len(expected.names)
    try:
        shape, fortran_order, dtype = HEADERS[npy_format.read_magic(stream)](stream)
    except Exception:  # noqa: BLE001  # NumPy's header parser raises whatever its parts raise
        raise Malformed("the body is not an npy file of version 1 or 2") from None
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise Unprocessable("bad_type", f"the array must be float32 or float64, found {dtype.name}")
    if len(shape) == 1 and width == 1:
        shape = (shape[0], 1)
    if len(shape) != 2 or shape[1] != width or shape[0] < 1:
        words = f"expected the shape (rows, {width}), found {_written_out(shape)}"
        raise Unprocessable("bad_shape", f"{words}; the columns are {expected.listed}")
    if shape[0] > max_rows:
        raise TooManyRows(max_rows)
    size, n_left = prod(shape) * dtype.itemsize, len(body) - stream.tell()
    if n_left != size:
        raise Malformed(f"an array of this shape takes {size} bytes, found {n_left}")
    values = np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran_order else "C")
    with np.errstate(invalid="ignore"):  # a signalling NaN; it is refused with the others
        rows = values.astype(np.float64, copy=False)
    return _raw(rows, expected), lambda reply: _written(reply, dtype.newbyteorder("<"))


def _written_out(shape: tuple[int, ...]) -> str:
    sizes = [str(size) if abs(size) < LONGEST_SIZE else "..." for size in shape[:MOST_AXES]]
    return f"({', '.join([*sizes, *['...'] * (len(shape) > MOST_AXES)])}{',' * (len(shape) == 1)})"


def _raw(rows: NDArray[np.float64], expected: Expected) -> Raw:
    """Return the array, or a table where columns have kinds. An array has no null: NaN stands for a missing value."""
    if not expected.typed:
        return rows
    for column in expected.typed:
        if column.kind != "number":
            words = f"an array holds numbers alone, and column {column.name} is a {column.kind}"
            raise Unprocessable("bad_type", f"{words}; send another format")
    columns = [[None if cell != cell else cell for cell in column.tolist()] for column in rows.T]  # NaN
    return table_of(expected, columns, from_json, row_of)


def _written(reply: Reply, dtype: np.dtype[Any]) -> bytes:
    array: NDArray[Any]
    if reply.numbers is not None:
        array = reply.numbers
    else:
        array = np.stack(list(next(iter(reply.probabilities.values()), reply.outputs).values()), axis=1)
    if reply.probabilities or not reply.are_labels:
        with np.errstate(over="ignore"):
            array = all_finite(array.astype(dtype, copy=False))
    elif array.dtype == object:  # an array of texts has their longest for its width
        array = array.astype(str)
    array = np.ascontiguousarray(array)
    header = io.BytesIO()
    npy_format.write_array_header_1_0(header, npy_format.header_data_from_array_1_0(array))
    return b"".join([header.getvalue(), array.data])
