"""Raw columns of a table, before any encoding. They live as long as the request or the training that holds them.

number, boolean (0, 1), date (days since 1970-01-01),
time (seconds since midnight), duration (seconds)       float64, NaN where missing
category, text                                          objects: str, None where missing
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self, overload

import numpy as np
from numpy.typing import NDArray

from models_store.tables import kinds
from models_store.tables.clock import MILLISECOND, duration_of, duration_seconds, time_of, time_seconds
from models_store.tables.moments import EPOCH, MICROSECONDS_A_DAY, microseconds_in
from models_store.tables.number_syntax import LEADING_ZERO, MOST_DIGITS, NUMBER

Kind = kinds.Kind
Values = NDArray[np.float64] | NDArray[np.object_]
Cell = float | str | None

# Words for a missing value in files, of any kind of column.
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL"})
TRUE = frozenset({"true", "yes"})
FALSE = frozenset({"false", "no"})
# A float64 tells microseconds apart only in this many days around 1970; farther away, milliseconds.
DAYS_OF_MICROSECONDS = 1 << 16
LONGEST_CATEGORY = 200
EXPECTED: dict[Kind, str] = {
    "number": "a number",
    "category": "a text, a number or a boolean",
    "boolean": "true or false",
    "date": "a date such as 2024-05-31 or 2024-05-31T18:00",
    "time": "a time of day such as 13:31 or 13:31:05",
    "duration": "a duration such as 85:00:00, 3 days 13:00:00 or PT85H",
    "text": "a text",
}


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length, by name, in order: float64 or object (n_rows,)."""

    columns: Mapping[str, Values]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, places: Any) -> "Table":
        """Return the rows at `places`: whatever indexes an array, such as a slice, a mask or integers."""
        return Table({name: values[places] for name, values in self.columns.items()})

    @classmethod
    def joined(cls, tables: Sequence["Table"]) -> Self:
        """Concatenate the rows of tables that have the same columns."""
        names = tables[0].columns
        return cls({name: np.concatenate([table.columns[name] for table in tables]) for name in names})


Raw = NDArray[np.float64] | Table
"""Raw rows: float64 (n_rows, n_columns) where all columns are numbers of a formula, or a table."""


def take(raw: Raw, places: Any) -> Raw:
    """Return the rows at `places`: whatever indexes an array, such as a slice, a mask or integers."""
    return raw.take(places) if isinstance(raw, Table) else raw[places]


def places_spread(n_rows: int, n: int) -> NDArray[np.int64]:
    """Return the places of n of so many rows, spread evenly from the first to the last."""
    return np.linspace(0, n_rows - 1, n).astype(np.int64)


def joined(raws: Sequence[Raw]) -> Raw:
    """Concatenate rows of the same columns."""
    tables = [raw for raw in raws if isinstance(raw, Table)]
    return Table.joined(tables) if tables else np.concatenate([np.asarray(raw) for raw in raws])


def to_json(raw: Raw, kinds: Mapping[str, Kind]) -> list[list[float | bool | str | None]]:
    """Return rows of JSON values, columns in the order of `kinds`, as a request may hold them."""
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
    return bool(cell) if kind == "boolean" else written(kind, cell)


def written(kind: Kind, number: float) -> float | str:
    """Return a number of the column as people write it: a date, a time or a duration as text."""
    match kind:
        case "date":
            return moment_of(number)
        case "time":
            return time_of(number)
        case "duration":
            return duration_of(number)
    return number


def are_missing(values: Values) -> NDArray[np.bool_]:
    """True (n_rows,) where the column has no value."""
    if values.dtype == object:
        return np.fromiter((value is None for value in values), dtype=bool, count=len(values))
    return np.isnan(values.astype(np.float64, copy=False))


def column_of(kind: Kind, cells: Sequence[Cell]) -> Values:
    """Return parsed cells, None where missing, as a column (n_rows,) of the dtype of its kind."""
    if kind in ("category", "text"):
        column = np.empty(len(cells), dtype=object)
        column[:] = cells
        return column
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)


def from_json(kind: Kind, value: object) -> Cell:
    """Return a JSON value other than null as a cell. Raises ValueError, which says what was expected."""
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
        case "category" | "text" | "date" | "time" | "duration", str():
            return from_text(kind, value)
    raise ValueError(EXPECTED[kind])


def from_text(kind: Kind, text: str) -> Cell:
    """Return a text that does not mean a missing value as a cell. Raises ValueError, which says what was expected."""
    match kind:
        case "number" if NUMBER.fullmatch(text.strip()):
            return _finite(float(text.strip()))
        case "boolean" if text.strip().lower() in TRUE | FALSE:
            return float(text.strip().lower() in TRUE)
        case "date" if (microseconds := microseconds_in(text.strip())) is not None:
            return days_in(microseconds)
        case "time" if (seconds := time_seconds(text.strip())) is not None:
            return seconds
        case "duration" if (seconds := duration_seconds(text.strip())) is not None:
            return seconds
        case "category" if len(text) <= LONGEST_CATEGORY:
            return category_of(text)
        case "category":
            raise ValueError(f"a category of at most {LONGEST_CATEGORY} characters")
        case "text":
            return text
    raise ValueError(EXPECTED[kind])


def label_from_text(kind: Kind, text: str) -> Cell:
    """Return a label as the file writes it, and so as it is answered: where not all are numbers, 1.10 is a name."""
    from_text(kind, text)
    return text.strip()


def category_of(text: str) -> str:
    """Return the name of a category: one for 3, 3.0, 3e0 and "3", another for 007; one for True and true."""
    text = text.strip()
    if NUMBER.fullmatch(text) and not LEADING_ZERO.match(text) and sum(map(str.isdigit, text)) <= MOST_DIGITS:
        number = float(text)
        if isfinite(number):
            return str(int(number)) if number.is_integer() and abs(number) < 10**MOST_DIGITS else repr(number)
    return text.lower() if text in ("True", "False", "TRUE", "FALSE") else text


def days_of(moment: datetime.datetime) -> float:
    """Return the days since 1970-01-01 of a moment without a zone."""
    return days_in((moment - EPOCH) // datetime.timedelta(microseconds=1))


@overload
def days_in(microseconds: int) -> float: ...


@overload
def days_in(microseconds: NDArray[np.int64]) -> NDArray[np.float64]: ...


def days_in(microseconds: Any) -> Any:
    """Return days of whole microseconds: one way for all formats, so that all agree to the last bit."""
    # float64 before the division, as NumPy divides an array; Python would divide the exact integers.
    return microseconds * 1.0 / MICROSECONDS_A_DAY


def moment_of(days: float) -> str:
    """Return days since 1970-01-01 in ISO 8601: a date where it is midnight."""
    whole = int(days // 1)
    microseconds = round((days - whole) * MICROSECONDS_A_DAY)
    if abs(days) > DAYS_OF_MICROSECONDS:
        microseconds = round(microseconds / MILLISECOND) * MILLISECOND
    # The last moments of the year 9999 may be rounded up beyond it.
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
