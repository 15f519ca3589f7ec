"""JSON lines: a record or a list of values a line, or one value for a pattern with one input; answered line by line."""

from functools import partial
from json import JSONDecoder
from typing import Any

import orjson

from app.errors import Malformed, TooManyRows
from app.formats import json_rows, strict_json
from app.formats.expected import Expected
from app.formats.format import Content
from app.formats.reply import Layout, Reply


def read(body: bytes, expected: Expected, max_rows: int, decoder: JSONDecoder = strict_json.STRICT) -> Content:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    Lines without a value are skipped. Raises Malformed, which names the line; TooManyRows; or Unprocessable, which
    names row and column. Rows count from 0.
    """
    # Counted before they are read, because reading holds the GIL.
    if body.count(b"\n") > max_rows + json_rows.SLACK:
        raise TooManyRows(max_rows)
    lines = body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    values = [_value(line, place, expected, decoder) for place, line in enumerate(lines, 1) if line.strip()]
    if len(values) > max_rows:
        raise TooManyRows(max_rows)
    layout, rows = json_rows.rows_of(values, expected, max_rows)
    return Content(json_rows.raw_of(json_rows.scalars(rows), expected), partial(write, layout=layout))


def write(reply: Reply, layout: Layout = "records") -> bytes:
    """Write a line for each row; an object with `outputs` and what is beside them, if something is."""
    said = reply.in_layout(layout)
    parts = [part if isinstance(part, list) else part.tolist() for part in said.values()]
    rows: list[Any] = parts[0]
    if len(parts) > 1:
        rows = [dict(zip(said, row, strict=True)) for row in zip(*parts, strict=True)]
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _value(line: bytes, place: int, expected: Expected, decoder: JSONDecoder) -> Any:
    try:
        return json_rows.loads(line, expected, 1, decoder, brackets_a_row=len(expected.names) + 1)
    except Malformed as error:
        raise Malformed(f"line {place}: {str(error).partition(': line')[0]}") from None
