"""An encoder of columns of categories."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.errors import BundleDamaged
from models_store.tables.table import Values, column_of

MOST_CATEGORIES = 256
# A value that stands in fewer training rows teaches nothing about itself; it teaches what an unseen value means.
FEWEST_OF_A_CATEGORY = 2


@dataclass(frozen=True)
class CategoryEncoder:
    """A column of categories: one input a value, the most frequent first; then one for unseen, one for missing."""

    values: tuple[str, ...]
    takes_missing: bool
    kind: Literal["category"] = "category"

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Learn from training rows, objects (n_rows,): str, or None where missing."""
        counts = Counter(value for value in values if value is not None)
        frequent = sorted(
            (value for value, count in counts.items() if count >= FEWEST_OF_A_CATEGORY),
            key=lambda value: (-counts[value], value),
        )
        return cls(tuple(frequent[:MOST_CATEGORIES]), sum(counts.values()) < len(values))

    @property
    def width(self) -> int:
        return len(self.values) + 2

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width), one 1 in each row."""
        encoded = np.zeros((len(values), self.width))
        encoded[np.arange(len(values)), self._slots(values)] = 1.0
        return encoded

    def _slots(self, values: Values) -> NDArray[np.int64]:
        """Return the place of the 1 in each row, (n_rows,)."""
        unseen = len(self.values)
        slots: dict[str | None, int] = {value: slot for slot, value in enumerate(self.values)} | {None: unseen + 1}
        return np.fromiter((slots.get(value, unseen) for value in values), dtype=np.int64, count=len(values))

    def decode(self, encoded: Array) -> Values:
        """Return categories, objects (n_rows,), of inputs (n_rows, width): None for missing, and for unseen."""
        known = (*self.values, None, None)
        return column_of("category", [known[slot] for slot in encoded.argmax(axis=1)])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for values that are not among those learned."""
        return np.equal(self._slots(values), len(self.values))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": list(self.values), "takes_missing": self.takes_missing}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where `values` are not different texts."""
        values = tuple(saved["values"])
        if len(set(values)) != len(values) or not all(isinstance(value, str) for value in values):
            raise BundleDamaged("category encoder: values must be texts, none of them twice")
        return cls(values, bool(saved["takes_missing"]))
