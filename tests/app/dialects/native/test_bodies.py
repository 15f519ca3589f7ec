"""The native JSON layouts and content types: everything that is no question is refused, by row and column."""

import json
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.native import bodies
from app.errors import NotAcceptedType
from app.formats.expected import Expected
from app.formats.media_types import media_type_of
from app.formats.reply import Reply
from models_store.errors import PatternServerError
from tests.app.over_http import CSV, JSON, an_array, message, pair, post, refusal

pytestmark = pytest.mark.anyio

NOT_AMONG = "not among x1, x2; leave out what is not, or add ?extra=ignore to the address"

COLUMNS = Expected(("x1", "x2"))


# -- layouts -------------------------------------------------------------------------------------------------------

table_values = st.lists(
    st.tuples(*[st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)] * 2), min_size=1
)


@given(table_values, st.sampled_from(["rows", "records", "columns"]))
def test_every_layout_gives_the_rows_that_were_written(table: list[tuple[float, float]], layout: str) -> None:
    inputs: Any = [list(row) for row in table]
    if layout == "records":
        inputs = [{"x2": x2, "x1": x1} for x1, x2 in table]
    if layout == "columns":
        inputs = {"x2": [x2 for _, x2 in table], "x1": [x1 for x1, _ in table]}
    question = bodies.read(json.dumps({"inputs": inputs}).encode(), JSON, COLUMNS, 1000)
    np.testing.assert_array_equal(an_array(question.rows), np.array(table, dtype=np.float64))
    assert question.media_type == JSON


@given(table_values)
def test_answers_are_written_so_that_they_are_read_back_exactly(table: list[tuple[float, float]]) -> None:
    answers = np.array(table, dtype=np.float64)
    question = bodies.read(b'{"inputs": [[1, 2]]}', JSON, COLUMNS, 1000)
    written = orjson.loads(question.write(Reply(pair(), answers, version=7, remarks={"outside": []})))
    assert written == {"pattern": "pair", "version": 7, "outputs": answers.tolist(), "outside": []}


REFUSED: list[tuple[str, str, str]] = [
    # the pattern, what stands for inputs, the code
    ("line", "[[true]]", "not_a_number"),
    ("line", "[[false]]", "not_a_number"),
    ("line", "[[null]]", "not_a_number"),
    ("line", '[["sesame"]]', "not_a_number"),
    ("line", '[["1"]]', "not_a_number"),
    ("line", '[["\\ud800"]]', "not_a_number"),
    ("line", "[[[1]]]", "not_a_number"),
    ("line", "[[{}]]", "not_a_number"),
    ("line", "[[1e400]]", "not_a_number"),
    ("line", "[[-1e400]]", "not_a_number"),
    ("line", f"[[{'9' * 400}]]", "not_a_number"),
    ("line", "[1, true]", "not_a_number"),
    ("line", "[null]", "not_a_number"),
    ("line", '["sesame"]', "not_a_number"),
    ("line", "[1, [2]]", "not_a_number"),
    ("line", '{"x": null}', "not_a_number"),
    ("line", '{"x": "1"}', "not_a_number"),
    ("line", '{"x": {}}', "not_a_number"),
    ("line", '{"x": [1, "2"]}', "not_a_number"),
    ("line", '{"x": [[1]]}', "not_a_number"),
    ("line", '[{"x": true}]', "not_a_number"),
    ("line", '[{"x": [1]}]', "not_a_number"),
    ("line", "[]", "no_rows"),
    ("line", '{"x": []}', "no_rows"),
    ("pair", '{"x1": [], "x2": []}', "no_rows"),
    ("line", "{}", "missing_column"),
    ("line", "[{}]", "missing_column"),
    ("pair", '{"x1": 1}', "missing_column"),
    ("pair", '[{"x1": 1, "x2": 2}, {"x1": 1}]', "missing_column"),
    ("pair", '[{"x1": 1, "X2": 2}]', "missing_column"),
    ("line", '{"\\ud800": 1}', "missing_column"),
    ("line", '{"x": 1, "other": 1}', "unknown_column"),
    ("line", '{"x": 1, "\\udfff": 1}', "unknown_column"),
    ("line", '[{"x": 1, "other": null}]', "unknown_column"),
    ("line", '{"x": [1], "other": [1]}', "unknown_column"),
    ("line", "[[]]", "bad_row"),
    ("line", "[[1, 2]]", "bad_row"),
    ("line", "[[1], 2]", "bad_row"),
    ("line", "[[1], [1, 2]]", "bad_row"),
    ("line", "[[1], null]", "bad_row"),
    ("line", '[[1], {"x": 1}]', "bad_row"),
    ("line", '[{"x": 1}, [1]]', "bad_row"),
    ("line", '[{"x": 1}, 1]', "bad_row"),
    ("pair", "[1, 2]", "bad_row"),
    ("pair", "[[1, 2], [3]]", "bad_row"),
    ("pair", "[[1, 2], [3, 4, 5]]", "bad_row"),
    ("pair", '{"x1": [1, 2], "x2": [1]}', "bad_layout"),
    ("pair", '{"x1": [1], "x2": 1}', "bad_layout"),
    ("pair", '{"x1": 1, "x2": [1]}', "bad_layout"),
    ("line", "1", "bad_layout"),
    ("line", "1.5", "bad_layout"),
    ("line", "true", "bad_layout"),
    ("line", "null", "bad_layout"),
    ("line", '"sesame"', "bad_layout"),
]


