"""Intervals around numbers: the calibration of a version, and the ends that it gives to an answer.

calibration.npz     scores, golden, and what the widths are made of: float64
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Self

import numpy as np

from models_store.arrays import Array
from models_store.calibration.ranks import threshold
from models_store.calibration.widths import Landmarks, Width
from models_store.errors import BundleDamaged
from models_store.npz import packed, unpacked

NAMES = ("scores", "golden", "floor", "knots", "factors", "places", "errors")


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

    def ends(self, answers: Array, widths: Array, level: Fraction, *, jointly: bool = False) -> Array:
        """Return lower and upper ends, float64 (n_rows, n_outputs, 2), of answers and widths (n_rows, n_outputs).

        Each interval holds the right number as often as `level`, or, jointly, all of a row do at once. Raises
        TooFewRows.
        """
        reach = widths * self.thresholds(level, jointly=jointly)
        return np.stack([answers - reach, answers + reach], axis=2)

    def thresholds(self, level: Fraction, *, jointly: bool = False) -> Array:
        """Return the half of an interval in widths, float64 (n_outputs,). Raises TooFewRows."""
        if jointly:
            return np.full(self.scores.shape[1], threshold(self._highest, level))
        return np.array([threshold(ordered, level) for ordered in self._ordered.T])

    # Sorted once, so that a threshold costs a question nothing.
    @cached_property
    def _ordered(self) -> Array:
        return np.sort(self.scores, axis=0)

    @cached_property
    def _highest(self) -> Array:
        return np.sort(self.scores.max(axis=1))

    def to_bytes(self) -> bytes:
        none = Landmarks(np.empty((0, 0)), np.empty((0, 0)))
        landmarks = self.landmarks or none
        return packed(
            {"scores": self.scores, "golden": self.golden}
            | {"floor": self.width.floor, "knots": self.width.knots, "factors": self.width.factors}
            | {"places": landmarks.places, "errors": landmarks.errors}
        )

    @classmethod
    def from_bytes(cls, saved: bytes, n_outputs: int, n_inputs: int) -> Self:
        """Raises BundleDamaged where the arrays are not those of a network of so many outputs and inputs."""
        arrays = unpacked(saved, NAMES)
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise BundleDamaged("expected finite numbers")
        scores, golden, floor, knots, factors, places, errors = arrays.values()
        if {scores.shape[1], golden.shape[1]} != {n_outputs} or not (scores >= 0).all():
            raise BundleDamaged(f"expected scores of {n_outputs} outputs, from 0 on")
        width = Width(floor, knots, factors)
        width.check(n_outputs)
        if len(places) and (places.shape[1], errors.shape) != (n_inputs, (len(places), n_outputs)):
            raise BundleDamaged("landmarks and their errors do not fit")
        return cls(scores, width, Landmarks(places, errors) if len(places) else None, golden)
