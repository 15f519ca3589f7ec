"""Raw columns of a table, before any encoding: what a request or a training holds. Lives as long as either.

number, boolean (0, 1), date (days since 1970-01-01)    float64, NaN where missing
category, text                                          objects: str, None where missing
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from models_store.tables import kinds

Kind = kinds.Kind
Values = NDArray[np.float64] | NDArray[np.object_]
Cell = float | str | None

# What a file may hold where a value is missing.
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL"})
TRUE = frozenset({"true", "yes"})
FALSE = frozenset({"false", "no"})
# What `float` accepts beyond this (1_000, nan, digits of other scripts) nobody means.
NUMBER = re.compile(r"[-+]?([0-9]++\.?[0-9]*+|\.[0-9]++)([eE][-+]?[0-9]++)?", re.ASCII)
# A number with a leading zero, or with more digits than a float64 keeps, is a code, such as a zip code.
CODE = re.compile(r"[-+]?0[0-9]", re.ASCII)
MOST_DIGITS = 15
# Of a moment with a zone, what the clock showed there counts.
DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[-+][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)
EPOCH = datetime.datetime(1970, 1, 1)
MICROSECONDS_A_DAY = 86_400_000_000
# Days of the years that ISO 8601 writes with four digits, 0001 to 9999; the last is the first beyond them.
FIRST_DAY, LAST_DAY = -719162, 2932897
# Of days farther from 1970 than these, a float64 does not keep each microsecond apart.
DAYS_OF_MICROSECONDS, MILLISECOND = 1 << 16, 1000
LONGEST_CATEGORY = 200
EXPECTED: dict[Kind, str] = {
    "number": "a number",
    "category": "a text, a number or a boolean",
    "boolean": "true or false",
    "date": "a date such as 2024-05-31 or 2024-05-31T18:00",
    "text": "a text",
}


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length, by name, in order."""

    columns: Mapping[str, Values]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, places: Any) -> "Table":
        return Table({name: values[places] for name, values in self.columns.items()})

    @classmethod
    def joined(cls, tables: Sequence["Table"]) -> Self:
        """Rows of tables with the same columns, one after another."""
        names = tables[0].columns
        return cls({name: np.concatenate([table.columns[name] for table in tables]) for name in names})


Raw = NDArray[np.float64] | Table


def take(raw: Raw, places: Any) -> Raw:
    return raw.take(places) if isinstance(raw, Table) else raw[places]


def joined(raws: Sequence[Raw]) -> Raw:
    """Rows of the same columns, one after another."""
    tables = [raw for raw in raws if isinstance(raw, Table)]
    return Table.joined(tables) if tables else np.concatenate([np.asarray(raw) for raw in raws])


def to_json(raw: Raw, kinds: Mapping[str, Kind]) -> list[list[float | bool | str | None]]:
    """Rows of JSON values, in the order of `kinds`, as a request may hold them."""
    if not isinstance(raw, Table):
        rows: list[list[float | bool | str | None]] = raw.tolist()
        return rows
    columns = [[_shown(kind, cell) for cell in raw.columns[name].tolist()] for name, kind in kinds.items()]
    return [list(row) for row in zip(*columns, strict=True)]


def _shown(kind: Kind, cell: Cell) -> float | bool | str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if np.isnan(cell):
        return None
    return bool(cell) if kind == "boolean" else moment_of(cell) if kind == "date" else cell


def column_of(kind: Kind, cells: Sequence[Cell]) -> Values:
    """Parsed cells, None where missing, as a column."""
    if kind in ("category", "text"):
        column = np.empty(len(cells), dtype=object)
        column[:] = cells
        return column
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def from_json(kind: Kind, value: object) -> Cell:
    """A JSON value as a cell. ValueError if it is of another kind; null is for the caller to judge."""
    match kind, value:
        case "number", int() | float() if not isinstance(value, bool):
            return _finite(value)
        case "boolean", bool():
            return float(value)
        case "boolean", str():
            return from_text(kind, value)
        case "category", bool():
            return "true" if value else "false"
        case "category", int() | float():
            _finite(value)
            return from_text(kind, repr(value))
        case "category" | "text" | "date", str():
            return from_text(kind, value)
    raise ValueError(EXPECTED[kind])


def from_text(kind: Kind, text: str) -> Cell:
    """What stands in a file as a cell. ValueError if it is of another kind; missing is for the caller to judge."""
    match kind:
        case "number" if NUMBER.fullmatch(text.strip()):
            return _finite(float(text))
        case "boolean" if text.strip().lower() in TRUE | FALSE:
            return float(text.strip().lower() in TRUE)
        case "date" if DATE.fullmatch(text.strip()):
            return days_of(_moment(text.strip()))
        case "category" if len(text) <= LONGEST_CATEGORY:
            return category_of(text)
        case "category":
            raise ValueError(f"a category of at most {LONGEST_CATEGORY} characters")
        case "text":
            return text
    raise ValueError(EXPECTED[kind])


def label_from_text(kind: Kind, text: str) -> Cell:
    """A label as it stands in a file, because it is answered: 1.10 and 1E3 are names where not all are numbers."""
    from_text(kind, text)
    return text.strip()


def _moment(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:  # the 30th of February; its words would repeat the text
        raise ValueError(EXPECTED["date"]) from None


def category_of(text: str) -> str:
    """3, 3.0, 3e0 and "3" are one category; 007 is not 7; True and true are one."""
    text = text.strip()
    if NUMBER.fullmatch(text) and not CODE.match(text) and sum(map(str.isdigit, text)) <= MOST_DIGITS:
        number = float(text)
        if isfinite(number):
            return str(int(number)) if number.is_integer() and abs(number) < 10**MOST_DIGITS else repr(number)
    return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text


def days_of(moment: datetime.datetime) -> float:
    return days_in((moment - EPOCH) // datetime.timedelta(microseconds=1))


@overload
def days_in(microseconds: int) -> float: ...


@overload
def days_in(microseconds: NDArray[np.int64]) -> NDArray[np.float64]: ...


def days_in(microseconds: Any) -> Any:
    """Of whole microseconds since 1970-01-01: one way for all formats, so that all agree to the last bit."""
    # As float64 before it is divided, because NumPy divides so, and Python would not.
    return microseconds * 1.0 / MICROSECONDS_A_DAY


def moment_of(days: float) -> str:
    """ISO 8601; a date where it is midnight."""
    whole = int(days // 1)
    microseconds = round((days - whole) * MICROSECONDS_A_DAY)
    if abs(days) > DAYS_OF_MICROSECONDS:
        microseconds = round(microseconds / MILLISECOND) * MILLISECOND
    # The last moments of the year 9999 may be rounded up to one that there is not.
    since = min(datetime.timedelta(whole, microseconds=microseconds), datetime.datetime.max - EPOCH)
    moment = EPOCH + since
    is_date = moment.time() == datetime.time()
    return moment.date().isoformat() if is_date else moment.isoformat()


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("a number that a float64 can hold") from None
    if not isfinite(number):
        raise ValueError("a finite number")
    return number
