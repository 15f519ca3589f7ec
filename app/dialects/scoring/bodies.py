"""The bodies of /invocations, as clients of MLflow, SageMaker and Vertex AI send them.

bytes + content type -> ScoringQuestion (rows) -> Reply -> bytes, as JSON, JSON lines or CSV, or as the question
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from app.answering.plan import cost_of_unpacking, reads_on_loop
from app.dialects.asked import AskedRows
from app.dialects.levels import NO_LEVELS, Levels
from app.errors import NotAcceptedType, TooManyRows, Unprocessable
from app.formats import arrow_stream, csv_rows, json_lines, json_rows, npy, parquet, strict_json
from app.formats.expected import Expected
from app.formats.format import Format
from app.formats.found import kind_of
from app.formats.json_numbers import FEWEST_BYTES, document_of, rows_in
from app.formats.json_rows import check_finite
from app.formats.media_types import (
    ARROW,
    ARROW_FILE,
    CSV,
    JSON,
    JSON_LINES,
    NPY,
    PARQUET,
    media_type_of,
    parameters_of,
    preferred,
)
from app.formats.reply import Layout, Reply
from models_store.arrays import Array
from models_store.wording import counted

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
# The names of MLflow and of Vertex AI. Clients send others than levels, too, which are ignored.
PARAMETERS = ("params", "parameters")
# SageMaker's NumpySerializer sends npy. Each is answered as it is, unless Accept prefers another type.
TYPED: Mapping[str, Format] = {
    NPY: Format(npy.read),
    PARQUET: Format(parquet.read, unpacks=parquet.unpacks),
    ARROW: Format(arrow_stream.read, unpacks=arrow_stream.unpacks),
    ARROW_FILE: Format(arrow_stream.read, unpacks=arrow_stream.unpacks),
}
WITHOUT_HEADER = partial(csv_rows.write, has_header=False)


@dataclass(frozen=True, eq=False)
class ScoringQuestion(AskedRows):
    """Raw rows in the card's column order, and the functions that write the reply to them."""

    write_csv: Callable[[Reply], bytes] = WITHOUT_HEADER
    write_lines: Callable[[Reply], bytes] = json_lines.write
    write_alike: Callable[[Reply], bytes] | None = None
    """As the question, where that is one of TYPED."""
    is_light: bool = False
    levels: Levels = NO_LEVELS
    """Those among the parameters of the body."""

    @property
    def is_sure(self) -> bool:
        return self.levels.is_sure


def cost(body: bytes, content_type: str) -> int:
    """Return how much work the body is to read, in bytes of JSON: its length, unless it may unpack to more."""
    found = TYPED.get(content_type.partition(";")[0].strip().lower())
    unpacks = found is not None and found.unpacks is not None and reads_on_loop(len(body)) and found.unpacks(body)
    return cost_of_unpacking(len(body)) if unpacks else len(body)


def read(body: bytes, content_type: str, expected: Expected, max_rows: int) -> ScoringQuestion:
    """Read a body. Raises Malformed, NotAcceptedType, TooManyRows, or Unprocessable, which names row and column."""
    match media_type_of(content_type):
        case "text/csv":
            return ScoringQuestion(*csv_rows.read(body, expected, max_rows, _header(content_type)))
        case "application/json" | "":
            if not expected.typed and (read := _few_numbers(body, expected, max_rows)) is not None:
                return ScoringQuestion(read[1])
            document = _document(body, expected, max_rows)
            rows = _rows(document, expected, max_rows)
            levels = _levels(document)
            return ScoringQuestion(json_rows.raw_of(json_rows.scalars(rows), expected), levels=levels)
        case lines if lines in JSON_LINES:
            raw, write_lines = json_lines.read(body, expected, max_rows, strict_json.WITH_NAN)
            return ScoringQuestion(raw, write_lines=write_lines)
        case typed if typed in TYPED:
            raw, write_alike = TYPED[typed].read(body, expected, max_rows)
            return ScoringQuestion(check_finite(raw, expected), write_alike=write_alike)
    types = ", ".join((JSON, JSON_LINES[0], CSV, *TYPED))
    raise NotAcceptedType(f"the content type must be one of {types}; the body is not guessed at")


def answer_type(content_type: str, accept: str) -> str:
    """Return the media type of the answer: what Accept prefers; without it, that of a question that is no CSV."""
    asked = media_type_of(content_type)
    available: tuple[str, ...] = (JSON, CSV, *JSON_LINES)
    if asked in JSON_LINES:
        available = (*JSON_LINES, JSON, CSV)
    elif asked in TYPED:
        available = (asked, *available)
    return preferred(accept, available) or available[0]


