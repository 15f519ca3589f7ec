"""GET /patterns/…/drift: what is asked over any protocol, beside the training rows; kept over a restart."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from app.drift.divergence import ENOUGH_ROWS
from app.parts import parts_of
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.profiles.profile import Profile
from models_store.storage.store import Store
from models_store.tables.table import Table, to_json
from tests.app.over_http import NPY, an_app, client_of, csv_of, linear, npy_of, post, refusal, serving
from tests.fakes import line, rows
from tests.table_fakes import passengers

pytestmark = pytest.mark.anyio

TEN = tuple(f"x{place}" for place in range(1, 11))


def profiled(bundle: Bundle, raw: Any) -> Bundle:
    predictor = bundle.predictor
    return replace(bundle, profile=Profile.learn(raw, bundle.predict(raw), predictor.encoder, predictor.decoder))


def ten_columns(pattern: str = "ten") -> Bundle:
    """y is the sum of ten numbers; training had 2000 rows of them, normal around 0."""
    raw = np.random.default_rng(0).normal(size=(2000, 10))
    bundle = linear(pattern, {"y": " + ".join(TEN)}, [[1.0]] * 10)
    ranges = zip(bundle.card.inputs, raw.min(axis=0).tolist(), raw.max(axis=0).tolist(), strict=True)
    inputs = [column.model_copy(update={"minimum": low, "maximum": high}) for column, low, high in ranges]
    return profiled(replace(bundle, card=bundle.card.model_copy(update={"inputs": inputs})), raw)


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    store.publish(ten_columns())
    store.publish(line())
    async with serving(store) as client:
        yield client


async def drift(client: httpx.AsyncClient, pattern: str = "ten", **query: str | int) -> dict[str, Any]:
    answer = await client.get(f"/patterns/{pattern}/drift", params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def ask(client: httpx.AsyncClient, asked: Array, at_once: int = 1) -> None:
    for start in range(0, len(asked), at_once):
        answer = await post(client, npy_of(asked[start : start + at_once]), NPY, "ten")
        assert answer.status_code == 200, answer.text


def named(document: dict[str, Any], part: str = "columns") -> list[str]:
    return [column["name"] for column in document[part] if column["drifted"]]


async def test_a_column_that_moves_by_half_a_deviation_is_named_within_500_rows(client: httpx.AsyncClient) -> None:
    asked = np.random.default_rng(1).normal(size=(500, 10))
    asked[:, 6] += 0.5
    await ask(client, asked)
    document = await drift(client, since="hour")
    assert (document["asked"], document["rows"]) == (500, 500)
    assert named(document) == ["x7"]
    first = document["columns"][0]
    assert first["name"] == "x7" and first["psi"] > first["threshold"] and 0 < first["js"] < 1
    assert len(document["columns"]) == 10
    assert sum(first["histogram"]["asked"]) == pytest.approx(1)


async def test_rows_like_those_of_training_are_no_drift(client: httpx.AsyncClient) -> None:
    await ask(client, np.random.default_rng(2).normal(size=(2000, 10)), 100)
    document = await drift(client)
    assert named(document) == named(document, "outputs") == []
    assert all(column["drifted"] is False for column in document["columns"])


async def test_there_is_no_verdict_without_enough_rows(client: httpx.AsyncClient) -> None:
    await ask(client, np.full((ENOUGH_ROWS - 1, 10), 50.0))
    document = await drift(client)
    assert {column["drifted"] for column in (*document["columns"], *document["outputs"])} == {None}
    assert {column["outside"] for column in document["columns"]} == {1.0}
    await ask(client, np.full((1, 10), 50.0))
    document = await drift(client)
    assert named(document) == sorted(TEN, key=named(document).index)
    assert named(document, "outputs") == ["y"]


async def test_nothing_asked_is_no_distance(client: httpx.AsyncClient) -> None:
    document = await drift(client)
    assert document["rows"] == 0
    assert {column["psi"] for column in document["columns"]} == {None}


async def test_half_of_the_rows_without_a_value_is_a_drift(store: Store) -> None:
    rng = np.random.default_rng(0)
    bundle = passengers()
    training = a_table(rng, 1000)
    store.publish(profiled(bundle, training))
    asked = a_table(rng, 400)
    asked.columns["age"][:200] = np.nan
    async with serving(store) as client:
        await post(client, records_of(asked), "application/json", "passengers")
        document = await drift(client, "passengers")
    assert named(document) == ["age"]
    assert document["columns"][0]["missing"] == pytest.approx(0.55, abs=0.05)


async def test_a_constant_that_moves_a_little_is_outside_and_no_drift(store: Store) -> None:
    store.publish(profiled(line(), rows(*[8.0] * 500)))
    async with serving(store) as client:
        await post(client, npy_of(rows(*[8.008] * 300)), NPY)
        still = await drift(client, "line")
        await post(client, npy_of(rows(*[9.0] * 300)), NPY)
        moved = await drift(client, "line")
    assert [(one["outside"], one["drifted"], one["psi"]) for one in still["columns"]] == [(1.0, False, 0.0)]
    assert named(moved) == ["x"]


async def test_clipped_rows_are_counted_as_they_were_asked(client: httpx.AsyncClient) -> None:
    body = {"inputs": [[99.0] * 10] * 3}
    answer = await client.post("/predict/ten", json=body, params={"outside": "clip"})
    assert answer.status_code == 200
    assert {column["outside"] for column in (await drift(client))["columns"]} == {1.0}


@pytest.mark.parametrize("path", ["/predict/ten?outside=reject", "/v1/models/ten:predict", "/v2/models/ten/infer"])
async def test_rows_are_counted_that_are_refused_as_outside(store: Store, path: str) -> None:
    bundle = ten_columns()
    store.publish(replace(bundle, card=bundle.card.model_copy(update={"outside": "reject"})))
    far, near = [99.0] * 10, [0.5] * 10
    tensor = {"name": "x", "shape": [2, 10], "datatype": "FP64", "data": near + far}
    bodies: dict[str, Any] = {"predict": {"inputs": [near, far]}, "v1": {"instances": [near, far]}}
    async with serving(store) as client:
        refused = await client.post(path, json=bodies.get(path.split("/")[1], {"inputs": [tensor]}))
        assert refused.status_code in (400, 422), refused.text
        document = await drift(client)
        await ask(client, np.full((1, 10), 0.5))
        answered = await drift(client)
    assert (document["asked"], document["rows"]) == (1, 1)
    assert {column["outside"] for column in document["columns"]} == {1.0}
    assert {column["psi"] for column in document["outputs"]} == {None}
    assert {column["outside"] for column in answered["columns"]} == {0.5}
    assert {column["outside"] for column in answered["outputs"]} == {0.0}


async def test_every_protocol_is_counted(client: httpx.AsyncClient) -> None:
    one = [[0.5] * 10]
    tensor = {"name": "x", "shape": [1, 10], "datatype": "FP64", "data": [0.5] * 10}
    for path, body in (
        ("/predict/ten", {"inputs": one}),
        ("/v2/models/ten/infer", {"inputs": [tensor]}),
        ("/v1/models/ten:predict", {"instances": one}),
        ("/invocations?pattern=ten", {"inputs": one}),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 200, answer.text
    await post(client, csv_of(TEN, np.full((1, 10), 0.5)), "text/csv", "ten")
    assert (await drift(client))["rows"] == 5


@pytest.mark.parametrize("failing", [[], [1e308]])
async def test_requests_of_one_moment_are_counted_as_they_were_asked(
    client: httpx.AsyncClient, failing: list[float]
) -> None:
    asked = [("?outside=clip", 50.0), *[("", value) for value in (*[0.1] * 6, *failing)]]
    answers = await asyncio.gather(
        *(client.post(f"/predict/ten{query}", json={"inputs": [[value] * 10]}) for query, value in asked)
    )
    assert [answer.status_code for answer in answers] == [200] * 7 + [422] * len(failing)
    document = await drift(client)
    assert (document["asked"], document["rows"]) == (7, 7)
    assert [column["outside"] for column in document["columns"]] == [pytest.approx(1 / 7)] * 10


async def test_a_large_request_is_counted_in_part(client: httpx.AsyncClient) -> None:
    await post(client, npy_of(np.random.default_rng(4).normal(size=(5000, 10))), NPY, "ten")
    document = await drift(client)
    assert (document["asked"], document["rows"]) == (5000, 1024)
    assert named(document) == []


async def test_counts_outlive_the_server(store: Store) -> None:
    store.publish(ten_columns())
    for before in (0, 3):
        app = an_app(store)
        async with app.router.lifespan_context(app), client_of(app) as client:
            await parts_of(app).registry.refresh()
            assert (await drift(client))["rows"] == before
            await ask(client, np.zeros((3, 10)))
    async with serving(store) as client:
        assert (await drift(client))["rows"] == 6


async def test_a_version_without_histograms_says_what_it_lacks(client: httpx.AsyncClient) -> None:
    answer = await client.get("/patterns/line/drift")
    assert refusal(answer) == (404, "no_profile")


async def test_a_server_that_does_not_count_says_so(store: Store) -> None:
    store.publish(ten_columns())
    async with serving(store, drift=False) as client:
        assert refusal(await client.get("/patterns/ten/drift")) == (404, "not_counted")


@pytest.mark.parametrize("since", ["sesame", "2001-01-01", "2999-01-01T00:00:00Z", ""])
async def test_a_moment_that_nothing_is_known_of_is_refused(client: httpx.AsyncClient, since: str) -> None:
    assert refusal(await client.get("/patterns/ten/drift", params={"since": since})) == (422, "bad_parameter")


async def test_what_is_asked_is_in_the_metrics(client: httpx.AsyncClient) -> None:
    await ask(client, np.full((200, 10), 50.0), 200)
    text = (await client.get("/metrics")).text
    labels = 'pattern="ten",version="1",window="hour"'
    assert f"patterns_drift_rows{{{labels}}} 200.0" in text
    column = f'column="x1",{labels}'
    assert f"patterns_drift_drifted{{{column}}} 1.0" in text
    assert f"patterns_drift_outside{{{column}}} 1.0" in text


def a_table(rng: np.random.Generator, n_rows: int) -> Table:
    """Return passengers, a tenth of them without an age."""
    age = np.where(rng.random(n_rows) < 0.1, np.nan, rng.uniform(2, 54, n_rows))
    port = rng.choice(np.array(["S", "C", "Q"], dtype=object), n_rows)
    note = rng.choice(np.array(["first class", "cabin", "a trip"], dtype=object), n_rows)
    crew, boarded = rng.integers(0, 2, n_rows).astype(float), rng.integers(-21085, -21080, n_rows).astype(float)
    return Table({"age": age, "port": port, "crew": crew, "boarded": boarded, "note": note})


def records_of(table: Table) -> bytes:
    kinds: Any = {"age": "number", "port": "category", "crew": "boolean", "boarded": "date", "note": "text"}
    names = [*kinds]
    return orjson.dumps({"inputs": [dict(zip(names, row, strict=True)) for row in to_json(table, kinds)]})
