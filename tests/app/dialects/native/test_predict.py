"""POST /predict: the answer has the layout of the question, and is the same whatever the question was written in."""

import csv
import io
import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.remarks import with_remarks
from models_store.arrays import Array
from models_store.storage.store import Store
from tests.app.over_http import (
    ARROW,
    CSV,
    NPY,
    arrow_of,
    csv_of,
    from_arrow,
    from_npy,
    message,
    npy_of,
    outputs_of,
    pair,
    post,
    refusal,
)
from tests.fakes import line

pytestmark = pytest.mark.anyio

COLUMNS, OUTPUTS = ("x1", "x2"), ("y1", "y2")
# Of so few digits that float32 is exact.
numbers = st.integers(-4096, 4096).map(lambda number: number / 8)
tables = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12)


# -- layouts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "inputs", "outputs"),
    [
        ("line", [[1], [2.5]], [[2.0], [5.0]]),
        ("line", [{"x": 1}, {"x": 2}], [{"y": 2.0}, {"y": 4.0}]),
        ("line", {"x": 3}, {"y": 6.0}),
        ("line", {"x": [1, 2]}, {"y": [2.0, 4.0]}),
        ("line", [1, 2, 5], [2.0, 4.0, 10.0]),
        ("pair", [[2, 1], [0, 0]], [[4.0, 1.0], [0.0, 0.0]]),
        ("pair", [{"x1": 2, "x2": 1}], [{"y1": 4.0, "y2": 1.0}]),
        ("pair", [{"x2": 1, "x1": 2}], [{"y1": 4.0, "y2": 1.0}]),
        ("pair", {"x2": 1, "x1": 2}, {"y1": 4.0, "y2": 1.0}),
        ("pair", {"x2": [1, 0], "x1": [2, 4]}, {"y1": [4.0, 4.0], "y2": [1.0, 4.0]}),
        ("fork", [1, 2], [[1.0, -1.0], [2.0, -2.0]]),
        ("fork", {"x": 3}, {"up": 3.0, "down": -3.0}),
    ],
)
async def test_the_answer_has_the_layout_of_the_question(
    shared: httpx.AsyncClient, pattern: str, inputs: Any, outputs: Any
) -> None:
    answer = await shared.post(f"/predict/{pattern}", json={"inputs": inputs})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {"pattern": pattern, "version": 1, "outputs": outputs}
    assert answer.headers["x-pattern-version"] == "1"


@pytest.mark.parametrize("header", ["x1,x2", "x2,x1"])
async def test_csv_is_answered_in_csv_whatever_the_order_of_its_columns(shared: httpx.AsyncClient, header: str) -> None:
    rows = "2,1\n0,0\n" if header == "x1,x2" else "1,2\n0,0\n"
    answer = await post(shared, f"{header}\n{rows}".encode(), CSV, "pair")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, CSV)
    assert answer.text == "y1,y2\n4.0,1.0\n0.0,0.0\n"
    assert answer.headers["x-pattern-version"] == "1"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
async def test_npy_is_answered_in_npy_of_the_same_precision(shared: httpx.AsyncClient, dtype: str, order: Any) -> None:
    body = npy_of(np.array([[2, 1], [0, 0], [5, 3]], dtype=dtype, order=order))
    answer = await post(shared, body, NPY, "pair")
    outputs = from_npy(answer.content)
    assert (answer.headers["content-type"], outputs.dtype) == (NPY, np.dtype(dtype).newbyteorder("<"))
    assert outputs.tolist() == [[4, 1], [0, 0], [11, 2]]


async def test_arrow_is_answered_in_arrow_however_many_batches_it_comes_in(shared: httpx.AsyncClient) -> None:
    table = pa.table({"x2": pa.array([1, 0, 3], pa.int16()), "x1": pa.array([2, 0, 5], pa.float32())})
    for rows_a_batch in (1, 2, 3):
        answer = await post(shared, arrow_of(table, rows_a_batch), ARROW, "pair")
        assert answer.headers["content-type"] == ARROW
        assert from_arrow(answer.content) == {"y1": [4.0, 0.0, 11.0], "y2": [1.0, 0.0, 2.0]}


# -- the same numbers in every format ------------------------------------------------------------------------------


async def as_rows(client: httpx.AsyncClient, rows: Array) -> Array:
    return np.array(await outputs_of(client, rows.tolist(), "pair"))


async def as_records(client: httpx.AsyncClient, rows: Array) -> Array:
    records = [dict(zip(COLUMNS, row, strict=True)) for row in rows.tolist()]
    return np.array([[record[name] for name in OUTPUTS] for record in await outputs_of(client, records, "pair")])


async def as_single_records(client: httpx.AsyncClient, rows: Array) -> Array:
    answers = [await outputs_of(client, dict(zip(COLUMNS, row, strict=True)), "pair") for row in rows.tolist()]
    return np.array([[answer[name] for name in OUTPUTS] for answer in answers])


