"""Columns that a pattern expects of a request, and the reader of their cells that all formats share.

Where all columns are numbers of a formula, rows are one array and `typed` is empty; of a table each column has a kind.
An error names row and column and says what was found: its kind, never its value.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app.errors import Fault, Unprocessable
from app.formats.found import kind_of
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import EXPECTED, Cell, Kind, Table, Values, column_of

# They may be written as text, but not as any text.
WRITTEN_AS_TEXT: frozenset[Kind] = frozenset({"boolean", "date", "time", "duration"})


@dataclass(frozen=True)
class ExpectedColumn:
    """One column of a table as training saw it."""

    name: str
    kind: Kind
    takes_missing: bool
    spelling: Spelling = PLAIN


@dataclass(frozen=True)
class Expected:
    """All columns of a pattern, in the order of its card."""

    names: tuple[str, ...]
    typed: tuple[ExpectedColumn, ...] = ()

    @classmethod
    def of(cls, encoder: Encoder) -> Self:
        """Return what the pattern with this encoder expects."""
        if not isinstance(encoder, TableEncoder):
            return cls(encoder.columns)
        columns = [
            ExpectedColumn(name, column.kind, column.takes_missing, encoder.spelling)
            for name, column in encoder.encoders.items()
        ]
        return cls(encoder.columns, tuple(columns))

    @property
    def optional(self) -> frozenset[str]:
        """Columns that a record may leave out."""
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
        value = None if column.takes_missing and _is_missing(column, given) else _plain(column, given)
        if value is None and not column.takes_missing:
            raise Unprocessable(
                "missing_value",
                f"{where(row)}, column {column.name}: expected {_wanted(column)}, found no value; "
                "training saw none missing",
            )
        try:
            cells.append(None if value is None else parse(column.kind, value))
        except ValueError as error:
            raise _wrong_value(column, given, error, where(row)) from None
    return column_of(column.kind, cells)


def _is_missing(column: ExpectedColumn, value: Any) -> bool:
    """True for NaN, and for a text that means a missing value in the files that the pattern was trained on."""
    return value != value or (isinstance(value, str) and column.spelling.is_missing(column.kind, value))  # NaN


def _plain(column: ExpectedColumn, value: Any) -> Any:
    return column.spelling.plain(column.name, column.kind, value) if isinstance(value, str) else value


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


def unknown_column(given: Iterable[str], expected: Expected, where: str = "") -> Unprocessable:
    """Return an error that gives the place of the first unknown column, not its name: that is part of the request."""
    names, known = list(given), set(expected.names)
    place = next(place for place, name in enumerate(names, 1) if name not in known)
    return Unprocessable("unknown_column", f"{where}column {place} of {len(names)} is not one of {expected.listed}")


def repeated_column(given: Iterable[str], where: str = "") -> Unprocessable:
    """Return an error that gives the place of the first column whose name stands before it already."""
    names = list(given)
    first = {name: place for place, name in reversed([*enumerate(names, 1)])}
    place, name = next((place, name) for place, name in enumerate(names, 1) if first[name] < place)
    return Unprocessable("duplicate_column", f"{where}columns {first[name]} and {place} of {len(names)} have one name")


def row_of(row: int) -> str:
    return f"row {row}"
