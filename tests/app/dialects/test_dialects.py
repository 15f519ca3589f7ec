"""All protocols: their answers are those of the native API, and no body makes any of them fail."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.app.over_http import ARROW, CSV, JSON, NPY, arrow_of, npy_of, outputs_of, refusal, said
from tests.table_fakes import PASSENGERS

pytestmark = pytest.mark.anyio

Rows = list[dict[str, Any]]

numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)
pairs = st.lists(st.builds(lambda x1, x2: {"x1": x1, "x2": x2}, numbers, numbers), min_size=1, max_size=9)
words = st.lists(st.sampled_from(["first", "class", "cabin", "trip", "té", 'a "quoted", word']), min_size=1, max_size=5)
travellers = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.none() | st.integers(0, 99),
            "port": st.none() | st.sampled_from(["S", "C", "Q", "never seen"]),
            "crew": st.booleans(),
            "boarded": st.dates().map(str),
            "note": words.map(" ".join),
        }
    ).map(lambda row: {name: row[name] for name in PASSENGERS}),
    min_size=1,
    max_size=9,
)


# -- each protocol's way to ask for outputs by name ----------------------------------------------------------------


async def sent(client: httpx.AsyncClient, path: str, body: Any, content_type: str = JSON) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    answer = await client.post(path, content=content, headers={"content-type": content_type})
    assert answer.status_code == 200, answer.text
    return answer.json()


def columns_of(rows: Rows) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def named(values: list[Any], outputs: list[str]) -> Rows:
    """Return the predictions of TensorFlow Serving with the name of a single output, which it leaves out."""
    return values if len(outputs) > 1 else [{outputs[0]: value} for value in values]


async def as_instances(client: httpx.AsyncClient, pattern: str, rows: Rows, outputs: list[str]) -> Rows:
    answer = await sent(client, f"/v1/models/{pattern}:predict", {"instances": rows})
    return named(answer["predictions"], outputs)


async def as_lists(client: httpx.AsyncClient, pattern: str, rows: Rows, outputs: list[str]) -> Rows:
    answer = await sent(client, f"/v1/models/{pattern}:predict", {"instances": [list(row.values()) for row in rows]})
    return named(answer["predictions"], outputs)


async def as_columns(client: httpx.AsyncClient, pattern: str, rows: Rows, outputs: list[str]) -> Rows:
    nested = {name: [[cell] for cell in cells] for name, cells in columns_of(rows).items()}
    answer = (await sent(client, f"/v1/models/{pattern}/versions/1:predict", {"inputs": nested}))["outputs"]
    columns = [answer] if len(outputs) == 1 else [answer[name] for name in outputs]
    return [dict(zip(outputs, cells, strict=True)) for cells in zip(*columns, strict=True)]


async def as_split(client: httpx.AsyncClient, pattern: str, rows: Rows, _outputs: list[str]) -> Rows:
    names = list(rows[0])[::-1]
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    answer: Rows = (await sent(client, f"/invocations?pattern={pattern}", {"dataframe_split": split}))["predictions"]
    return answer


async def as_records(client: httpx.AsyncClient, pattern: str, rows: Rows, _outputs: list[str]) -> Rows:
    body = {"dataframe_records": rows, "params": {}}
    answer: Rows = (await sent(client, f"/invocations?pattern={pattern}&version=1", body))["predictions"]
    return answer


async def as_csv(client: httpx.AsyncClient, pattern: str, rows: Rows, _outputs: list[str]) -> Rows:
    text = io.StringIO()
    csv.writer(text).writerows(
        [str(cell).lower() if isinstance(cell, bool) else cell for cell in row.values()] for row in rows
    )
    answer = await sent(client, f"/invocations?pattern={pattern}", text.getvalue().encode(), CSV)
    predictions: Rows = answer["predictions"]
    return predictions


FORMS = [as_instances, as_lists, as_columns, as_split, as_records, as_csv]


@settings(max_examples=20)
@given(rows=pairs)
async def test_numbers_are_those_of_the_native_answer(spoken: httpx.AsyncClient, rows: Rows) -> None:
    expected = await outputs_of(spoken, rows, "pair")
    for form in FORMS:
        assert await form(spoken, "pair", rows, ["y1", "y2"]) == expected, form.__name__


@settings(max_examples=20)
@given(rows=travellers)
async def test_labels_are_those_of_the_native_answer(spoken: httpx.AsyncClient, rows: Rows) -> None:
    expected = await outputs_of(spoken, rows, "passengers")
    for form in FORMS:
        assert await form(spoken, "passengers", rows, ["survived"]) == expected, form.__name__


# -- what all of them have in common -------------------------------------------------------------------------------

CANDIDATE: list[tuple[str, Any]] = [
    ("/predict/line?label=candidate", {"inputs": [1]}),
    ("/v1/models/line/labels/candidate:predict", {"instances": [1]}),
    ("/invocations?pattern=line&label=candidate", {"instances": [1]}),
    ("/v2/models/line/versions/3/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}),
]


@pytest.mark.parametrize(("path", "body"), CANDIDATE)
async def test_the_answer_says_which_version_it_is_from(spoken: httpx.AsyncClient, path: str, body: Any) -> None:
    answer = await spoken.post(path, content=json.dumps(body), headers={"content-type": JSON})
    assert (answer.status_code, answer.headers["x-pattern-version"]) == (200, "3")


REST = {"port": "Zanzibar", "crew": True, "boarded": "1912-04-10", "note": "cabin"}
MEMBERS, CELLS = json.dumps(REST)[1:-1], json.dumps([*REST.values()])[1:-1]


def without_age(missing: str) -> Iterator[tuple[str, str]]:
    """Paths and bodies of one passenger whose age is `missing`, or who has none, in every form of JSON."""
    records = [f"[{{{MEMBERS}}}]", f'[{{{MEMBERS}, "age": {missing}}}]']
    for rows in records:
        yield "/v1/models/passengers:predict", f'{{"instances": {rows}}}'
        yield "/invocations?pattern=passengers", f'{{"instances": {rows}}}'
        yield "/invocations?pattern=passengers", f'{{"dataframe_records": {rows}}}'
    for names, cells in (([*REST], CELLS), ([*REST, "age"], f"{CELLS}, {missing}")):
        split = f'{{"columns": {json.dumps(names)}, "data": [[{cells}]]}}'
        yield "/invocations?pattern=passengers", f'{{"dataframe_split": {split}}}'


@pytest.mark.parametrize("missing", ["null", "NaN", "[null]", "[NaN]"])
async def test_a_value_is_missing_as_in_the_native_answer(spoken: httpx.AsyncClient, missing: str) -> None:
    expected = await outputs_of(spoken, [REST | {"age": None}], "passengers")
    for path, body in without_age(missing):
        (answer,) = (await sent(spoken, path, body.encode()))["predictions"]
        assert (answer if path.startswith("/invocations") else {"survived": answer}) == expected[0], body


MANY_ROWS: list[tuple[str, str, bytes]] = [
    ("/predict/line", JSON, b'{"inputs": [' + b"1," * 1000 + b"1]}"),
    ("/predict/line", JSON, b'{"inputs": [' + b"[1]," * 1000 + b"[1]]}"),
    ("/predict/line", JSON, b'{"inputs": {"x": [' + b"1," * 1000 + b"1]}}"),
    ("/predict/line", CSV, b"x\n" + b"1\n" * 1001),
    ("/predict/line", NPY, npy_of(np.zeros((1001, 1)))),
    ("/predict/line", ARROW, arrow_of(pa.table({"x": np.zeros(1001)}), 100)),
    ("/predict/messages", JSON, b'{"inputs": [' + b'"tea",' * 1000 + b'"tea"]}'),
    ("/predict/messages", JSON, b'{"inputs": [' + b'["tea"],' * 3000 + b'["tea"]]}'),
    ("/predict/messages", CSV, b"message\n" + b"tea\n" * 1001),
    ("/predict/messages", CSV, b"message\n" + b'"tea"\n' * 3000),
    ("/predict/messages", ARROW, arrow_of(pa.table({"message": ["tea"] * 1001}), 100)),
    ("/v1/models/line:predict", JSON, b'{"instances": [' + b"1," * 1000 + b"1]}"),
    ("/v1/models/messages:predict", JSON, b'{"inputs": [' + b'["tea"],' * 3000 + b'["tea"]]}'),
    ("/invocations?pattern=line", JSON, b'{"instances": [' + b"1," * 1000 + b"1]}"),
    ("/invocations?pattern=line", CSV, b"1\n" * 1001),
    ("/v2/models/line/infer", JSON, b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1001],"data":[%s]}]}'
     % b",".join([b"1"] * 1001)),
]  # fmt: skip


@pytest.mark.parametrize(("path", "content_type", "body"), MANY_ROWS)
async def test_more_rows_than_the_limit_are_refused(
    spoken: httpx.AsyncClient, path: str, content_type: str, body: bytes
) -> None:
    answer = await spoken.post(path, content=body, headers={"content-type": content_type})
    assert answer.status_code == 413
    assert "the body holds more than the limit of 1000 rows; send several requests" in answer.text
    if path.startswith("/predict"):
        assert refusal(answer) == (413, "too_many_rows")
    else:
        said(answer)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed", "code"),
    [
        ("GET", "/v1/models/line:predict", 405, "POST", None),
        ("DELETE", "/v1/models/line", 405, "GET, HEAD", None),
        ("POST", "/v1/models", 405, "GET, HEAD", None),
        ("GET", "/v1", 404, None, None),
        ("GET", "/v1/", 404, None, None),
        ("GET", "/v1/models/", 404, None, None),
        ("GET", "/v1/models/line/versions", 404, None, None),
        ("GET", "/v1/models/a:b", 404, None, None),
        ("GET", "/v1/models/%00", 404, None, None),
        ("GET", "/v2/models/line/infer", 405, "POST", None),
        ("GET", "/v2/models/line/sesame", 404, None, None),
        ("GET", "/invocations", 405, "POST", "BAD_REQUEST"),
        ("POST", "/ping", 405, "GET, HEAD", "BAD_REQUEST"),
        ("GET", "/ping/sesame", 404, None, "ENDPOINT_NOT_FOUND"),
        ("GET", "/invocations/sesame", 404, None, "ENDPOINT_NOT_FOUND"),
        ("DELETE", "/v1/endpoints/7:predict", 405, "POST", "BAD_REQUEST"),
    ],
)
async def test_addresses_and_methods_that_are_not_there_are_refused_in_the_shape_of_the_protocol(
    spoken: httpx.AsyncClient, method: str, path: str, status: int, allowed: str | None, code: str | None
) -> None:
    answer = await spoken.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)
    assert list(said(answer)) == (["error"] if code is None else ["error_code", "message"])
    assert said(answer).get("error_code") == code


# -- what nobody should send ---------------------------------------------------------------------------------------

ADDRESSES = [
    "/v1/models/passengers:predict",
    "/v1/models/pair:predict",
    "/v1/models/passengers:classify",
    "/v1/models/rents:regress",
    "/invocations?pattern=passengers",
    "/invocations",
]
GOOD: list[Any] = [
    {"instances": [{"x1": 1, "x2": [2]}], "signature_name": "serving_default"},
    {"inputs": {"x1": [[1.5]], "x2": [2]}},
    {"examples": [{"rooms": 2, "district": {"b64": "bm9ydGg="}}], "context": {}},
    {"instances": [{"age": None, "port": "S", "crew": True, "boarded": "1912-04-10", "note": {"b64": "dGVh"}}]},
    {"dataframe_split": {"columns": ["x1", "x2"], "data": [[1, 2]], "index": [0]}, "params": {}},
    {"dataframe_records": [{"x1": 1, "x2": 2}]},
]
keys = st.sampled_from(["instances", "inputs", "examples", "context", "b64", "x1", "age", "columns", "data", "params"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["x1", "S", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A good body with some part of it replaced."""
    body = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    part: Any = body
    key = draw(st.sampled_from(list(body)))
    while isinstance(part[key], dict | list) and part[key] and draw(st.booleans()):
        part = part[key]
        key = draw(st.sampled_from(list(part) if isinstance(part, dict) else range(len(part))))
    part[key] = draw(documents)
    return json.dumps(body).encode()


