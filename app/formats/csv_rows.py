"""CSV, read strictly: no field is shifted, padded or guessed, and an error names the line."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from math import isfinite
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import Malformed, TooManyRows, Unprocessable
from app.formats.expected import Expected, repeated_column, table_of
from app.formats.format import Content
from app.formats.found import kind_of
from app.formats.reply import Reply, texts_of_lists
from models_store.arrays import Array
from models_store.tables import number_syntax
from models_store.tables.csv_layout import UNNAMED
from models_store.tables.csv_rows import ONE_LINE, reader_of
from models_store.tables.table import Table, from_text

if TYPE_CHECKING:
    from _csv import Reader  # exists for type checkers alone

Header = Literal["present", "absent", "unknown"]

MOST_BLANK_LINES = 1000
LONGEST_HEADER = 1 << 16

# Matched with the whitespace around it, which `float` takes away, so that a field is looked at once.
WHITESPACE = r"[^\S\x1c-\x1f]*"
NUMBER = re.compile(rf"{WHITESPACE}{number_syntax.NUMBER.pattern}{WHITESPACE}")
CRLF = "\r\n"
QUOTED = re.compile(rb'"[^"]*+"?')


def read(body: bytes, expected: Expected, max_rows: int, header: Header = "present") -> Content:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    A header names the pattern's columns in any order; without one, columns are in the pattern's order. Where `header`
    is "unknown", a first line that names any column is a header. The answer has a header if the question has one.
    Raises Malformed, TooManyRows, or Unprocessable, which names line and column.
    """
    # Lines are counted before they are read, because reading holds the GIL. In quotes, a line end is part of a text.
    most_lines = max_rows + MOST_BLANK_LINES
    if body.count(b"\n") > most_lines and QUOTED.sub(b"", body).count(b"\n") > most_lines:
        raise TooManyRows(max_rows)
    if len(body) > LONGEST_HEADER and body.find(b"\n", 0, LONGEST_HEADER) < 0:
        raise Malformed("line 1: too long for the names of columns")
    try:
        text = body.decode("utf-8-sig")
        lines = reader_of(text)
        first = next(lines, None)
        if first is None:
            raise Malformed("the CSV is empty; its first line must name the columns")
        if header == "present" or len(expected.names) > 1:  # else it may be the one field of a row
            _check_commas(first, expected)
        has_header = header == "present" or (header == "unknown" and _names_a_column(first, expected))
        if not has_header:
            if not first:
                raise Malformed("line 1: empty")
            lines = reader_of(text)
        order = _order(first, expected) if has_header else list(range(len(expected.names)))
        rows = _rows(lines, order, len(first) if has_header else len(order), max_rows)
        raw = _table(rows, expected) if expected.typed else _numbers(rows, expected)
        return Content(raw, partial(write, has_header=has_header))
    except UnicodeDecodeError:
        raise Malformed("the CSV is not UTF-8") from None
    except Unprocessable as error:
        if b"\n" in body or b"\r" in body:
            raise
        raise Unprocessable(error.fault, f"{error}; {ONE_LINE}") from None
    except csv.Error:
        raise Malformed(f"line {lines.line_num}: not CSV") from None


def write(reply: Reply, *, has_header: bool = True) -> bytes:
    return csv_of(reply.columns, has_header=has_header)


def csv_of(by_name: Mapping[str, NDArray[Any]], *, has_header: bool = True) -> bytes:
    """Return columns, (n_rows,) each, as CSV: numbers with all the digits that tell two float64 apart."""
    lines: list[str] = []
    # Before Python 3.13, a text is quoted for a line end only if the writer's own line ends have that character.
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator=CRLF)
    if has_header:
        writer.writerow(by_name)
    writer.writerows(zip(*map(_cells, by_name.values()), strict=True))
    return "".join(f"{line[: -len(CRLF)]}\n" for line in lines).encode()


def _cells(column: NDArray[Any]) -> list[Any]:
    cells: list[Any] = texts_of_lists(column).tolist()
    return ["true" if cell else "false" for cell in cells] if column.dtype == bool else cells


def _check_commas(first: list[str], expected: Expected) -> None:
    if len(first) == 1 and first[0].strip() not in expected.names:
        for mark, called in ((";", "semicolons"), ("\t", "tabs")):
            if mark in first[0]:
                raise Unprocessable("bad_row", f"line 1: commas must stand between fields, and not {called}")
        if first[0].startswith("#"):
            raise Unprocessable("bad_row", "line 1: begins with #; the first line must name the columns")
        if not {*first[0].split()}.isdisjoint(expected.names):
            raise Unprocessable("bad_row", "line 1: commas must stand between fields, and not spaces")


def _names_a_column(fields: list[str], expected: Expected) -> bool:
    return not {field.strip() for field in fields}.isdisjoint(expected.names)


def _order(header: list[str], expected: Expected) -> list[int]:
    """Return the place in a line of each column of the pattern, from 0; behind the last for one that is left out."""
    names = [name.strip() for name in header]
    if len(names) > 1 and not names[0]:  # the index of pandas
        names[0] = UNNAMED
    if len(set(names)) != len(names):
        raise repeated_column(names, "line 1: ")
    absent = expected.absent(names, "line 1: ")
    if len(names) + len(absent) > len(expected.names):
        expected.check_known(names, "line 1: ")
    return [len(names) if name in absent else names.index(name) for name in expected.names]


def _rows(lines: "Reader", order: list[int], n_fields: int, max_rows: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line where a row ends, from 1, and the fields of the row in the order of the pattern's columns."""
    n_rows = blank_line = 0
    for fields in lines:
        if not fields:
            blank_line = blank_line or lines.line_num
            continue
        if blank_line:
            raise Unprocessable("bad_row", f"line {blank_line}: empty, with more rows after it")
        if len(fields) != n_fields:
            raise Unprocessable("bad_row", f"line {lines.line_num}: expected {n_fields} fields, found {len(fields)}")
        if n_rows == max_rows:
            raise TooManyRows(max_rows)
        n_rows += 1
        fields.append("")  # a missing value, for columns that the header leaves out
        yield lines.line_num, [fields[place] for place in order]
    if not n_rows:
        raise Unprocessable("no_rows", "the CSV has a header and no rows")


def _numbers(rows: Iterable[tuple[int, list[str]]], expected: Expected) -> Array:
    numbers: list[list[float]] = []
    for line, fields in rows:
        for name, field in zip(expected.names, fields, strict=True):
            if not NUMBER.fullmatch(field):
                where = f"line {line}, column {name}"
                raise Unprocessable("not_a_number", f"{where}: expected a number, found {kind_of(field)}")
            if not isfinite(float(field)):
                raise Unprocessable("not_a_number", f"line {line}, column {name}: expected a finite number")
        numbers.append([float(field) for field in fields])
    return np.array(numbers, dtype=np.float64)


def _table(rows: Iterable[tuple[int, list[str]]], expected: Expected) -> Table:
    lines: list[int] = []
    columns: list[list[str | None]] = [[] for _ in expected.names]
    for line, fields in rows:
        lines.append(line)
        for cells, column, field in zip(columns, expected.typed, fields, strict=True):
            cells.append(None if column.spelling.is_missing(column.kind, field) else field)
    return table_of(expected, columns, from_text, lambda row: f"line {lines[row]}")
