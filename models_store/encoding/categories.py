"""An encoder of columns of categories."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
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
    """A column of categories: one input a value, the most frequent first; then one for unseen, one for missing.

    Of a column of many values, inputs follow that tell what the targets of a value's training rows were.
    """

    values: tuple[str, ...]
    takes_missing: bool
    means: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The mean target of the training rows of each value, for each target, beside that of all rows, which is 0.

    Values with few rows are drawn towards 0, where missing and unseen ones are. Of each label, its share. Empty where
    one input a value is enough.
    """
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
        return len(self.values) + 2 + self.n_means

    @property
    def n_means(self) -> int:
        """The number of inputs that tell of targets; they are the last ones."""
        return len(next(iter(self.means.values()), ()))

    def encode(self, values: Values) -> Array:
        """Return float64 (n_rows, width), one 1 in each row, and the means of its value."""
        encoded = np.zeros((len(values), self.width))
        encoded[np.arange(len(values)), self.slots(values)] = 1.0
        if self.means:
            no_means = (0.0,) * self.n_means
            encoded[:, -self.n_means :] = [self.means.get(value, no_means) for value in values]
        return encoded

    def slots(self, values: Values) -> NDArray[np.int64]:
        """Return the place of the 1 in each row, (n_rows,)."""
        unseen = len(self.values)
        slots: dict[str | None, int] = {value: slot for slot, value in enumerate(self.values)} | {None: unseen + 1}
        return np.fromiter((slots.get(value, unseen) for value in values), dtype=np.int64, count=len(values))

    def decode(self, encoded: Array) -> Values:
        """Return categories, objects (n_rows,), of inputs (n_rows, width): None for missing, and for unseen."""
        known = (*self.values, None, None)
        slots = encoded[:, : len(known)].argmax(axis=1)
        return column_of("category", [known[slot] for slot in slots])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """True (n_rows,) for values that are not among those learned."""
        is_unseen = np.equal(self.slots(values), len(self.values))
        return is_unseen & [value not in self.means for value in values] if self.means else is_unseen

    def to_dict(self) -> dict[str, Any]:
        saved = {"kind": self.kind, "values": list(self.values), "takes_missing": self.takes_missing}
        # Files of columns without means are those of earlier releases.
        return saved | ({"means": {value: list(means) for value, means in self.means.items()}} if self.means else {})

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where `values` are not different texts, or `means` not as many numbers each."""
        values = tuple(saved["values"])
        if len(set(values)) != len(values) or not all(isinstance(value, str) for value in values):
            raise BundleDamaged("category encoder: values must be texts, none of them twice")
        means = {value: tuple(numbers) for value, numbers in dict(saved.get("means", {})).items()}
        are_numbers = all(isinstance(one, float) and isfinite(one) for numbers in means.values() for one in numbers)
        if len({len(numbers) for numbers in means.values()}) > 1 or not are_numbers:
            raise BundleDamaged("category encoder: means must be finite numbers, as many for each value")
        return cls(values, bool(saved["takes_missing"]), means)
