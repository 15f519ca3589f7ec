"""Encoders of columns of numbers and of booleans."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.scaler import Method, Scaler
from models_store.errors import BundleDamaged
from models_store.tables.table import Values


@dataclass(frozen=True, eq=False)
class NumberEncoder:
    """A column of numbers: scaled; then, if there are `edges`, one input a piece between two of them.

    `edges` are rising quantiles, float64 (n_edges,). The input of a piece rises from 0 to 1 between its two edges; that
    of the first piece goes on below 0, that of the last one above 1. Piecewise linear encoding lets a small network
    bend where the data are: Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", 2022.
    """

    scaler: Scaler
    median: float
    takes_missing: bool
    lowest: float
    highest: float
    edges: Array
    kind: Literal["number"] = "number"

    @classmethod
    def fit(cls, values: Values, method: Method = "standard", bins: int = 0) -> Self:
        """Learn from training rows, float64 (n_rows,). `bins`: the most pieces; below 2, numbers are scaled only."""
        seen = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
        if not len(seen):
            seen = np.zeros(1)
        return cls(
            scaler=Scaler.fit(method, seen.reshape(-1, 1)),
            median=float(np.median(seen)),
            takes_missing=len(seen) < len(values),
            lowest=float(seen.min()),
            highest=float(seen.max()),
            edges=_quantiles(seen, bins),
        )

    @property
    def width(self) -> int:
        return 1 + self._n_pieces + self.takes_missing

    @property
    def _n_pieces(self) -> int:
        return max(0, len(self.edges) - 1)

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width): scaled, the pieces, and 1 where missing if `takes_missing`."""
        numbers = values.astype(np.float64)
        missing = np.isnan(numbers)
        filled = np.where(missing, self.median, numbers)[:, None]
        parts = [self.scaler.transform(filled)]
        if self._n_pieces:
            parts.append(self._pieces(filled))
        if self.takes_missing:
            parts.append(missing[:, None].astype(np.float64))
        return np.concatenate(parts, axis=1)

    def _pieces(self, filled: Array) -> Array:
        """Return float64 (n_rows, n_pieces) of numbers (n_rows, 1)."""
        low, high = self.edges[:-1], self.edges[1:]
        risen = (filled - low) / (high - low)
        pieces = np.clip(risen, 0.0, 1.0)
        pieces[:, 0] = np.minimum(risen[:, 0], 1.0)
        pieces[:, -1] = np.maximum(pieces[:, -1], risen[:, -1])
        return pieces

    def decode(self, encoded: Array) -> Values:
        """Return numbers, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        numbers = self.scaler.inverse(encoded[:, :1])[:, 0]
        return np.where(encoded[:, -1] > 0.5, np.nan, numbers) if self.takes_missing else numbers

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for numbers outside the range of the training rows."""
        numbers = values.astype(np.float64)
        return (numbers < self.lowest) | (numbers > self.highest)

    def to_dict(self) -> dict[str, Any]:
        numbers = {"median": self.median, "lowest": self.lowest, "highest": self.highest}
        return {
            "kind": self.kind,
            "scaler": self.scaler.to_dict(),
            **numbers,
            "takes_missing": self.takes_missing,
            "edges": self.edges.tolist(),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where a number is not finite, or `edges` do not rise."""
        edges = np.asarray(saved["edges"], dtype=np.float64)
        numbers = [float(saved[name]) for name in ("median", "lowest", "highest")]
        if not np.isfinite(numbers).all():
            raise BundleDamaged("number encoder: median, lowest and highest must be finite")
        if not (edges.ndim == 1 and np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
            raise BundleDamaged(f"number encoder: edges must be finite and rising, in one list; shape {edges.shape}")
        scaler = Scaler.from_dict(saved["scaler"])
        if len(scaler.offset) != 1:
            raise BundleDamaged(f"number encoder: scaler is of {len(scaler.offset)} columns; expected 1")
        median, lowest, highest = numbers
        return cls(scaler, median, bool(saved["takes_missing"]), lowest, highest, edges)


def _quantiles(seen: Array, bins: int) -> Array:
    """Return up to `bins` + 1 different quantiles (n_edges,); none where they are two or fewer."""
    if bins < 2:
        return np.empty(0)
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 2 else np.empty(0)


@dataclass(frozen=True)
class BooleanEncoder:
    """A column of booleans: -1 or 1, and 0 where missing; then, if `takes_missing`, 1 where missing."""

    takes_missing: bool
    kind: Literal["boolean"] = "boolean"

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Learn from training rows, float64 (n_rows,), whether values may be missing."""
        return cls(bool(np.isnan(values.astype(np.float64)).any()))

    @property
    def width(self) -> int:
        return 1 + self.takes_missing

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width) of 0 and 1, NaN where missing."""
        numbers = values.astype(np.float64)
        signs = np.nan_to_num(2 * numbers - 1, nan=0.0)[:, None]
        return np.concatenate([signs, np.isnan(numbers)[:, None]], axis=1) if self.takes_missing else signs

    def decode(self, encoded: Array) -> Values:
        """Return 0 and 1, NaN where missing, float64 (n_rows,), of inputs (n_rows, width)."""
        numbers = (encoded[:, 0] > 0).astype(np.float64)
        return np.where(encoded[:, 1] > 0.5, np.nan, numbers) if self.takes_missing else numbers

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """False (n_rows,): there are no other booleans."""
        return np.zeros(len(values), dtype=bool)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        return cls(bool(saved["takes_missing"]))
