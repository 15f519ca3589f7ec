"""CSV, read strictly: nothing is shifted, padded or guessed; an error names the line."""

import csv
import io
import re
from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from app.errors import Malformed, TooManyRows, Unprocessable
from models_store.scaler import Array

if TYPE_CHECKING:
    from _csv import Reader  # exists for type checkers alone

MOST_BLANK_LINES = 1000
LONGEST_HEADER = 1 << 16

# What `float` accepts beyond this (1_000, nan, digits of other scripts) nobody means in a CSV file.
NUMBER = re.compile(r"\s*[-+]?([0-9]++\.?[0-9]*+|\.[0-9]++)([eE][-+]?[0-9]++)?\s*", re.ASCII)


def read(
    body: bytes, columns: tuple[str, ...], max_rows: int
) -> tuple[Array, Callable[[tuple[str, ...], Array], bytes]]:
    """Header with the pattern's columns in any order, then rows."""
    # Counted before a field is made of it: reading holds the interpreter.
    if body.count(b"\n") > max_rows + MOST_BLANK_LINES:
        raise TooManyRows(max_rows)
    if len(body) > LONGEST_HEADER and body.find(b"\n", 0, LONGEST_HEADER) < 0:
        raise Malformed("line 1: too long for the names of columns")
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = next(lines, None)
        if header is None:
            raise Malformed("the CSV is empty; its first line must name the columns")
        order = _order(header, columns)
        rows = _rows(lines, order, columns, max_rows)
    except UnicodeDecodeError:
        raise Malformed("the CSV is not UTF-8") from None
    except csv.Error:
        raise Malformed(f"line {lines.line_num}: not CSV") from None
    if not rows:
        raise Unprocessable("no_rows", "the CSV has a header and no rows")
    return np.array(rows, dtype=np.float64), write


def write(columns: tuple[str, ...], answers: Array) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(answers.tolist())
    return text.getvalue().encode()


def _order(header: list[str], columns: tuple[str, ...]) -> list[int]:
    """Where in a line each column of the pattern stands."""
    names = [name.strip() for name in header]
    if len(set(names)) != len(names):
        raise Unprocessable("duplicate_column", "line 1: a column stands there twice")
    missing = [name for name in columns if name not in names]
    if missing:
        raise Unprocessable("missing_column", f"line 1: column {missing[0]} is missing")
    if len(names) > len(columns):
        raise Unprocessable("unknown_column", f"line 1: there is a column that is not one of {', '.join(columns)}")
    return [names.index(name) for name in columns]


def _rows(lines: "Reader", order: list[int], columns: tuple[str, ...], max_rows: int) -> list[list[float]]:
    rows: list[list[float]] = []
    blank_line = 0
    for fields in lines:
        if not fields:
            blank_line = blank_line or lines.line_num
            continue
        if blank_line:
            raise Unprocessable("bad_row", f"line {blank_line}: empty, with more rows after it")
        if len(fields) != len(order):
            raise Unprocessable("bad_row", f"line {lines.line_num}: expected {len(order)} fields, found {len(fields)}")
        if len(rows) == max_rows:
            raise TooManyRows(max_rows)
        for place, name in zip(order, columns, strict=True):
            if not (NUMBER.fullmatch(fields[place]) and isfinite(float(fields[place]))):
                raise Unprocessable("not_a_number", f"line {lines.line_num}, column {name}: expected a number")
        rows.append([float(fields[place]) for place in order])
    return rows
