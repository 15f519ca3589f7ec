"""Arrow IPC streams: columns by name, in any order. Numbers are answered as float64, labels in their own type.

Dictionaries and string views are refused: a few bytes of them may stand for texts of any size.
"""

import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import Malformed, TooManyRows, Unprocessable
from app.formats.expected import (
    Expected,
    ExpectedColumn,
    missing_columns,
    read_column,
    read_numbers,
    repeated_column,
    row_of,
    unknown_column,
)
from app.formats.reply import Reply
from models_store.arrays import Array
from models_store.tables.arrow_messages import DAMAGED, announced
from models_store.tables.clock import is_storable, seconds_in
from models_store.tables.moments import FIRST_DAY, LAST_DAY, MICROSECONDS_A_DAY
from models_store.tables.table import (
    Cell,
    Kind,
    Raw,
    Table,
    Values,
    days_in,
    from_json,
)

# Microseconds in a unit of Arrow's timestamps.
LENGTH = {"s": 1_000_000, "ms": 1000, "us": 1}
NANOSECONDS = 1000
# A body is read by the event loop up to so many bytes that describe a message, and so many numbers in all columns.
LONGEST_DESCRIPTION = 1 << 12
MOST_NUMBERS_DECODED = 1 << 17
# The word before each message, and the bytes that it and the length after it take.
MARKER, FRAMED = 0xFFFFFFFF, 8

TYPE_NAME = re.compile("[a-z0-9_]+")
SHORT_FLOATS = (pa.float16(), pa.float32())
WANTED: dict[Kind, str] = {
    "number": "integers or floats",
    "boolean": "booleans",
    "date": "dates, timestamps, or strings",
    "time": "times of day, or strings",
    "duration": "durations, or strings",
    "category": "strings, booleans, integers or floats",
    "text": "strings",
}


