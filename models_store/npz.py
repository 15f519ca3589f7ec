"""Arrays of numbers in one file, read with nothing trusted: sizes are looked at before there is room made for them.

float64 arrays of two dimensions, by name <-> the bytes of an npz file
"""

import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from models_store.arrays import Array
from models_store.errors import BundleDamaged

# Bytes; far more than the rows that a version keeps.
LARGEST_ARRAY = 1 << 26
# What zipfile, zlib and numpy raise where they read something else.
UNREADABLE = (BadZipFile, zlib.error, EOFError, OSError, LookupError, ValueError, NotImplementedError, RuntimeError)


def packed(arrays: Mapping[str, Array]) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, allow_pickle=False, **arrays)
    return target.getvalue()


def unpacked(saved: bytes, names: Iterable[str], later: Sequence[str] = ()) -> dict[str, Array]:
    """Return the arrays of these names, and of those of later releases, where the first of them is there.

    Raises BundleDamaged where another is not there, or is no array of float64.
    """
    try:
        with ZipFile(io.BytesIO(saved)) as archive:
            is_later = bool(later) and f"{later[0]}.npy" in archive.namelist()
            return {name: _array(archive, f"{name}.npy") for name in (*names, *(later if is_later else ()))}
    except UNREADABLE as error:
        raise BundleDamaged("not an npz file of its arrays") from error


def _array(archive: ZipFile, name: str) -> Array:
    """Return float64 of two dimensions."""
    unpacked = archive.getinfo(name).file_size
    if unpacked > LARGEST_ARRAY:
        raise BundleDamaged(f"{name} would be {unpacked} bytes; at most {LARGEST_ARRAY} can be")
    stream = io.BytesIO(archive.read(name))
    if npy.read_magic(stream) != (1, 0):
        raise BundleDamaged(f"{name} is of another version of npy")
    shape, in_columns, dtype = npy.read_array_header_1_0(stream)
    if dtype != np.float64 or len(shape) != 2:
        raise BundleDamaged("expected float64 arrays of two dimensions")
    return np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if in_columns else "C")
