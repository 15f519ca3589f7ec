"""Intervals around numbers: the calibration of a version, and the ends that it gives to an answer.

calibration.npz     scores, answers, golden, cuts, and what the widths are made of: float64
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.calibration.ranks import rows_for, threshold
from models_store.calibration.widths import Landmarks, Width
from models_store.errors import BundleDamaged
from models_store.npz import packed, unpacked

NAMES = ("scores", "golden", "answers", "cuts", "floor", "knots", "factors", "places", "errors")


@dataclass(frozen=True, eq=False)
class NumberCalibration:
    """How far off answers were on calibration rows, in widths of these rows."""

    scores: Array
    """|target - answer| / width, float64 (n_rows, n_outputs)."""
    width: Width
    landmarks: Landmarks | None
    """None where the hardness of a row is the spread of the members, and where all rows are alike."""
    golden: Array
    """The widths of the golden rows, float64 (n_golden, n_outputs)."""
    answers: Array
    """Of the calibration rows, float64 (n_rows, n_outputs)."""
    cuts: Array
    """Sizes of answers between parts that have thresholds of their own, in order, float64 (n_cuts, n_outputs)."""

    def ends(self, answers: Array, widths: Array, level: Fraction, *, jointly: bool = False) -> Array:
        """Return lower and upper ends, float64 (n_rows, n_outputs, 2), of answers and widths (n_rows, n_outputs).

        Each interval holds the right number as often as `level`, and so it does in each part; or, jointly, all of a row
        do at once. Raises TooFewRows.
        """
        thresholds = self.thresholds(level, jointly=jointly)
        reach = widths * thresholds[_parts(answers, self.cuts), np.arange(answers.shape[1])]
        return np.stack([answers - reach, answers + reach], axis=2)

    def thresholds(self, level: Fraction, *, jointly: bool = False) -> Array:
        """Return the half of an interval in widths, float64 (n_parts, n_outputs). Raises TooFewRows."""
        overall = np.array([threshold(scores, level) for scores in self._ordered])
        alone = np.stack([_threshold_of(part, overall, level) for part in self._of_parts])
        # Together they are no narrower than each by itself.
        return np.maximum(alone, threshold(self._highest, level)) if jointly else alone

    # Sorted once, so that a threshold costs a question nothing.
    @cached_property
    def _ordered(self) -> list[Array]:
        """The scores of each output in ascending order, (n_rows,) each."""
        return list(np.sort(self.scores, axis=0).T)

    @cached_property
    def _highest(self) -> Array:
        return np.sort(self.scores.max(axis=1))

    @cached_property
    def _of_parts(self) -> list[list[Array]]:
        """The scores of each part and output in ascending order."""
        part_of = _parts(self.answers, self.cuts)
        return [
            [np.sort(scores[parts == part]) for scores, parts in zip(self.scores.T, part_of.T, strict=True)]
            for part in range(len(self.cuts) + 1)
        ]

    def to_bytes(self) -> bytes:
        none = Landmarks(np.empty((0, 0)), np.empty((0, 0)))
        landmarks = self.landmarks or none
        return packed(
            {"scores": self.scores, "golden": self.golden, "answers": self.answers, "cuts": self.cuts}
            | {"floor": self.width.floor, "knots": self.width.knots, "factors": self.width.factors}
            | {"places": landmarks.places, "errors": landmarks.errors}
        )

    @classmethod
    def from_bytes(cls, saved: bytes, n_outputs: int, n_inputs: int) -> Self:
        """Raises BundleDamaged where the arrays are not those of a network of so many outputs and inputs."""
        arrays = unpacked(saved, NAMES)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise BundleDamaged("expected finite numbers")
        scores, golden, answers, cuts, floor, knots, factors, places, errors = arrays.values()
        if {scores.shape[1], golden.shape[1], cuts.shape[1]} != {n_outputs} or not (scores >= 0).all():
            raise BundleDamaged(f"expected scores of {n_outputs} outputs, from 0 on")
        if answers.shape != scores.shape or not (np.diff(cuts, axis=0) >= 0).all():
            raise BundleDamaged("expected an answer for each score, and cuts in order")
        width = Width(floor, knots, factors)
        width.check(n_outputs)
        if len(places) and (places.shape[1], errors.shape) != (n_inputs, (len(places), n_outputs)):
            raise BundleDamaged("landmarks and their errors do not fit")
        return cls(scores, width, Landmarks(places, errors) if len(places) else None, golden, answers, cuts)


def _parts(answers: Array, cuts: Array) -> NDArray[np.int64]:
    """Return the number of the part of each answer, (n_rows, n_outputs)."""
    parts: NDArray[np.int64] = (answers[:, :, None] > cuts.T[None]).sum(axis=2)
    return parts


def _threshold_of(part: list[Array], overall: Array, level: Fraction) -> Array:
    """Return the threshold of each output in one part, float64 (n_outputs,).

    Where the part has too few rows for the level, it is that of all rows, and at least the highest of the part: so
    intervals of a higher level hold those of a lower one.
    """
    return np.array(
        [
            threshold(scores, level) if len(scores) >= rows_for(level) else max([of_all, *scores[-1:]])
            for scores, of_all in zip(part, overall, strict=True)
        ]
    )
