"""The hollows among training rows: of two columns, where many rows would be expected, and none is.

places -> counts in cells -> empty boxes of cells -> rows expected in each, by those around it -> how far a cell is
"""

from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from models_store.arrays import Array
from models_store.region.hollows import CELLS, NO_CUT, Cells, Hollows, cells_of, n_looked_at
from models_store.region.tracks import Tracks

# Cells of a box to each side of the one in its middle: boxes are 1 to 15 of the 32 cells wide.
RADII = (0, 1, 2, 3, 5, 7)
# Of so many rows, distances to landmarks find what counts of rows can tell, but for combinations of codes.
FEW_ROWS = 2000
# Fewer rows that were expected may be missing by chance.
FEWEST_EXPECTED = 1.0
# So many rows, or this share, are beyond the limit of a pair of columns alone, so that no single row decides it.
ROWS_BEYOND, BEYOND = 2, 0.0002
Radii = tuple[int, int]
Counts = NDArray[np.float64]
Estimate = Callable[[Counts, Counts, Radii, Radii], Array]


def hollows_of(tracks: Tracks, places: Array) -> tuple[Hollows, Array]:
    """Return the hollows among places (n_rows, n_tracks), and how far each row is, as if it were not there itself.

    Both are in terms of the limit of each pair of columns, which is 1; how far rows are, float64 (n_rows,).
    """
    cuts = np.array([_cuts(tracks, places, column) for column in range(n_looked_at(tracks))])
    cells = cells_of(tracks, cuts, places)
    own = np.zeros(len(places))
    pairs, scores = [], []
    for are_codes, some in _pairs(tracks, is_large=len(places) > FEW_ROWS):
        counts = np.stack([_counts(cells[:, pair]) for pair in some])
        estimated = [_expected(counts, are_codes, estimate) for estimate in (_by_those_around, _between)]
        for place, pair in enumerate(some):
            found = [_far(empty[place], alone[place], cells[:, pair]) for empty, alone in estimated]
            pairs.append(pair)
            scores.append(np.maximum(*(of_cells for of_cells, _ in found)))
            own = np.maximum.reduce([own, *(of_rows for _, of_rows in found)])
    hollows = np.array(scores).reshape(-1, CELLS + 1, CELLS + 1)
    return Hollows(tracks, cuts, np.array(pairs, np.int64).reshape(-1, 2), hollows), own


def _far(empty: Array, alone: Array, cells: Cells) -> tuple[Array, Array]:
    """Return how far the cells of two columns are, (CELLS + 1, CELLS + 1), and how far the rows in cells (n_rows, 2).

    Both by rows that are expected, (CELLS, CELLS): in an empty box, and in one that holds a single row.
    """
    expected = np.pad(alone, (0, 1))[*cells.T]
    beyond = max(ROWS_BEYOND, int(BEYOND * len(expected)))
    limit = max(float(np.sort(expected)[-1 - beyond]), FEWEST_EXPECTED)
    # Roots, since the number of rows grows with the square of a distance.
    return np.sqrt(np.pad(empty, (0, 1)) / limit), np.sqrt(expected / limit)


def _cuts(tracks: Tracks, places: Array, column: int) -> Array:
    """Return what lies between the cells of a column, float64 (CELLS - 1,)."""
    cuts = np.full(CELLS - 1, NO_CUT)
    numbers, codes = tracks.of_columns[column]
    if len(numbers) == 1:
        values = places[(places[:, codes] == 0).all(axis=1), numbers[0]]
        found = np.unique(values)
        between = (found[1:] + found[:-1]) / 2
        if len(found) > CELLS:
            between = np.unique(np.quantile(values, np.arange(1, CELLS) / CELLS))
        cuts[: len(between)] = between
    return cuts


def _pairs(tracks: Tracks, *, is_large: bool) -> Iterator[tuple[tuple[bool, bool], list[list[int]]]]:
    """Yield pairs of columns by whether each of the two has codes."""
    is_code = {column: not numbers for column, (numbers, _) in enumerate(tracks.of_columns) if len(numbers) < 2}
    looked_at = [column for column in range(n_looked_at(tracks)) if column in is_code]
    pairs = [[*pair] for pair in combinations(looked_at, 2)]
    for first, second in product((False, True), repeat=2):
        some = [pair for pair in pairs if (is_code[pair[0]], is_code[pair[1]]) == (first, second)]
        if some and (is_large or (first and second)):
            yield (first, second), some


