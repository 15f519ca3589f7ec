"""Columns of Arrow, from a stream or a file, as raw rows; their types are those that files to train on may have."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from app.errors import BodyTooLarge, TooManyRows, Unprocessable
from app.formats.expected import (
    Expected,
    ExpectedColumn,
    read_column,
    read_numbers,
    repeated_column,
    row_of,
)
from app.formats.reply import Reply
from models_store.arrays import Array
from models_store.tables import arrow_columns, arrow_types
from models_store.tables.arrow_columns import OutOfRange, TooMuchText
from models_store.tables.arrow_files import Batches, Check
from models_store.tables.clock import seconds_in
from models_store.tables.index_names import PARQUET_INDEX
from models_store.tables.table import Kind, Raw, Table, Values, days_in, from_json
from models_store.wording import shortened_name

# Bytes that all buffers of a body may unpack to, and the texts of a column written out in every row.
MOST_BYTES = 64 << 20

BEYOND, TOO_LONG = "a date of the years 1 to 9999", "a duration of at most 10 000 years"
TYPE_NAME = re.compile("[a-z0-9_]+")
SHORT_FLOATS = (pa.float16(), pa.float32())
WANTED: dict[Kind, str] = {
    "number": "integers, floats or decimals",
    "boolean": "booleans",
    "date": "dates, timestamps, or strings",
    "time": "times of day, or strings",
    "duration": "durations, or strings",
    "category": "strings, booleans, integers, floats or decimals",
    "text": "strings",
}


def limit(max_rows: int) -> Check:
    """Return the check that raises TooManyRows or BodyTooLarge."""

    def check(n_rows: int, _n_columns: int, n_bytes: int) -> None:
        if n_rows > max_rows:
            raise TooManyRows(max_rows)
        if n_bytes > MOST_BYTES:
            raise BodyTooLarge(MOST_BYTES)

    return check


def raw_of(file: Batches, expected: Expected) -> Raw:
    """Return the rows, float64 (n_rows, n_columns) or a table. Raises Unprocessable, which names the column."""
    absent = check_schema(file.schema, expected)
    batches = [_with_nulls(batch, absent) for batch in file.batches]
    if not sum(map(len, batches)):
        raise Unprocessable("no_rows", "there are no rows to predict")
    return _table(batches, expected) if expected.typed else _numbers(batches, expected)


def batch_of(reply: Reply) -> Any:
    """Return the answers as a record batch, a column for each output and for each probability that is asked for."""
    columns = [pa.array(np.ascontiguousarray(column)) for column in reply.columns.values()]
    return pa.record_batch(columns, names=list(reply.columns))


# -- the schema ----------------------------------------------------------------------------------------------------


def check_schema(schema: Any, expected: Expected) -> list[str]:
    """Return the columns that are left out and count as missing.

    Raises Unprocessable where a column is missing and may not be, is too many, or of a type that its kind cannot have.
    """
    known = set(expected.names)
    names = [name for name in schema.names if name in known or not PARQUET_INDEX.fullmatch(name)]
    there = set(names)
    if len(there) != len(names):
        raise repeated_column(names)
    absent = expected.absent(there)
    if len(there) + len(absent) > len(known):
        _check_index(schema, expected)
        expected.check_known(names)
    for name in () if expected.typed else expected.names:
        _check_type(name, "number", schema.field(name).type)
    for column in (column for column in expected.typed if column.name not in absent):
        given = schema.field(column.name).type
        is_by_format = column.name in column.spelling.formats and arrow_types.is_number(given)
        if not (arrow_types.is_null(given) or is_by_format):
            _check_type(column.name, column.kind, given)
    return absent


def _check_index(schema: Any, expected: Expected) -> None:
    """Raise Unprocessable, which names an index of pandas that the pattern neither knows nor ignores."""
    try:
        about = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        named = expected.unknown(name for name in about if name in schema.names)
    except (KeyError, TypeError, ValueError):
        return
    if not named:
        return
    words = f"is the index of the pandas table, and not one of {expected.listed}; leave it out with index=False"
    raise Unprocessable("unknown_column", f"column {shortened_name(named[0])} {words}")


def _check_type(name: str, kind: Kind, given: Any) -> None:
    if arrow_types.has_unknown_zone(given):
        raise Unprocessable("bad_type", f"column {name}: its time zone is not known here")
    if not _fits(kind, given):
        words = f"expected a column of {WANTED[kind]}, found {_type_name(given)}"
        raise Unprocessable("bad_type", f"column {name}: {words}")


def _fits(kind: Kind, given: Any) -> bool:
    is_text = arrow_types.is_text(given) or arrow_types.is_bytes(given)
    match kind:
        case "number":
            return arrow_types.is_number(given)
        case "boolean":
            return arrow_types.is_boolean(given)
        case "date":
            return is_text or arrow_types.is_moment(given)
        case "time":
            return is_text or arrow_types.is_time(given)
        case "duration":
            return is_text or arrow_types.is_duration(given)
        case "category":
            return is_text or arrow_types.is_number(given) or arrow_types.is_boolean(given)
        case "text":
            return is_text


def _type_name(given: Any) -> str:
    """Return the type without its parameters: names of nested fields and time zones are part of the request."""
    given = arrow_types.value_type(given)
    name = None if given.num_fields else TYPE_NAME.match(str(given))
    return "nested values" if name is None else name[0]


# -- the columns ---------------------------------------------------------------------------------------------------


def _numbers(batches: Sequence[Any], expected: Expected) -> Array:
    """Return float64 (n_rows, n_columns). Raises Unprocessable where a number is null."""
    rows = np.empty((sum(map(len, batches)), len(expected.names)))
    end = 0
    for batch in batches:
        begin, end = end, end + len(batch)
        for place, name in enumerate(expected.names):
            column = arrow_columns.plain(batch.column(name), MOST_BYTES)
            if column.null_count:
                raise Unprocessable("not_a_number", f"column {name}: expected numbers, found null")
            rows[begin:end, place] = column.to_numpy(zero_copy_only=False)
    return rows


def _table(batches: Sequence[Any], expected: Expected) -> Table:
    columns: dict[str, Values] = {}
    most_bytes = MOST_BYTES
    for column in expected.typed:
        parts = _plain(column.name, batches, most_bytes)
        if arrow_types.is_text(parts[0].type):
            most_bytes -= sum(part.nbytes for part in parts)
        columns[column.name] = _column(column, parts)
    return Table(columns)


def _with_nulls(batch: Any, absent: Sequence[str]) -> Any:
    for name in absent:
        batch = batch.append_column(name, pa.nulls(len(batch)))
    return batch


def _plain(name: str, batches: Sequence[Any], most_bytes: int) -> list[Any]:
    """Return the column of each batch in a plain type. Raises Unprocessable, which names column and row."""
    columns: list[Any] = []
    for batch in batches:
        try:
            columns.append(arrow_columns.plain(batch.column(name), most_bytes - sum(part.nbytes for part in columns)))
        except TooMuchText:
            raise BodyTooLarge(MOST_BYTES) from None
        except OutOfRange as error:
            where = f"{row_of(sum(map(len, columns)) + error.row)}, column {name}"
            raise Unprocessable("bad_value", f"{where}: expected {TOO_LONG if error.is_duration else BEYOND}") from None
        if arrow_types.is_bytes(columns[-1].type):
            raise Unprocessable("bad_value", f"column {name}: expected texts, found bytes that are not UTF-8")
    return columns


def _column(column: ExpectedColumn, parts: Sequence[Any]) -> Values:
    kind = parts[0].type
    if column.kind == "number" and not any(part.null_count for part in parts):
        floats: Array = np.concatenate([part.to_numpy(zero_copy_only=False).astype(np.float64) for part in parts])
        if (numbers := read_numbers(column, floats)) is not None:
            return numbers
    if column.kind == "date" and arrow_types.is_moment(kind):
        return read_column(column, _cells(parts, _microseconds), lambda _kind, given: days_in(given), row_of)
    if arrow_types.is_time(kind) or arrow_types.is_duration(kind):
        return read_column(column, _cells(parts, _microseconds), lambda _kind, given: seconds_in(given), row_of)
    if kind in SHORT_FLOATS:
        return read_column(column, _cells(parts, _shortest if column.kind == "category" else _exact), from_json, row_of)
    return read_column(column, _cells(parts, lambda part: part.to_pylist()), from_json, row_of)


def _cells(parts: Sequence[Any], read: Callable[[Any], list[Any]]) -> list[Any]:
    return [cell for part in parts for cell in read(part)]


def _microseconds(values: Any) -> list[int | None]:
    """Return whole microseconds: since 1970-01-01 by the clock of a moment's zone, since midnight, or of a duration."""
    if pa.types.is_date32(values.type):
        values = values.cast(pa.timestamp("us"))
    counts: list[int | None] = values.cast(pa.int64()).to_pylist()
    return counts


def _exact(values: Any) -> list[float | None]:
    numbers: list[float | None] = values.cast(pa.float64()).to_pylist()
    return numbers


def _shortest(values: Any) -> list[float | None]:
    """Return each narrow float as the shortest decimal that stands for it: 0.1, as in training, not 0.10000000149."""
    narrow = values.type.to_pandas_dtype()
    return [None if value is None else float(str(narrow(value))) for value in values.to_pylist()]
