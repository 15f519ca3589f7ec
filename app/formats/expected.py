"""Columns that a pattern expects of a request, and the reader of their cells that all formats share.

Where all columns are numbers of a formula, rows are one array and `typed` is empty; of a table each column has a kind.
An error names row and column and says what was found: its kind, never its value.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isinf
from typing import Any, Self

import numpy as np

from app.errors import Fault, Unprocessable
from app.formats.found import kind_of
from models_store.arrays import Array
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.tables.index_names import ANY_INDEX
from models_store.tables.missing_words import is_among
from models_store.tables.number_syntax import number_in
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import EXPECTED, Cell, Kind, Table, Values, column_of
from models_store.wording import shortened, shortened_name

MOST_NAMED = 5
TO_IGNORE = "add ?extra=ignore to the address"
# They may be written as text, but not as any text.
WRITTEN_AS_TEXT: frozenset[Kind] = frozenset({"boolean", "date", "time", "duration"})


@dataclass(frozen=True)
class ExpectedColumn:
    """One column of a table as training saw it."""

    name: str
    kind: Kind
    takes_missing: bool
    spelling: Spelling = PLAIN

    @cached_property
    def missing_cells(self) -> frozenset[Cell]:
        """The cells that the table's own words for a missing value are in this column."""
        return self.spelling.missing_cells(self.name, self.kind)


@dataclass(frozen=True)
class Expected:
    """All columns of a pattern, in the order of its card."""

    names: tuple[str, ...]
    typed: tuple[ExpectedColumn, ...] = ()
    ignored: frozenset[str] = frozenset()
    """Columns that the data had beside them: targets, and those that training left out. A question may have them."""
    ignores_extra: bool = False
    """True if a question may have any other column."""

    @classmethod
    def of(cls, encoder: Encoder, ignored: Iterable[str] = ()) -> Self:
        """Return what the pattern with this encoder expects, and which columns it ignores."""
        beside = frozenset(ignored) - {*encoder.columns}
        if not isinstance(encoder, TableEncoder):
            return cls(encoder.columns, ignored=beside)
        columns = [
            ExpectedColumn(name, column.kind, encoder.takes_missing(name), encoder.spelling)
            for name, column in encoder.encoders.items()
        ]
        return cls(encoder.columns, tuple(columns), beside)

    @cached_property
    def ignoring_extra(self) -> "Expected":
        """The same columns, where the question says that all others are to be ignored."""
        return replace(self, ignores_extra=True)

    def unknown(self, given: Iterable[str]) -> list[str]:
        """Return the columns that the pattern neither knows nor ignores."""
        known = self.ignored.union(self.names)
        return (
            []
            if self.ignores_extra
            else [name for name in given if name not in known and not ANY_INDEX.fullmatch(name)]
        )

    def check_known(self, given: Iterable[str], where: str = "") -> None:
        """Raise Unprocessable, which names the columns that the pattern neither knows nor ignores."""
        if unknown := self.unknown(given):
            raise unknown_columns(unknown, self, where)

    def absent(self, given: Container[str], where: str = "") -> list[str]:
        """Return the columns that a question leaves out, each of which counts as missing in all its rows.

        Raises Unprocessable where one of them takes no missing value, or where the question has none of the columns,
        and so is about something else.
        """
        absent = [name for name in self.names if name not in given]
        required = [name for name in absent if name not in self.optional]
        if required or len(absent) == len(self.names):
            raise missing_columns(required or absent, where)
        return absent

    @cached_property
    def optional(self) -> frozenset[str]:
        """Columns that a question may leave out."""
        return frozenset(column.name for column in self.typed if column.takes_missing)

    @property
    def listed(self) -> str:
        return ", ".join(self.names)


def table_of(
    expected: Expected,
    columns: Sequence[Sequence[Any]],
    parse: Callable[[Kind, Any], Cell],
    where: Callable[[int], str],
) -> Table:
    """Return a table of `columns`, one sequence of unparsed cells for each expected column, None where one is missing.

    `where` gives the name of a row in an error. Raises Unprocessable where a cell is missing or of another kind.
    """
    read = (read_column(*pair, parse, where) for pair in zip(expected.typed, columns, strict=True))
    return Table(dict(zip(expected.names, read, strict=True)))