def _few_numbers(body: bytes, expected: Expected, max_rows: int) -> tuple[Layout, Array] | None:
    """Read a small body of numbers in its most usual forms, several times as fast as any; None for all others."""
    if len(body) >= FEWEST_BYTES:
        return None
    match document_of(body, n_keys=3) or document_of(body, n_keys=1):
        case {"dataframe_split": {"columns": list(columns), "data": list(rows)}} if columns == list(expected.names):
            read = rows_in(rows, len(columns), max_rows)
            return read if read is not None and read[0] == "rows" else None
        case {"instances": rows, **others} | {"inputs": rows, **others} if not others:
            return rows_in(rows, len(expected.names), max_rows)
    return None


def write(question: ScoringQuestion, reply: Reply, media_type: str) -> bytes:
    """Write the reply as CSV, JSON lines or JSON, or as the question was written."""
    if media_type in TYPED and question.write_alike is not None:
        return question.write_alike(reply)
    if media_type == CSV:
        return question.write_csv(reply)
    if media_type in JSON_LINES:
        return question.write_lines(reply)
    if reply.ends is None and reply.members is None:
        return orjson.dumps({"predictions": reply.in_layout("records")["outputs"]})
    columns = {name: column.tolist() for name, column in reply.columns.items()}
    rows = zip(*columns.values(), strict=True)
    return orjson.dumps({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _header(content_type: str) -> csv_rows.Header:
    """Return what the content type states, as in `text/csv; header=absent`.

    MLflow sends a header and SageMaker none, and neither states it.
    """
    for name, value in parameters_of(content_type):
        if name == "header" and value in ("present", "absent"):
            return "present" if value == "present" else "absent"
    return "unknown"


def _document(body: bytes, expected: Expected, max_rows: int) -> dict[str, Any]:
    # Each cell may be a list of its own, as in an object of arrays of the shape (n_rows, 1).
    brackets = len(expected.names) + 1
    document = json_rows.loads(body, expected, max_rows, strict_json.WITH_NAN, brackets)
    forms = [form for form in FORMS if form in document] if isinstance(document, dict) else []
    if not isinstance(document, dict) or len(forms) != 1:
        words = f"the body must be a JSON object with exactly one of {', '.join(FORMS)}"
        found = (" and ".join(forms) or "none of them") if isinstance(document, dict) else kind_of(document)
        raise Unprocessable("bad_body", f"{words}, found {found}")
    for name in PARAMETERS:
        if not isinstance(given := document.get(name, {}), dict | None):
            raise Unprocessable("bad_parameter", f"{name} must be an object, found {kind_of(given)}")
    return document


def _levels(document: dict[str, Any]) -> Levels:
    given: dict[str, Any] = next((document[name] for name in PARAMETERS if document.get(name)), {})
    return Levels.among(given)


def _rows(document: dict[str, Any], expected: Expected, max_rows: int) -> list[list[Any]]:
    """Rows of cells in column order."""
    if "dataframe_split" in document:
        return _of_split(document["dataframe_split"], expected, max_rows)
    if "dataframe_records" in document:
        records = json_rows.objects_of(document["dataframe_records"], "dataframe_records", "bad_layout")
        return json_rows.rows_of(records, expected, max_rows)[1]
    return json_rows.rows_of(document.get("instances", document.get("inputs")), expected, max_rows)[1]


def _of_split(split: Any, expected: Expected, max_rows: int) -> list[list[Any]]:
    """Return rows of cells in column order. Columns without names are in the pattern's order.

    The row labels that pandas calls an index are ignored.
    """
    match split:
        case {"columns": list(columns), "data": list(rows)}:
            names = list(expected.names) if columns == list(range(len(expected.names))) else columns
        case {"data": list(rows)} if "columns" not in split:
            names = list(expected.names)
        case _:
            words = "dataframe_split must be an object with the lists columns and data"
            raise Unprocessable("bad_layout", f"{words}, found {_found(split)}")
    order = _order(names, expected)
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            words = f"row {place}: expected a list of {counted(len(names), 'value', 'values')}, one a column"
            raise Unprocessable("bad_row", f"{words}, found {kind_of(row)}")
    if order == list(range(len(names))):
        return rows
    return [[None if place is None else row[place] for place in order] for row in rows]


def _found(split: Any) -> str:
    if not isinstance(split, dict):
        return kind_of(split)
    name = next(name for name in ("data", "columns") if not isinstance(split.get(name), list))
    return f"{kind_of(split[name])} for {name}" if name in split else f"no {name}"


def _order(names: list[Any], expected: Expected) -> list[int | None]:
    """Return the place in a row of each column of the pattern; None for one that is left out, if it may be missing."""
    places = {name: place for place, name in enumerate(names) if isinstance(name, str)}
    if len(places) != len(names):
        other = next((kind_of(name) for name in names if not isinstance(name, str)), "one of them twice")
        raise Unprocessable("duplicate_column", f"columns must be names, each of them once, found {other}")
    expected.absent(places)
    expected.check_known(places)
    return [places.get(name) for name in expected.names]
