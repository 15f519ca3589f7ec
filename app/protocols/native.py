"""The native bodies of `/predict`: the answer has the layout of the question.

bytes + content type -> Question (rows, layout) -> Reply -> bytes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from app.errors import NotAcceptedType, Unprocessable
from app.protocols import arrow_stream, encodings, json_rows, npy, table_csv
from app.protocols.cells import Expected
from app.protocols.json_numbers import rows_of_numbers
from app.protocols.json_rows import check_finite, raw_of, rows_of
from app.protocols.reply import Layout, Reply
from app.protocols.weight import LIGHTER
from models_store.store import Release
from models_store.table import Raw

JSON = "application/json"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
ARRAYS: Mapping[str, Callable[[bytes, Expected], bool]] = {
    NPY: lambda _body, _expected: True,
    ARROW: arrow_stream.is_one_array,
}


@dataclass(frozen=True, eq=False)
class Question:
    """Raw rows in the card's column order, and how to write the reply to them down."""

    rows: Raw
    write: Callable[[Release, Reply, dict[str, Any]], bytes]
    media_type: str
    is_light: bool = False


def weight(body: bytes, content_type: str, expected: Expected) -> int:
    """How much work there is to read."""
    is_light = not expected.typed and content_type in ARRAYS and ARRAYS[content_type](body, expected)
    return len(body) // LIGHTER if is_light else len(body)


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> Question:
    """Malformed, NotAcceptedType, TooManyRows, or Unprocessable naming row and column."""
    kind = media_type_of(content_type)
    if kind == JSON:
        return _read_json(body, expected, max_rows)
    table = TABLES.get(kind)
    if table is None:
        raise NotAcceptedType(f"the content type must be {JSON}, {', '.join(TABLES)}; the body is not guessed at")
    rows, write = table(body, expected, max_rows)
    is_light = kind in ARRAYS and not expected.typed
    return Question(check_finite(rows, expected), lambda _release, reply, _extra: write(reply), kind, is_light)


def check_plain(content_encoding: str) -> None:
    """Compressed bodies are not taken: what a few bytes unpack to has no limit."""
    if not encodings.is_plain(content_encoding):
        raise NotAcceptedType("the body must be sent without Content-Encoding")


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """Without parameters; a charset other than UTF-8 is not accepted."""
    kind, _, parameters = content_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "utf8", "us-ascii"):
            raise NotAcceptedType("the charset must be UTF-8")
    return kind.strip().lower()


TABLES: Mapping[str, Callable[[bytes, Expected, int], tuple[Raw, Callable[[Reply], bytes]]]] = {
    "text/csv": table_csv.read,
    NPY: npy.read,
    ARROW: arrow_stream.read,
}


def _read_json(body: bytes, expected: Expected, max_rows: int) -> Question:
    if not expected.typed and (read := rows_of_numbers(body, len(expected.names), max_rows)) is not None:
        layout, numbers = read
        return _question(layout, check_finite(numbers, expected))
    document = json_rows.loads(body, expected, max_rows)
    if not isinstance(document, dict) or set(document) != {"inputs"}:
        raise Unprocessable("bad_body", 'the body must be an object with the one key "inputs"')
    layout, rows = rows_of(document["inputs"], expected, max_rows)
    return _question(layout, raw_of(rows, expected))


def _question(layout: Layout, rows: Raw) -> Question:
    def write(release: Release, reply: Reply, extra: dict[str, Any]) -> bytes:
        answer = {"pattern": release.bundle.pattern, "version": release.version, **reply.in_layout(layout), **extra}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    return Question(rows, write, JSON)
