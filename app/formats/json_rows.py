"""Rows of JSON cells, in any layout of the native bodies, read alike for every protocol that speaks JSON.

document -> layout, rows of cells in column order -> Raw
"""

import sys
from json import JSONDecoder
from typing import Any

import numpy as np

from app.errors import Fault, TooManyRows, Unprocessable
from app.formats import strict_json
from app.formats.expected import Expected, row_of, table_of
from app.formats.found import kind_of
from app.formats.reply import Layout
from models_store.arrays import Array
from models_store.tables.table import Raw, from_json
from models_store.wording import counted

# Brackets or commas allowed beyond those of the rows; a body that is only nested too deeply is refused by the parser.
SLACK = 1000
# Columns that rows may have beside those of the pattern where others are ignored.
MOST_EXTRA = 100
NUMBERS = frozenset({int, float})
LISTS = frozenset({list})


def loads(
    body: bytes,
    expected: Expected,
    max_rows: int,
    decoder: JSONDecoder = strict_json.STRICT,
    brackets_a_row: int = 1,
) -> Any:
    """Return the JSON document. Raises Malformed where it is none.

    Raises TooManyRows where it holds more cells, or more lists and objects, than `max_rows` rows have. They are counted
    before the body is parsed, because the parser holds the GIL.
    """
    n_columns = len(expected.names) + (MOST_EXTRA if expected.ignores_extra else len(expected.ignored))
    most = (max_rows * brackets_a_row + SLACK, (max_rows + SLACK) * (n_columns + 1))
    if is_too_much(body, *most):
        raise TooManyRows(max_rows)
    return strict_json.loads(body, decoder)


def is_too_much(body: bytes, most_brackets: int, most_commas: int) -> bool:
    """True if the body has more brackets or commas than that outside of its texts.

    Texts are taken out only of a body that has too many with them: that takes longer than counting.
    """

    def has_more(part: bytes) -> bool:
        return part.count(b"[") + part.count(b"{") > most_brackets or part.count(b",") > most_commas

    return has_more(body) and has_more(strict_json.TEXT.sub(b"", body))


def rows_of(inputs: Any, expected: Expected, max_rows: int) -> tuple[Layout, list[list[Any]]]:
    """Return the layout, and rows of cells in column order whose kinds are not yet checked.

    Raises TooManyRows, and Unprocessable where a row or a column is missing or too many.
    """
    if isinstance(inputs, dict):
        if not any(isinstance(inputs.get(name), list) for name in expected.names):
            return "record", [_in_order(inputs, expected, "")]
        return "columns", _of_columns(inputs, expected, max_rows)
    if not isinstance(inputs, list):
        words = "inputs must be a list of rows or records, or an object of columns"
        raise Unprocessable("bad_layout", f"{words}, found {kind_of(inputs)}")
    _check_count(inputs, max_rows)
    if isinstance(inputs[0], dict):
        return "records", [_in_order(record, expected, f"row {row}: ") for row, record in enumerate(inputs)]
    if not isinstance(inputs[0], list) and len(expected.names) == 1:
        return "flat", [[value] for value in inputs]
    for row, values in enumerate(inputs):
        if not isinstance(values, list) or len(values) != len(expected.names):
            words = f"row {row}: expected a list of {counted(len(expected.names), 'value', 'values')}"
            raise Unprocessable("bad_row", f"{words}, found {kind_of(values)}; the columns are {expected.listed}")
    return "rows", inputs


def objects_of(rows: Any, name: str, fault: Fault) -> list[dict[str, Any]]:
    """Return `rows`, which the body calls `name`. Raises Unprocessable unless it is a list of objects."""
    words = f"{name} must be a list of objects"
    if not isinstance(rows, list):
        raise Unprocessable(fault, f"{words}, found {kind_of(rows)}")
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Unprocessable(fault, f"{words}; row {place} is {kind_of(row)}")
    return rows


