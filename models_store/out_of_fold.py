"""The answers of a network with members to the rows that it was fitted on, each by the member that left the row out.

out_of_fold.npz      answers, spread, targets: float64, row by row
"""

import io
import zlib
from dataclasses import dataclass, fields
from typing import Self
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged

# Bytes; far more than the rows that a version keeps.
LARGEST_ARRAY = 1 << 26
# What zipfile, zlib and numpy raise where they read something else.
UNREADABLE = (BadZipFile, zlib.error, EOFError, OSError, LookupError, ValueError, NotImplementedError, RuntimeError)
Indices = slice | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Answers to rows that the answering member has not learned from: a fair measure of one member's errors.

    All members together err less than one of them.
    """

    answers: Array
    """Numbers in raw units, or probabilities: float64 (n_rows, n_answers)."""
    spread: Array
    """The standard deviation of the members' answers to the row, in the same units, float64 (n_rows, n_answers)."""
    targets: Array
    """Numbers in raw units (n_rows, n_answers), or numbers of labels (n_rows, 1), float64."""

    def take(self, rows: Indices) -> "OutOfFold":
        return OutOfFold(self.answers[rows], self.spread[rows], self.targets[rows])

    def to_bytes(self) -> bytes:
        target = io.BytesIO()
        np.savez_compressed(target, answers=self.answers, spread=self.spread, targets=self.targets)
        return target.getvalue()

    @classmethod
    def from_bytes(cls, saved: bytes) -> Self:
        """Raises BundleDamaged where the arrays are not of numbers of as many rows."""
        try:
            with ZipFile(io.BytesIO(saved)) as archive:
                arrays = [_array(archive, f"{field.name}.npy") for field in fields(cls)]
        except UNREADABLE as error:
            raise BundleDamaged("not an npz file of its arrays") from error
        answers, spread, targets = arrays
        if answers.shape != spread.shape or len(answers) != len(targets):
            raise BundleDamaged(f"answers, spread and targets of shapes {[array.shape for array in arrays]} do not fit")
        return cls(answers, spread, targets)


def _array(archive: ZipFile, name: str) -> Array:
    """Return float64 of two dimensions. Sizes are looked at before there is room made for them."""
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
