"""Column encoders: raw values of one column to network inputs and back, as learned from training rows.

number    scaled, or scaled and piecewise linear; missing: the median, and an input that says so
boolean   -1, 1; missing: 0, and an input that says so
date      scaled days, and the place in year, week and day as points on circles; missing: as of a number
time      the place in the day as a point on a circle, and as of a number; missing: as of a number
duration  as of a number
category  one input a value; one for values that training did not see, one for missing
text      one input a word: 1 where it occurs, or its weight (tf-idf); missing: no words
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import BooleanEncoder, NumberEncoder
from models_store.encoding.texts import TextEncoder
from models_store.encoding.times import DurationEncoder, TimeEncoder
from models_store.errors import BundleDamaged
from models_store.tables.table import Kind, Values


class ColumnEncoder(Protocol):
    """`encode` and `decode` are inverse to each other, up to what the encoder has not learned."""

    @property
    def kind(self) -> Kind: ...

    @property
    def width(self) -> int:
        """The number of network inputs that a value becomes."""

    @property
    def takes_missing(self) -> bool:
        """True if training rows had missing values, so that requests may have them."""

    def encode(self, values: Values) -> Array:
        """Return network inputs, float64 or float32 (n_rows, width), of raw values (n_rows,)."""

    def decode(self, encoded: Array) -> Values:
        """Return raw values (n_rows,), in the dtype of the kind, of network inputs (n_rows, width)."""

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for values outside what the training rows had; a missing value is never unknown."""

    def to_dict(self) -> dict[str, Any]: ...


ENCODERS: dict[Kind, Callable[[dict[str, Any]], ColumnEncoder]] = {
    "number": NumberEncoder.from_dict,
    "boolean": BooleanEncoder.from_dict,
    "date": DateEncoder.from_dict,
    "time": TimeEncoder.from_dict,
    "duration": DurationEncoder.from_dict,
    "category": CategoryEncoder.from_dict,
    "text": TextEncoder.from_dict,
}


def encoder_from_dict(saved: dict[str, Any]) -> ColumnEncoder:
    """Raises BundleDamaged, or LookupError where a field is missing."""
    kind = saved["kind"]
    if kind not in ENCODERS:
        raise BundleDamaged(f"column encoder: kind must be one of {', '.join(ENCODERS)}")
    return ENCODERS[kind](saved)
