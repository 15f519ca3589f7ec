"""Raw rows to network inputs.

InputEncoder    raw numbers (n_rows, n_columns) -> monomials -> Scaler -> (n_rows, n_inputs)
TableEncoder    raw Table -> one ColumnEncoder a column, and PairEncoders, side by side -> (n_rows, n_inputs)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, chain, combinations_with_replacement
from math import comb
from typing import Any, Protocol, Self

import numpy as np

from models_store.arrays import Array, Dtype, Encoded
from models_store.encoding.columns import ColumnEncoder, encoder_from_dict
from models_store.encoding.few_rows import NumbersAtOnce
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.pairs import PairEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import Kind, Raw, Table, Values, are_missing
from models_store.wording import shortened_name

# Up to so many rows, calls of NumPy cost more than what they compute.
FEW_ROWS = 64


class Encoder(Protocol):
    """Raw rows to network inputs."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column, in order."""

    @property
    def n_inputs(self) -> int:
        """The number of network inputs."""

    def encode(self, raw: Raw) -> Encoded:
        """Return network inputs (n_rows, n_inputs), in the dtype of the network; inf where one is too large for it."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class InputEncoder:
    """Columns in order, all their monomials up to `degree`, scaled by numbers learned from training rows."""

    columns: tuple[str, ...]
    degree: int
    scaler: Scaler
    dtype: Dtype = "float32"

    def encode(self, raw: Raw) -> Encoded:
        """Return inputs (n_rows, n_inputs) of float64 (n_rows, n_columns); inf where one is too large for the dtype."""
        assert isinstance(raw, np.ndarray)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.scaler.transform(monomials(raw, self.degree)).astype(self.dtype)

    @property
    def kinds(self) -> dict[str, Kind]:
        return dict.fromkeys(self.columns, "number")

    @property
    def n_inputs(self) -> int:
        return len(self.scaler.offset)

    def to_dict(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "degree": self.degree,
            "scaler": self.scaler.to_dict(),
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged where the scaler is of other inputs, LookupError where a field is missing."""
        encoder = cls(tuple(saved["columns"]), saved["degree"], Scaler.from_dict(saved["scaler"]), saved["dtype"])
        expected = n_monomials(len(encoder.columns), encoder.degree)
        if encoder.n_inputs != expected:
            raise BundleDamaged(f"encoder: scaler is of {encoder.n_inputs} inputs; its columns make {expected}")
        return encoder


