"""What a version was asked in a window, beside what its training rows held: the document of `GET /patterns/…/drift`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from app.drift.divergence import ENOUGH_ROWS, js, psi, threshold
from app.drift.watch import Window
from models_store.arrays import Array
from models_store.profiles.histogram import MISSING, OF_VALUES, OUTSIDE, UNSEEN, Counts, Histogram
from models_store.profiles.profile import Profile
from models_store.tables.table import written

# Decimals of shares and distances.
DIGITS = 6


@dataclass(frozen=True, eq=False)
class ColumnDrift:
    """One column in a window, beside its training rows: cells (n_cells,) of both."""

    histogram: Histogram
    training: Array
    window: Array

    @classmethod
    def of(cls, histogram: Histogram, training: Counts, window: Array) -> "ColumnDrift":
        return cls(histogram, training.astype(np.float64), window)

    @property
    def rows(self) -> int:
        return int(self._exclusive(self.window).sum())

    @property
    def psi(self) -> float | None:
        """None where one of both has no rows, as for `js`."""
        return psi(*self._both) if self._is_comparable else None

    @property
    def js(self) -> float | None:
        return js(*self._both) if self._is_comparable else None

    @property
    def threshold(self) -> float | None:
        """The psi from which on the column has drifted; None where there are too few rows for a verdict."""
        return threshold(self._both[0], self.rows) if self._is_comparable and self.rows >= ENOUGH_ROWS else None

    @property
    def _is_comparable(self) -> bool:
        return all(counts.sum() > 0 for counts in self._both)

    @property
    def _both(self) -> tuple[Array, Array]:
        return self._exclusive(self.training), self._exclusive(self.window)

    def _exclusive(self, cells: Array) -> Array:
        """Return the cells of which each row is in one: those that this column can have."""
        can_be_unseen = self.histogram.kind in ("category", "text")
        return cells[:OUTSIDE] if can_be_unseen else np.delete(cells[:OUTSIDE], UNSEEN - OUTSIDE)

    def share(self, cell: int) -> float | None:
        return round(float(self.window[cell]) / self.rows, DIGITS) if self.rows else None

    def to_json(self) -> dict[str, Any]:
        distance, limit = self.psi, self.threshold
        return {
            "name": self.histogram.name,
            "kind": self.histogram.kind,
            "psi": _rounded(distance),
            "js": _rounded(self.js),
            "missing": self.share(MISSING),
            "unseen": self.share(UNSEEN),
            "outside": self.share(OUTSIDE),
            "threshold": _rounded(limit),
            "drifted": None if limit is None or distance is None else distance > limit,
            "histogram": {
                "buckets": named_buckets(self.histogram),
                "training": _shares(self.training[:UNSEEN], self._both[0].sum()),
                "asked": _shares(self.window[:UNSEEN], self._both[1].sum()),
            },
        }


def drift(pattern: str, version: int, profile: Profile, window: Window) -> dict[str, Any]:
    """Return the document: all columns, those that moved most before the others."""
    columns = columns_of(profile, window)
    inputs = columns[: len(profile.inputs)]
    outputs = columns[len(profile.inputs) :]
    return {
        "pattern": pattern,
        "version": version,
        "since": datetime.fromtimestamp(window.began, UTC).isoformat(timespec="seconds"),
        "asked": window.asked,
        "rows": window.rows,
        "rows_needed": ENOUGH_ROWS,
        "columns": _in_order(inputs),
        "outputs": _in_order(outputs),
    }


def columns_of(profile: Profile, window: Window) -> list[ColumnDrift]:
    """Return the inputs, and then the outputs, in their own order."""
    counts = window.counts.astype(np.int64)
    return [ColumnDrift.of(histogram, seen, own.astype(np.float64)) for histogram, seen, own in profile.cells(counts)]


def _in_order(columns: Iterable[ColumnDrift]) -> list[dict[str, Any]]:
    return sorted((column.to_json() for column in columns), key=_distance, reverse=True)


def _distance(column: dict[str, Any]) -> float:
    """Return how far a column has moved, in proportion to what it may by chance."""
    return float(column["psi"] or 0) / (column["threshold"] or 1)


def named_buckets(histogram: Histogram) -> list[str]:
    """Return a text for each bucket: what is in it, or where it ends."""
    if histogram.kind in OF_VALUES:
        return [*histogram.values, "others"]
    if histogram.kind == "boolean":
        return ["false", "true"]
    edges = histogram.edges.tolist()
    if edges and np.isfinite(histogram.lowest) and histogram.lowest < histogram.highest:
        edges[0], edges[-1] = histogram.lowest, histogram.highest  # without the room for rounding
    ends = [_written(histogram, edge) for edge in edges]
    if not ends:
        return ["any"]
    between = [f"{low} … {high}" for low, high in pairwise(ends)]
    return [f"below {ends[0]}", *between, f"above {ends[-1]}"]


def _written(histogram: Histogram, edge: float) -> str:
    if histogram.kind in ("date", "time", "duration"):
        return str(written(histogram.kind, float(edge)))
    return f"{edge:.6g}"


def _shares(counts: Array, of: float) -> list[float]:
    return np.round(counts / of, DIGITS).tolist() if of else [0.0] * len(counts)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, DIGITS)
