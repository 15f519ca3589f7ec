"""docs/tables.md lists the bodies that `/predict` reads, and no others: each is answered in its own format."""

import io
import json
from collections.abc import Callable

import httpx
import numpy as np
import polars as pl
import pytest

from app.dialects.native.bodies import FORMATS
from tests.test_tables_page import rows_of, words_in

pytestmark = pytest.mark.anyio

DOCUMENTED = {media_type: row[1] for row in rows_of("## Questions") for media_type in words_in(row[0])}
# Of `pair`: y1 = x1 + 2·x2 and y2 = x1 - x2; named columns stand in another order than the pattern's.
X1, X2 = [1.0, 4.0], [2.0, 3.0]
RECORDS = [{"x2": x2, "x1": x1} for x1, x2 in zip(X1, X2, strict=True)]
ROWS = [list(row) for row in zip(X1, X2, strict=True)]
ANSWERS = [[5.0, -1.0], [10.0, 1.0]]
FRAME = pl.DataFrame({"x2": X2, "x1": X1})


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    write(target)
    return target.getvalue()


def npy(array: object) -> bytes:
    return written(lambda target: np.save(target, np.asarray(array)))


NAMED = np.array([(x2, x1) for x1, x2 in ROWS], dtype=[("x2", "f8"), ("x1", "i4")])
# What a row is, in the words of the page, and bodies that hold such rows.
BODIES: dict[str, list[bytes]] = {
    "as the [README](../README.md) shows": [
        json.dumps({"inputs": inputs}).encode() for inputs in (ROWS, RECORDS, {"x2": X2, "x1": X1})
    ],
    "a line: a record, a list of values, or one value": [
        "\n".join(map(json.dumps, values)).encode() for values in (RECORDS, ROWS)
    ],
    "a line, after a header": [FRAME.write_csv().encode()],
    "one of the file, its columns in any order": [written(FRAME.write_parquet)],
    "the same": [written(FRAME.write_ipc_stream), written(FRAME.write_ipc)],
    "one of an array of numbers or booleans, or of named fields": [npy(ROWS), npy(np.array(ROWS, np.int8)), npy(NAMED)],
}


def answers_in(content: bytes, media_type: str) -> object:
    """Return the rows of an answer, whatever their layout; those of `pair` have the columns y1 and y2."""
    match media_type.rpartition("/")[2]:
        case "json":
            outputs = json.loads(content)["outputs"]
            return pl.DataFrame(outputs, schema=["y1", "y2"], orient=None if isinstance(outputs, dict) else "row")
        case "csv":
            return pl.read_csv(content)
        case "vnd.apache.parquet":
            return pl.read_parquet(content)
        case "vnd.apache.arrow.stream":
            return pl.read_ipc_stream(content)
        case "vnd.apache.arrow.file":
            return pl.read_ipc(content)
        case "x-npy":
            array = np.load(io.BytesIO(content))
            return pl.DataFrame(array if array.dtype.names else {"y1": array[:, 0], "y2": array[:, 1]})
        case _:
            lines = [json.loads(line) for line in content.splitlines()]
            return pl.DataFrame(lines, schema=["y1", "y2"], orient="row")


def test_the_bodies_that_are_read_are_those_of_the_page() -> None:
    assert DOCUMENTED.keys() == FORMATS.keys()


@pytest.mark.parametrize(
    ("media_type", "body"), [(media_type, body) for media_type, what in DOCUMENTED.items() for body in BODIES[what]]
)
async def test_a_body_is_read_as_the_page_says_and_answered_in_its_format(
    shared: httpx.AsyncClient, media_type: str, body: bytes
) -> None:
    answer = await shared.post("/predict/pair", content=body, headers={"content-type": media_type})
    answered = answer.headers["content-type"].partition(";")[0]
    # Streams and files of Arrow may be sent as each other.
    assert (answer.status_code, answered.removesuffix(".file").removesuffix(".stream")) == (
        200,
        media_type.removesuffix(".file").removesuffix(".stream"),
    )
    found = answers_in(answer.content, answered)
    assert isinstance(found, pl.DataFrame) and found.columns == ["y1", "y2"]
    assert [list(row) for row in found.rows()] == ANSWERS


@pytest.mark.parametrize("media_type", [name for name, what in DOCUMENTED.items() if "one value" in what])
async def test_a_line_of_one_value_is_a_row_of_a_pattern_with_one_input(
    shared: httpx.AsyncClient, media_type: str
) -> None:
    answer = await shared.post("/predict/line", content=b"1\n2.5\n", headers={"content-type": media_type})
    assert [json.loads(line) for line in answer.content.splitlines()] == [2.0, 5.0]
