"""JSON lines: a row a line, answered line by line, as /predict and SageMaker's batch transform send them."""

import json
from typing import Any

import httpx
import pytest

from tests.app.over_http import message, post, refusal

pytestmark = pytest.mark.anyio

LINES = "application/jsonlines"
kinds = pytest.mark.parametrize("kind", [LINES, "application/x-ndjson", "application/jsonl"])


@kinds
@pytest.mark.parametrize(
    ("body", "pattern", "answers"),
    [
        ('{"x1": 2, "x2": 1}\n{"x2": 0, "x1": 0.5}\n', "pair", [{"y1": 4.0, "y2": 1.0}, {"y1": 0.5, "y2": 0.5}]),
        ('{"x1": 2, "x2": 1}', "pair", [{"y1": 4.0, "y2": 1.0}]),
        ("[2, 1]\r\n\r\n[0, 0]\r\n", "pair", [[4.0, 1.0], [0.0, 0.0]]),
        ("\ufeff[2, 1]\n", "pair", [[4.0, 1.0]]),
        ("1\n2.5\n", "double", [2.0, 5.0]),
    ],
)
async def test_a_line_a_row(shared: httpx.AsyncClient, kind: str, body: str, pattern: str, answers: list[Any]) -> None:
    name = "line" if pattern == "double" else pattern
    answer = await post(shared, body.encode(), kind, name)
    assert answer.headers["content-type"] == kind
    assert answer.text.endswith("\n")
    assert [json.loads(line) for line in answer.text.splitlines()] == answers


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ("", 422, "no_rows", "there are no rows to predict"),
        ("\n\n", 422, "no_rows", "there are no rows to predict"),
        ("[1, 2]\nsesame\n", 400, "malformed", "line 2: the body is not JSON"),
        ("[1, 2], [3, 4]\n", 400, "malformed", "line 1: the body is not JSON"),
        ('{"x1": 1, "x1": 2}\n', 400, "malformed", "line 1: the JSON has the same key twice in one object"),
        ("[1, 2]\n[NaN, 1]\n", 400, "malformed", "line 2: NaN and Infinity are not JSON numbers"),
        ("[1, 2]\n[1]\n", 422, "bad_row", "row 1: expected a list of 2 values, found a list of 1"),
        ("[1, 2]\n{}\n", 422, "bad_row", "row 1: expected a list of 2 values, found an object"),
        ('[1, 2]\n["sesame", 1]\n', 422, "not_a_number", "row 1, column x1: expected a number, found text"),
        ("[1, 2]\n" * 1001, 413, "too_many_rows", "the body holds more than the limit of 1000 rows"),
        ("\n" * 5000, 413, "too_many_rows", "the body holds more than the limit of 1000 rows"),
    ],
)
async def test_what_is_no_row_is_refused_by_its_line_or_row(
    shared: httpx.AsyncClient, body: str, status: int, code: str, said: str
) -> None:
    answer = await post(shared, body.encode(), LINES, "pair")
    assert refusal(answer) == (status, code)
    assert message(answer).startswith(said)
