"""Whatever protocol a question comes in, the answer is that of the native API; and no body makes any of them fail."""

import csv
import io
import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.app.over_http import CSV, JSON, outputs_of, said
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
    """What TensorFlow Serving answers in the row form, with the name that it leaves out."""
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
