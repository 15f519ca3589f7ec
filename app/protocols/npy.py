"""NumPy's own file format: one array of float32 or float64, rows by columns. The answer has the same type."""

import io
from collections.abc import Callable
from math import prod

import numpy as np
from numpy.lib import format as npy_format

from app.errors import Malformed, TooManyRows, Unprocessable
from models_store.bundle import all_finite
from models_store.scaler import Array

HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}


def read(
    body: bytes, columns: tuple[str, ...], max_rows: int
) -> tuple[Array, Callable[[tuple[str, ...], Array], bytes]]:
    """The header is checked against the bytes that are there before anything is allocated for it."""
    stream = io.BytesIO(body)
    try:
        shape, fortran_order, dtype = HEADERS[npy_format.read_magic(stream)](stream)
    except Exception:  # noqa: BLE001  # NumPy's header parser raises whatever its parts raise
        raise Malformed("the body is not an npy file of version 1 or 2") from None
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise Unprocessable("bad_type", "the array must be float32 or float64")
    if len(shape) == 1 and len(columns) == 1:
        shape = (shape[0], 1)
    if len(shape) != 2 or shape[1] != len(columns) or shape[0] < 1:
        raise Unprocessable("bad_shape", f"the array must have the shape (rows, {len(columns)}): {', '.join(columns)}")
    if shape[0] > max_rows:
        raise TooManyRows(max_rows)
    if len(body) - stream.tell() != prod(shape) * dtype.itemsize:
        raise Malformed("the array's shape does not fit the bytes that follow")
    values = np.frombuffer(body, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran_order else "C")

    def write(_columns: tuple[str, ...], answers: Array) -> bytes:
        target = io.BytesIO()
        with np.errstate(over="ignore"):
            np.save(target, all_finite(answers.astype(dtype.newbyteorder("<"))), allow_pickle=False)
        return target.getvalue()

    with np.errstate(invalid="ignore"):  # a signalling NaN; it is refused with the others
        return values.astype(np.float64), write
