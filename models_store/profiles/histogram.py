"""The histogram of one column.

numbers, dates, times, durations   buckets between quantiles of the training rows; the first and the last are open
texts                              the same, of their lengths in characters
booleans                           false and true
categories, labels                 a bucket for each of the most frequent, one for all others that training knew

The cells of a column are its buckets, then UNSEEN, MISSING and OUTSIDE. Each row is in one of the buckets, or unseen,
or missing; OUTSIDE counts numbers beyond the range of the training rows once more.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged
from models_store.tables.kinds import Kind

BUCKETS = 10
# Categories or labels with a bucket of their own.
MOST_VALUES = 20
# A number may lie so far beyond the range, in proportion to the largest number in it, before it leaves the bucket at
# its end: a float32 rounds, and a column that was constant has no range that would tell what is far.
ROUNDING, ROOM_OF_A_CONSTANT = 1e-6, 1e-2
# The cells behind the buckets.
UNSEEN, MISSING, OUTSIDE = -3, -2, -1
N_BESIDE = 3

Counts = NDArray[np.int64]
Shown = Kind | Literal["label"]
OF_VALUES: frozenset[Shown] = frozenset({"category", "label"})


@dataclass(frozen=True, eq=False)
class Histogram:
    """The buckets of one column: between rising `edges`, float64 (n_edges,), or one for each of `values`."""

    name: str
    kind: Shown
    edges: Array
    lowest: float = -np.inf
    """The range of the training rows, with `highest`."""
    highest: float = np.inf
    values: tuple[str, ...] = ()

    @classmethod
    def of_numbers(cls, name: str, kind: Shown, seen: Array) -> Self:
        """Return buckets with about as many of these numbers each, float64 (n_rows,), none of which is NaN."""
        if not len(seen):
            return cls(name, kind, np.empty(0))
        lowest, highest = float(seen.min()), float(seen.max())
        room = max(abs(lowest), abs(highest)) * (ROOM_OF_A_CONSTANT if lowest == highest else ROUNDING)
        end = np.nextafter(highest + room, np.inf)
        return cls(name, kind, np.array([lowest - room, *_between(seen), end]), lowest, highest)

    @classmethod
    def of_lengths(cls, name: str, seen: Array) -> Self:
        """Return buckets of the lengths of texts, float64 (n_rows,). They have no range: longer texts are seen too."""
        return cls(name, "text", _between(seen))

    @classmethod
    def of_booleans(cls, name: str) -> Self:
        return cls(name, "boolean", np.array([0.5]))

    @classmethod
    def of_values(cls, name: str, kind: Shown, counts: Counter[str]) -> Self:
        """Return a bucket for each of the most frequent values, and one for all others that are known."""
        frequent = sorted(counts, key=lambda value: (-counts[value], value))
        return cls(name, kind, np.empty(0), values=tuple(frequent[:MOST_VALUES]))

    @property
    def n_buckets(self) -> int:
        return (len(self.values) if self.kind in OF_VALUES else len(self.edges)) + 1

    @property
    def n_cells(self) -> int:
        return self.n_buckets + N_BESIDE

    def to_dict(self) -> dict[str, Any]:
        about: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind in OF_VALUES:
            return about | {"values": [*self.values]}
        ends = {"lowest": self.lowest, "highest": self.highest} if np.isfinite(self.lowest) else {}
        return about | {"edges": self.edges.tolist()} | ends

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where edges do not rise or values are no texts, LookupError where a field is missing."""
        name, kind = saved["name"], saved["kind"]
        if not isinstance(name, str) or kind not in (*get_args(Kind), "label"):
            raise BundleDamaged("a column needs a name and a kind")
        if kind in OF_VALUES:
            if not all(isinstance(value, str) for value in saved["values"]):
                raise BundleDamaged("values must be texts")
            return cls(name, kind, np.empty(0), values=tuple(saved["values"]))
        edges = np.asarray(saved["edges"], dtype=np.float64)
        if edges.ndim != 1 or not np.isfinite(edges).all() or (np.diff(edges) < 0).any():
            raise BundleDamaged("edges must be finite, and rise")
        return cls(name, kind, edges, float(saved.get("lowest", -np.inf)), float(saved.get("highest", np.inf)))


def _between(seen: Array) -> Array:
    """Return edges near the quantiles, each midway between two neighbouring values, float64 (n_edges,).

    So a value that is rounded a little stays in its bucket, and many equal values are never parted.
    """
    values, counts = np.unique(seen, return_counts=True)
    if len(values) < 2:
        return np.empty(0)
    below = np.cumsum(counts[:-1]) / len(seen)
    places = np.unique([int(np.abs(below - share / BUCKETS).argmin()) for share in range(1, BUCKETS)])
    edges: Array = values[places] / 2 + values[places + 1] / 2
    return edges