def _counts(cells: Cells) -> Counts:
    """Return how many rows (n_rows, 2) are in each pair of cells, float64 (CELLS, CELLS)."""
    place = cells[:, 0] * (CELLS + 1) + cells[:, 1]
    counts = np.bincount(place, minlength=(CELLS + 1) ** 2).reshape(CELLS + 1, CELLS + 1)
    return counts[:CELLS, :CELLS].astype(np.float64)


def _expected(counts: Counts, are_codes: tuple[bool, bool], estimate: Estimate) -> tuple[Array, Array]:
    """Return the most rows that are expected in a box with each cell, (n_pairs, CELLS, CELLS): in empty boxes, and in
    those that hold one row, which were empty without it.
    """
    empty, alone = np.zeros_like(counts), np.zeros_like(counts)
    for radii, around in _boxes(are_codes):
        inside = _in_boxes(counts, radii)
        expected = estimate(counts, inside, radii, around)
        empty = np.maximum(empty, _spread(np.where(inside == 0, expected, 0.0), radii))
        alone = np.maximum(alone, _spread(np.where(inside == 1, expected, 0.0), radii))
    return empty, alone


def _boxes(are_codes: tuple[bool, bool]) -> Iterator[tuple[Radii, Radii]]:
    """Yield the radii of boxes, and of the larger ones around them. Codes have no neighbours: around two, all are."""
    if all(are_codes):
        yield (0, 0), (CELLS, CELLS)
        return
    ways = [[(0, 0)] if is_code else [(radius, max(1, 2 * radius)) for radius in RADII] for is_code in are_codes]
    for first, second in product(*ways):
        yield (first[0], second[0]), (first[1], second[1])


def _by_those_around(counts: Counts, inside: Counts, radii: Radii, around: Radii) -> Array:
    """Return the rows expected in boxes by those in the larger boxes around, if columns there do not depend."""
    own, whole, rows = _mass(counts, radii), _mass(counts, around), _in_boxes(counts, around)
    return np.minimum((rows - inside) * own / np.maximum(whole - own, 1.0), rows)


def _mass(counts: Counts, radii: Radii) -> Array:
    """Return the product of the rows of both columns that a box has in its range."""
    first = _in_windows(counts.sum(axis=2, keepdims=True), radii[0], axis=1)
    second = _in_windows(counts.sum(axis=1, keepdims=True), radii[1], axis=2)
    return first * second


def _in_boxes(counts: Counts, radii: Radii) -> Counts:
    return _in_windows(_in_windows(counts, radii[0], axis=1), radii[1], axis=2)


def _in_windows(counts: Counts, radius: int, axis: int) -> Counts:
    """Return sums of the cells up to `radius` away along an axis."""
    sums = np.insert(counts.cumsum(axis=axis), 0, 0.0, axis=axis)
    cells = np.arange(CELLS)
    upper, lower = np.minimum(cells + radius + 1, CELLS), np.maximum(cells - radius, 0)
    within: Array = np.take(sums, upper, axis=axis) - np.take(sums, lower, axis=axis)
    return within


def _spread(values: Array, radii: Radii) -> Array:
    """Return the largest value of the boxes that hold each cell."""
    for axis, radius in enumerate(radii, 1):
        if radius:
            values = maximum_filter1d(values, 2 * radius + 1, axis=axis, mode="constant")
    return values


def _between(_counts: Counts, inside: Counts, radii: Radii, around: Radii) -> Array:
    """Return the rows expected in boxes by those of the same size on two opposite sides: as many as the emptier has.

    Where two columns say nearly the same, none are expected beside them, and many in a hole along them.
    """
    # Codes have no sides.
    steps = [2 * own + 1 if 0 < whole < CELLS else 0 for own, whole in zip(radii, around, strict=True)]
    found = np.zeros_like(inside)
    for first, second in {(steps[0], 0), (0, steps[1]), (steps[0], steps[1]), (steps[0], -steps[1])} - {(0, 0)}:
        sides = _shifted(inside, first, second), _shifted(inside, -first, -second)
        found = np.maximum(found, np.minimum(*sides))
    return found


def _shifted(values: Array, first: int, second: int) -> Array:
    """Return what lies so many cells ahead along both axes, 0 where there are none."""
    shifted = np.zeros_like(values)
    to = [slice(max(0, -step), CELLS - max(0, step)) for step in (first, second)]
    of = [slice(max(0, step), CELLS + min(0, step)) for step in (first, second)]
    shifted[:, to[0], to[1]] = values[:, of[0], of[1]]
    return shifted
