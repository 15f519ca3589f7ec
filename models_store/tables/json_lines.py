"""JSON lines as polars frames: an object a line, whose keys are columns; a key that a line lacks is a missing value.

{"a": 1, "b": "x"}\n{"a": 2.5}      ->      a: Float64 1.0, 2.5 · b: String x, null
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import orjson
import polars as pl

from models_store.errors import TableError
from models_store.tables.csv_rows import BOM, LONGEST_ROW, MOST_COLUMNS, check_names
from models_store.tables.file_limits import check_size
from models_store.tables.narrowing import narrowed
from models_store.tables.number_syntax import may_hold_wide_integers
from models_store.tables.text_columns import without_missing
from models_store.tables.typed_texts import marked_column
from models_store.tables.unpacking import opened
from models_store.wording import shortened_name

ROWS_AT_ONCE = 10_000
# A longer integer is beyond any float.
MOST_DIGITS = 400
SHAPES = {list: "a list", dict: "an object"}
Column = list[Any]


def read_json_lines(path: Path) -> pl.DataFrame:
    """Read block by block. Raises TableError, which names the line."""
    parts: list[pl.DataFrame] = []
    names: dict[str, None] = {}
    n_rows = 0
    for rows in _blocks(path):
        n_rows += len(rows)
        for _, row in rows:
            names.update(dict.fromkeys(row))
        check_names(list(names))
        check_size(n_rows, len(names))
        parts.append(_texts(rows, list(names)))
    if not parts:
        raise TableError("the file has no rows; expected a JSON object on each line")
    texts = pl.concat(parts, how="diagonal")
    return pl.DataFrame([_typed(texts[name]) for name in names])


def _blocks(path: Path) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Yield rows with their lines, counted from 1; empty lines are none."""
    block = []
    with opened(path) as file:
        line = 0
        while content := file.readline(LONGEST_ROW):
            line += 1
            if line == 1:
                content = content.removeprefix(BOM)
            if len(content) == LONGEST_ROW:
                raise TableError(f"line {line}: longer than {LONGEST_ROW >> 20} MB")
            if content.strip():
                block.append((line, _row(content, line)))
            if len(block) == ROWS_AT_ONCE:
                yield block
                block = []
    if block:
        yield block


def _row(content: bytes, line: int) -> dict[str, Any]:
    row = _value(content, line)
    if not isinstance(row, dict):
        kind = "a list" if isinstance(row, list) else "a single value"
        raise TableError(f"line {line}: expected an object whose keys name the columns, found {kind}")
    if content.count(b":") != len(row):
        _check_once(content, line)
    if len(row) > MOST_COLUMNS:
        raise TableError(f"line {line}: {len(row)} keys; {MOST_COLUMNS} columns are the most")
    return row


def _value(content: bytes, line: int) -> Any:
    """Return the JSON value, integers beyond 64 bits exactly, and infinity for a number that is too large for any."""
    with suppress(orjson.JSONDecodeError):
        if not may_hold_wide_integers(content):
            return orjson.loads(content)
    try:
        value = json.loads(content.decode(), parse_int=_integer, parse_constant=_refuse)
        # Half of a surrogate pair is no text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise TableError(f'line {line}: no JSON; expected an object, such as {{"a": 1}}, on each line') from None
    return value


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _check_once(content: bytes, line: int) -> None:
    """Raise TableError where a key stands twice in an object; of those, orjson keeps the last."""

    def keyed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in row if names.count(name) > 1)
            raise TableError(f"line {line}: the key {shortened_name(twice)} stands there twice")
        return row

    with suppress(RecursionError):  # a nested value is refused below
        json.loads(content, object_pairs_hook=keyed)


# -- columns ---------------------------------------------------------------------------------------------------------
#
# A cell is held as the JSON text of its value until all rows are known: a column of 1, 2.5 and "x" is one of texts.


def _texts(rows: list[tuple[int, dict[str, Any]]], names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {name: pl.Series([_text(row.get(name), line, name) for line, row in rows], dtype=pl.String) for name in names}
    )


def _text(value: Any, line: int, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return f'"{value}'
    if isinstance(value, list | dict):
        raise TableError(
            f"line {line}: column {shortened_name(name)} holds {SHAPES[type(value)]}; a cell is a number, a text, a "
            "boolean or null"
        )
    return "true" if value is True else "false" if value is False else repr(value)


def _typed(column: pl.Series) -> pl.Series:
    """Return a column of booleans, numbers or texts; of texts as CSV has them where values are of several kinds."""
    are_texts = column.str.starts_with('"')
    are_booleans = column.is_in(["true", "false"])
    if column.null_count() == len(column):
        return column.cast(pl.Float64)
    if are_booleans.all():
        return (column == "true").alias(column.name)
    if are_texts.all():
        return marked_column(without_missing(column.str.slice(1).to_frame()).to_series())
    if are_texts.any() or are_booleans.any():
        return narrowed(column.str.strip_prefix('"'))
    return narrowed(column)
