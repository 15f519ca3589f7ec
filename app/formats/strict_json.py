"""JSON, read strictly: every body that is accepted has one meaning, and every other gets a short error."""

import base64
import json
import re
from itertools import chain
from typing import Any, NoReturn

import orjson

from app.errors import Malformed
from models_store.tables.number_syntax import may_hold_wide_integers

# Bytes. No recipe is larger, and a larger body would hold up all other requests while it is read.
LARGEST = 256 << 10
TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def loads_large(body: bytes) -> Any:
    """Return what `loads` does, three times faster for long lists of numbers. Raises Malformed."""
    if may_hold_wide_integers(body):
        return loads(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        # It also refuses 1e400, which is JSON and no finite number.
        return loads(body)
    # orjson keeps the last of several equal keys; then the body has more colons than the document has keys.
    n_keys = _n_keys(document)
    if body.count(b":") != n_keys and TEXT.sub(b"", body).count(b":") != n_keys:
        raise Malformed("the JSON has the same key twice in one object")
    return document


def _n_keys(document: Any) -> int:
    """Return the number of keys in all objects together. Each level is searched at once, which is fast for lists."""
    found, level = 0, [document]
    while level:
        kinds = set(map(type, level))
        objects = [part for part in level if type(part) is dict] if dict in kinds else []
        lists = [part for part in level if type(part) is list] if list in kinds else []
        found += sum(map(len, objects))
        level = [*chain.from_iterable(lists), *chain.from_iterable(part.values() for part in objects)]
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keyed = dict(pairs)
    if len(keyed) != len(pairs):
        raise Malformed("the JSON has the same key twice in one object")
    return keyed


def _object_or_bytes(pairs: list[tuple[str, Any]]) -> dict[str, Any] | str:
    """Return the object, or the text that TensorFlow Serving writes as {"b64": "…"}: base64 of UTF-8."""
    match pairs:
        case [("b64", str(encoded))]:
            try:
                return base64.b64decode(encoded, validate=True).decode()
            except ValueError:
                raise Malformed("what stands under b64 is not the base64 of a text in UTF-8") from None
    return _without_duplicates(pairs)


def _refuse_constant(_name: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON numbers")


STRICT = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
# NaN, Infinity and -Infinity are numbers, as for other servers and their clients.
WITH_NAN = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=float)
WITH_NAN_AND_BYTES = json.JSONDecoder(object_pairs_hook=_object_or_bytes, parse_constant=float)


def loads(body: bytes, decoder: json.JSONDecoder = STRICT) -> Any:
    """Return the JSON document of a body in UTF-8.

    Raises Malformed for duplicate keys, for NaN and Infinity unless the decoder takes them, and for what is nested too
    deeply.
    """
    try:
        return decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Malformed("the JSON is nested too deeply") from None
    except ValueError:
        raise Malformed("the JSON holds a number with too many digits") from None