def read(body: bytes, expected: Expected, max_rows: int) -> tuple[Raw, Callable[[Reply], bytes]]:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    Length and compression of each batch are checked in its metadata before it is decoded. Raises Malformed,
    TooManyRows, or Unprocessable, which names the column.
    """
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


def is_one_array(body: bytes, expected: Expected) -> bool:
    """True if the body is little to read: a schema and one batch of few numbers, with short descriptions.

    What pyarrow builds from a description may be far larger than its bytes, so its length is checked first.
    """
    try:
        end = _end_of_description(body, _end_of_description(body, 0))
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        if messages.read_next_message().body.size:  # then the next message is not where it was looked for
            return False
        batch = messages.read_next_message()
        n_numbers = announced(batch).rows * len(expected.names)
        return bool(n_numbers <= MOST_NUMBERS_DECODED and len(body) - end - batch.body.size <= LONGEST_DESCRIPTION)
    except (pa.ArrowException, OSError, StopIteration, ValueError, *DAMAGED):
        return False


def _end_of_description(body: bytes, begin: int) -> int:
    """Return the place in the body where the description of the message at `begin` ends.

    Raises ValueError where the description is too long.
    """
    marker, length = struct.unpack_from("<II", body, begin)
    if marker != MARKER or length > LONGEST_DESCRIPTION:
        raise ValueError(length)
    return begin + FRAMED + int(length)


def write(reply: Reply) -> bytes:
    columns = [pa.array(np.ascontiguousarray(column)) for column in reply.columns.values()]
    batch = pa.record_batch(columns, names=list(reply.columns))
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, batch.schema) as stream:
        stream.write_batch(batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


def _check_schema(schema: Any, expected: Expected) -> None:
    there = set(schema.names)
    if len(there) != len(schema.names):
        raise repeated_column(schema.names)
    missing = [name for name in expected.names if name not in there]
    if missing:
        raise missing_columns(missing)
    if len(there) > len(expected.names):
        raise unknown_column(schema.names, expected)
    kinds = {column.name: column.kind for column in expected.typed}
    for name in expected.names:
        kind = kinds.get(name, "number")
        given = schema.field(name).type
        if not _fits(kind, given):
            words = f"column {name}: expected a column of {WANTED[kind]}, found {_type_name(given)}"
            raise Unprocessable("bad_type", words)


def _fits(kind: Kind, given: Any) -> bool:
    is_number = pa.types.is_integer(given) or pa.types.is_floating(given)
    match kind:
        case "number":
            return bool(is_number)
        case "boolean":
            return bool(pa.types.is_boolean(given))
        case "date":
            return _is_string(given) or pa.types.is_date(given) or pa.types.is_timestamp(given)
        case "time":
            return _is_string(given) or pa.types.is_time(given)
        case "duration":
            return _is_string(given) or pa.types.is_duration(given)
        case "category":
            return _is_string(given) or is_number or pa.types.is_boolean(given)
        case "text":
            return _is_string(given)


def _type_name(given: Any) -> str:
    """Return the type without its parameters: names of nested fields and time zones are part of the request."""
    name = None if given.num_fields else TYPE_NAME.match(str(given))
    return "nested values" if name is None else name[0]


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
    """Return float64 (n_rows, n_columns). Raises Unprocessable where a number is null."""
    for batch in batches:
        for name in expected.names:
            if batch.column(name).null_count:
                raise Unprocessable("not_a_number", f"column {name}: expected numbers, found null")
    rows = np.empty((sum(len(batch) for batch in batches), len(expected.names)))
    end = 0
    for batch in batches:
        begin, end = end, end + len(batch)
        for place, name in enumerate(expected.names):
            rows[begin:end, place] = batch.column(name).to_numpy(zero_copy_only=False)
    return rows


def _table(batches: list[Any], expected: Expected) -> Table:
    return Table(
        {
            column.name: _column(column, pa.chunked_array([batch.column(column.name) for batch in batches]))
            for column in expected.typed
        }
    )


def _column(column: ExpectedColumn, values: Any) -> Values:
    if column.kind == "number" and not values.null_count:
        numbers = read_numbers(column, values.to_numpy().astype(np.float64))
        if numbers is not None:
            return numbers
    if column.kind == "date" and not _is_string(values.type):
        return read_column(column, _microseconds(column, values), _days, row_of)
    if column.kind in ("time", "duration") and not _is_string(values.type):
        return read_column(column, _whole_microseconds(values), _seconds, row_of)
    if column.kind == "category" and values.type in SHORT_FLOATS:
        return read_column(column, _shortest(values), from_json, row_of)
    return read_column(column, values.to_pylist(), from_json, row_of)


def _microseconds(column: ExpectedColumn, moments: Any) -> list[int | None]:
    """Return microseconds since 1970-01-01 by the clock of their time zone, as in training.

    They are Python's integers, because a moment far away in time would overflow 64 bits.
    """
    if pa.types.is_date32(moments.type):
        return _times(moments.cast(pa.int32()), MICROSECONDS_A_DAY)
    if pa.types.is_date64(moments.type):
        return _times(moments.cast(pa.int64()), LENGTH["ms"])
    if moments.type.tz is not None:
        try:
            moments = pc.local_timestamp(moments)
        except pa.ArrowInvalid:
            raise Unprocessable("bad_type", f"column {column.name}: its time zone is not known here") from None
    return _whole_microseconds(moments)


def _whole_microseconds(values: Any) -> list[int | None]:
    """Return timestamps, times or durations in microseconds, rounded down."""
    counts = values.cast(pa.int32() if values.type.bit_width == 32 else pa.int64())
    if values.type.unit == "ns":
        return [None if count is None else count // NANOSECONDS for count in counts.to_pylist()]
    return _times(counts, LENGTH[values.type.unit])


def _times(counts: Any, length: int) -> list[int | None]:
    return [None if count is None else count * length for count in counts.to_pylist()]


def _days(_kind: Kind, microseconds: int) -> Cell:
    if not FIRST_DAY <= microseconds // MICROSECONDS_A_DAY < LAST_DAY:
        raise ValueError("a date of the years 1 to 9999")
    return days_in(microseconds)


def _seconds(kind: Kind, microseconds: int) -> Cell:
    # A time of day beyond 24:00 is no valid Arrow.
    if kind == "duration" and not is_storable(microseconds):
        raise ValueError("a duration of at most 10 000 years")
    return seconds_in(microseconds)


def _shortest(values: Any) -> list[float | None]:
    """Return each narrow float as the shortest decimal that stands for it: 0.1, as in training, not 0.10000000149."""
    narrow = values.type.to_pandas_dtype()
    return [None if value is None else float(str(narrow(value))) for value in values.to_pylist()]
