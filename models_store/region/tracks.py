"""Raw rows as places among which distances mean something: along some tracks by numbers, along others by codes.

number, date, duration    a number, by its rank and its size, along a bent line; then a code, missing or not
time                      two numbers, the place on the circle of a day; then a code, missing or not
boolean, category         a code: two of them are alike or not; a missing value and an unseen one have codes, too
text                      a code: with words that training rows had, without, or missing
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.tables.clock import DAY
from models_store.tables.table import Kind, Raw, Table, Values, are_missing

NUMBERS: tuple[Kind, ...] = ("number", "date", "duration")
# Columns that are looked at; among more, distances mean little, and take long.
MOST_COLUMNS = 64
# Shares of training rows whose values are the knots of a line: close to each other towards the ends, where values are
# far apart.
_ENDS = 0.0005 * 2.0 ** np.arange(5)
SHARES = np.sort(np.concatenate([np.linspace(0, 1, 65), _ENDS, 1 - _ENDS]))
# A place is a rank, which keeps large values from making all others alike, and half as much a size, which keeps gaps.
SIZE = 0.5
LARGEST = float(np.finfo(np.float64).max)
# In deviations; the square of more would be too much for float32.
FARTHEST = 1e6


@dataclass(frozen=True)
class Track:
    """One coordinate of a place."""

    column: int
    """The number of the column that it comes from."""
    is_code: bool = False
    is_scaled: bool = False
    """True if it is scaled by what training rows had."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """What turns the rows of a version into places."""

    encoder: Encoder

    @cached_property
    def columns(self) -> dict[str, Kind]:
        """The kinds of the columns that are looked at, by name."""
        return dict(list(self.encoder.kinds.items())[:MOST_COLUMNS])

    @cached_property
    def all(self) -> tuple[Track, ...]:
        """The tracks of all columns in order; where several are scaled, one more for how far these are from the middle.

        Its column is one past the last. It shows a hollow in many columns at once, where no two of them do.
        """
        is_table = isinstance(self.encoder, TableEncoder)
        kinds = enumerate(self.columns.values())
        tracks = tuple(track for number, kind in kinds for track in _tracks(number, kind, is_table=is_table))
        return (*tracks, Track(len(self.columns))) if sum(track.is_scaled for track in tracks) > 1 else tracks

    @cached_property
    def of_columns(self) -> tuple[tuple[list[int], list[int]], ...]:
        """The tracks of each column that are numbers, and those that are codes."""
        found: dict[int, tuple[list[int], list[int]]] = {}
        for place, track in enumerate(self.all):
            found.setdefault(track.column, ([], []))[track.is_code].append(place)
        return tuple(found.values())

    @property
    def has_middle(self) -> bool:
        return self.n_columns > len(self.columns)

    @property
    def n_columns(self) -> int:
        """The number of columns that tracks come from, that of the middle among them."""
        return self.all[-1].column + 1

    @cached_property
    def scaled(self) -> NDArray[np.int64]:
        """The places of scaled tracks among all."""
        return np.flatnonzero([track.is_scaled for track in self.all])

    def scales(self, raw: Raw) -> Array:
        """Return the knots of the line of each scaled track, and their heights: float64 (2, n_knots, n_scaled)."""
        scales = np.empty((2, len(SHARES), len(self.scaled)))
        for place, column in enumerate(self._unscaled(raw)[:, self.scaled].T):
            scales[:, :, place] = _line(column[~np.isnan(column)])
        return scales

    def places(self, raw: Raw, scales: Array) -> Array:
        """Return the places of raw rows, float64 (n_rows, n_tracks), by the lines of training rows."""
        places = self._unscaled(raw)
        for place, knots, heights in zip(self.scaled, *scales.transpose(0, 2, 1), strict=True):
            # A missing number is in the middle, and its code says the rest.
            numbers = np.nan_to_num(_along(places[:, place], knots, heights))
            places[:, place] = np.clip(numbers, -FARTHEST, FARTHEST)
        if self.has_middle:
            places = np.column_stack([places, np.sqrt((places[:, self.scaled] ** 2).mean(axis=1))])
        return places

    def _unscaled(self, raw: Raw) -> Array:
        """Return a new array of what the columns say, float64 (n_rows, n_tracks), NaN where a number is missing."""
        if not isinstance(raw, Table):
            return raw[:, : len(self.columns)].copy()
        assert isinstance(self.encoder, TableEncoder)
        encoders = self.encoder.encoders
        found = (_values(kind, encoders[name], raw.columns[name]) for name, kind in self.columns.items())
        return np.stack([values for column in found for values in column], axis=1)


def _tracks(number: int, kind: Kind, *, is_table: bool) -> Iterator[Track]:
    if kind in NUMBERS:
        yield Track(number, is_scaled=True)
    elif kind == "time":
        yield from (Track(number), Track(number))
    if is_table:
        yield Track(number, is_code=True)


def _values(kind: Kind, encoder: ColumnEncoder, values: Values) -> Iterator[Array]:
    """Yield the tracks of a column, float64 (n_rows,) each, in the order of `_tracks`."""
    missing = are_missing(values)
    if isinstance(encoder, CategoryEncoder):
        yield encoder.slots(values).astype(np.float64)
    elif kind == "text":
        yield np.where(missing, 2.0, encoder.unknown(values))
    elif kind == "boolean":
        yield np.where(missing, 2.0, values.astype(np.float64))
    else:
        numbers = values.astype(np.float64)
        if kind == "time":
            turns = 2 * np.pi * numbers / DAY
            yield from (np.nan_to_num(curve(turns)) for curve in (np.sin, np.cos))
        else:
            yield numbers
        yield missing.astype(np.float64)


def _line(values: Array) -> Array:
    """Return knots among the values (n_rows,), in order, and the height of each: float64 (2, n_knots)."""
    if not len(values):
        return np.zeros((2, len(SHARES)))
    knots = np.quantile(values, SHARES, method="inverted_cdf")
    # Equal values have one height, the middle of their ranks.
    _, place, repeats = np.unique(knots, return_inverse=True, return_counts=True)
    ranks = (np.bincount(place, SHARES) / repeats)[place]
    return np.stack([knots, np.sqrt(12) * (ranks - 0.5) + SIZE * _sizes(knots, values)])


def _sizes(knots: Array, values: Array) -> Array:
    """Return how far knots are from the middle of the values, drawn together towards the ends, in deviations."""
    middle = np.median(values)
    away = np.abs(values - middle)
    deviation = _above_0(float(np.median(away)), float(away.mean()))
    drawn = _drawn(values - middle, deviation)
    sizes: Array = _drawn(knots - middle, deviation) / _above_0(float(drawn.std()))
    return sizes


def _along(values: Array, knots: Array, heights: Array) -> Array:
    """Return the heights of values (n_rows,), which go on beyond the first and the last knot."""
    inside = np.clip(values, knots[0], knots[-1])
    with np.errstate(over="ignore"):
        beyond = values - inside
    height: Array = np.interp(inside, knots, heights) + _drawn(beyond, _above_0(float(knots[-1] - knots[0])))
    return height


def _drawn(away: Array, width: float) -> Array:
    """Return how far values are from somewhere, in widths, drawn together; finite, however many widths it is."""
    with np.errstate(over="ignore"):
        widths = away / width
    return np.arcsinh(np.clip(widths, -LARGEST, LARGEST))


def _above_0(*choices: float) -> float:
    """Return the first of the choices that is above 0; 1 where none is."""
    return next((choice for choice in choices if choice > 0), 1.0)
