"""Arrow IPC streams: numeric columns by name, in any order. Answers are float64 columns."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from flatbuffers.table import Table

from app.errors import Malformed, TooManyRows, Unprocessable
from models_store.scaler import Array

# Fields of Arrow's `RecordBatch` and `Message` tables (format/Message.fbs), as offsets into a flatbuffer's vtable.
MESSAGE_HEADER = 8
BATCH_LENGTH = 4
BATCH_COMPRESSION = 10


def read(
    body: bytes, columns: tuple[str, ...], max_rows: int
) -> tuple[Array, Callable[[tuple[str, ...], Array], bytes]]:
    """Each batch says how long it is and whether it is compressed; both are looked at before it is decoded."""
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        first = messages.read_next_message()
        if first.type != "schema":  # pyarrow takes any message for one, and may end the process over it
            raise Malformed("the Arrow IPC stream does not begin with a schema")
        schema = pa.ipc.read_schema(first)
        _check_schema(schema, columns)
        tables: list[Array] = []
        n_rows = 0
        for message in messages:
            n_rows += _announced_rows(message)
            if n_rows > max_rows:
                raise TooManyRows(max_rows)
            tables.append(_table(pa.ipc.read_record_batch(message, schema), columns))
    except (pa.ArrowException, OSError, EOFError, StopIteration, struct.error, IndexError, TypeError, UnicodeError):
        raise Malformed("the body is not an Arrow IPC stream") from None
    if not n_rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    return np.concatenate(tables), write


def write(columns: tuple[str, ...], answers: Array) -> bytes:
    batch = pa.record_batch([pa.array(column) for column in np.ascontiguousarray(answers.T)], names=list(columns))
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, batch.schema) as stream:
        stream.write_batch(batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


def _check_schema(schema: Any, columns: tuple[str, ...]) -> None:
    if len(set(schema.names)) != len(schema.names):
        raise Unprocessable("duplicate_column", "a column stands in the schema twice")
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise Unprocessable("missing_column", f"column {missing[0]} is missing")
    if len(schema.names) > len(columns):
        raise Unprocessable("unknown_column", f"there is a column that is not one of {', '.join(columns)}")
    for name in columns:
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise Unprocessable("bad_type", f"column {name}: expected a column of integers or floats")


def _announced_rows(message: Any) -> int:
    if message.type != "record batch":
        raise Unprocessable("bad_type", "dictionaries are not accepted, only plain numeric columns")
    metadata = message.metadata.to_pybytes()
    root = Table(metadata, struct.unpack_from("<I", metadata)[0])
    batch = Table(metadata, root.Indirect(root.Pos + root.Offset(MESSAGE_HEADER)))
    if batch.Offset(BATCH_COMPRESSION):
        raise Unprocessable(
            "compressed", "compressed Arrow buffers are not accepted; write the stream without compression"
        )
    place = batch.Offset(BATCH_LENGTH)
    length: int = struct.unpack_from("<q", metadata, batch.Pos + place)[0] if place else 0
    return length


def _table(batch: Any, columns: tuple[str, ...]) -> Array:
    batch.validate()
    for name in columns:
        if batch.column(name).null_count:
            raise Unprocessable("not_a_number", f"column {name}: there is a null where a number belongs")
    arrays = [batch.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in columns]
    return np.stack(arrays, axis=1)