def scalars(rows: list[list[Any]]) -> list[list[Any]]:
    """Return the rows with every cell that is a list of one value replaced by that value.

    Clients that think in tensors send a column of the shape (n_rows, 1) so.
    """
    return [row if LISTS.isdisjoint(map(type, row)) else [_scalar(cell) for cell in row] for row in rows]


def _scalar(cell: Any) -> Any:
    return cell[0] if isinstance(cell, list) and len(cell) == 1 else cell


def raw_of(rows: list[list[Any]], expected: Expected) -> Raw:
    """Return rows of cells in column order as a table, or as float64 (n_rows, n_columns) where all are numbers.

    Raises Unprocessable, which names row and column, where a cell is of another kind or not finite.
    """
    if expected.typed:
        return table_of(expected, list(zip(*rows, strict=True)), from_json, row_of)
    return check_finite(_numbers(rows, expected), expected)


def _check_count(rows: list[Any], max_rows: int) -> None:
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)


def _of_columns(columns: dict[str, Any], expected: Expected, max_rows: int) -> list[list[Any]]:
    """Return rows of cells in column order, None in those of an optional column that is left out."""
    values = _in_order(columns, expected, "")
    given = {name: value for name, value in zip(expected.names, values, strict=True) if name in columns}
    first, *others = given.values()
    if not all(isinstance(value, list) and len(value) == len(first) for value in (first, *others)):
        raise _uneven(given)
    _check_count(first, max_rows)
    nothing = [None] * len(first)
    return [list(row) for row in zip(*(given.get(name, nothing) for name in expected.names), strict=True)]


def _in_order(record: Any, expected: Expected, where: str) -> list[Any]:
    """Return the record's values in column order, None for an optional column that it leaves out."""
    if not isinstance(record, dict):
        words = f"{where}expected a record, found {kind_of(record)}"
        raise Unprocessable("bad_row", f"{words}; the columns are {expected.listed}")
    absent = expected.absent(record, where)
    if len(record) + len(absent) > len(expected.names):
        expected.check_known(record, where)
    return [record.get(name) for name in expected.names]


def _uneven(columns: dict[str, Any]) -> Unprocessable:
    """Return an error for columns of which the first list differs from another column in length or kind."""
    names, values = list(columns), list(columns.values())
    first = next(place for place, value in enumerate(values) if isinstance(value, list))
    other = next(
        place for place, value in enumerate(values) if not isinstance(value, list) or len(value) != len(values[first])
    )
    found = " and ".join(f"column {names[place]} is {kind_of(values[place])}" for place in sorted((first, other)))
    words = "columns must all be lists of the same length, or all be single values"
    return Unprocessable("bad_layout", f"{words}; {found}")


def _numbers(rows: list[list[Any]], expected: Expected) -> Array:
    """Return float64 (n_rows, n_columns). A boolean, a text or null is not a number. Raises Unprocessable."""
    for place, row in enumerate(rows):
        if not NUMBERS.issuperset(map(type, row)):
            column, value = next(pair for pair in zip(expected.names, row, strict=True) if type(pair[1]) not in NUMBERS)
            where = f"row {place}, column {column}"
            raise Unprocessable("not_a_number", f"{where}: expected a number, found {kind_of(value)}")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise _too_large(rows, expected) from None


def _too_large(rows: list[list[Any]], expected: Expected) -> Unprocessable:
    """Return an error for the first integer that is too large for a float64."""
    row, column = next(
        (row, column)
        for row, values in enumerate(rows)
        for column, value in zip(expected.names, values, strict=True)
        if type(value) is int and abs(value) > sys.float_info.max
    )
    return Unprocessable("not_a_number", f"row {row}, column {column}: expected a number that a float64 can hold")


def check_finite(rows: Raw, expected: Expected) -> Raw:
    """Return the rows. Raises Unprocessable for an array of which a number is NaN or infinite."""
    if isinstance(rows, np.ndarray) and not (finite := np.isfinite(rows)).all():
        row, column = np.argwhere(~finite)[0]
        raise Unprocessable("not_a_number", f"row {row}, column {expected.names[column]}: not a finite number")
    return rows
