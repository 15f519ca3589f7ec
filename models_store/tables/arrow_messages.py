"""Sizes that a message of Arrow announces, read before it is decoded: a few bytes may unpack to gigabytes.

Also the places of the messages of an Arrow file, which its footer gives.
"""

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
# Fields of a file's footer (format/File.fbs); a block is the offset of a message and two lengths, int64 each.
DICTIONARIES, RECORD_BATCHES, BLOCK_BYTES = 8, 10, 24
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


def footer_of(metadata: bytes) -> list[int]:
    """Return where the messages of an Arrow file begin. Raises one of `DAMAGED` where the bytes are no footer."""
    root = FlatTable(metadata, struct.unpack_from("<I", metadata)[0])
    return [place for field in (DICTIONARIES, RECORD_BATCHES) for place in _blocks(root, field)]


def _blocks(footer: FlatTable, field: int) -> list[int]:
    place = footer.Offset(field)
    if not place:
        return []
    begin, count = footer.Vector(place), footer.VectorLen(place)
    blocks = struct.iter_unpack("<qqq", footer.Bytes[begin : begin + count * BLOCK_BYTES])
    return [offset for offset, _, _ in blocks]


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
