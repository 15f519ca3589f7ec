"""JSON without its traps: one meaning for every body that is accepted, and a short error for every other."""

import json
from typing import Any, NoReturn

from app.errors import Malformed


def loads(body: bytes) -> Any:
    """UTF-8 only; no duplicate keys, no NaN or Infinity, nothing nested beyond reason. Malformed otherwise."""
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Malformed("the JSON is nested too deeply") from None
    except ValueError:
        raise Malformed("the JSON holds a number with too many digits") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keyed = dict(pairs)
    if len(keyed) != len(pairs):
        raise Malformed("the JSON has the same key twice in one object")
    return keyed


def _refuse_constant(_name: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON numbers")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