def read_column(
    column: ExpectedColumn, values: Sequence[Any], parse: Callable[[Kind, Any], Cell], where: Callable[[int], str]
) -> Values:
    """Return the cells of one column, (n_rows,): float64, or objects where they are categories or texts.

    Raises Unprocessable where a cell is missing or of another kind.
    """
    cells: list[Cell] = []
    for row, given in enumerate(values):
        try:
            cell = _cell(column, given, parse)
        except ValueError as error:
            raise _wrong_value(column, given, error, where(row)) from None
        if cell is None and not column.takes_missing:
            raise Unprocessable(
                "missing_value",
                f"{where(row)}, column {column.name}: expected {_wanted(column)}, found no value; "
                "training saw none missing",
            )
        cells.append(cell)
    return column_of(column.kind, cells)


def read_numbers(column: ExpectedColumn, numbers: Array) -> Array | None:
    """Return a column of numbers (n_rows,), NaN where one means a missing value.

    None where a number is missing or infinite and may not be, which `read_column` refuses by its row.
    """
    if column.missing_cells:
        numbers = np.where(np.isin(numbers, np.array([*column.missing_cells], dtype=np.float64)), np.nan, numbers)
    are_wrong = np.isinf(numbers) if column.takes_missing else ~np.isfinite(numbers)
    return None if are_wrong.any() else numbers


def _cell(column: ExpectedColumn, given: Any, parse: Callable[[Kind, Any], Cell]) -> Cell:
    """Return the cell, None where it is missing. Raises ValueError where it is of another kind."""
    if given is None or (column.takes_missing and _is_missing(column, given)) or _is_infinitely_missing(column, given):
        return None
    cell = parse(column.kind, _plain(column, given))
    return None if column.missing_cells and is_among(cell, column.kind, column.missing_cells) else cell


def _is_missing(column: ExpectedColumn, value: Any) -> bool:
    """True for NaN, and for a text that means a missing value in the files that the pattern was trained on."""
    return value != value or (isinstance(value, str) and column.spelling.is_missing(column.kind, value))  # NaN


def _is_infinitely_missing(column: ExpectedColumn, value: Any) -> bool:
    """True for infinity, which is no cell of a column of numbers, where a word says that it means nothing."""
    if not (column.missing_cells and column.kind == "number"):
        return False
    number = number_in(value) if isinstance(value, str) else value
    return isinstance(number, float) and isinf(number) and number in column.missing_cells


def _plain(column: ExpectedColumn, value: Any) -> Any:
    return column.spelling.plain(column.name, column.kind, value)


# -- errors --------------------------------------------------------------------------------------------------------


def _wrong_value(column: ExpectedColumn, value: Any, error: ValueError, where: str) -> Unprocessable:
    fault: Fault = "not_a_number" if column.kind == "number" else "bad_value"
    expected = column.spelling.expected(column.name, column.kind, error)
    # An error in other words than these says itself what is wrong: 1e400 is a number, but not a finite one.
    found = f", found {_found(column, value)}" if str(error) == EXPECTED[column.kind] else ""
    return Unprocessable(fault, f"{where}, column {column.name}: expected {expected}{found}")


def _wanted(column: ExpectedColumn) -> str:
    return column.spelling.expected(column.name, column.kind, ValueError(EXPECTED[column.kind]))


def _found(column: ExpectedColumn, value: Any) -> str:
    found = kind_of(value)
    return "other text" if found == "text" and column.kind in WRITTEN_AS_TEXT else found


def missing_columns(names: Sequence[str], where: str = "") -> Unprocessable:
    """Return an error that names all missing columns at once."""
    columns = f"column {names[0]} is" if len(names) == 1 else f"columns {', '.join(names)} are"
    return Unprocessable("missing_column", f"{where}{columns} missing")


def unknown_columns(unknown: Sequence[str], expected: Expected, where: str = "") -> Unprocessable:
    """Return an error that names the columns that the pattern does not know."""
    named = shortened([shortened_name(name) or "without a name" for name in unknown], MOST_NAMED)
    columns = f"column {named} is" if len(unknown) == 1 else f"columns {named} are"
    words = f"{where}{columns} not among {expected.listed}; leave out what is not, or {TO_IGNORE}"
    return Unprocessable("unknown_column", words)


def repeated_column(given: Iterable[str], where: str = "") -> Unprocessable:
    """Return an error that gives the place of the first column whose name stands before it already."""
    names = list(given)
    first = {name: place for place, name in reversed([*enumerate(names, 1)])}
    place, name = next((place, name) for place, name in enumerate(names, 1) if first[name] < place)
    return Unprocessable("duplicate_column", f"{where}columns {first[name]} and {place} of {len(names)} have one name")


def row_of(row: int) -> str:
    return f"row {row}"
