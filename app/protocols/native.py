"""The native bodies of `/predict`: the answer has the layout of the question.

bytes + content type -> Question (rows, layout) -> answers -> bytes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson

from app.errors import NotAcceptedType, TooManyRows, Unprocessable
from app.protocols import arrow_stream, npy, strict_json, table_csv
from models_store.scaler import Array
from models_store.store import Release

JSON = "application/json"
Layout = Literal["rows", "flat", "records", "record", "columns"]
# Beyond the rows themselves; a body that is only nested too deeply is left to the parser to refuse.
SLACK = 1000
NUMBERS = frozenset({int, float})


@dataclass(frozen=True, eq=False)
class Question:
    """Raw rows (n_rows, n_columns) in the card's column order, and how to write their answers down."""

    rows: Array
    write: Callable[[Release, Array, dict[str, Any]], bytes]
    media_type: str


def read(body: bytes, content_type: str, columns: tuple[str, ...], max_rows: int) -> Question:
    """Malformed, NotAcceptedType, TooManyRows, or Unprocessable naming row and column."""
    kind = media_type_of(content_type)
    if kind == JSON:
        return _read_json(body, columns, max_rows)
    table = TABLES.get(kind)
    if table is None:
        raise NotAcceptedType(f"the content type must be {JSON}, {', '.join(TABLES)}; the body is not guessed at")
    rows, write = table(body, columns, max_rows)
    return Question(
        check_finite(rows, columns), lambda release, answers, _: write(release.bundle.outputs, answers), kind
    )


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


TABLES: Mapping[str, Callable[..., tuple[Array, Callable[[tuple[str, ...], Array], bytes]]]] = {
    "text/csv": table_csv.read,
    "application/x-npy": npy.read,
    "application/vnd.apache.arrow.stream": arrow_stream.read,
}


def _read_json(body: bytes, columns: tuple[str, ...], max_rows: int) -> Question:
    # Counted before anything is built of it: the parser holds the interpreter, in whatever thread it runs.
    most_commas = (max_rows + SLACK) * (len(columns) + 1)
    if body.count(b"[") + body.count(b"{") > max_rows + SLACK or body.count(b",") > most_commas:
        raise TooManyRows(max_rows)
    document = strict_json.loads(body)
    if not isinstance(document, dict) or set(document) != {"inputs"}:
        raise Unprocessable("bad_body", 'the body must be an object with the one key "inputs"')
    layout, rows = _rows_of(document["inputs"], columns, max_rows)
    table = check_finite(_numbers(rows, columns), columns)

    def write(release: Release, answers: Array, extra: dict[str, Any]) -> bytes:
        outputs = _laid_out(layout, release.bundle.outputs, answers)
        answer = {"pattern": release.bundle.pattern, "version": release.version, "outputs": outputs, **extra}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    return Question(table, write, JSON)


def _rows_of(inputs: Any, columns: tuple[str, ...], max_rows: int) -> tuple[Layout, list[list[Any]]]:
    """The layout, and rows of values in column order that are not yet known to be numbers."""
    if isinstance(inputs, dict):
        values = _in_order(inputs, columns, "")
        if not any(isinstance(value, list) for value in values):
            return "record", [values]
        if not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            raise Unprocessable("bad_layout", "columns must all be lists of the same length, or all be single numbers")
        _check_count(values[0], max_rows)
        return "columns", [list(row) for row in zip(*values, strict=True)]
    if not isinstance(inputs, list):
        raise Unprocessable("bad_layout", "inputs must be a list of rows or records, or an object of columns")
    _check_count(inputs, max_rows)
    if isinstance(inputs[0], dict):
        return "records", [_in_order(record, columns, f"row {place}: ") for place, record in enumerate(inputs)]
    if not isinstance(inputs[0], list) and len(columns) == 1:
        return "flat", [[value] for value in inputs]
    for place, row in enumerate(inputs):
        if not isinstance(row, list) or len(row) != len(columns):
            raise Unprocessable(
                "bad_row", f"row {place}: expected a list of {len(columns)} values: {', '.join(columns)}"
            )
    return "rows", inputs


def _check_count(rows: list[Any], max_rows: int) -> None:
    if not rows:
        raise Unprocessable("no_rows", "there are no rows to predict")
    if len(rows) > max_rows:
        raise TooManyRows(max_rows)


def _in_order(record: Any, columns: tuple[str, ...], where: str) -> list[Any]:
    if not isinstance(record, dict):
        raise Unprocessable("bad_row", f"{where}expected a record with the columns {', '.join(columns)}")
    missing = [name for name in columns if name not in record]
    if missing:
        raise Unprocessable("missing_column", f"{where}column {missing[0]} is missing")
    if len(record) > len(columns):
        raise Unprocessable("unknown_column", f"{where}there is a column that is not one of {', '.join(columns)}")
    return [record[name] for name in columns]


def _numbers(rows: list[list[Any]], columns: tuple[str, ...]) -> Array:
    """float64 (n_rows, n_columns). A bool is no number here, nor is a string or null."""
    for place, row in enumerate(rows):
        if not NUMBERS.issuperset(map(type, row)):
            column = next(name for name, value in zip(columns, row, strict=True) if type(value) not in NUMBERS)
            raise Unprocessable("not_a_number", f"row {place}, column {column}: expected a number")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise Unprocessable("not_a_number", "a number is too large") from None


def check_finite(rows: Array, columns: tuple[str, ...]) -> Array:
    finite = np.isfinite(rows)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise Unprocessable("not_a_number", f"row {row}, column {columns[column]}: not a finite number")
    return rows


def _laid_out(layout: Layout, outputs: tuple[str, ...], answers: Array) -> Any:
    match layout:
        case "records":
            return [dict(zip(outputs, row, strict=True)) for row in answers.tolist()]
        case "record":
            return dict(zip(outputs, answers[0].tolist(), strict=True))
        case "columns":
            return dict(zip(outputs, answers.T.tolist(), strict=True))
        case "flat" if len(outputs) == 1:
            return answers[:, 0].tolist()
    return np.ascontiguousarray(answers)
