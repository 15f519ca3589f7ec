"""Where training rows were, and how far another row is from there: inside each column's range, but in a hole of all.

rows -> places -> distance to the nearest landmarks, in distances of these to their own neighbours
     -> in several groups of columns, the farthest of which counts -> 1 is the limit
     -> the cells of two columns that it is in: those of a hollow are as far as its rows are missed

region.npz     places, groups, limits, scales, training: float64; of later releases cuts, hollows
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.distances import in_blocks, square_distances
from models_store.encoding.rows import Encoder
from models_store.errors import BundleDamaged
from models_store.npz import packed, unpacked
from models_store.region import hollows
from models_store.region.hollows import Hollows
from models_store.region.tracks import FARTHEST, Tracks
from models_store.tables.table import Raw

NAMES = ("places", "groups", "limits", "scales", "training")
# The square of the distance between two codes; numbers have a deviation of 1, so that two of them are as far.
UNLIKE = 2.0
# Distances in one column that are in memory at a time: few enough for the cache of a core.
MOST_DISTANCES = 1 << 14
# Stands where a group names no column.
NONE = -1
Distances = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Groups:
    """Landmarks, which are training rows that stand for all, and groups of columns to look at distances to them in."""

    tracks: Tracks
    places: Array
    """float64 (n_landmarks, n_tracks)"""
    columns: NDArray[np.int64]
    """The columns of each group, (n_groups, 2): (-1, -1) is all columns, (3, -1) column 3 alone."""

    @property
    def block(self) -> int:
        """Rows whose distances are in memory at a time."""
        return max(1, MOST_DISTANCES // len(self.places))

    def squares(self, places: Array) -> Iterator[Distances]:
        """Yield squares of distances to the landmarks, float32 (n_rows, n_landmarks), group by group."""
        # float32, because it takes half as long, and no limit is so exact.
        rows = places.astype(np.float32)
        in_column = [self._in_column(rows, *own) for own in self.tracks.of_columns]
        for first, second in self.columns.tolist():
            if first == NONE:
                yield np.sum(in_column[: len(self.tracks.columns)], axis=0, dtype=np.float32)
            else:
                yield in_column[first] if second == NONE else in_column[first] + in_column[second]

    def ratios(self, places: Array, per_square: Distances) -> Array:
        """Return the distance to the nearest landmark in each group, in its reaches, float64 (n_rows, n_groups).

        `per_square` (n_groups, n_landmarks) as `per_square_of` has them. No row's depends on another row, to the bit.
        """
        return in_blocks(lambda rows: nearest(self.squares(rows), per_square), places, self.block)

    @cached_property
    def _rounded(self) -> Distances:
        return self.places.astype(np.float32)

    def _in_column(self, rows: Distances, numbers: list[int], codes: list[int]) -> Distances:
        square = square_distances(rows[:, numbers], self._rounded[:, numbers])
        for code in codes:
            theirs, own = self._rounded[:, code], rows[:, code, None]
            if not (theirs == own).all():  # as it is where nothing is missing
                square += np.where(theirs == own, np.float32(0), np.float32(UNLIKE))
        return square


def nearest(squares: Iterable[Distances], per_square: Distances) -> Array:
    """Return distances (n_rows, n_groups) to the nearest of landmarks, of the squares in each group."""
    found = [(square * per).min(axis=1) for square, per in zip(squares, per_square, strict=True)]
    return np.sqrt(np.stack(found, axis=1).astype(np.float64))


def per_square_of(reaches: Array) -> Distances:
    """Return the factors of squares, (n_groups, n_landmarks), that measure by reaches (n_landmarks, n_groups)."""
    per_square: Distances = (1 / reaches.T**2).astype(np.float32)
    return per_square


@dataclass(frozen=True, eq=False)
class Region:
    """Where training rows were."""

    groups: Groups
    scales: Array
    """The lines that turn numbers into places, float64 (2, n_knots, n_scaled): knots, and their heights."""
    limits: Array
    """The distance to each landmark from which on a row is far from it, in each group, float64 (n_landmarks, n_groups).

    It is larger where the neighbours of the landmark are farther, too.
    """
    hollows: Hollows
    """None are known of earlier releases."""
    training: Array
    """How far training rows are from all others, in ascending order, float64 (n_rows,)."""

    def far(self, raw: Raw) -> Array:
        """Return how far raw rows are from the training rows, float64 (n_rows,): beyond 1, where none of these was."""
        places = self.groups.tracks.places(raw, self.scales)
        to_landmarks = self.groups.ratios(places, self._per_limit).max(axis=1)
        far: Array = np.maximum(to_landmarks, self.hollows.far(places))
        return far

    def share_as_far(self, far: Array) -> Array:
        """Return the share of training rows that are at least as far as each of these, float64 (n_rows,)."""
        return 1 - np.searchsorted(self.training, far) / len(self.training)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of columns that are looked at beside all columns and each alone."""
        names = tuple(self.groups.tracks.columns)
        return [(names[first], names[second]) for first, second in self.groups.columns.tolist() if second != NONE]

    @cached_property
    def _per_limit(self) -> Distances:
        return per_square_of(self.limits)

    def to_bytes(self) -> bytes:
        columns = self.groups.columns.astype(np.float64)
        arrays = {"places": self.groups.places, "groups": columns, "limits": self.limits}
        arrays |= {"scales": np.concatenate([*self.scales]), "training": self.training[:, None]}
        return packed({**arrays, **self.hollows.to_arrays()})

    @classmethod
    def from_bytes(cls, saved: bytes, encoder: Encoder) -> Self:
        """Raises BundleDamaged where the arrays are not those of a region of the encoder's columns."""
        places, groups, limits, scales, training, *more = unpacked(saved, NAMES, hollows.NAMES).values()
        tracks = Tracks(encoder)
        if places.shape[1] != len(tracks.all) or scales.shape[1] != len(tracks.scaled) or len(scales) % 2:
            raise BundleDamaged("places and scales are not those of the columns")
        scales = scales.reshape(2, len(scales) // 2, len(tracks.scaled))
        if limits.shape != (len(places), len(groups)) or not limits.size or training.shape != (len(training), 1):
            raise BundleDamaged("expected a limit for each landmark and group, and one column of training rows")
        if not (np.isin(groups, np.arange(NONE, tracks.n_columns)).all() and groups.shape[1] == 2 and len(training)):
            raise BundleDamaged("expected the numbers of two columns for each group, and training rows")
        if not ((limits > 0).all() and all(map(_are_finite, (places, limits, scales)))):
            raise BundleDamaged("expected finite numbers, and limits above 0")
        with np.errstate(over="ignore", divide="ignore"):
            per_limit = per_square_of(limits)
        if not (_are_finite(per_limit) and (np.abs(places) <= FARTHEST).all()):
            raise BundleDamaged(f"expected places up to {FARTHEST:g}, and limits that distances can be measured in")
        if not (scales.shape[1] and (np.diff(scales, axis=1) >= 0).all()):
            raise BundleDamaged("expected knots and heights in order")
        if not (_are_finite(training) and (np.diff(training[:, 0]) >= 0).all()):
            raise BundleDamaged("expected training rows in order")
        found = Hollows.from_arrays(tracks, *more) if more else Hollows.none(tracks)
        return cls(Groups(tracks, places, groups.astype(np.int64)), scales, limits, found, training[:, 0])


def _are_finite(numbers: Array | Distances) -> bool:
    return bool(np.isfinite(numbers).all())
