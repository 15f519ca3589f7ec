"""Hollows of two columns: cells where many training rows would be expected by those around, and none was.

places -> a cell in each column -> how far each pair of cells is: beyond 1 in a hollow, 0 elsewhere
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged
from models_store.region.tracks import FARTHEST, Tracks

NAMES = ("cuts", "hollows")
# Of a column of numbers: cells with as many training rows each. Of codes, the first ones.
CELLS = 32
# Columns that are looked at two by two.
MOST_COLUMNS = 20
# In the place of a cut that a column of few values does not have.
NO_CUT = 2 * FARTHEST
# First and second column, the cell in each, and how far it is.
N_FACTS = 5
Cells = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Hollows:
    """Cells of two columns where no training row was, though others were all around."""

    tracks: Tracks
    cuts: Array
    """Between the cells of each column, in places, float64 (n_columns, CELLS - 1)."""
    pairs: Cells
    """The numbers of two columns, (n_pairs, 2)."""
    scores: Array
    """How far cells are, float64 (n_pairs, CELLS + 1, CELLS + 1): beyond 1 in a hollow, else 0.

    The last of each stands for what is not looked at, such as a missing number.
    """

    def far(self, places: Array) -> Array:
        """Return how far rows are, float64 (n_rows,): beyond 1 in a hollow of two columns, else 0."""
        cells = cells_of(self.tracks, self.cuts, places)
        first, second = (cells[:, columns] for columns in self.pairs.T)
        far: Array = self.scores[np.arange(len(self.pairs)), first, second].max(axis=1, initial=0.0)
        return far

    def beyond(self, limit: float) -> Self:
        """Return those cells alone that are beyond a limit, in which they are then measured."""
        scores = np.round(self.scores / limit, 3)
        scores[scores <= 1] = 0.0
        kept = (scores > 0).any(axis=(1, 2))
        return replace(self, pairs=self.pairs[kept], scores=scores[kept])

    def to_arrays(self) -> dict[str, Array]:
        pair, first, second = np.nonzero(self.scores)
        facts = np.column_stack([self.pairs[pair], first, second, self.scores[pair, first, second]])
        # In order, as they are read.
        return dict(zip(NAMES, (self.cuts, facts[np.lexsort(facts.T[::-1])]), strict=True))

    @classmethod
    def none(cls, tracks: Tracks) -> Self:
        no_pairs = np.empty((0, 2), np.int64)
        return cls(tracks, np.empty((0, CELLS - 1)), no_pairs, np.empty((0, CELLS + 1, CELLS + 1)))

    @classmethod
    def from_arrays(cls, tracks: Tracks, cuts: Array, hollows: Array) -> Self:
        """Raises BundleDamaged where the arrays are not those of hollows in the columns of the tracks."""
        n_columns = n_looked_at(tracks)
        if cuts.shape != (n_columns, CELLS - 1) or not (np.isfinite(cuts).all() and (np.diff(cuts) >= 0).all()):
            raise BundleDamaged("expected the cuts of each column in order")
        if hollows.shape != (len(hollows), N_FACTS) or not np.isfinite(hollows).all():
            raise BundleDamaged("expected two columns, two cells and how far they are, for each hollow")
        columns, cells, far = hollows[:, :2], hollows[:, 2:4], hollows[:, 4]
        if not (np.isin(columns, np.arange(n_columns)).all() and np.isin(cells, np.arange(CELLS)).all()):
            raise BundleDamaged("expected hollows in the cells of columns")
        if not (far > 1).all():
            raise BundleDamaged("expected hollows that are far")
        pairs, place = np.unique(columns.astype(np.int64), axis=0, return_inverse=True)
        scores = np.zeros((len(pairs), CELLS + 1, CELLS + 1))
        scores[place.ravel(), *cells.astype(np.int64).T] = far
        return cls(tracks, cuts, pairs, scores)


def n_looked_at(tracks: Tracks) -> int:
    return min(len(tracks.columns), MOST_COLUMNS)


def cells_of(tracks: Tracks, cuts: Array, places: Array) -> Cells:
    """Return the cells of places (n_rows, n_tracks) in each column, (n_rows, n_columns); CELLS is none of them."""
    cells = np.full((len(places), len(cuts)), CELLS, np.int64)
    for column, own in enumerate(cuts):
        numbers, codes = tracks.of_columns[column]
        if len(numbers) == 1:
            cells[:, column] = np.searchsorted(own, places[:, numbers[0]], side="right")
            for code in codes:
                cells[places[:, code] != 0, column] = CELLS
        elif not numbers:
            cells[:, column] = np.minimum(places[:, codes[0]], CELLS)
    return cells
