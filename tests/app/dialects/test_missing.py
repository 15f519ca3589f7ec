"""Missing values in questions: read alike in every format and every protocol."""

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from models_store.bundle import Bundle
from models_store.encoding.outputs import LabelDecoder
from models_store.encoding.rows import TableEncoder
from models_store.storage.store import Store
from models_store.tables.spelling import Spelling
from tests.app.over_http import message, npy_of, refusal, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.server.forms import FORMS, Form, Rows
from tests.table_fakes import rents, tabular

pytestmark = pytest.mark.anyio

WEATHER: dict[str, Any] = {
    "gust": ("number", [1.5, 2.5, None, 4.0]),
    "code": ("category", ["7", "8", "7", None]),
    "wet": ("boolean", [True, None, False, True]),
    "day": ("date", ["2024-05-31", "2024-06-01", None, "2024-06-02"]),
    "note": ("text", ["calm and dry", "wet", None, "calm"]),
}
GAUGES: dict[str, Any] = {name: ("number", [0.5, 9.25, None, 3.5, 7.125]) for name in ("upper", "lower")}


def spelled(bundle: Bundle, *words: str) -> Bundle:
    """Return the bundle with words for a missing value."""
    encoder = bundle.predictor.encoder
    assert isinstance(encoder, TableEncoder)
    spelling = Spelling(frozenset(words))
    return replace(bundle, predictor=replace(bundle.predictor, encoder=replace(encoder, spelling=spelling)))


def filling(bundle: Bundle, fills: dict[str, Any]) -> Bundle:
    """Return the bundle with what stands in for missing values."""
    encoder = bundle.predictor.encoder
    assert isinstance(encoder, TableEncoder)
    return replace(bundle, predictor=replace(bundle.predictor, encoder=replace(encoder, fills=fills)))


LEVELS: dict[str, Any] = {name: ("number", [0.5, 9.25, 3.5, 7.125]) for name in ("upper", "lower")}
WIND = LabelDecoder("survived", ("no", "yes"))
BUNDLES = {
    bundle.pattern: bundle
    for bundle in (
        spelled(tabular("weather", WEATHER, WIND), "-999", "9999-12-31", "False", "none given"),
        spelled(replace(tabular("gauges", GAUGES, rents().predictor.decoder)), "999.9", "inf"),
    )
}
WHOLE: dict[str, Any] = {
    "gust": ("number", [1.5, 2.5, 3.0, 4.0]),
    "code": ("category", ["7", "8", "7", "8"]),
    "wet": ("boolean", [True, True, False, True]),
    "day": ("date", ["2024-05-31", "2024-06-01", "2024-06-01", "2024-06-02"]),
    "hour": ("time", ["13:31", "14:00", "15:00", "16:00"]),
    "note": ("text", ["calm and dry", "wet", "wet", "calm"]),
}
FILLS = {"gust": 2.75, "code": "7", "wet": 1.0, "day": 19875.0, "hour": 50400.0, "note": ""}
FILLED: Rows = [{"gust": 2.75, "code": "7", "wet": True, "day": "2024-06-01", "hour": "14:00", "note": "calm"}]
STRICT = tabular("strict", WHOLE, WIND)
BUNDLES |= {"strict": STRICT, "whole": filling(replace(STRICT, pattern="whole"), FILLS)}
BUNDLES |= {"levels": filling(tabular("levels", LEVELS, rents().predictor.decoder), {"upper": 1.0, "lower": 2.0})}
CASES = [(name, form) for name in ("weather", "gauges") for form in FORMS if form.takes(BUNDLES[name])]
FILLING = [(name, form) for name in ("whole", "levels") for form in FORMS if form.takes(BUNDLES[name])]


