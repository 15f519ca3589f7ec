"""The bodies of /invocations, as clients of MLflow, SageMaker and Vertex AI send them.

bytes + content type -> Question (rows) -> Reply -> bytes, as JSON or CSV
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from app.errors import NotAcceptedType, TooManyRows, Unprocessable
from app.formats import csv_rows, json_rows, strict_json
from app.formats.expected import Expected
from app.formats.media_types import CSV, JSON, media_type_of, parameters_of
from app.formats.reply import Reply
from models_store.tables.table import Raw

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
# MLflow's name, and Vertex AI's. Networks take none; clients may send them all the same.
PARAMETERS = ("params", "parameters")


@dataclass(frozen=True, eq=False)
class Question:
    """Raw rows in the card's column order, and how their answers would stand in CSV."""

    rows: Raw
    write_csv: Callable[[Reply], bytes]
    is_light: bool = False


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> Question:
    """Malformed, NotAcceptedType, TooManyRows, or Unprocessable naming row and column."""
    match media_type_of(content_type):
        case "text/csv":
            return Question(*csv_rows.read(body, expected, max_rows, _header(content_type)))
        case "application/json" | "":
            rows = _rows(_document(body, expected, max_rows), expected, max_rows)
            raw = json_rows.raw_of(json_rows.scalars(rows), expected)
            return Question(raw, partial(csv_rows.write, has_header=False))
    raise NotAcceptedType(f"the content type must be {JSON} or {CSV}; the body is not guessed at")


def write(question: Question, reply: Reply, media_type: str) -> bytes:
    if media_type == CSV:
        return question.write_csv(reply)
    return orjson.dumps({"predictions": reply.in_layout("records")["outputs"]})


def _header(content_type: str) -> csv_rows.Header:
    """As the content type says, `text/csv; header=absent`; MLflow sends one, SageMaker none, and neither says so."""
    for name, value in parameters_of(content_type):
        if name == "header" and value in ("present", "absent"):
            return "present" if value == "present" else "absent"
    return "unknown"


def _document(body: bytes, expected: Expected, max_rows: int) -> dict[str, Any]:
    # Each cell may be a list of its own, as in a dictionary of arrays of one column.
    brackets = len(expected.names) + 1
    document = json_rows.loads(body, expected, max_rows, strict_json.WITH_NAN, brackets)
    if not isinstance(document, dict) or len([form for form in FORMS if form in document]) != 1:
        raise Unprocessable("bad_body", f"the body must be a JSON object with exactly one of {', '.join(FORMS)}")
    for name in PARAMETERS:
        if not isinstance(document.get(name, {}), dict | None):
            raise Unprocessable("bad_parameter", f"{name} must be an object")
    return document


def _rows(document: dict[str, Any], expected: Expected, max_rows: int) -> list[list[Any]]:
    """Rows of cells in column order."""
    if "dataframe_split" in document:
        return _of_split(document["dataframe_split"], expected, max_rows)
    if "dataframe_records" in document:
        records = document["dataframe_records"]
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise Unprocessable("bad_layout", "dataframe_records must be a list of objects")
        return json_rows.rows_of(records, expected, max_rows)[1]
    return json_rows.rows_of(document.get("instances", document.get("inputs")), expected, max_rows)[1]


def _of_split(split: Any, expected: Expected, max_rows: int) -> list[list[Any]]:
    """What pandas calls an index says nothing of a row. Columns without names are in the pattern's order."""
    match split:
        case {"columns": list(columns), "data": list(rows)}:
            names = list(expected.names) if columns == list(range(len(expected.names))) else columns
        case {"data": list(rows)} if "columns" not in split:
            names = list(expected.names)
        case _:
            raise Unprocessable("bad_layout", "dataframe_split must be an object with the lists columns and data")
    order = _order(names, expected)
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise Unprocessable("bad_row", f"row {place}: expected a list of {len(names)} values, one a column")
    if order == list(range(len(names))):
        return rows
    return [[None if place is None else row[place] for place in order] for row in rows]


def _order(names: list[Any], expected: Expected) -> list[int | None]:
    """Where in a row each column of the pattern stands; nowhere, if it may be missing."""
    places = {name: place for place, name in enumerate(names) if isinstance(name, str)}
    if len(places) != len(names):
        raise Unprocessable("duplicate_column", "columns must be names, each of them once")
    missing = [name for name in expected.names if name not in places and name not in expected.optional]
    if missing:
        raise Unprocessable("missing_column", f"column {missing[0]} is missing")
    if not set(places) <= set(expected.names):
        raise Unprocessable("unknown_column", f"there is a column that is not one of {expected.listed}")
    return [places.get(name) for name in expected.names]