@st.composite
def corrupted(draw: st.DrawFn) -> bytes:
    """A good body with some of its bytes replaced."""
    body = bytearray(json.dumps(draw(st.sampled_from(GOOD))).encode())
    start = draw(st.integers(0, len(body) - 1))
    body[start : start + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


@pytest.mark.parametrize("path", ADDRESSES)
@settings(max_examples=60)
@given(
    body=changed() | corrupted() | documents.map(lambda document: json.dumps(document).encode()),
    content_type=st.sampled_from([JSON, JSON, CSV]),
)
async def test_no_body_makes_a_protocol_fail_or_leave_its_envelope(
    spoken: httpx.AsyncClient, path: str, body: bytes, content_type: str
) -> None:
    answer = await spoken.post(path, content=body, headers={"content-type": content_type})
    if answer.status_code == 200:
        assert answer.json().keys() in ({"predictions"}, {"outputs"}, {"results"})
    else:
        assert answer.status_code in (400, 413)
        assert list(said(answer)) == (["error"] if path.startswith("/v1") else ["error_code", "message"])


async def test_a_bug_leaves_in_the_envelope_as_well(spoken: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: Any) -> Any:
        raise ZeroDivisionError("sesame")

    monkeypatch.setattr("app.formats.json_rows.loads", broken)
    answer = await spoken.post("/v1/models/pair:predict", content=b"{}")
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    answer = await spoken.post("/invocations", content=b"{}")
    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
