"""How wide an interval is at one row, compared with another: where errors were large, it is wider.

width = (hardness of the row + floor) · factor at the size of its answer

The hardness is the spread of the network's members, or the errors at the nearest landmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models_store.arrays import Array, Encoded
from models_store.distances import in_blocks, square_distances
from models_store.errors import BundleDamaged

# Floors to choose from, in medians of the hardness: with less, intervals follow the noise of the hardness; with more,
# they are as wide in the middle as at the edge.
FLOORS = (0.25, 1.0, 4.0, 16.0)
# Rows that a floor is chosen by; with fewer it is this one.
ROWS_TO_CHOOSE, USUAL = 60, 1.0
LEVELS = (0.8, 0.9, 0.95)
# Knots of the factor; each is the mean of so many rows at least.
MOST_KNOTS, ROWS_A_KNOT = 10, 30
# A factor is this part of their mean at least: where no error was seen, some may come.
SMALLEST_FACTOR = 1e-3
# How far rounding to float32 is off in the mean, as a part of the number: a quarter of a unit in the last place.
ROUNDING = float(np.finfo(np.float32).eps) / 4
NEAREST = 10
# Distances that are in memory at a time.
MOST_DISTANCES = 1 << 18


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Rows with known errors, spread over the region that was seen."""

    places: Array
    """In network inputs, float64 (n_landmarks, n_inputs)."""
    errors: Array
    """|target - answer| in raw units, float64 (n_landmarks, n_outputs)."""

    def hardness(self, encoded: Encoded) -> Array:
        """Return the mean error at the nearest landmarks, float64 (n_rows, n_outputs), of inputs (n_rows, n_inputs).

        A landmark counts less with its distance, and the last of them nothing, so that the hardness has no steps. No
        row's depends on another row, to the bit.
        """
        return in_blocks(self._of, encoded.astype(np.float64), max(1, MOST_DISTANCES // len(self.places)))

    def _of(self, rows: Array) -> Array:
        distances = np.sqrt(square_distances(rows, self.places))
        farthest = np.partition(distances, min(NEAREST, len(self.places) - 1), axis=1)
        reach = farthest[:, min(NEAREST, len(self.places) - 1), None]
        weights = np.where(reach > 0, 1 - distances / np.where(reach > 0, reach, 1.0), distances == 0)
        weights = np.maximum(weights, 0.0)
        # All of them are as far: none is nearer than the last.
        weights[weights.sum(axis=1) == 0] = 1.0
        mean: Array = (weights[:, :, None] * self.errors).sum(axis=1) / weights.sum(axis=1)[:, None]
        return mean


@dataclass(frozen=True, eq=False)
class Width:
    """What turns hardness and answer into a width. Learned from errors that need not be of calibration rows."""

    floor: Array
    """float64 (1, n_outputs)"""
    knots: Array
    """Sizes of answers in order, in raw units, float64 (n_knots, n_outputs)."""
    factors: Array
    """float64 (n_knots, n_outputs); between knots it is interpolated, beyond them it stays."""

    @classmethod
    def even(cls, n_outputs: int) -> Self:
        """Return a width that is the same at every row."""
        return cls(np.ones((1, n_outputs)), np.zeros((1, n_outputs)), np.ones((1, n_outputs)))

    @classmethod
    def chosen(cls, answers: Array, hardness: Array, errors: Array, floors: Sequence[float] = FLOORS) -> Self:
        """Learn from |errors| of answers with the floor that makes intervals the narrowest in the mean.

        All are float64 (n_rows, n_outputs).
        """
        if len(answers) < ROWS_TO_CHOOSE:
            return cls.learned(answers, hardness, errors, USUAL if USUAL in floors else floors[0])
        learned = [cls.learned(answers, hardness, errors, floor) for floor in floors]
        # Each output by itself would do with another floor; the mean over outputs is of ratios, which have no unit.
        sizes = np.array([width._mean_sizes(answers, hardness, errors) for width in learned])
        return learned[int((sizes / np.maximum(sizes.min(axis=0), np.finfo(float).tiny)).mean(axis=1).argmin())]

    def _mean_sizes(self, answers: Array, hardness: Array, errors: Array) -> Array:
        """Return the mean half of the interval that each level would take on these rows, (n_levels * n_outputs,)."""
        widths = self(answers, hardness)
        reach = np.quantile(np.abs(errors) / widths, LEVELS, axis=0)
        sizes: Array = (reach * widths.mean(axis=0)).ravel()
        return sizes

    @classmethod
    def learned(cls, answers: Array, hardness: Array, errors: Array, floor: float = USUAL) -> Self:
        """Learn from |errors| of answers; all float64 (n_rows, n_outputs), `floor` in medians of the hardness."""
        middle = np.median(hardness, axis=0)
        middle = np.where(middle > 0, middle, hardness.mean(axis=0))
        # The network computes in float32. Where it is exact but for single bits, whether a row has an error is chance:
        # a width made of that would be a thousand times too narrow here, and too wide there.
        rounding = ROUNDING * np.ptp(answers, axis=0)
        # Without hardness at all the factor is the width.
        least = np.where(middle > 0, np.maximum(floor * middle, rounding), 1.0)
        ratios = np.maximum(np.abs(errors), rounding) / (hardness + least)
        n_knots = int(np.clip(len(answers) // ROWS_A_KNOT, 1, MOST_KNOTS))
        found = [_knots(*columns, n_knots) for columns in zip(answers.T, ratios.T, strict=True)]
        knots, factors = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        return cls(least[None], knots, factors)

    def __call__(self, answers: Array, hardness: Array) -> Array:
        """Return widths above 0, float64 (n_rows, n_outputs), of answers and hardness of that shape."""
        places = zip(answers.T, self.knots.T, self.factors.T, strict=True)
        factors = np.stack([np.interp(column, knots, heights) for column, knots, heights in places], axis=1)
        widths: Array = (hardness + self.floor) * factors
        return widths

    def check(self, n_outputs: int) -> None:
        """Raise BundleDamaged unless the width is one of so many outputs, and above 0."""
        shapes = {self.knots.shape, self.factors.shape}
        if self.floor.shape != (1, n_outputs) or len(shapes) > 1 or len(self.knots) < 1:
            raise BundleDamaged(f"the width is not one of {n_outputs} outputs")
        if not ((self.floor > 0).all() and (self.factors > 0).all() and (np.diff(self.knots, axis=0) >= 0).all()):
            raise BundleDamaged("expected a floor and factors above 0, and knots in order")


def _knots(answers: Array, ratios: Array, n_knots: int) -> tuple[Array, Array]:
    """Return the median answer and the mean ratio of rows in order of their answer, (n_knots,) each."""
    parts = np.array_split(np.lexsort((ratios, answers)), n_knots)
    heights = np.array([ratios[part].mean() for part in parts])
    least = SMALLEST_FACTOR * heights.mean()
    return np.array([np.median(answers[part]) for part in parts]), np.maximum(heights, least) if least else heights + 1
