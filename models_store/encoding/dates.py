"""An encoder of columns of dates."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.numbers import NumberEncoder
from models_store.errors import BundleDamaged
from models_store.tables.table import Values

# Days.
CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}


@dataclass(frozen=True, eq=False)
class DateEncoder:
    """A column of dates: sine and cosine of the place in each cycle; then the days since 1970-01-01 as a number."""

    days: NumberEncoder
    cycles: tuple[str, ...]
    kind: Literal["date"] = "date"

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Learn from training rows, days as float64 (n_rows,). `day` is a cycle only if some row has a time of day."""
        seen = values[~np.isnan(values.astype(np.float64))].astype(np.float64)
        has_times = bool((seen % 1 != 0).any())
        return cls(NumberEncoder.fit(values), ("day", "week", "year") if has_times else ("week", "year"))

    @property
    def takes_missing(self) -> bool:
        return self.days.takes_missing

    @property
    def width(self) -> int:
        return self.days.width + 2 * len(self.cycles)

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width) of days; a missing date is the median one, and an input says so."""
        numbers = values.astype(np.float64)
        filled = np.where(np.isnan(numbers), self.days.median, numbers)
        turns = [2 * np.pi * filled / CYCLES[cycle] for cycle in self.cycles]
        circles = [curve(turn)[:, None] for turn in turns for curve in (np.sin, np.cos)]
        return np.concatenate([*circles, self.days.encode(values)], axis=1)

    def decode(self, encoded: Array) -> Values:
        """Return days, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        return self.days.decode(encoded[:, 2 * len(self.cycles) :])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for dates before or after all training rows."""
        return self.days.unknown(values)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "days": self.days.to_dict(), "cycles": list(self.cycles)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where a cycle is unknown, or `days` are damaged."""
        if not set(saved["cycles"]) <= CYCLES.keys():
            raise BundleDamaged(f"date encoder: cycles must be among {', '.join(CYCLES)}")
        return cls(NumberEncoder.from_dict(saved["days"]), tuple(saved["cycles"]))
