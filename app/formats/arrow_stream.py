"""Arrow IPC streams and files: columns by name, in any order. A stream answers a stream, and a file a file.

Numbers are answered as float64, labels in their own type.
"""

import struct
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from app.errors import Malformed
from app.formats import arrow_rows
from app.formats.expected import Expected
from app.formats.format import Content
from app.formats.media_types import ARROW, ARROW_FILE
from app.formats.reply import Reply
from models_store.tables import arrow_files
from models_store.tables.arrow_files import FILE_NAME, NOT_READABLE, NotASchema
from models_store.tables.arrow_messages import DAMAGED, announced

# A body is read by the event loop up to so many bytes that describe a message, and so many numbers in all columns.
LONGEST_DESCRIPTION = 1 << 12
MOST_NUMBERS_DECODED = 1 << 17
# The word before each message, and the bytes that it and the length after it take.
MARKER, FRAMED = 0xFFFFFFFF, 8


def read(body: bytes, expected: Expected, max_rows: int) -> Content:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    The sizes of each batch are checked in its metadata before it is decoded. Raises Malformed, TooManyRows,
    BodyTooLarge, or Unprocessable, which names the column.
    """
    try:
        file = arrow_files.of_arrow(pa.BufferReader(body), arrow_rows.limit(max_rows))
        return Content(arrow_rows.raw_of(file, expected), write_file if media_type_of(body) == ARROW_FILE else write)
    except NotASchema:
        raise Malformed("the Arrow IPC stream does not begin with a schema") from None
    except NOT_READABLE:
        raise Malformed("the body is not an Arrow IPC stream") from None


def media_type_of(body: bytes) -> str:
    """Return what the body is by its first bytes: clients send files as streams too."""
    return ARROW_FILE if body.startswith(FILE_NAME) else ARROW


def unpacks(body: bytes) -> bool:
    """True for a body that is compressed, or holds once what may stand in many rows."""
    if body.startswith(FILE_NAME):
        return True
    try:
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        first = messages.read_next_message()
        if first.type != "schema":
            return False
        return not _is_plain(first) or any(announced(message).is_compressed for message in messages)
    except (*NOT_READABLE, ValueError):  # it is refused as soon as it is read
        return False


def _is_plain(schema: Any) -> bool:
    """True if each row has its own cells: no type of the schema holds once what stands in many rows."""
    return all(_stands_in_every_row(field.type) for field in pa.ipc.read_schema(schema))


def _stands_in_every_row(kind: Any) -> bool:
    return bool(pa.types.is_primitive(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_one_array(body: bytes, expected: Expected) -> bool:
    """True if the body is little to read: a schema and one batch of few numbers, with short descriptions.

    What pyarrow builds from a description may be far larger than its bytes, so its length is checked first.
    """
    try:
        end = _end_of_description(body, _end_of_description(body, 0))
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
        schema = messages.read_next_message()
        if schema.body.size or not _is_plain(schema):  # with a body, the next message is not where it was looked for
            return False
        batch = messages.read_next_message()
        if announced(batch).is_compressed:
            return False
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
    return _written(arrow_rows.batch_of(reply), pa.ipc.new_stream)


def write_file(reply: Reply) -> bytes:
    return _written(arrow_rows.batch_of(reply), pa.ipc.new_file)


def _written(batch: Any, new: Callable[[Any, Any], Any]) -> bytes:
    target = pa.BufferOutputStream()
    with new(target, batch.schema) as file:
        file.write_batch(batch)
    content: bytes = target.getvalue().to_pybytes()
    return content