@pytest.fixture(scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    store = Store(tmp_path_factory.mktemp("missing") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in BUNDLES.values():
        store.publish(bundle)
    async with serving(store, log_level="warning") as client:
        yield client


async def answers(client: httpx.AsyncClient, form: Form, pattern: str, rows: Rows) -> list[list[float | str]]:
    bundle = BUNDLES[pattern]
    body, headers = form.write(rows, bundle.kinds)
    answer = await client.post(form.path.format(pattern=pattern), content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return form.read(answer, bundle.outputs)


@pytest.mark.parametrize(("pattern", "form"), CASES, ids=[f"{pattern}: {form.name}" for pattern, form in CASES])
async def test_a_word_for_missing_is_missing_however_it_is_written(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    written: Rows = [
        {"gust": -999.0, "code": "-999.0", "wet": True, "day": "2024-06-01", "note": "calm"},
        {"gust": 2.0, "code": "7.0", "wet": False, "day": "9999-12-31T00:00", "note": " none given"},
        {"upper": 999.9, "lower": 9.0},
        {"upper": 1.0, "lower": 999.9},
    ]
    missing: Rows = [
        {"gust": None, "code": None, "wet": True, "day": "2024-06-01", "note": "calm"},
        {"gust": 2.0, "code": "7", "wet": None, "day": None, "note": None},
        {"upper": None, "lower": 9.0},
        {"upper": 1.0, "lower": None},
    ]
    asked_in = {*BUNDLES[pattern].inputs}
    pairs = [pair for pair in zip(written, missing, strict=True) if pair[0].keys() == asked_in]
    if form.name == "OIP in bytes" and pattern == "weather":
        pairs = pairs[:1]  # bytes of booleans have no null
    for one, other in pairs:
        assert await answers(asked, form, pattern, [one]) == await answers(asked, form, pattern, [other])
    ones, others = [one for one, _ in pairs], [other for _, other in pairs]
    assert await answers(asked, form, pattern, ones) == await answers(asked, form, pattern, others)


# -- missing where training saw none -------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "form"), FILLING, ids=[f"{pattern}: {form.name}" for pattern, form in FILLING])
async def test_a_usual_value_stands_in_for_a_missing_one_and_the_answer_says_so(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    filled = FILLED[0] if pattern == "whole" else {"upper": 1.0, "lower": 2.0}
    for column in filled:
        if form.name == "OIP in bytes" and column == "wet":
            continue  # bytes of booleans have no null
        rows: Rows = [filled, filled | {column: None}]
        # A text that is missing has no words that are known.
        same: Rows = [filled, filled | {"note": "zzz"} if column == "note" else filled]
        assert await answers(asked, form, pattern, rows) == await answers(asked, form, pattern, same)
        body, headers = form.write(rows, BUNDLES[pattern].kinds)
        answer = await asked.post(form.path.format(pattern=pattern), content=body, headers=headers)
        assert remarked(answer) == [{"row": 1, "columns": [column]}], column


# Forms without names have a place for every column.
UNNAMED = ("rows", "flat", "npy", "lists", "one tensor", "instances", "without header")
NAMED = [(name, form) for name, form in FILLING if not any(word in form.name for word in UNNAMED)]


@pytest.mark.parametrize(("pattern", "form"), NAMED, ids=[f"{pattern}: {form.name}" for pattern, form in NAMED])
async def test_a_column_that_is_left_out_is_missing_in_every_row(
    asked: httpx.AsyncClient, pattern: str, form: Form
) -> None:
    kinds = BUNDLES[pattern].kinds
    filled = FILLED[0] if pattern == "whole" else {"upper": 1.0, "lower": 2.0}
    for column in filled:
        without = {name: cell for name, cell in filled.items() if name != column}
        body, headers = form.write([without] * 2, {name: kinds[name] for name in without})
        answer = await asked.post(form.path.format(pattern=pattern), content=body, headers=headers)
        assert answer.status_code == 200, (column, answer.text)
        same = filled | {"note": "zzz"} if column == "note" else filled
        assert form.read(answer, BUNDLES[pattern].outputs) == await answers(asked, form, pattern, [same] * 2)
        assert remarked(answer) == [{"row": row, "columns": [column]} for row in range(2)]


@pytest.mark.parametrize("form", [form for _, form in NAMED], ids=[f"{name}: {form.name}" for name, form in NAMED])
async def test_a_column_that_may_not_be_missing_may_not_be_left_out(asked: httpx.AsyncClient, form: Form) -> None:
    kinds = {name: kind for name, kind in STRICT.kinds.items() if name != "gust"}
    if not form.takes(STRICT):
        return
    body, headers = form.write([{name: FILLED[0][name] for name in kinds}], kinds)
    answer = await asked.post(form.path.format(pattern="strict"), content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert "column gust is missing" in answer.text


async def test_columns_left_out_of_other_files_are_missing_too(asked: httpx.AsyncClient) -> None:
    expected = (await asked.post("/predict/levels", json={"inputs": [{"upper": 1.5, "lower": 2.0}]})).json()["outputs"]
    table = pa.table({"upper": [1.5]})
    parquet, file = pa.BufferOutputStream(), pa.BufferOutputStream()
    pa.parquet.write_table(table, parquet)
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    bodies = {
        "application/vnd.apache.parquet": parquet.getvalue().to_pybytes(),
        "application/vnd.apache.arrow.file": file.getvalue().to_pybytes(),
        "application/jsonlines": b'{"upper": 1.5}',
        "application/x-npy": npy_of(np.array([(1.5,)], [("upper", "<f8")])),
    }
    for media_type, content in bodies.items():
        answer = await asked.post("/predict/levels", content=content, headers={"content-type": media_type})
        assert answer.status_code == 200, answer.text
        assert remarked(answer) == [{"row": 0, "columns": ["lower"]}]
        assert numbers_in(answer) == [expected[0]["rent"]]


def numbers_in(answer: httpx.Response) -> Any:
    match answer.headers["content-type"]:
        case "application/vnd.apache.parquet":
            return pa.parquet.read_table(pa.BufferReader(answer.content))["rent"].to_pylist()
        case "application/vnd.apache.arrow.file":
            return pa.ipc.open_file(answer.content).read_all()["rent"].to_pylist()
        case "application/x-npy":
            return np.load(io.BytesIO(answer.content))["rent"].tolist()
        case _:
            return [json.loads(answer.content)["rent"]]


def remarked(answer: httpx.Response) -> Any:
    """Return what the answer says is filled, from its body or its headers."""
    in_headers = answer.headers.get("x-pattern-filled")
    if in_headers is None:
        return answer.json().get("filled")
    listed = json.loads(in_headers)
    assert answer.headers["x-pattern-filled-rows"] == str(len(listed))
    return listed


async def test_a_record_may_leave_out_what_may_be_missing(asked: httpx.AsyncClient) -> None:
    answer = await asked.post("/predict/whole", json={"inputs": {"gust": 2.75}})
    assert answer.json()["filled"] == [{"row": 0, "columns": ["code", "wet", "day", "hour", "note"]}]
    assert "outside" not in answer.json()
    nothing = await asked.post("/predict/whole", json={"inputs": {}})
    assert refusal(nothing) == (422, "missing_column")


async def test_where_nothing_stands_in_a_missing_value_is_refused(asked: httpx.AsyncClient) -> None:
    answer = await asked.post("/predict/strict", json={"inputs": [FILLED[0] | {"gust": None}]})
    assert refusal(answer) == (422, "missing_value")
    assert message(answer) == "row 0, column gust: expected a number, found no value; training saw none missing"
    whole = await asked.post("/predict/strict", json={"inputs": FILLED})
    assert "filled" not in whole.json()
