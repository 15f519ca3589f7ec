"""The way a table writes dates and missing values; kept in the bundle, so that requests may write them alike."""

import datetime
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, get_args

from models_store.errors import BundleDamaged
from models_store.tables.clock import seconds_in, time_of
from models_store.tables.date_formats import form_of
from models_store.tables.kinds import ORDERED
from models_store.tables.missing_words import cells_of
from models_store.tables.moments import (
    EPOCH,
    MICROSECONDS_A_DAY,
    DateForm,
    DateOrder,
    forms_in,
    iso_in,
    microseconds_in,
)
from models_store.tables.table import MISSING, Cell, Kind, from_text

__all__ = ["DateOrder", "Spelling"]

# Missing in a column of numbers, dates, times or durations. As a category such a word may mean something: `none` of a
# kind of pool.
SPREADSHEET_ERRORS = frozenset({"#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!"})
# .a to .z of Stata; .A to .Z and ._ of SAS.
STATISTICS_PROGRAMS = frozenset(f".{letter}" for letter in string.ascii_letters + "_")
PYTHON = frozenset({"None", "none", "<NA>", "NaT"})
NOTHING = frozenset({"-", "--", "?", ".", "n/a"}) | SPREADSHEET_ERRORS | STATISTICS_PROGRAMS | PYTHON
EXAMPLES: dict[DateOrder, str] = {"day-first": "31/05/2024", "month-first": "05/31/2024"}
EXAMPLE = datetime.datetime(2024, 5, 31, 18, 30)
# A whole number that a program wrote as a float, as pandas does where some are missing.
WHOLE = re.compile(r"(-?[0-9]+)\.0*")
DIRECTIVE = re.compile("%.")


@dataclass(frozen=True)
class Spelling:
    """How the cells of a table are written, beside the spellings that need no word."""

    missing: frozenset[str] = frozenset()
    """Further words for a missing value."""
    orders: Mapping[str, DateOrder] = field(default_factory=dict)
    """The order of day and month, by date column that has such dates as 03/04/2020."""
    formats: Mapping[str, str] = field(default_factory=dict)
    """The format of `date_formats`, by column of dates or times that has one."""

    def is_missing(self, kind: Kind, text: str) -> bool:
        word = text.strip()
        return word in MISSING or word in self.missing or (kind in ORDERED and word in NOTHING)

    def missing_cells(self, name: str, kind: Kind) -> frozenset[Cell]:
        """Return the cells of column `name` that the words of `missing` mean, whatever way they are written."""
        return cells_of(self.missing, kind, partial(self.cell, name)) if self.missing else frozenset()

    def forms(self, name: str) -> tuple[DateForm, ...]:
        """Return the forms of dates in column `name`: its format first."""
        written = self.formats.get(name)
        return (*(() if written is None else (form_of(written),)), *forms_in(self.orders.get(name)))

    def plain(self, name: str, kind: Kind, value: Any) -> Any:
        """Return a value of column `name` as `table.from_text` takes it: a date as ISO 8601, whatever its format.

        Where there is a format of digits, a number is such a text as well: 20200314 for %Y%m%d.
        """
        if kind not in ("date", "time") or (name not in self.orders and name not in self.formats):
            return value
        texts = _texts_of(value) if name in self.formats else [value.strip()] if isinstance(value, str) else []
        found = [self._moment(name, kind, text) for text in texts]
        return next((moment for moment in found if moment is not None), value)

    def _moment(self, name: str, kind: Kind, text: str) -> str | None:
        if kind == "date":
            return iso_in(text, self.forms(name))
        found = microseconds_in(text, [form_of(self.formats[name])]) if name in self.formats else None
        return None if found is None else time_of(seconds_in(found % MICROSECONDS_A_DAY))

    def cell(self, name: str, kind: Kind, text: str) -> Cell:
        """Return a text as a cell. Raises ValueError where it is of another kind."""
        try:
            return from_text(kind, self.plain(name, kind, text))
        except ValueError as error:
            raise ValueError(self.expected(name, kind, error)) from None

    def expected(self, name: str, kind: Kind, error: ValueError) -> str:
        """Return the words of the error, with the other way to write a date in this column."""
        if kind in ("date", "time") and (written := self.formats.get(name)) is not None:
            return f"{error}, or {_example(written)} ({written})"
        order = self.orders.get(name) if kind == "date" else None
        return str(error) if order is None else f"{error}, or {EXAMPLES[order]} ({order})"

    def to_dict(self) -> dict[str, Any]:
        return {"missing": sorted(self.missing), "orders": dict(self.orders), "formats": dict(self.formats)}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        """Raises BundleDamaged. Bundles from before there were formats have none."""
        missing, orders, formats = frozenset(saved["missing"]), dict(saved["orders"]), dict(saved.get("formats", {}))
        if not all(isinstance(word, str) for word in missing) or not set(orders.values()) <= {*get_args(DateOrder)}:
            raise BundleDamaged("spelling: missing must be texts, and each of orders day-first or month-first")
        for name, written in formats.items():
            try:
                form_of(written)
            except (ValueError, TypeError) as error:
                raise BundleDamaged(f"spelling: the format of column {name}: {error}") from None
        return cls(missing, orders, formats)


PLAIN = Spelling()


def _texts_of(value: Any) -> list[str]:
    """Return the texts that a value of a column with a format may stand for: of a whole number its digits."""
    match value:
        case bool():
            return []
        case int():
            return [str(value)]
        case float() if value.is_integer():
            return [str(int(value))]
        case str():
            found = WHOLE.fullmatch(value.strip())
            return [value.strip()] if found is None else [value.strip(), found[1]]
    return []


def _example(written: str) -> str:
    seconds = (EXAMPLE - EPOCH) // datetime.timedelta(seconds=1)
    # What `strftime` makes of these depends on the system.
    since_1970 = {"%s": str(seconds), "%Q": str(seconds * 1000)}
    return EXAMPLE.strftime(DIRECTIVE.sub(lambda found: since_1970.get(found[0], found[0]), written))
