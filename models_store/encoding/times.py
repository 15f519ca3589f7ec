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
class TimeEncoder:
    """A column of times of day: sine and cosine of the place in the day; then the seconds since midnight as a number.

    On the circle 23:59 lies beside 00:00; as numbers they are a day apart.
    """

    seconds: NumberEncoder
    kind: Literal["time"] = "time"

    @classmethod
    def fit(cls, values: Values, method: Method = "standard", bins: int = 0) -> Self:
        """Learn from training rows, seconds as float64 (n_rows,). `bins`: the most pieces of the number."""
        return cls(NumberEncoder.fit(values, method, bins))

    @property
    def takes_missing(self) -> bool:
        return self.seconds.takes_missing

    @property
    def width(self) -> int:
        return 2 + self.seconds.width

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width) of seconds; a missing time is the median one, and an input says so."""
        numbers = values.astype(np.float64)
        turns = 2 * np.pi * np.where(np.isnan(numbers), self.seconds.median, numbers)[:, None] / DAY
        return np.concatenate([np.sin(turns), np.cos(turns), self.seconds.encode(values)], axis=1)

    def decode(self, encoded: Array) -> Values:
        """Return seconds, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        return self.seconds.decode(encoded[:, 2:])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for times before or after all training rows."""
        return self.seconds.unknown(values)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "seconds": self.seconds.to_dict()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where `seconds` are damaged."""
        return cls(NumberEncoder.from_dict(saved["seconds"]))


@dataclass(frozen=True, eq=False)
class DurationEncoder:
    """A column of durations: the seconds as a number."""

    seconds: NumberEncoder
    kind: Literal["duration"] = "duration"

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
        """Return float64 (n_rows, width) of seconds; a missing duration is the median one, and an input says so."""
        return self.seconds.encode(values)

    def decode(self, encoded: Array) -> Values:
        """Return seconds, float64 (n_rows,), of inputs (n_rows, width); NaN where they say that one is missing."""
        return self.seconds.decode(encoded)

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for durations shorter or longer than all training rows."""
        return self.seconds.unknown(values)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "seconds": self.seconds.to_dict()}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where `seconds` are damaged."""
        return cls(NumberEncoder.from_dict(saved["seconds"]))
