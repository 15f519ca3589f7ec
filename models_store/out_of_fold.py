"""The answers of a network with members to the rows that it was fitted on, each by the member that left the row out.

out_of_fold.npz      answers, spread, targets: float64, row by row
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged
from models_store.npz import packed, unpacked

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
        return packed({"answers": self.answers, "spread": self.spread, "targets": self.targets})

    @classmethod
    def from_bytes(cls, saved: bytes) -> Self:
        """Raises BundleDamaged where the arrays are not of numbers of as many rows."""
        answers, spread, targets = unpacked(saved, [field.name for field in fields(cls)]).values()
        if answers.shape != spread.shape or len(answers) != len(targets):
            shapes = [array.shape for array in (answers, spread, targets)]
            raise BundleDamaged(f"answers, spread and targets of shapes {shapes} do not fit")
        return cls(answers, spread, targets)