async def as_columns(client: httpx.AsyncClient, rows: Array) -> Array:
    outputs = await outputs_of(client, dict(zip(COLUMNS, rows.T.tolist(), strict=True)), "pair")
    return np.array([outputs[name] for name in OUTPUTS]).T


async def as_csv(client: httpx.AsyncClient, rows: Array) -> Array:
    answer = await post(client, csv_of(COLUMNS, rows), CSV, "pair")
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == OUTPUTS
    return np.array([[float(field) for field in fields] for fields in lines])


async def as_npy(client: httpx.AsyncClient, rows: Array) -> Array:
    return from_npy((await post(client, npy_of(rows), NPY, "pair")).content)


async def as_arrow(client: httpx.AsyncClient, rows: Array) -> Array:
    table = pa.table(dict(zip(COLUMNS, rows.T, strict=True)))
    outputs = from_arrow((await post(client, arrow_of(table, 5), ARROW, "pair")).content)
    return np.array([outputs[name] for name in OUTPUTS]).T


FORMATS = [as_rows, as_records, as_single_records, as_columns, as_csv, as_npy, as_arrow]


@settings(max_examples=12)
@given(tables)
async def test_every_format_gives_the_same_numbers_for_the_same_rows(
    shared: httpx.AsyncClient, table: list[tuple[float, float]]
) -> None:
    rows = np.array(table)
    expected = np.stack([rows[:, 0] + 2 * rows[:, 1], rows[:, 0] - rows[:, 1]], axis=1)
    for form in FORMATS:
        np.testing.assert_array_equal(await form(shared, rows), expected, err_msg=form.__name__)


@pytest.mark.parametrize("form", FORMATS[:-1])
async def test_a_row_alone_is_answered_as_in_a_batch_of_a_thousand(shared: httpx.AsyncClient, form: Any) -> None:
    rows = np.random.default_rng(0).uniform(-100, 100, (1000, 2))
    together = await as_arrow(shared, rows)
    for place in (0, 1, 255, 256, 999):
        np.testing.assert_array_equal(await form(shared, rows[[place]]), together[[place]])


@settings(max_examples=12)
@given(tables.flatmap(lambda table: st.tuples(st.just(table), st.permutations(range(len(table))))))
async def test_permuted_rows_have_permuted_answers(
    shared: httpx.AsyncClient, permuted: tuple[list[tuple[float, float]], list[int]]
) -> None:
    table, order = permuted
    rows = np.array(table)
    np.testing.assert_array_equal(await as_rows(shared, rows[order]), (await as_rows(shared, rows))[order])


@settings(max_examples=12)
@given(tables)
async def test_the_order_of_named_columns_does_not_matter(
    shared: httpx.AsyncClient, table: list[tuple[float, float]]
) -> None:
    rows = np.array(table)
    swapped = rows[:, ::-1]
    records = [{"x2": x2, "x1": x1} for x1, x2 in table]
    assert [list(record.values()) for record in await outputs_of(shared, records, "pair")] == (
        await as_rows(shared, rows)
    ).tolist()
    in_csv, csv_swapped = csv_of(("x1", "x2"), rows), csv_of(("x2", "x1"), swapped)
    assert (await post(shared, csv_swapped, CSV, "pair")).text == (await post(shared, in_csv, CSV, "pair")).text
    in_arrow = pa.table({"x2": rows[:, 1], "x1": rows[:, 0]})
    np.testing.assert_array_equal(
        list(from_arrow((await post(shared, arrow_of(in_arrow), ARROW, "pair")).content).values()),
        (await as_arrow(shared, rows)).T,
    )


# -- which version answers -----------------------------------------------------------------------------------------


@pytest.fixture
def published(published: Store) -> Store:
    """Versions 1, 2, 3 of `line` with y = 2x, 20x, 200x; the champion is 2, `candidate` is 3."""
    published.publish(line(20))
    published.publish(line(200), promote=False)
    published.set_alias("line", "candidate", 3)
    return published


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ({}, 2),
        ({"label": "champion"}, 2),
        ({"label": "candidate"}, 3),
        ({"version": 1}, 1),
        ({"version": 2}, 2),
        ({"version": 3}, 3),
    ],
)
async def test_the_version_that_was_asked_for_answers(
    client: httpx.AsyncClient, query: dict[str, Any], version: int
) -> None:
    answer = await client.post("/predict/line", params=query, json={"inputs": [1]})
    assert answer.json() == {"pattern": "line", "version": version, "outputs": [2.0 * 10 ** (version - 1)]}
    assert answer.headers["x-pattern-version"] == str(version)


