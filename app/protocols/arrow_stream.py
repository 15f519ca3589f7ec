"""Arrow IPC streams: columns by name, in any order. Numbers are answered as float64, labels as what they are.

Dictionaries and string views are refused: what a few bytes of them stand for has no limit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import Malformed, TooManyRows, Unprocessable
from app.protocols.cells import Column, Expected, missing_columns, read_column, row_of
from app.protocols.reply import Reply
from models_store.arrow_messages import DAMAGED, announced
from models_store.scaler import Array
from models_store.table import EXPECTED, FIRST_DAY, LAST_DAY, SECONDS_A_DAY, Cell, Kind, Raw, Table, Values, from_json

A_DAY = {"day": 1, "s": SECONDS_A_DAY, "ms": 1e3 * SECONDS_A_DAY, "us": 1e6 * SECONDS_A_DAY, "ns": 1e9 * SECONDS_A_DAY}

WANTED: dict[Kind, str] = {
    "number": "integers or floats",
    "boolean": "booleans",
    "date": "dates, timestamps, or strings",
    "category": "strings, booleans, integers or floats",
    "text": "strings",
}


def read(body: bytes, expected: Expected, max_rows: int) -> tuple[Raw, Callable[[Reply], bytes]]:
    """Each batch says how long it is and whether it is compressed; both are looked at before it is decoded."""
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        first = messages.read_next_message()
        if first.type != "schema":  # pyarrow takes any message for one, and may end the process over it
            raise Malformed("the Arrow IPC stream does not begin with a schema")
        schema = pa.ipc.read_schema(first)
        _check_schema(schema, expected)
        batches: list[Any] = []
        n_rows = 0
        for message in messages:
            n_rows += _announced_rows(message)
            if n_rows > max_rows:
                raise TooManyRows(max_rows)
            batch = pa.ipc.read_record_batch(message, schema)
            # In full where there are texts: where each of them begins and ends is part of the bytes.
            batch.validate(full=bool(expected.typed))
            batches.append(batch)
        if not n_rows:
            raise Unprocessable("no_rows", "there are no rows to predict")
        return _table(batches, expected) if expected.typed else _numbers(batches, expected), write
    except (pa.ArrowException, OSError, EOFError, StopIteration, UnicodeError, *DAMAGED):
        raise Malformed("the body is not an Arrow IPC stream") from None


def write(reply: Reply) -> bytes:
    columns = [pa.array(np.ascontiguousarray(column)) for column in reply.columns.values()]
    batch = pa.record_batch(columns, names=list(reply.columns))
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, batch.schema) as stream:
        stream.write_batch(batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


def _check_schema(schema: Any, expected: Expected) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise Unprocessable("duplicate_column", "a column stands in the schema twice")
    missing = [name for name in expected.names if name not in schema.names]
    if missing:
        raise missing_columns(missing)
    if len(schema.names) > len(expected.names):
        raise Unprocessable("unknown_column", f"there is a column that is not one of {expected.listed}")
    kinds = {column.name: column.kind for column in expected.typed}
    for name in expected.names:
        kind = kinds.get(name, "number")
        if not _fits(kind, schema.field(name).type):
            raise Unprocessable("bad_type", f"column {name}: expected a column of {WANTED[kind]}")


def _fits(kind: Kind, given: Any) -> bool:
    is_number = pa.types.is_integer(given) or pa.types.is_floating(given)
    match kind:
        case "number":
            return bool(is_number)
        case "boolean":
            return bool(pa.types.is_boolean(given))
        case "date":
            return _is_string(given) or pa.types.is_date(given) or pa.types.is_timestamp(given)
        case "category":
            return _is_string(given) or is_number or pa.types.is_boolean(given)
        case "text":
            return _is_string(given)


def _is_string(given: Any) -> bool:
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given))


def _announced_rows(message: Any) -> int:
    if message.type != "record batch":
        raise Unprocessable("bad_type", "dictionaries are not accepted, only plain columns")
    found = announced(message)
    if found.is_compressed:
        raise Unprocessable(
            "compressed", "compressed Arrow buffers are not accepted; write the stream without compression"
        )
    return found.rows


def _numbers(batches: list[Any], expected: Expected) -> Array:
    for batch in batches:
        for name in expected.names:
            if batch.column(name).null_count:
                raise Unprocessable("not_a_number", f"column {name}: there is a null where a number belongs")
    parts = [[batch.column(name).to_numpy(zero_copy_only=False) for name in expected.names] for batch in batches]
    return np.concatenate([np.stack([column.astype(np.float64) for column in part], axis=1) for part in parts])


def _table(batches: list[Any], expected: Expected) -> Table:
    return Table(
        {
            column.name: _column(column, pa.chunked_array([batch.column(column.name) for batch in batches]))
            for column in expected.typed
        }
    )


def _column(column: Column, values: Any) -> Values:
    if column.kind == "number" and not values.null_count:
        numbers: Array = values.to_numpy().astype(np.float64)
        if np.isfinite(numbers).all():
            return numbers
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = pc.local_timestamp(values)  # what the clock showed there counts, as in training
    if column.kind == "date" and not _is_string(values.type):
        width = pa.int32() if pa.types.is_date32(values.type) else pa.int64()
        return read_column(column, values.cast(width).to_pylist(), _days_in(values.type), row_of)
    return read_column(column, values.to_pylist(), from_json, row_of)


def _days_in(kind: Any) -> Callable[[Kind, Any], Cell]:
    """Dates and times as Arrow counts them -> days since 1970-01-01."""
    unit = "day" if pa.types.is_date32(kind) else "ms" if pa.types.is_date64(kind) else kind.unit

    def days(_kind: Kind, count: int) -> Cell:
        found = count / A_DAY[unit]
        if not FIRST_DAY <= found < LAST_DAY:
            raise ValueError(EXPECTED["date"])
        return found

    return days
