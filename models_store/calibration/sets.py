"""Sets of labels: the calibration of a classification, and the set that it gives to an answer.

calibration.npz     chances, labels: float64 (n_rows, 1)
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.calibration.ranks import threshold
from models_store.errors import BundleDamaged, TooFewRows
from models_store.npz import packed, unpacked

# A label of so many calibration rows has a threshold of its own, which then exists up to 0.95.
ROWS_OF_ITS_OWN = 19


@dataclass(frozen=True, eq=False)
class LabelCalibration:
    """How probable the right labels of calibration rows were."""

    chances: Array
    """The probability of the right label, float64 (n_rows,)."""
    labels: NDArray[np.int64]
    """Its number, (n_rows,)."""
    n_labels: int

    def sets(self, probabilities: Array, level: Fraction) -> NDArray[np.bool_]:
        """Return True for each label of a row's set, (n_rows, n_labels), of probabilities of that shape.

        The set holds the right label as often as `level`, and so it does among the rows of each label, where those of
        few rows count together. The most probable label is always in it, so that it is never empty; a set of a higher
        level holds that of a lower one. Raises TooFewRows.
        """
        sets: NDArray[np.bool_] = probabilities >= self._least(level)[self.groups]
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        return sets

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The number of the group of each label, (n_labels,). The rows of a group share a threshold.

        A label of many rows is a group by itself. Those of few are one together, with the next larger one if that is
        still too small. The level has no part in it, so that sets are nested.
        """
        counts = np.bincount(self.labels, minlength=self.n_labels)
        order = np.argsort(counts, kind="stable")
        is_alone = (counts[order] >= ROWS_OF_ITS_OWN) & (counts[order].cumsum() - counts[order] >= ROWS_OF_ITS_OWN)
        n_few = int((counts < ROWS_OF_ITS_OWN).sum())
        if n_few == 0:
            is_alone[:] = True
        groups = np.zeros(self.n_labels, np.int64)
        groups[order] = is_alone.cumsum()
        return np.unique(groups, return_inverse=True)[1].astype(np.int64)

    def check(self, level: Fraction) -> None:
        """Raise TooFewRows where there are no sets of this level."""
        self._least(level)

    def _least(self, level: Fraction) -> Array:
        """Return the probability that the right labels of each group do not fall below, (n_groups,)."""
        try:
            return np.array([-threshold(scores, level) for scores in self._ordered])
        except TooFewRows as error:
            of = " of each label" if len(self._ordered) > 1 else ""
            raise TooFewRows(level, error.rows, min(map(len, self._ordered)), of) from None

    # Sorted once, so that a threshold costs a question nothing.
    @cached_property
    def _ordered(self) -> list[Array]:
        """The scores of each group in ascending order: a probability with its sign turned round."""
        group_of_row = self.groups[self.labels]
        return [np.sort(-self.chances[group_of_row == group]) for group in range(self.groups.max() + 1)]

    def to_bytes(self) -> bytes:
        return packed({"chances": self.chances[:, None], "labels": self.labels[:, None].astype(np.float64)})

    @classmethod
    def from_bytes(cls, saved: bytes, n_labels: int) -> Self:
        """Raises BundleDamaged where the arrays are not probabilities of so many labels."""
        chances, labels = unpacked(saved, ("chances", "labels")).values()
        if chances.shape != labels.shape or chances.shape[1] != 1:
            raise BundleDamaged("expected a probability and a label for each row")
        if not (((chances >= 0) & (chances <= 1)).all() and np.isin(labels, np.arange(n_labels)).all()):
            raise BundleDamaged(f"expected probabilities, and numbers of {n_labels} labels")
        return cls(chances[:, 0], labels[:, 0].astype(np.int64), n_labels)