@pytest.mark.parametrize(
    ("pattern", "query", "status", "code"),
    [
        ("line", {"version": 1, "label": "champion"}, 422, "bad_parameter"),
        ("line", {"version": 0}, 422, "bad_parameter"),
        ("line", {"version": -1}, 422, "bad_parameter"),
        ("line", {"version": "abc"}, 422, "bad_parameter"),
        ("line", {"version": "1.5"}, 422, "bad_parameter"),
        ("line", {"version": ""}, 422, "bad_parameter"),
        ("line", {"version": "sesame" * 1000}, 422, "bad_parameter"),
        ("line", {"version": "9" * 5000}, 422, "bad_parameter"),
        ("line", {"version": 4}, 404, "unknown_version"),
        ("line", {"version": 10**30}, 404, "unknown_version"),
        ("line", {"label": "nobody"}, 404, "unknown_label"),
        ("line", {"label": ""}, 404, "unknown_label"),
        ("line", {"label": "sesame" * 1000}, 404, "unknown_label"),
        ("line", {"label": "../sesame"}, 404, "unknown_label"),
        ("unheard-of", {}, 404, "unknown_pattern"),
        ("unheard-of", {"version": 1}, 404, "unknown_pattern"),
        ("unheard-of", {"label": "champion"}, 404, "unknown_pattern"),
        ("line", {"probabilities": "true"}, 422, "not_a_classification"),
        ("line", {"outside": "sesame"}, 422, "bad_parameter"),
        ("line", {"outsid": "true"}, 422, "bad_parameter"),
        ("line", {"sesame": "1", "version": 1}, 422, "bad_parameter"),
    ],
)
async def test_a_version_that_is_not_there_is_refused(
    shared: httpx.AsyncClient, pattern: str, query: dict[str, Any], status: int, code: str
) -> None:
    answer = await shared.post(f"/predict/{pattern}", params=query, json={"inputs": [1]})
    assert refusal(answer) == (status, code)


async def test_a_refusal_says_what_there_is(client: httpx.AsyncClient) -> None:
    async def said(pattern: str, **query: Any) -> str:
        return message(await client.post(f"/predict/{pattern}", params=query, json={"inputs": [1]}))

    assert await said("unheard-of") == "no such pattern; there are line"
    assert await said("line", version=9) == "pattern line has no such version; it has 1, 2, 3"
    parameters = "version, label, extra, interval, confidence, joint, outside, probabilities"
    assert await said("line", outsid="true") == f"there is no such parameter; there are {parameters}"
    assert await said("line", label="beta") == "pattern line has no such label; it has candidate, champion"


# -- numbers that are too large, rows that are too many ------------------------------------------------------------


@pytest.mark.parametrize("value", [1e300, -1e300, 1e40])
async def test_a_value_beyond_the_networks_numbers_is_refused_by_its_row(
    shared: httpx.AsyncClient, value: float
) -> None:
    answer = await shared.post("/predict/line", json={"inputs": [1, 2, value]})
    assert refusal(answer) == (422, "not_finite")
    assert message(answer).startswith("row 2: ")


async def test_an_answer_that_does_not_fit_the_arrays_type_is_refused(shared: httpx.AsyncClient) -> None:
    rows = np.array([[1.0], [3e38]], dtype=np.float32)
    answer = await post(shared, npy_of(rows), NPY)
    assert refusal(answer) == (422, "not_finite")
    assert message(answer).startswith("row 1: ")


async def test_as_many_rows_as_the_limit_are_answered(shared: httpx.AsyncClient) -> None:
    assert await outputs_of(shared, list(range(1000))) == [2.0 * number for number in range(1000)]


async def test_rows_outside_the_training_range_are_named_on_request(shared: httpx.AsyncClient) -> None:
    answer = await shared.post("/predict/pair?outside=true", json={"inputs": [[1, 1], [17, -1], [1, 20]]})
    assert answer.json() == {
        "pattern": "pair",
        "version": 1,
        "outputs": [[3.0, 0.0], [15.0, 18.0], [41.0, -19.0]],
        "outside": [{"row": 1, "columns": ["x1", "x2"]}, {"row": 2, "columns": ["x2"]}],
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(CSV, b"x\n999\n"), (NPY, npy_of(np.full((1, 1), 999.0))), (ARROW, arrow_of(pa.table({"x": [999]})))],
)
async def test_rows_outside_are_named_in_headers_where_the_body_has_no_place_for_them(
    shared: httpx.AsyncClient, content_type: str, body: bytes
) -> None:
    headers = {"content-type": content_type}
    answer = await shared.post("/predict/line?outside=true", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["x-pattern-outside-rows"] == "1"
    assert answer.headers["x-pattern-outside"] == '[{"row":0,"columns":["x"]}]'
    answer = await shared.post("/predict/line?outside=false", content=body, headers=headers)
    assert [name for name in answer.headers if "outside" in name] == []


def test_of_very_many_rows_outside_the_header_names_the_first() -> None:
    rows = [{"row": row, "columns": ["x"]} for row in range(1000)]
    headers = with_remarks({}, {"outside": rows})
    assert (headers["x-pattern-outside-rows"], json.loads(headers["x-pattern-outside"])) == ("1000", rows[:20])
    assert with_remarks({}, {"outside": [{"row": 0, "columns": ["é" * 400]}]}) == {"x-pattern-outside-rows": "1"}


def test_the_fake_pair_is_what_it_says() -> None:
    assert pair().predict(np.array([[2.0, 1.0], [10.0, -3.0]])).tolist() == [[4.0, 1.0], [4.0, 13.0]]
