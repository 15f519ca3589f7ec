"""Encoders of columns of times of day, and of durations."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.scaler import Method
from models_store.tables.clock import DAY
from models_store.tables.table import Values


@dataclass(frozen=True, eq=False)
class _SecondsEncoder:
    """A column of seconds, as a number."""

    seconds: NumberEncoder

    @classmethod
    def fit(cls, values: Values, method: Method = "standard", bins: int = 0) -> Self:
        """Learn from training rows, seconds as float64 (n_rows,). `bins`: the most pieces of the number."""
        return cls(NumberEncoder.fit(values, method, bins))

    @property
    def takes_missing(self) -> bool:
        return self.seconds.takes_missing

    @property
    def width(self) -> int:
        return self.seconds.width

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width) of seconds; a missing value is the median one, and an input says so."""
        return self.seconds.encode(values)

    def decode(self, encoded: Array) -> Values:
        """Return seconds, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        return self.seconds.decode(encoded)

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for seconds below or above those of all training rows."""
        return self.seconds.unknown(values)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where `seconds` are damaged."""
        return cls(NumberEncoder.from_dict(saved["seconds"]))


@dataclass(frozen=True, eq=False)
class DurationEncoder(_SecondsEncoder):
    """A column of durations: the seconds as a number."""

    kind: Literal["duration"] = "duration"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "seconds": self.seconds.to_dict()}


@dataclass(frozen=True, eq=False)
class TimeEncoder(_SecondsEncoder):
    """A column of times of day: sine and cosine of the place in the day; then the seconds since midnight as a number.

    On the circle 23:59 lies beside 00:00; as numbers they are a day apart.
    """

    kind: Literal["time"] = "time"

    @property
    def width(self) -> int:
        return 2 + super().width

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width) of seconds; a missing time is the median one, and an input says so."""
        numbers = values.astype(np.float64)
        turns = 2 * np.pi * np.where(np.isnan(numbers), self.seconds.median, numbers)[:, None] / DAY
        return np.concatenate([np.sin(turns), np.cos(turns), super().encode(values)], axis=1)

    def decode(self, encoded: Array) -> Values:
        """Return seconds, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        return super().decode(encoded[:, 2:])

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "seconds": self.seconds.to_dict()}
