"""Sizes that a message of an Arrow stream announces, read before it is decoded: a few bytes may unpack to gigabytes."""

import struct
from dataclasses import dataclass
from typing import Any

from flatbuffers.table import Table as FlatTable

# Fields of Arrow's tables (format/Message.fbs), as offsets into a flatbuffer's vtable.
MESSAGE_HEADER = 8
DICTIONARY_DATA = 6
BATCH_LENGTH, BATCH_BUFFERS, BATCH_COMPRESSION = 4, 8, 10
# A buffer is described by two int64, offset and length; a compressed one begins with the length it unpacks to.
BUFFER_BYTES = 16
NOT_COMPRESSED = -1
# Raised where the bytes are not such a message.
DAMAGED = (struct.error, IndexError, TypeError, AttributeError)


@dataclass(frozen=True)
class Announced:
    rows: int
    """0 for a dictionary, whose values are no rows."""
    is_compressed: bool
    n_bytes: int
    """The size of all buffers, once they are unpacked."""


def announced(message: Any) -> Announced:
    """Return the sizes of a record batch, or of a dictionary. Raises one of `DAMAGED` where the message is neither."""
    metadata = message.metadata.to_pybytes()
    root = FlatTable(metadata, struct.unpack_from("<I", metadata)[0])
    batch = _at(root, MESSAGE_HEADER)
    if message.type == "dictionary":
        batch = _at(batch, DICTIONARY_DATA)
    rows = 0 if message.type == "dictionary" else _int64(batch, BATCH_LENGTH)
    is_compressed = bool(batch.Offset(BATCH_COMPRESSION))
    return Announced(rows, is_compressed, _unpacked(batch, message.body) if is_compressed else message.body.size)


def _at(table: FlatTable, field: int) -> FlatTable:
    return FlatTable(table.Bytes, table.Indirect(table.Pos + table.Offset(field)))


def _int64(table: FlatTable, field: int) -> int:
    place = table.Offset(field)
    return max(0, struct.unpack_from("<q", table.Bytes, table.Pos + place)[0]) if place else 0


def _unpacked(batch: FlatTable, body: Any) -> int:
    place = batch.Offset(BATCH_BUFFERS)
    if not place:
        return 0
    begin, count = batch.Vector(place), batch.VectorLen(place)
    buffers = struct.iter_unpack("<qq", batch.Bytes[begin : begin + count * BUFFER_BYTES])
    content = memoryview(body)
    return sum(_length(content, *buffer) for buffer in buffers)


def _length(content: memoryview, offset: int, length: int) -> int:
    if length == 0:
        return 0
    (unpacked,) = struct.unpack_from("<q", content, offset)
    return max(0, length if unpacked == NOT_COMPRESSED else unpacked)
