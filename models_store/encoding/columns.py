"""Column encoders: one kind of raw column each, learned from training rows, to network inputs and back.

number    scaled, or scaled and piecewise linear; missing: the median, and an input that says so
boolean   -1, 1; missing: 0, and an input that says so
date      scaled days, and where in year, week and day it is, as points on circles
category  one input a value; one for values that training did not see, one for missing
text      one input a word: is it there, or how telling is it (tf-idf)
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.encoding.scaler import Method, Scaler
from models_store.errors import BundleDamaged
from models_store.tables.table import Kind, Values, column_of
from models_store.tables.words import words_of

MOST_CATEGORIES = 256
# A value that stands in fewer training rows teaches nothing about itself; it teaches what an unseen value means.
FEWEST_OF_A_CATEGORY = 2
FEWEST_OF_A_WORD = 2
CYCLES = {"day": 1.0, "week": 7.0, "year": 365.2425}
Weighting = Literal["multi-hot", "tf-idf"]


class ColumnEncoder(Protocol):
    """`encode` and `decode` are inverse to each other, up to what the encoder has not learned."""

    @property
    def kind(self) -> Kind: ...

    @property
    def width(self) -> int:
        """How many network inputs a value becomes."""

    @property
    def takes_missing(self) -> bool:
        """Training rows had missing values, so that requests may."""

    def encode(self, values: Values) -> Array:
        """(n_rows,) -> (n_rows, width)"""

    def decode(self, encoded: Array) -> Values:
        """(n_rows, width) -> (n_rows,)"""

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """Which values lie outside what the training rows had; a missing one does not."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class NumberEncoder:
    """`edges`, if any, are quantiles: between two of them an input rises from 0 to 1, and beyond the last ones goes on.

    Piecewise linear encoding: Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", 2022. It lets a small network bend where the data are.
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
        """`bins` 0: scaled only."""
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
        low, high = self.edges[:-1], self.edges[1:]
        risen = (filled - low) / (high - low)
        pieces = np.clip(risen, 0.0, 1.0)
        pieces[:, 0] = np.minimum(risen[:, 0], 1.0)
        pieces[:, -1] = np.maximum(pieces[:, -1], risen[:, -1])
        return pieces

    def decode(self, encoded: Array) -> Values:
        numbers = self.scaler.inverse(encoded[:, :1])[:, 0]
        return np.where(encoded[:, -1] > 0.5, np.nan, numbers) if self.takes_missing else numbers

    def unknown(self, values: Values) -> NDArray[np.bool_]:
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
        edges = np.asarray(saved["edges"], dtype=np.float64)
        numbers = [float(saved[name]) for name in ("median", "lowest", "highest")]
        if not (np.isfinite(numbers).all() and np.isfinite(edges).all() and (np.diff(edges) > 0).all()):
            raise BundleDamaged("a number encoder holds a number that is not finite, or edges out of order")
        scaler = Scaler.from_dict(saved["scaler"])
        if edges.ndim != 1 or len(scaler.offset) != 1:
            raise BundleDamaged("a number encoder does not belong to one column")
        median, lowest, highest = numbers
        return cls(scaler, median, bool(saved["takes_missing"]), lowest, highest, edges)


@dataclass(frozen=True)
class BooleanEncoder:
    takes_missing: bool
    kind: Literal["boolean"] = "boolean"

    @classmethod
    def fit(cls, values: Values) -> Self:
        return cls(bool(np.isnan(values.astype(np.float64)).any()))

    @property
    def width(self) -> int:
        return 1 + self.takes_missing

    def encode(self, values: Values) -> Array:
        numbers = values.astype(np.float64)
        signs = np.nan_to_num(2 * numbers - 1, nan=0.0)[:, None]
        return np.concatenate([signs, np.isnan(numbers)[:, None]], axis=1) if self.takes_missing else signs

    def decode(self, encoded: Array) -> Values:
        numbers = (encoded[:, 0] > 0).astype(np.float64)
        return np.where(encoded[:, 1] > 0.5, np.nan, numbers) if self.takes_missing else numbers

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        return np.zeros(len(values), dtype=bool)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        return cls(bool(saved["takes_missing"]))


@dataclass(frozen=True, eq=False)
class DateEncoder:
    """The days as a number, which also says what is missing; then sine and cosine of each cycle."""

    days: NumberEncoder
    cycles: tuple[str, ...]
    kind: Literal["date"] = "date"

    @classmethod
    def fit(cls, values: Values) -> Self:
        """The time of day matters only if some training row has one."""
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
        numbers = values.astype(np.float64)
        filled = np.where(np.isnan(numbers), self.days.median, numbers)
        turns = [2 * np.pi * filled / CYCLES[cycle] for cycle in self.cycles]
        circles = [curve(turn)[:, None] for turn in turns for curve in (np.sin, np.cos)]
        return np.concatenate([*circles, self.days.encode(values)], axis=1)

    def decode(self, encoded: Array) -> Values:
        return self.days.decode(encoded[:, 2 * len(self.cycles) :])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        return self.days.unknown(values)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "days": self.days.to_dict(), "cycles": list(self.cycles)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        if not set(saved["cycles"]) <= CYCLES.keys():
            raise BundleDamaged("a date encoder knows a cycle that there is not")
        return cls(NumberEncoder.from_dict(saved["days"]), tuple(saved["cycles"]))


@dataclass(frozen=True)
class CategoryEncoder:
    """One slot a value, most frequent first; then unseen, then missing."""

    values: tuple[str, ...]
    takes_missing: bool
    kind: Literal["category"] = "category"

    @classmethod
    def fit(cls, values: Values) -> Self:
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
        encoded = np.zeros((len(values), self.width))
        encoded[np.arange(len(values)), self._slots(values)] = 1.0
        return encoded

    def _slots(self, values: Values) -> NDArray[np.int64]:
        unseen = len(self.values)
        slots: dict[str | None, int] = {value: slot for slot, value in enumerate(self.values)} | {None: unseen + 1}
        return np.fromiter((slots.get(value, unseen) for value in values), dtype=np.int64, count=len(values))

    def decode(self, encoded: Array) -> Values:
        """None for a missing value, and for one that was not seen."""
        known = (*self.values, None, None)
        return column_of("category", [known[slot] for slot in encoded.argmax(axis=1)])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        return np.equal(self._slots(values), len(self.values))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "values": list(self.values), "takes_missing": self.takes_missing}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        values = tuple(saved["values"])
        if len(set(values)) != len(values) or not all(isinstance(value, str) for value in values):
            raise BundleDamaged("a category encoder holds a value twice, or one that is no text")
        return cls(values, bool(saved["takes_missing"]))


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """The most frequent words of the training rows. tf-idf: Salton and Buckley, 1988, smoothed, rows of length 1."""

    words: tuple[str, ...]
    weights: Array
    weighting: Weighting
    takes_missing: bool
    kind: Literal["text"] = "text"

    @classmethod
    def fit(cls, values: Values, most_words: int = 10_000, weighting: Weighting = "multi-hot") -> Self:
        rows_with = Counter(word for text in values if text is not None for word in set(words_of(text)))
        frequent = sorted(
            (word for word, count in rows_with.items() if count >= FEWEST_OF_A_WORD),
            key=lambda word: (-rows_with[word], word),
        )[:most_words]
        counts = np.array([rows_with[word] for word in frequent], dtype=np.float64)
        weights = np.log((1 + len(values)) / (1 + counts)) + 1 if weighting == "tf-idf" else np.ones(len(frequent))
        return cls(tuple(frequent), weights, weighting, any(text is None for text in values))

    @property
    def width(self) -> int:
        return len(self.words)

    def encode(self, values: Values) -> Array:
        encoded = np.zeros((len(values), self.width), dtype=np.float32)
        places = self._places
        for row, text in enumerate(values):
            found = [places[word] for word in words_of(text or "") if word in places]
            if self.weighting == "tf-idf":
                np.add.at(encoded[row], found, self.weights[found].astype(np.float32))
                encoded[row] /= np.linalg.norm(encoded[row]) or 1.0
            else:
                encoded[row, found] = 1.0
        return encoded  # type: ignore[return-value]  # float32: words are many, and a weight needs no more

    def decode(self, encoded: Array) -> Values:
        """The words that it knows, each once, in order of frequency."""
        return column_of("text", [" ".join(self.words[place] for place in np.flatnonzero(row)) for row in encoded])

    def unknown(self, values: Values) -> NDArray[np.bool_]:
        """Texts without one word that it knows."""
        known = self._places.keys()
        return np.array([text is not None and known.isdisjoint(words_of(text)) for text in values], dtype=bool)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Made once: there are thousands, and a request may hold one row."""
        return {word: place for place, word in enumerate(self.words)}

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "words": list(self.words),
            "weights": self.weights.tolist(),
            "weighting": self.weighting,
            "takes_missing": self.takes_missing,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        words, weights = tuple(saved["words"]), np.asarray(saved["weights"], dtype=np.float64)
        if len(set(words)) != len(words) or weights.shape != (len(words),) or not np.isfinite(weights).all():
            raise BundleDamaged("a text encoder's words and weights do not belong together")
        if saved["weighting"] not in get_args(Weighting) or not all(isinstance(word, str) for word in words):
            raise BundleDamaged("a text encoder weighs words in a way that there is not, or some that are no words")
        return cls(words, weights, saved["weighting"], bool(saved["takes_missing"]))


ENCODERS: dict[Kind, Callable[[dict[str, Any]], ColumnEncoder]] = {
    "number": NumberEncoder.from_dict,
    "boolean": BooleanEncoder.from_dict,
    "date": DateEncoder.from_dict,
    "category": CategoryEncoder.from_dict,
    "text": TextEncoder.from_dict,
}


def encoder_from_dict(saved: dict[str, Any]) -> ColumnEncoder:
    kind = saved["kind"]
    if kind not in ENCODERS:
        raise BundleDamaged("a column is of a kind that there is not")
    return ENCODERS[kind](saved)


def _quantiles(seen: Array, bins: int) -> Array:
    """Up to `bins` + 1 different quantiles; none where two values are all there is."""
    if bins < 2:
        return np.empty(0)
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, bins + 1)))
    return edges if len(edges) > 2 else np.empty(0)
