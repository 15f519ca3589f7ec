"""The way a table writes dates and missing values; kept in the bundle, so that requests may write them alike."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self, get_args

from models_store.errors import BundleDamaged
from models_store.tables.kinds import ORDERED
from models_store.tables.missing_words import cells_of
from models_store.tables.table import MISSING, Cell, Kind, from_text

DateOrder = Literal["day-first", "month-first"]

# Missing in a column of numbers, dates, times or durations. As a category such a word may mean something: `none` of a
# kind of pool.
SPREADSHEET_ERRORS = frozenset({"#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!"})
# .a to .z of Stata; .A to .Z and ._ of SAS.
STATISTICS_PROGRAMS = frozenset(f".{letter}" for letter in string.ascii_letters + "_")
PYTHON = frozenset({"None", "none", "<NA>", "NaT"})
NOTHING = frozenset({"-", "--", "?", ".", "n/a"}) | SPREADSHEET_ERRORS | STATISTICS_PROGRAMS | PYTHON
EXAMPLES: dict[DateOrder, str] = {"day-first": "31/05/2024", "month-first": "05/31/2024"}
WRITTEN = re.compile(
    r"([0-9]{1,2})([/.-])([0-9]{1,2})\2([0-9]{4})(?:[T ]([0-9]{1,2})(:[0-9]{2}(?::[0-9]{2})?))?", re.ASCII
)


@dataclass(frozen=True)
class Spelling:
    """`missing`: further words for a missing value; `orders`: of day and month, by date column that is not ISO 8601."""

    missing: frozenset[str] = frozenset()
    orders: Mapping[str, DateOrder] = field(default_factory=dict)

    def is_missing(self, kind: Kind, text: str) -> bool:
        word = text.strip()
        return word in MISSING or word in self.missing or (kind in ORDERED and word in NOTHING)

    def missing_cells(self, name: str, kind: Kind) -> frozenset[Cell]:
        """Return the cells of column `name` that the words of `missing` mean, whatever way they are written."""
        return cells_of(self.missing, kind, partial(self.cell, name)) if self.missing else frozenset()

    def plain(self, name: str, kind: Kind, text: str) -> str:
        """Return a cell of column `name` as `table.from_text` takes it: a date as ISO 8601."""
        order = self.orders.get(name) if kind == "date" else None
        return text if order is None else iso_of(text, order)

    def cell(self, name: str, kind: Kind, text: str) -> Cell:
        """Return a text as a cell. Raises ValueError where it is of another kind."""
        try:
            return from_text(kind, self.plain(name, kind, text))
        except ValueError as error:
            raise ValueError(self.expected(name, kind, error)) from None

    def expected(self, name: str, kind: Kind, error: ValueError) -> str:
        """Return the words of the error, with the other way to write a date in this column."""
        order = self.orders.get(name) if kind == "date" else None
        return str(error) if order is None else f"{error}, or {EXAMPLES[order]} ({order})"

    def to_dict(self) -> dict[str, Any]:
        return {"missing": sorted(self.missing), "orders": dict(self.orders)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        missing, orders = frozenset(saved["missing"]), dict(saved["orders"])
        if not all(isinstance(word, str) for word in missing) or not set(orders.values()) <= {*get_args(DateOrder)}:
            raise BundleDamaged("spelling: missing must be texts, and each of orders day-first or month-first")
        return cls(missing, orders)


PLAIN = Spelling()


def iso_of(text: str, order: DateOrder) -> str:
    """Return 31/12/2020 as 2020-12-31; a text written in any other way stays as it is."""
    found = WRITTEN.fullmatch(text.strip())
    if found is None:
        return text
    first, _, second, year, hour, minutes = found.groups()
    day, month = (first, second) if order == "day-first" else (second, first)
    time = f"T{hour:0>2}{minutes}" if hour else ""
    return f"{year}-{month:0>2}-{day:0>2}{time}"
