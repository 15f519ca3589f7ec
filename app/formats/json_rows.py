"""Rows of JSON cells, in any layout of the native bodies: what every protocol that speaks JSON reads alike.

document -> layout, rows of cells in column order -> Raw
"""

from json import JSONDecoder
from typing import Any

import numpy as np

from app.errors import TooManyRows, Unprocessable
from app.formats import strict_json
from app.formats.expected import Expected, missing_columns, row_of, table_of
from app.formats.reply import Layout
from models_store.arrays import Array
from models_store.tables.table import Raw, from_json

# Beyond the rows themselves; a body that is only nested too deeply is left to the parser to refuse.
SLACK = 1000
NUMBERS = frozenset({int, float})
LISTS = frozenset({list})


def loads(
    body: bytes,
    expected: Expected,
    max_rows: int,
    decoder: JSONDecoder = strict_json.STRICT,
    brackets_a_row: int = 1,
) -> Any:
    """The document; TooManyRows for one that holds more cells, or more lists and objects, than rows have.

    Counted before anything is built of it: the parser holds the interpreter, in whatever thread it runs.
    """
    most = (max_rows * brackets_a_row + SLACK, (max_rows + SLACK) * (len(expected.names) + 1))
    if is_too_much(body, *most):
        raise TooManyRows(max_rows)
    return strict_json.loads(body, decoder)


def is_too_much(body: bytes, most_brackets: int, most_commas: int) -> bool:
    """What stands in texts is not structure, but is taken out only of a body that has too much of it."""

    def has_more(part: bytes) -> bool:
        return part.count(b"[") + part.count(b"{") > most_brackets or part.count(b",") > most_commas

    return has_more(body) and has_more(strict_json.TEXT.sub(b"", body))


def rows_of(inputs: Any, expected: Expected, max_rows: int) -> tuple[Layout, list[list[Any]]]:
    """The layout, and rows of values in column order whose kinds are not yet known."""
    if isinstance(inputs, dict):
        if not any(isinstance(value, list) for value in inputs.values()):
            return "record", [_in_order(inputs, expected, "", expected.optional)]
        values = _in_order(inputs, expected, "")
        if not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            raise Unprocessable("bad_layout", "columns must all be lists of the same length, or all be single values")
        _check_count(values[0], max_rows)
        return "columns", [list(row) for row in zip(*values, strict=True)]
    if not isinstance(inputs, list):
        raise Unprocessable("bad_layout", "inputs must be a list of rows or records, or an object of columns")
    _check_count(inputs, max_rows)
    if isinstance(inputs[0], dict):
        optional = expected.optional
        return "records", [_in_order(record, expected, f"row {row}: ", optional) for row, record in enumerate(inputs)]
    if not isinstance(inputs[0], list) and len(expected.names) == 1:
        return "flat", [[value] for value in inputs]
    for row, values in enumerate(inputs):
        if not isinstance(values, list) or len(values) != len(expected.names):
            raise Unprocessable(
                "bad_row", f"row {row}: expected a list of {len(expected.names)} values: {expected.listed}"
            )
    return "rows", inputs


def scalars(rows: list[list[Any]]) -> list[list[Any]]:
    """A column of shape (rows, 1) is one of shape (rows)."""
    return [row if LISTS.isdisjoint(map(type, row)) else [_scalar(cell) for cell in row] for row in rows]


def _scalar(cell: Any) -> Any:
    return cell[0] if isinstance(cell, list) and len(cell) == 1 else cell


def raw_of(rows: list[list[Any]], expected: Expected) -> Raw:
    """Rows of cells in column order; Unprocessable names row and column."""
    if expected.typed:
        return table_of(expected, list(zip(*rows, strict=True)), from_json, row_of)
    return check_finite(_numbers(rows, expected), expected)


def _check_count(rows: list[Any], max_rows: int) -> None:
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)


def _in_order(record: Any, expected: Expected, where: str, optional: frozenset[str] = frozenset()) -> list[Any]:
    """The record's values, None for an optional column that it leaves out."""
    if not isinstance(record, dict):
        raise Unprocessable("bad_row", f"{where}expected a record with the columns {expected.listed}")
    missing = [name for name in expected.names if name not in record]
    if not optional.issuperset(missing):
        raise missing_columns([name for name in missing if name not in optional], where)
    if len(record) + len(missing) > len(expected.names):
        raise Unprocessable("unknown_column", f"{where}there is a column that is not one of {expected.listed}")
    return [record.get(name) for name in expected.names]


def _numbers(rows: list[list[Any]], expected: Expected) -> Array:
    """float64 (n_rows, n_columns). A bool is no number here, nor is a string or null."""
    for place, row in enumerate(rows):
        if not NUMBERS.issuperset(map(type, row)):
            column = next(name for name, value in zip(expected.names, row, strict=True) if type(value) not in NUMBERS)
            raise Unprocessable("not_a_number", f"row {place}, column {column}: expected a number")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise Unprocessable("not_a_number", "a number is too large") from None


def check_finite(rows: Raw, expected: Expected) -> Raw:
    if isinstance(rows, np.ndarray) and not (finite := np.isfinite(rows)).all():
        row, column = np.argwhere(~finite)[0]
        raise Unprocessable("not_a_number", f"row {row}, column {expected.names[column]}: not a finite number")
    return rows
