"""Encoder of two columns of numbers that tell more together than apart, such as longitude and latitude."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models_store.arrays import Array
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.tables.table import Values

# Directions in the plane of two standardised columns: how much each of them counts. The axes are inputs already.
DIRECTIONS = ((1.0, 1.0), (1.0, -1.0), (1.0, 2.0), (2.0, 1.0), (1.0, -2.0), (2.0, -1.0))


@dataclass(frozen=True, eq=False)
class PairEncoder:
    """Two columns, standardised, and their position along each of DIRECTIONS, encoded as a number is.

    A border that runs across the plane is one step along some direction, and a long stair along the axes.
    """

    columns: tuple[str, str]
    scaler: Scaler
    positions: tuple[NumberEncoder, ...]

    @classmethod
    def fit(cls, columns: tuple[str, str], values: tuple[Values, Values], bins: int) -> Self:
        """Learn from training rows, float64 (n_rows,) of each column, with `bins` pieces at most of each position."""
        both = _side_by_side(*values)
        known = both[~np.isnan(both).any(axis=1)]
        scaler = Scaler.fit("standard", known if len(known) else np.zeros((1, 2)))
        positions = _along(scaler.transform(both)).T
        return cls(columns, scaler, tuple(NumberEncoder.fit(each, bins=bins) for each in positions))

    @property
    def width(self) -> int:
        return sum(position.width for position in self.positions)

    def encode(self, first: Values, second: Values) -> Array:
        """Return float64 (n_rows, width) of both columns, float64 (n_rows,) each; a missing value is the mean."""
        along = self.along(first, second)
        return np.concatenate([own.encode(each) for own, each in zip(self.positions, along, strict=True)], axis=1)

    def along(self, first: Values, second: Values) -> Array:
        """Return the positions of the rows along each direction, float64 (n_directions, n_rows)."""
        return _along(self.scaler.transform(_side_by_side(first, second))).T

    def to_dict(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "scaler": self.scaler.to_dict(),
            "positions": [position.to_dict() for position in self.positions],
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged, or LookupError where a field is missing."""
        first, second = saved["columns"]
        scaler = Scaler.from_dict(saved["scaler"])
        positions = tuple(NumberEncoder.from_dict(position) for position in saved["positions"])
        if len(scaler.offset) != 2 or len(positions) != len(DIRECTIONS):
            raise BundleDamaged(
                f"a pair: a scaler of {len(scaler.offset)} columns and {len(positions)} positions; expected 2 and "
                f"{len(DIRECTIONS)}"
            )
        return cls((str(first), str(second)), scaler, positions)


def _side_by_side(first: Values, second: Values) -> Array:
    return np.stack([first.astype(np.float64), second.astype(np.float64)], axis=1)


def _along(scaled: Array) -> Array:
    """Return the position of each row along each direction, float64 (n_rows, n_directions)."""
    known = np.where(np.isnan(scaled), 0.0, scaled)
    positions: Array = known @ np.array(DIRECTIONS).T
    return positions
