"""The native bodies of `/predict`: the answer has the layout of the question.

bytes + content type -> NativeQuestion (rows, layout) -> Reply -> bytes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from app.answering.plan import ARRAY_DISCOUNT, MOST_BYTES_ON_LOOP
from app.errors import NotAcceptedType, Unprocessable
from app.formats import arrow_stream, csv_rows, json_lines, json_rows, npy, parquet
from app.formats.expected import Expected
from app.formats.found import kind_of
from app.formats.json_numbers import rows_of_numbers
from app.formats.json_rows import check_finite, raw_of, rows_of
from app.formats.media_types import ARROW, ARROW_FILE, CSV, JSON, JSON_LINES, NPY, PARQUET, media_type_of
from app.formats.reply import Layout, Reply
from models_store.storage.store import Release
from models_store.tables.table import Raw

# True for a body of numbers as they are in memory, which is little to read.
ARRAYS: Mapping[str, Callable[[bytes, Expected], bool]] = {
    NPY: lambda _body, _expected: True,
    ARROW: arrow_stream.is_one_array,
}
# True for a body that may unpack to far more than its bytes.
UNPACKING: Mapping[str, Callable[[bytes], bool]] = {
    ARROW: arrow_stream.unpacks,
    ARROW_FILE: arrow_stream.unpacks,
    PARQUET: lambda _body: True,
}


@dataclass(frozen=True, eq=False)
class NativeQuestion:
    """Raw rows in the card's column order, and the function that writes the reply to them."""

    rows: Raw
    write: Callable[[Release, Reply, Mapping[str, Any]], bytes]
    media_type: str
    """The media type of the body, and so of the answer."""
    is_light: bool = False


def size(body: bytes, content_type: str) -> int:
    """Return the size of the body, or more than the event loop reads where it may unpack to far more than that."""
    if content_type == JSON:
        return len(body)
    unpacks = UNPACKING.get(content_type.partition(";")[0].strip().lower())
    return max(len(body), MOST_BYTES_ON_LOOP + 1) if unpacks is not None and unpacks(body) else len(body)


def cost(body: bytes, content_type: str, expected: Expected) -> int:
    """Return how much work a large body is to read, in bytes of JSON; an array of numbers is cheap."""
    is_light = not expected.typed and content_type in ARRAYS and ARRAYS[content_type](body, expected)
    return len(body) // ARRAY_DISCOUNT if is_light else size(body, content_type)


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> NativeQuestion:
    """Read a body. Raises Malformed, NotAcceptedType, TooManyRows, or Unprocessable, which names row and column."""
    media_type = media_type_of(content_type)
    if media_type == JSON:
        return _read_json(body, expected, max_rows)
    table = TABLES.get(media_type)
    if table is None:
        raise NotAcceptedType(f"the content type must be {JSON}, {', '.join(TABLES)}; the body is not guessed at")
    rows, write = table(body, expected, max_rows)
    is_light = media_type in ARRAYS and not expected.typed
    checked = check_finite(rows, expected)
    return NativeQuestion(checked, lambda _release, reply, _extra: write(reply), media_type, is_light)


TABLES: Mapping[str, Callable[[bytes, Expected, int], tuple[Raw, Callable[[Reply], bytes]]]] = {
    CSV: csv_rows.read,
    NPY: npy.read,
    ARROW: arrow_stream.read,
    ARROW_FILE: arrow_stream.read,
    PARQUET: parquet.read,
    **dict.fromkeys(JSON_LINES, json_lines.read),
}


def _read_json(body: bytes, expected: Expected, max_rows: int) -> NativeQuestion:
    if not expected.typed and (read := rows_of_numbers(body, "inputs", len(expected.names), max_rows)) is not None:
        layout, numbers = read
        return NativeQuestion(numbers, partial(_write_json, layout), JSON)
    document = json_rows.loads(body, expected, max_rows)
    if not isinstance(document, dict) or set(document) != {"inputs"}:
        words = 'the body must be an object with the one key "inputs"'
        raise Unprocessable("bad_body", f"{words}, found {_found(document)}")
    layout, rows = rows_of(document["inputs"], expected, max_rows)
    return NativeQuestion(raw_of(rows, expected), partial(_write_json, layout), JSON)


def _found(document: Any) -> str:
    if not isinstance(document, dict):
        return kind_of(document)
    return "others beside it" if "inputs" in document else "an object without it"


def _write_json(layout: Layout, release: Release, reply: Reply, extra: Mapping[str, Any]) -> bytes:
    answer = {"pattern": release.bundle.pattern, "version": release.version, **reply.in_layout(layout), **extra}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
