"""The label `shadow`: a version answers a share of the live questions beside the champion, and nobody is sent that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from app.parts import parts_of
from models_store.arrays import Encoded
from models_store.storage.store import Store
from tests.app.over_http import NPY, an_app, client_of, csv_of, npy_of, outputs_of, post, refusal, serving
from tests.fakes import LinearNetwork, line, rows
from tests.table_fakes import flowers

pytestmark = pytest.mark.anyio

SOON = 10


@pytest.fixture
def shadowed(store: Store) -> Store:
    """y = 2x answers, and y = 3x is its shadow."""
    store.publish(line(2))
    store.publish(line(3), promote=False)
    store.set_alias("line", "shadow", 2)
    return store


@pytest.fixture
async def client(shadowed: Store) -> AsyncIterator[httpx.AsyncClient]:
    """Each question is copied."""
    async with serving(shadowed, shadow_share=1) as client:
        yield client


async def shadow(client: httpx.AsyncClient, pattern: str = "line", **query: str) -> dict[str, Any]:
    answer = await client.get(f"/patterns/{pattern}/shadow", params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def until(
    client: httpx.AsyncClient, is_so: Callable[[dict[str, Any]], bool], pattern: str = "line"
) -> dict[str, Any]:
    async with asyncio.timeout(SOON):
        while True:
            found = await shadow(client, pattern)
            if is_so(found):
                return found
            await asyncio.sleep(0.02)


async def settled(client: httpx.AsyncClient, questions: int, pattern: str = "line") -> dict[str, Any]:
    """Wait until what was copied of so many questions has been compared, or has failed."""
    return await until(
        client,
        lambda found: found["questions"] == questions and found["copied"] <= found["rows"] + found["failed"],
        pattern,
    )


async def test_the_difference_is_told_in_raw_units_and_never_sent(client: httpx.AsyncClient) -> None:
    assert await outputs_of(client, [1.0]) == [2.0]
    assert await outputs_of(client, [-2.0]) == [-4.0]
    found = await settled(client, 2)
    assert found["outputs"] == {
        "y": {"rmse": pytest.approx(2.5**0.5), "mae": pytest.approx(1.5), "bias": pytest.approx(-0.5), "card": 0.0}
    }
    counted = {name: found[name] for name in ("version", "champion", "copied", "dropped", "failed", "rows", "share")}
    assert counted == {"version": 2, "champion": 1, "copied": 2, "dropped": 0, "failed": 0, "rows": 2, "share": 1.0}


async def test_a_tenth_of_the_questions_is_copied_by_counting_them_off(shadowed: Store) -> None:
    async with serving(shadowed) as client:
        for _ in range(25):
            await outputs_of(client, [1.0])
        found = await settled(client, 25)
    assert (found["copied"], found["rows"], found["share"]) == (2, 2, 0.1)


async def test_no_share_copies_nothing(shadowed: Store) -> None:
    async with serving(shadowed, shadow_share=0) as client:
        await outputs_of(client, [1.0])
        found = await settled(client, 1)
    assert (found["copied"], found["rows"], found["outputs"]) == (0, 0, {})


async def test_every_protocol_and_format_is_copied(client: httpx.AsyncClient) -> None:
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}
    for path, body in (
        ("/predict/line?label=champion", {"inputs": [[1.0]]}),
        ("/v2/models/line/infer", {"inputs": [tensor]}),
        ("/v1/models/line:predict", {"instances": [[1.0]]}),
        ("/invocations?pattern=line", {"inputs": [[1.0]]}),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 200, answer.text
    await post(client, csv_of(("x",), rows(1.0)), "text/csv")
    await post(client, npy_of(rows(1.0)), NPY)
    found = await settled(client, 6)
    assert (found["copied"], found["rows"]) == (6, 6)
    assert found["outputs"]["y"]["bias"] == pytest.approx(1)


async def test_questions_that_name_a_version_are_not_live(client: httpx.AsyncClient) -> None:
    for query in ("?version=1", "?version=2", "?label=shadow"):
        assert (await client.post(f"/predict/line{query}", json={"inputs": [[1.0]]})).status_code == 200
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}
    answer = await client.post("/v2/models/line/versions/1/infer", json={"inputs": [tensor]})
    assert answer.status_code == 200
    assert (await shadow(client))["questions"] == 0


async def test_of_a_large_question_some_rows_are_compared(client: httpx.AsyncClient) -> None:
    await post(client, npy_of(np.linspace(0, 10, 5001)[:, None]), NPY)
    found = await until(client, lambda found: found["rows"] > 0)
    assert found["rows"] == 256
    assert found["outputs"]["y"]["bias"] == pytest.approx(5, abs=0.01)


async def test_clipped_rows_are_compared_as_the_network_got_them(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predict/line?outside=clip", json={"inputs": [[1000.0]]})
    assert answer.json()["outputs"] == [[32.0]]
    assert (await settled(client, 1))["outputs"]["y"]["bias"] == pytest.approx(16)


async def test_labels_are_told_apart_by_the_share_that_agrees(store: Store) -> None:
    store.publish(flowers())
    store.publish(flowers(labels=("versicolor", "setosa", "virginica")), promote=False)
    store.set_alias("flowers", "shadow", 2)
    async with serving(store, shadow_share=1) as client:
        body = {"inputs": [{"length": 1.5, "width": 0.25}]}
        assert (await client.post("/predict/flowers", json=body)).status_code == 200
        [found] = (await settled(client, 1, "flowers"))["outputs"].values()
    assert found.keys() == {"agreement", "distance", "card"}
    assert found["agreement"] in (0.0, 1.0) and 0 < found["distance"] < 1


# -- faults of the shadow ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Faulty(LinearNetwork):
    """Fails, or answers what is no number, to encoded inputs above 0."""

    fails: bool = True

    def __call__(self, encoded: Encoded) -> Encoded:
        if self.fails:
            raise RuntimeError("sesame")
        return np.where(encoded > 0, np.inf, super().__call__(encoded)).astype(np.float32)


def make_faulty(app: FastAPI, *, fails: bool) -> None:
    """Let the shadow of `line` compute with such a network."""
    registry = parts_of(app).registry
    live, pair = registry.champion("line").live, registry.pairs[0]
    bundle = pair.shadow.bundle
    network = Faulty(np.array([[1.5]], dtype=np.float32), fails=fails)
    bundle = replace(bundle, predictor=replace(bundle.predictor, network=network))
    assert live is not None
    live.pair = replace(pair, shadow=replace(pair.shadow, bundle=bundle))


async def test_a_shadow_that_fails_is_counted_and_the_client_sees_nothing_of_it(
    shadowed: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    app = an_app(shadowed, shadow_share=1)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await parts_of(app).registry.refresh()
        make_faulty(app, fails=True)
        assert await outputs_of(client, [1.0, 2.0]) == [2.0, 4.0]
        await settled(client, 1)
        assert await outputs_of(client, [1.0]) == [2.0]
        found = await settled(client, 2)
    assert (found["copied"], found["failed"], found["rows"], found["outputs"]) == (2, 2, 0, {})
    [said] = [line for line in capsys.readouterr().out.splitlines() if "cannot answer some questions" in line]
    assert '"reason":"RuntimeError"' in said and "sesame" not in said


async def test_a_row_that_the_shadow_has_no_finite_answer_to_is_left_out(shadowed: Store) -> None:
    app = an_app(shadowed, shadow_share=1)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await parts_of(app).registry.refresh()
        make_faulty(app, fails=False)
        await outputs_of(client, [4.0, 16.0, 4.0])
        found = await until(client, lambda found: found["failed"] > 0)
    assert (found["failed"], found["rows"]) == (1, 2)
    assert found["outputs"]["y"]["bias"] == pytest.approx(4)


# -- labels that move --------------------------------------------------------------------------------------------------


async def test_without_a_shadow_the_way_to_one_is_said(store: Store) -> None:
    store.publish(line())
    async with serving(store) as client:
        answer = await client.get("/patterns/line/shadow")
        assert refusal(answer) == (404, "no_shadow")
        assert "PUT /patterns/line/labels/shadow" in answer.text
        assert (await client.put("/patterns/line/labels/shadow", json={"version": 1})).status_code == 200
        assert refusal(await client.get("/patterns/line/shadow")) == (404, "no_shadow")
        assert refusal(await client.get("/patterns/nothing/shadow")) == (404, "unknown_pattern")
        assert refusal(await client.get("/patterns/line/shadow?since=never")) == (422, "bad_parameter")


async def test_a_shadow_that_cannot_be_compared_says_why_and_is_in_nobodys_way(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.publish(line())
    store.publish(replace(flowers(), pattern="line"), promote=False)
    async with serving(store, shadow_share=1) as client:
        assert (await client.put("/patterns/line/labels/shadow", json={"version": 2})).status_code == 200
        assert await outputs_of(client, [1.0]) == [2.0]
        answer = await client.get("/patterns/line/shadow")
    assert refusal(answer) == (409, "not_comparable")
    assert "one of both has learned from a table" in answer.text
    assert capsys.readouterr().out.count("the shadow cannot be compared") == 1


async def test_the_shadow_is_promoted_by_one_label_and_its_label_can_be_removed(client: httpx.AsyncClient) -> None:
    await outputs_of(client, [1.0])
    await settled(client, 1)
    assert (await client.put("/patterns/line/labels/champion", json={"version": 2})).status_code == 200
    assert await outputs_of(client, [1.0]) == [3.0]
    assert refusal(await client.get("/patterns/line/shadow")) == (404, "no_shadow")
    assert (await client.put("/patterns/line/labels/shadow", json={"version": 1})).status_code == 200
    assert await outputs_of(client, [1.0]) == [3.0]
    back = await settled(client, 1)
    assert (back["champion"], back["version"], back["outputs"]["y"]["bias"]) == (2, 1, pytest.approx(-1))
    assert (await client.delete("/patterns/line/labels/shadow")).status_code == 200
    assert (await client.delete("/patterns/line/versions/1")).status_code == 200
    assert await outputs_of(client, [1.0]) == [3.0]


async def test_a_label_that_moves_while_questions_wait_mixes_nothing(shadowed: Store) -> None:
    shadowed.publish(line(5), promote=False)
    async with serving(shadowed, shadow_share=1) as client:
        await outputs_of(client, [1.0])
        assert (await client.put("/patterns/line/labels/shadow", json={"version": 3})).status_code == 200
        assert (await client.delete("/patterns/line/versions/2")).status_code == 200
        await outputs_of(client, [1.0])
        found = await settled(client, 1)
        assert (found["version"], found["rows"], found["outputs"]["y"]["bias"]) == (3, 1, pytest.approx(3))


async def test_a_damaged_shadow_is_refused_and_the_champion_answers(shadowed: Store) -> None:
    (shadowed.root / "line" / "2" / "network.keras").write_bytes(b"")
    async with serving(shadowed, shadow_share=1) as client:
        assert await outputs_of(client, [1.0]) == [2.0]
        assert refusal(await client.get("/patterns/line/shadow"))[0] == 503


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_all_processes_are_added_and_a_restart_forgets_nothing(shadowed: Store) -> None:
    apps = [an_app(shadowed, shadow_share=1) for _ in range(2)]
    for questions, app in enumerate(apps, 1):
        async with app.router.lifespan_context(app), client_of(app) as client:
            await parts_of(app).registry.refresh()
            await outputs_of(client, [1.0])
            await settled(client, questions)
    async with serving(shadowed) as client:
        found = await settled(client, 2)
        assert (found["copied"], found["rows"], found["kept"]) == (2, 2, True)


async def test_metrics_have_it_of_the_last_hour_and_day(client: httpx.AsyncClient) -> None:
    await outputs_of(client, [1.0])
    await settled(client, 1)
    lines = (await client.get("/metrics")).text.splitlines()
    for window in ("hour", "day"):
        own = f'champion="1",pattern="line",version="2",window="{window}"'
        for name, value in (("questions", "1.0"), ("copied", "1.0"), ("dropped", "0.0"), ("failed", "0.0")):
            assert f"patterns_shadow_{name}{{{own}}} {value}" in lines
        of_output = own.replace("pattern=", 'output="y",pattern=')
        assert f"patterns_shadow_bias{{{of_output}}} 1.0" in lines