@pytest.mark.parametrize(("pattern", "inputs", "code"), REFUSED)
async def test_inputs_that_are_no_rows_of_the_pattern_are_refused(
    shared: httpx.AsyncClient, pattern: str, inputs: str, code: str
) -> None:
    assert refusal(await post(shared, f'{{"inputs": {inputs}}}'.encode(), JSON, pattern)) == (422, code)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("{}", "an object without it"),
        ("[]", "a list of 0"),
        ("[[1]]", "a list of 1"),
        ("1", "a number"),
        ("null", "null"),
        ('"sesame"', "text"),
        (
            '{"inputs": [1], "sesame": 1}',
            "others beside it; options such as outside go into the address: ?outside=clip",
        ),
        ('{"Inputs": [1]}', "an object without it"),
        ("true", "a boolean"),
    ],
)
async def test_a_body_without_inputs_is_refused(shared: httpx.AsyncClient, body: str, found: str) -> None:
    answer = await post(shared, body.encode(), JSON)
    assert refusal(answer) == (422, "bad_body")
    assert message(answer) == f'the body must be an object with the one key "inputs", found {found}'


UNEVEN = "columns must all be lists of the same length, or all be single values"


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([[1, 2], [3, None]], "row 1, column x2: expected a number, found null"),
        ([[1, 2], [[3], 4]], "row 1, column x1: expected a number, found a list of 1"),
        ([[1, 2], [3, 10**400]], "row 1, column x2: expected a number that a float64 can hold"),
        ([{"x1": 1, "x2": 2}, {"x1": "3", "x2": 4}], "row 1, column x1: expected a number, found text"),
        ({"x1": [1, 2, True], "x2": [1, 2, 3]}, "row 2, column x1: expected a number, found a boolean"),
        ([[1, 2], [3]], "row 1: expected a list of 2 values, found a list of 1; the columns are x1, x2"),
        ([[1, 2], "3"], "row 1: expected a list of 2 values, found text; the columns are x1, x2"),
        ([{"x1": 1, "x2": 2}, {"x1": 1}], "row 1: column x2 is missing"),
        ([{"x1": 1, "x2": 2, "x3": 1}], f"row 0: column x3 is {NOT_AMONG}"),
        ({"x3": 1, "x1": 1, "x2": 2}, f"column x3 is {NOT_AMONG}"),
        ([{"x1": 1, "x2": 2}, 5], "row 1: expected a record, found a number; the columns are x1, x2"),
        (5, "inputs must be a list of rows or records, or an object of columns, found a number"),
        ({"x1": 1, "x2": [1]}, f"{UNEVEN}; column x1 is a number and column x2 is a list of 1"),
        ({"x1": [1, 2], "x2": [1]}, f"{UNEVEN}; column x1 is a list of 2 and column x2 is a list of 1"),
    ],
)
async def test_the_refusal_names_row_and_column(shared: httpx.AsyncClient, inputs: Any, said: str) -> None:
    assert message(await shared.post("/predict/pair", json={"inputs": inputs})) == said