@dataclass(frozen=True, eq=False)
class TableEncoder:
    """A column encoder for each column, by name, and encoders of pairs of them; their inputs stand side by side."""

    encoders: dict[str, ColumnEncoder]
    dtype: Dtype = "float32"
    spelling: Spelling = PLAIN
    fills: Mapping[str, float | str] = field(default_factory=dict)
    """What stands in for a missing value, by column, where no training row had one: the median or most frequent cell.

    A column that is not here takes no missing value, unless its encoder has learned what one means.
    """
    pairs: tuple[PairEncoder, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    @property
    def kinds(self) -> dict[str, Kind]:
        return {name: encoder.kind for name, encoder in self.encoders.items()}

    @property
    def n_inputs(self) -> int:
        return self._ends[-1]

    def encode(self, raw: Raw) -> Encoded:
        """Return network inputs (n_rows, n_inputs) of a table; inf where one is too large for the dtype."""
        assert isinstance(raw, Table)
        encoded = np.empty((len(raw), self._ends[-1]), dtype=self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            if len(raw) <= FEW_ROWS and self._numbers:
                self._encode_at_once(raw, encoded)
            else:
                self._encode_by_column(raw, encoded)
        return encoded

    def _encode_by_column(self, raw: Table, encoded: Encoded) -> None:
        """Write column by column into one array: a large table is never held twice."""
        for place, (name, encoder) in enumerate(self.encoders.items()):
            encoded[:, self._slice(place)] = encoder.encode(self._filled(name, raw.columns[name]))
        for place, pair in enumerate(self.pairs, len(self.encoders)):
            encoded[:, self._slice(place)] = pair.encode(*self._both(pair, raw))

    def _encode_at_once(self, raw: Table, encoded: Encoded) -> None:
        """Write the same, all numbers in one go."""
        for place, (name, encoder) in enumerate(self.encoders.items()):
            if name not in self._numbers:
                encoded[:, self._slice(place)] = encoder.encode(self._filled(name, raw.columns[name]))
        columns = [self._filled(name, raw.columns[name]).astype(np.float64) for name in self._numbers]
        along = [position for pair in self.pairs for position in pair.along(*self._both(pair, raw))]
        self._at_once.encode([*columns, *along], encoded)

    @cached_property
    def _ends(self) -> list[int]:
        """Where the inputs of each encoder end, those of the pairs last; begins with 0."""
        widths = [encoder.width for encoder in self.encoders.values()] + [pair.width for pair in self.pairs]
        return list(accumulate(widths, initial=0))

    @cached_property
    def _numbers(self) -> dict[str, NumberEncoder]:
        return {name: encoder for name, encoder in self.encoders.items() if isinstance(encoder, NumberEncoder)}

    @cached_property
    def _at_once(self) -> NumbersAtOnce:
        begins = [self._ends[place] for place, name in enumerate(self.encoders) if name in self._numbers]
        positions = [pair.positions for pair in self.pairs]
        for own, begin in zip(positions, self._ends[len(self.encoders) :], strict=False):
            begins += accumulate((position.width for position in own[:-1]), initial=begin)
        return NumbersAtOnce.of([*self._numbers.values(), *chain.from_iterable(positions)], begins)

    def _slice(self, place: int) -> slice:
        return slice(self._ends[place], self._ends[place + 1])

    def _both(self, pair: PairEncoder, raw: Table) -> tuple[Values, Values]:
        first, second = pair.columns
        return self._filled(first, raw.columns[first]), self._filled(second, raw.columns[second])

    def takes_missing(self, name: str) -> bool:
        return self.encoders[name].takes_missing or name in self.fills

    def _filled(self, name: str, values: Values) -> Values:
        if name not in self.fills or not (missing := are_missing(values)).any():
            return values
        filled = values.copy()
        filled[missing] = self.fills[name]
        return filled

    def to_dict(self) -> dict[str, Any]:
        saved = {
            "table": {name: encoder.to_dict() for name, encoder in self.encoders.items()},
            "dtype": self.dtype,
            "spelling": self.spelling.to_dict(),
            "fills": dict(self.fills),
        }
        return saved | {"pairs": [pair.to_dict() for pair in self.pairs]} if self.pairs else saved

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged, which names the column, or LookupError where a field is missing."""
        encoders = {name: _column_encoder(name, column) for name, column in dict(saved["table"]).items()}
        # Bundles from before there were spellings have none.
        spelling = Spelling.from_dict(saved["spelling"]) if "spelling" in saved else PLAIN
        # Bundles from before missing values were filled in have none, and refuse them as they did.
        fills = {name: _fill(name, encoders, fill) for name, fill in dict(saved.get("fills", {})).items()}
        pairs = tuple(_pair(pair, encoders) for pair in saved.get("pairs", ()))
        return cls(encoders, saved["dtype"], spelling, fills, pairs)


def _column_encoder(name: str, saved: dict[str, Any]) -> ColumnEncoder:
    try:
        return encoder_from_dict(saved)
    except BundleDamaged as error:
        raise BundleDamaged(f"column {shortened_name(name)}: {error}") from error


def _pair(saved: dict[str, Any], encoders: Mapping[str, ColumnEncoder]) -> PairEncoder:
    pair = PairEncoder.from_dict(saved)
    if not all(name in encoders and encoders[name].kind == "number" for name in pair.columns):
        raise BundleDamaged("a pair: expected the names of two columns of numbers")
    return pair


def _fill(name: str, encoders: Mapping[str, ColumnEncoder], saved: object) -> float | str:
    is_text = name in encoders and encoders[name].kind in ("category", "text")
    if name not in encoders or not isinstance(saved, str if is_text else float) or saved != saved:  # NaN
        raise BundleDamaged(f"column {shortened_name(name)}: its fill must be a {'text' if is_text else 'number'}")
    return saved


def input_encoder_from(saved: dict[str, Any]) -> Encoder:
    """Raises BundleDamaged, or LookupError where a field is missing."""
    return TableEncoder.from_dict(saved) if "table" in saved else InputEncoder.from_dict(saved)


def monomials(raw: Array, degree: int) -> Array:
    """Return every product of 1 to `degree` columns, float64 (n_rows, n_monomials).

    x1, x2 become x1, x2, x1², x1·x2, x2² for degree 2.
    """
    if degree == 1:
        return raw
    n_columns = raw.shape[1]
    products = [
        raw[:, factors].prod(axis=1)
        for size in range(1, degree + 1)
        for factors in combinations_with_replacement(range(n_columns), size)
    ]
    return np.stack(products, axis=1)


def n_monomials(n_columns: int, degree: int) -> int:
    """Return the number of columns that `monomials` makes: C(n_columns + degree, degree) - 1."""
    return comb(n_columns + degree, degree) - 1
