"""The native bodies of `/predict`: the answer has the layout of the question.

bytes + content type -> Question (rows, layout) -> Reply -> bytes
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from app.errors import NotAcceptedType, TooManyRows, Unprocessable
from app.protocols import arrow_stream, npy, strict_json, table_csv
from app.protocols.cells import Expected, missing_columns, row_of, table_of
from app.protocols.json_numbers import rows_of_numbers
from app.protocols.reply import Layout, Reply
from models_store.scaler import Array
from models_store.store import Release
from models_store.table import Raw, from_json

JSON = "application/json"
# Beyond the rows themselves; a body that is only nested too deeply is left to the parser to refuse.
SLACK = 1000
NUMBERS = frozenset({int, float})
TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


@dataclass(frozen=True, eq=False)
class Question:
    """Raw rows in the card's column order, and how to write the reply to them down."""

    rows: Raw
    write: Callable[[Release, Reply, dict[str, Any]], bytes]
    media_type: str


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> Question:
    """Malformed, NotAcceptedType, TooManyRows, or Unprocessable naming row and column."""
    kind = media_type_of(content_type)
    if kind == JSON:
        return _read_json(body, expected, max_rows)
    table = TABLES.get(kind)
    if table is None:
        raise NotAcceptedType(f"the content type must be {JSON}, {', '.join(TABLES)}; the body is not guessed at")
    rows, write = table(body, expected, max_rows)
    return Question(check_finite(rows, expected), lambda _release, reply, _extra: write(reply), kind)


def check_plain(content_encoding: str) -> None:
    """Compressed bodies are not taken: what a few bytes unpack to has no limit."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise NotAcceptedType("the body must be sent without Content-Encoding")


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
    "application/x-npy": npy.read,
    "application/vnd.apache.arrow.stream": arrow_stream.read,
}


def _read_json(body: bytes, expected: Expected, max_rows: int) -> Question:
    # Counted before anything is built of it: the parser holds the interpreter, in whatever thread it runs.
    # What stands in texts is not structure, but is taken out only of a body that has too much of it.
    if _is_too_much(body, expected, max_rows) and _is_too_much(TEXT.sub(b"", body), expected, max_rows):
        raise TooManyRows(max_rows)
    if not expected.typed and (read := rows_of_numbers(body, len(expected.names))) is not None:
        layout, rows = read
        if len(rows) > max_rows:
            raise TooManyRows(max_rows)
        return _question(layout, check_finite(rows, expected))
    document = strict_json.loads(body)
    if not isinstance(document, dict) or set(document) != {"inputs"}:
        raise Unprocessable("bad_body", 'the body must be an object with the one key "inputs"')
    layout, values = _rows_of(document["inputs"], expected, max_rows)
    if expected.typed:
        return _question(layout, table_of(expected, list(zip(*values, strict=True)), from_json, row_of))
    return _question(layout, check_finite(_numbers(values, expected), expected))


def _question(layout: Layout, rows: Raw) -> Question:
    def write(release: Release, reply: Reply, extra: dict[str, Any]) -> bytes:
        answer = {"pattern": release.bundle.pattern, "version": release.version, **reply.in_layout(layout), **extra}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    return Question(rows, write, JSON)


def _is_too_much(body: bytes, expected: Expected, max_rows: int) -> bool:
    most_commas = (max_rows + SLACK) * (len(expected.names) + 1)
    return body.count(b"[") + body.count(b"{") > max_rows + SLACK or body.count(b",") > most_commas


def _rows_of(inputs: Any, expected: Expected, max_rows: int) -> tuple[Layout, list[list[Any]]]:
    """The layout, and rows of values in column order whose kinds are not yet known."""
    if isinstance(inputs, dict):
        if not any(isinstance(value, list) for value in inputs.values()):
            return "record", [_in_order(inputs, expected, "", expected.optional)]
        values = _in_order(inputs, expected, "")
        if not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            raise Unprocessable("bad_layout", "columns must all be lists of the same length, or all be single values")
        _check_count(values[0], max_rows)
        return "columns", [list(row) for row in zip(*values, strict=True)]
    if not isinstance(inputs, list):
        raise Unprocessable("bad_layout", "inputs must be a list of rows or records, or an object of columns")
    _check_count(inputs, max_rows)
    if isinstance(inputs[0], dict):
        optional = expected.optional
        return "records", [_in_order(record, expected, f"row {row}: ", optional) for row, record in enumerate(inputs)]
    if not isinstance(inputs[0], list) and len(expected.names) == 1:
        return "flat", [[value] for value in inputs]
    for row, values in enumerate(inputs):
        if not isinstance(values, list) or len(values) != len(expected.names):
            raise Unprocessable(
                "bad_row", f"row {row}: expected a list of {len(expected.names)} values: {expected.listed}"
            )
    return "rows", inputs


def _check_count(rows: list[Any], max_rows: int) -> None:
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)


def _in_order(record: Any, expected: Expected, where: str, optional: frozenset[str] = frozenset()) -> list[Any]:
    """The record's values, None for an optional column that it leaves out."""
    if not isinstance(record, dict):
        raise Unprocessable("bad_row", f"{where}expected a record with the columns {expected.listed}")
    missing = [name for name in expected.names if name not in record]
    if not optional.issuperset(missing):
        raise missing_columns([name for name in missing if name not in optional], where)
    if len(record) + len(missing) > len(expected.names):
        raise Unprocessable("unknown_column", f"{where}there is a column that is not one of {expected.listed}")
    return [record.get(name) for name in expected.names]


def _numbers(rows: list[list[Any]], expected: Expected) -> Array:
    """float64 (n_rows, n_columns). A bool is no number here, nor is a string or null."""
    for place, row in enumerate(rows):
        if not NUMBERS.issuperset(map(type, row)):
            column = next(name for name, value in zip(expected.names, row, strict=True) if type(value) not in NUMBERS)
            raise Unprocessable("not_a_number", f"row {place}, column {column}: expected a number")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise Unprocessable("not_a_number", "a number is too large") from None


def check_finite(rows: Raw, expected: Expected) -> Raw:
    if isinstance(rows, np.ndarray) and not (finite := np.isfinite(rows)).all():
        row, column = np.argwhere(~finite)[0]
        raise Unprocessable("not_a_number", f"row {row}, column {expected.names[column]}: not a finite number")
    return rows