async def test_a_number_beyond_floats_is_named_by_row_and_column(shared: httpx.AsyncClient) -> None:
    answer = await post(shared, b'{"inputs": [[1, 2], [3, 1e400]]}', JSON, "pair")
    assert message(answer) == "row 1, column x2: not a finite number"


# -- content types -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        " application/json ",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; charset=utf8; profile=x",
        "application/json; charset=us-ascii",
    ],
)
async def test_json_in_utf_8_is_accepted_however_its_type_is_spelled(
    shared: httpx.AsyncClient, content_type: str
) -> None:
    assert (await post(shared, b'{"inputs": [1]}', content_type)).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=sesame",
        "application/octet-stream",
        "application/jsonx",
        "application/json, text/csv",
        "application/json+sesame",
        "application/vnd.apache.arrow",
        "application/x-parquet",
        "application/x-npz",
        "application/xml",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset=sesame",
        "text/csv; charset=iso-8859-1",
        "text/csv; header=present; charset=utf-7",
    ],
)
async def test_every_other_content_type_is_refused(shared: httpx.AsyncClient, content_type: str) -> None:
    answer = await post(shared, b'{"inputs": [1]}', content_type)
    assert refusal(answer) == (415, "unsupported_content_type")


async def test_a_body_without_a_content_type_is_not_guessed_at(shared: httpx.AsyncClient) -> None:
    answer = await shared.post("/predict/line", content=b'{"inputs": [1]}')
    assert refusal(answer) == (415, "unsupported_content_type")
    assert message(answer) == (
        "the content type must be application/json, text/csv, application/x-npy, "
        "application/vnd.apache.arrow.stream, application/vnd.apache.arrow.file, application/vnd.apache.parquet, "
        "application/jsonlines, application/x-ndjson, application/jsonl; the body is not guessed at"
    )


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "sesame"])
async def test_an_encoded_body_is_refused(shared: httpx.AsyncClient, encoding: str) -> None:
    headers = {"content-type": JSON, "content-encoding": encoding}
    answer = await shared.post("/predict/line", content=b'{"inputs": [1]}', headers=headers)
    assert refusal(answer) == (415, "unsupported_content_type")


async def test_identity_is_no_encoding(shared: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-encoding": "identity"}
    answer = await shared.post("/predict/line", content=b'{"inputs": [1]}', headers=headers)
    assert answer.json()["outputs"] == [2.0]


@given(st.text(max_size=30))
def test_whatever_stands_for_a_content_type_has_a_media_type_or_is_refused(content_type: str) -> None:
    try:
        kind = media_type_of(content_type)
    except NotAcceptedType:
        assert "charset" in content_type.lower()
    else:
        assert kind == kind.strip().lower()
        assert ";" not in kind


@given(st.sampled_from([JSON, CSV]), st.text(alphabet='{}[]":,.x1y2-e\n\\u0inputs ', max_size=40))
def test_whatever_the_text_it_is_a_question_or_refused(content_type: str, text: str) -> None:
    try:
        question = bodies.read(text.encode(), content_type, COLUMNS, 1000)
    except PatternServerError:
        return
    assert an_array(question.rows).shape[1] == 2
    assert np.isfinite(an_array(question.rows)).all()
