"""What a pattern expects of a request, and cells in any format read as that. A refusal names row and column, no value.

Where all columns are numbers of a formula, rows are one array and `typed` is empty; of a table each column has a kind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from app.errors import Fault, Unprocessable
from models_store.encoding.rows import Encoder, TableEncoder
from models_store.tables.spelling import PLAIN, Spelling
from models_store.tables.table import Cell, Kind, Table, Values, column_of


@dataclass(frozen=True)
class Column:
    name: str
    kind: Kind
    takes_missing: bool
    spelling: Spelling = PLAIN


@dataclass(frozen=True)
class Expected:
    names: tuple[str, ...]
    typed: tuple[Column, ...] = ()

    @classmethod
    def by(cls, encoder: Encoder) -> Self:
        if not isinstance(encoder, TableEncoder):
            return cls(encoder.columns)
        columns = [
            Column(name, column.kind, column.takes_missing, encoder.spelling)
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
    """`columns` of unparsed cells in order, None where one is missing; `where` says how a row is called."""
    read = (read_column(*pair, parse, where) for pair in zip(expected.typed, columns, strict=True))
    return Table(dict(zip(expected.names, read, strict=True)))


def read_column(
    column: Column, values: Sequence[Any], parse: Callable[[Kind, Any], Cell], where: Callable[[int], str]
) -> Values:
    cells: list[Cell] = []
    for row, given in enumerate(values):
        value = None if column.takes_missing and _is_missing(column, given) else _plain(column, given)
        if value is None and not column.takes_missing:
            raise Unprocessable(
                "missing_value",
                f"{where(row)}, column {column.name}: a value is needed; training saw none missing",
            )
        try:
            cells.append(None if value is None else parse(column.kind, value))
        except ValueError as error:
            fault: Fault = "not_a_number" if column.kind == "number" else "bad_value"
            expected = column.spelling.expected(column.name, column.kind, error)
            raise Unprocessable(fault, f"{where(row)}, column {column.name}: expected {expected}") from None
    return column_of(column.kind, cells)


def _is_missing(column: Column, value: Any) -> bool:
    """As in the files that are trained on: also a number that is none, and a text that says that nothing is there."""
    return value != value or (isinstance(value, str) and column.spelling.is_missing(column.kind, value))  # NaN


def _plain(column: Column, value: Any) -> Any:
    return column.spelling.plain(column.name, column.kind, value) if isinstance(value, str) else value


def missing_columns(names: Sequence[str], where: str = "") -> Unprocessable:
    """All at once, so that nobody finds them one by one."""
    columns = f"column {names[0]} is" if len(names) == 1 else f"columns {', '.join(names)} are"
    return Unprocessable("missing_column", f"{where}{columns} missing")


def row_of(row: int) -> str:
    return f"row {row}"
