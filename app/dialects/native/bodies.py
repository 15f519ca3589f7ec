"""The native bodies of `/predict`: the answer has the layout of the question.

bytes + content type -> NativeQuestion (rows, layout) -> Reply -> bytes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from app.answering.plan import cost_of_array, cost_of_unpacking, reads_on_loop
from app.dialects.asked import AskedRows
from app.errors import NotAcceptedType, Unprocessable
from app.formats import arrow_stream, json_rows
from app.formats.expected import Expected
from app.formats.format import Content, Format
from app.formats.found import kind_of
from app.formats.json_numbers import rows_of_numbers
from app.formats.json_rows import check_finite, raw_of, rows_of
from app.formats.media_types import ARROW, ARROW_FILE, JSON, media_type_of
from app.formats.reply import Layout, Reply
from app.formats.tables import TABLES


@dataclass(frozen=True, eq=False)
class NativeQuestion(AskedRows):
    """Raw rows in the card's column order, and the function that writes the reply to them."""

    write: Callable[[Reply], bytes]
    media_type: str
    """The media type of the body as it is, and so of the answer."""
    is_light: bool = False


def cost(body: bytes, content_type: str, expected: Expected) -> int:
    """Return how much work the body is to read, in bytes of JSON: its length, unless it is an array or may unpack."""
    found = FORMATS.get(content_type.partition(";")[0].strip().lower())
    if found is None:
        return len(body)
    if reads_on_loop(len(body)):
        return cost_of_unpacking(len(body)) if found.unpacks is not None and found.unpacks(body) else len(body)
    return cost_of_array(len(body)) if not expected.typed and found.is_array(body, expected) else len(body)


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> NativeQuestion:
    """Read a body. Raises Malformed, NotAcceptedType, TooManyRows, or Unprocessable, which names row and column."""
    media_type = media_type_of(content_type)
    found = FORMATS.get(media_type)
    if found is None:
        raise NotAcceptedType(f"the content type must be {', '.join(FORMATS)}; the body is not guessed at")
    rows, write = found.read(body, expected, max_rows)
    if media_type != JSON:  # whose readers have looked at each number
        check_finite(rows, expected)
    if media_type in (ARROW, ARROW_FILE):  # which are told apart by their bytes
        media_type = arrow_stream.media_type_of(body)
    return NativeQuestion(rows, write, media_type, found.has_arrays and not expected.typed)


def _read_json(body: bytes, expected: Expected, max_rows: int) -> Content:
    if not expected.typed and (read := rows_of_numbers(body, "inputs", len(expected.names), max_rows)) is not None:
        layout, numbers = read
        return Content(numbers, partial(_write_json, layout))
    document = json_rows.loads(body, expected, max_rows)
    if not isinstance(document, dict) or set(document) != {"inputs"}:
        words = 'the body must be an object with the one key "inputs"'
        raise Unprocessable("bad_body", f"{words}, found {_found(document)}")
    layout, rows = rows_of(document["inputs"], expected, max_rows)
    return Content(raw_of(rows, expected), partial(_write_json, layout))


def _found(document: Any) -> str:
    if not isinstance(document, dict):
        return kind_of(document)
    if "inputs" not in document:
        return "an object without it"
    return "others beside it; options such as outside go into the address: ?outside=clip"


def _write_json(layout: Layout, reply: Reply) -> bytes:
    about = {"pattern": reply.bundle.pattern, "version": reply.version}
    return orjson.dumps({**about, **reply.in_layout(layout), **reply.remarks}, option=orjson.OPT_SERIALIZE_NUMPY)


FORMATS: Mapping[str, Format] = {JSON: Format(_read_json), **TABLES}
