"""The region where training rows were: landmarks among them, and the limit of each.

training rows -> places -> pairs of columns with hollows -> reaches of landmarks -> limits
                        -> hollows of two columns, by counts of more rows
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.rows import Encoder
from models_store.region.region import NONE, UNLIKE, Distances, Groups, Region, nearest, per_square_of
from models_store.region.tracks import Tracks
from models_store.tables.table import Raw, take
from training.hollows import hollows_of

# With fewer rows, more than one new row in a hundred would be farther than all of them.
FEWEST_ROWS = 99
MOST_LANDMARKS, MOST_ROWS = 1000, 2000
# So many rows are counted in cells, which takes about a tenth of a second.
MOST_COUNTED = 100_000
# The share of new rows that may be taken for far from the landmarks, and for those of a hollow.
FAR, IN_HOLLOW = 0.005, 0.002
# So many rows are beyond the limit of one group of columns alone, so that no single row decides it.
ROWS_BEYOND = 10
# A landmark reaches as far as its fifth neighbour, and a little farther than the nearest that is not the same: so whole
# numbers leave no gaps between them.
NEIGHBOURS, STEP = 5, 1.3
# And this part of the middle reach at least: where all neighbours are the same, others are near.
SMALLEST_REACH = 0.3
# In deviations of a column; what is nearer is the same.
ALIKE = 0.05
# Pairs of columns are tried with so many landmarks and columns, and a limit that so many of these rows are beyond. A
# pair is looked at where this share of rows comes to lie where none was, once one column is shuffled against the other.
TRIED_LANDMARKS, TRIED_COLUMNS = 600, 20
TRIED_ROWS_BEYOND, HOLLOW = 2, 0.02
# As many as eight columns have.
MOST_PAIRS = 28


def region_of(raw: Raw, encoder: Encoder, seed: int) -> Region | None:
    """Return the region of training rows; None where they are too few to tell."""
    if len(raw) < FEWEST_ROWS:
        return None
    rng = np.random.default_rng(seed)
    tracks = Tracks(encoder)
    order = rng.permutation(len(raw))[:MOST_COUNTED]
    scales = tracks.scales(take(raw, order[:MOST_ROWS]))
    counted = tracks.places(take(raw, order), scales)
    places = counted[:MOST_ROWS]
    columns = np.array([*_alone(tracks), *_pairs(tracks, places[:TRIED_LANDMARKS], rng)], np.int64)
    groups = Groups(tracks, places[:MOST_LANDMARKS], columns)
    reaches = np.sqrt(_square_reaches(groups))
    ratios = _ratios(groups, reaches, places)
    # Where one training row alone had some combination of codes, a new one that nobody had says nothing.
    most = np.where(_are_codes(groups), 0, max(ROWS_BEYOND, int(FAR * len(ratios))))
    limits = np.maximum(np.take_along_axis(np.sort(ratios, axis=0), -1 - most[None], axis=0), 1.0)
    away = (ratios / limits).max(axis=1)
    hollows, missed = hollows_of(tracks, counted)
    from_landmark, in_hollow = _limit(away, FAR), _limit(missed, IN_HOLLOW)
    far = np.maximum(away / from_landmark, missed[: len(away)] / in_hollow)
    return Region(groups, scales, reaches * limits * from_landmark, hollows.beyond(in_hollow), np.sort(far))


def _limit(far: Array, share: float) -> float:
    """Return the limit of rows that are so far, at least 1.

    Counted like the rank of a level: a new row is farther with a chance of `share`, or 1 / (n + 1) if that is more.
    """
    return max(float(np.interp((1 - share) * (len(far) + 1), np.arange(1, len(far) + 1), np.sort(far))), 1.0)


def _alone(tracks: Tracks) -> Iterator[tuple[int, int]]:
    """Yield the groups of all columns, and of each column that may have a gap: codes have none."""
    yield NONE, NONE
    if len(tracks.columns) > 1:
        yield from ((track.column, NONE) for track in tracks.all if track.is_scaled)
    if tracks.has_middle:
        yield tracks.n_columns - 1, NONE


def _pairs(tracks: Tracks, places: Array, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield the pairs of columns with the largest hollows."""
    n_columns = min(len(tracks.columns), TRIED_COLUMNS)
    pairs = np.array(list(combinations(range(n_columns), 2)), np.int64).reshape(-1, 2)
    if n_columns < 3:  # all columns are a group anyway
        return
    shuffled = places.copy()
    for column in range(n_columns):
        own = [place for place, track in enumerate(tracks.all) if track.column == column]
        shuffled[:, own] = rng.permutation(shuffled[:, own])
    groups = Groups(tracks, places, pairs)
    reaches = np.sqrt(_square_reaches(groups))
    limits = np.maximum(np.sort(_ratios(groups, reaches, places), axis=0)[-1 - TRIED_ROWS_BEYOND], 1.0)
    hollow = (groups.ratios(shuffled, per_square_of(reaches)) > limits).mean(axis=0)
    for place in np.argsort(-hollow, kind="stable")[:MOST_PAIRS]:
        if hollow[place] >= HOLLOW:
            yield int(pairs[place, 0]), int(pairs[place, 1])


def _square_reaches(groups: Groups) -> Array:
    """Return the square of what each landmark reaches in each group, float64 (n_landmarks, n_groups)."""
    squares = np.concatenate(
        [np.stack([_reach(square) for square in block], axis=1) for block in _among_landmarks(groups)]
    ).astype(np.float64)
    # A combination of codes that one row alone has must not reach all others.
    squares[:, _are_codes(groups)] = 0.0
    middle = np.array([np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in squares.T])
    return np.maximum(squares, np.maximum(SMALLEST_REACH**2 * middle, ALIKE**2))


def _are_codes(groups: Groups) -> NDArray[np.bool_]:
    """True (n_groups,) for pairs of columns that both have codes alone."""
    numbers = {NONE, *(track.column for track in groups.tracks.all if not track.is_code)}
    return np.array([not {first, second} & numbers for first, second in groups.columns.tolist()])


def _reach(square: Distances) -> Distances:
    """Return the square of the reach of landmarks, (n_rows,), of squares of distances to the others."""
    place = min(NEIGHBOURS, square.shape[1] - 1) - 1
    neighbour = np.partition(square, place, axis=1)[:, place]
    # Two rows of different categories are no neighbours with room between them.
    other = np.where((square > 0) & (square < UNLIKE), square, np.inf).min(axis=1)
    reach: Distances = np.maximum(neighbour, np.where(np.isfinite(other), STEP**2 * other, 0)).astype(np.float32)
    return reach


def _ratios(groups: Groups, reaches: Array, places: Array) -> Array:
    """Return how far rows are from all others, in reaches, float64 (n_rows, n_groups); the first are the landmarks."""
    per_square = per_square_of(reaches)
    own = [nearest(block, per_square) for block in _among_landmarks(groups)]
    return np.concatenate([*own, groups.ratios(places[len(groups.places) :], per_square)])


def _among_landmarks(groups: Groups) -> Iterator[list[Distances]]:
    """Yield squares of distances from each block of landmarks to all others, group by group; infinite to themselves."""
    for start in range(0, len(groups.places), groups.block):
        rows = groups.places[start : start + groups.block]
        squares = list(groups.squares(rows))
        for square in squares:
            square[np.arange(len(rows)), np.arange(start, start + len(rows))] = np.inf
        yield squares
