"""Right answers that come later: a running error beside the card's, and a training where it is worse."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from app.drift.outcomes import ENOUGH_OUTCOMES, RunningError, sums_of
from models_store.arrays import Array
from models_store.bundle import Bundle, Evaluation
from models_store.storage.store import Store
from tests.app.over_http import ARROW, NPY, arrow_of, jobs_of, message, npy_of, pair, recipe, refusal, serving
from tests.fakes import line
from tests.table_fakes import flowers, rents
from training.messages import IfBetter, Promote

pytestmark = pytest.mark.anyio
PAIR = {"inputs": [[1, 2], [3, 4]], "outcomes": [[5, -1], [11, -1]]}


def noisy_line(n_tested: int = 400) -> Bundle:
    """y = 2x, whose test rows were off by a normal number of deviation 1."""
    bundle = line()
    right = np.random.default_rng(0).normal(size=(n_tested, 1))
    score = bundle.card.test.overall.model_copy(update={"rmse": float(np.sqrt((right**2).mean()))})
    test = bundle.card.test.model_copy(update={"overall": score, "outputs": {"y": score}})
    card = bundle.card.model_copy(update={"test": test})
    evaluation = Evaluation(np.zeros((n_tested, 1)).tolist(), right.tolist())
    return replace(bundle, card=card, evaluation=evaluation, recipe=recipe("line", ("x",), {"y": "2*x"}))


def off_by(errors: Array, bundle: Bundle) -> RunningError:
    """Return the running error of answers that were off so much, float64 (n_rows,)."""
    return RunningError(bundle, sums_of(np.zeros((len(errors), 1)), errors[:, None], bundle))


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    for bundle in (noisy_line(), pair(), flowers(), rents()):
        store.publish(bundle)
    async with serving(store, max_rows=1000) as client:
        yield client


async def told(client: httpx.AsyncClient, pattern: str, body: Any, **query: str | int) -> dict[str, Any]:
    answer = await client.post(f"/patterns/{pattern}/outcomes", json=body, params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_errors_are_added_over_requests(client: httpx.AsyncClient) -> None:
    first = await told(client, "pair", PAIR)
    assert (first["added"], first["outcomes"]["rows"], first["outcomes"]["value"]) == (2, 2, 0)
    second = await told(client, "pair", {"inputs": [{"x1": 1, "x2": 2}], "outcomes": [{"y1": 8, "y2": -1}]})
    found = second["outcomes"]
    assert (found["rows"], found["metric"], found["worse"], second["job"]) == (3, "rmse", None, None)
    assert found["value"] == pytest.approx(np.sqrt(9 / 6))
    assert found["outputs"]["y1"]["value"] == pytest.approx(np.sqrt(9 / 3))
    assert found["outputs"]["y2"] == {"value": 0, "card": 0}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/csv", b"y,x\n3,1\n5,2\n"),
        (NPY, npy_of(np.array([[1.0, 3.0], [2.0, 5.0]]))),
        ("application/x-ndjson", b'{"x": 1, "y": 3}\n{"x": 2, "y": 5}\n'),
    ],
)
async def test_a_table_has_both_questions_and_answers(client: httpx.AsyncClient, media_type: str, body: bytes) -> None:
    headers = {"content-type": media_type}
    answer = await client.post("/patterns/line/outcomes", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["outcomes"]["rows"], answer.json()["outcomes"]["value"]) == (2, 1)


async def test_an_arrow_table_has_both(client: httpx.AsyncClient) -> None:
    table = pa.table({"rooms": [1.0, 2.0], "district": ["north", "south"], "rent": [0.0, 0.0]})
    answer = await client.post("/patterns/rents/outcomes", content=arrow_of(table), headers={"content-type": ARROW})
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcomes"]["rows"] == 2


async def test_labels_are_right_or_wrong(client: httpx.AsyncClient) -> None:
    asked = [{"length": 1.5, "width": 0.25}, {"length": 5.5, "width": 2}]
    said = (await client.post("/predict/flowers", json={"inputs": asked})).json()["outputs"]
    wrong = [{"species": "sesame"}]
    found = (await told(client, "flowers", {"inputs": asked * 2, "outcomes": [*said, said[0], *wrong]}))["outcomes"]
    assert (found["rows"], found["metric"], found["value"]) == (4, "accuracy", 0.75)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"inputs": [[1, 2]]}, "bad_body"),
        ({"inputs": [[1, 2]], "outcomes": [[1, 2]], "sesame": 1}, "bad_body"),
        ([], "bad_body"),
        ({"inputs": [[1, 2]], "outcomes": [[1, 2], [3, 4]]}, "bad_layout"),
        ({"inputs": [[1, 2]], "outcomes": [[1]]}, "bad_row"),
        ({"inputs": [[1, 2]], "outcomes": [["sesame", 2]]}, "not_a_number"),
        ({"inputs": [[1]], "outcomes": [[1, 2]]}, "bad_row"),
        ({"inputs": [], "outcomes": []}, "no_rows"),
        ({"inputs": [[1, 2]], "outcomes": [[1e200, 2]]}, "not_a_number"),
    ],
)
async def test_what_cannot_be_compared_is_refused(client: httpx.AsyncClient, body: Any, code: str) -> None:
    answer = await client.post("/patterns/pair/outcomes", json=body)
    assert refusal(answer) == (422, code)
    document = await told(client, "pair", PAIR)
    assert document["outcomes"]["rows"] == 2


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"outcomes": [[1, 2]]}, 'no "inputs"'),
        ({"inputs": [[1, 2]], "outcome": [[1, 2]]}, 'no "outcomes"'),
        ({"inputs": [[1, 2]], "outcomes": [[1, 2]], "sesame": 1}, "other keys as well"),
        ([], "a list of 0"),
    ],
)
async def test_a_body_of_other_keys_is_told_which_it_lacks(client: httpx.AsyncClient, body: Any, found: str) -> None:
    answer = await client.post("/patterns/pair/outcomes", json=body)
    assert refusal(answer) == (422, "bad_body")
    assert message(answer) == (
        'the body must be an object of "inputs" (the rows that were asked, or "request_id" in their place) and '
        f'"outcomes" (what is right for each row); found {found}'
    )


async def test_a_worse_error_trains_again_once_on_request(client: httpx.AsyncClient) -> None:
    rng = np.random.default_rng(1)
    asked = rng.uniform(0, 16, ENOUGH_OUTCOMES)
    same = {"inputs": asked.tolist(), "outcomes": (2 * asked + rng.normal(size=len(asked))).tolist()}
    worse = {"inputs": asked.tolist(), "outcomes": (2 * asked + 3 * rng.normal(size=len(asked))).tolist()}
    document = await told(client, "line", same, retrain="true")
    assert (document["outcomes"]["worse"], document["job"]) == (False, None)
    document = await told(client, "line", worse)
    assert (document["outcomes"]["worse"], document["job"]) == (True, None)
    at_once = await asyncio.gather(*(told(client, "line", worse, retrain="true") for _ in range(4)))
    jobs = [document["job"] for document in (*at_once, await told(client, "line", worse, retrain="true"))]
    assert jobs[0]["pattern"] == "line" and len({job["id"] for job in jobs}) == 1
    await client.delete(f"/train/{jobs[0]['id']}")


async def test_rows_are_added_once_though_the_training_cannot_be_queued(store: Store) -> None:
    for bundle in (noisy_line(), pair()):
        store.publish(bundle)
    asked = np.linspace(0, 16, ENOUGH_OUTCOMES)
    worse = {"inputs": asked.tolist(), "outcomes": (9 * asked).tolist()}
    async with serving(store, trainer="elsewhere", train_queue=1) as client:
        waiting = (await client.post("/train", json={"pattern": "pair"})).json()
        document = await told(client, "line", worse, retrain="true")
        assert (document["added"], document["outcomes"]["rows"], document["outcomes"]["worse"]) == (100, 100, True)
        assert (document["job"], document["problem"]["code"]) == (None, "queue_full")
        await client.delete(f"/train/{waiting['id']}")
        document = await told(client, "line", {"inputs": [1], "outcomes": [9]}, retrain="true")
        assert (document["outcomes"]["rows"], document["problem"]) == (101, None)
        assert document["job"]["pattern"] == "line"


@pytest.mark.parametrize(
    ("rule", "promote"),
    [
        (None, IfBetter()),
        ({"when": "if-better", "tolerance": 0.1}, IfBetter(tolerance=0.1)),
        ({"when": "never"}, False),
    ],
)
async def test_a_retraining_is_promoted_as_its_recipe_says_or_if_it_is_not_worse(
    store: Store, client: httpx.AsyncClient, rule: dict[str, Any] | None, promote: Promote
) -> None:
    bundle = noisy_line()
    store.publish(replace(bundle, recipe=bundle.recipe | {"promotion": rule}), promote=False)
    asked = np.linspace(0, 16, ENOUGH_OUTCOMES)
    worse = {"inputs": asked.tolist(), "outcomes": (9 * asked).tolist()}
    job = (await told(client, "line", worse, retrain="true"))["job"]
    assert (await jobs_of(client).get(job["id"])).promote == promote
    await client.delete(f"/train/{job['id']}")


async def test_the_error_is_in_the_metrics(client: httpx.AsyncClient) -> None:
    await told(client, "pair", PAIR)
    text = (await client.get("/metrics")).text
    labels = 'metric="rmse",pattern="pair",version="1",window="day"'
    assert f"patterns_outcomes_rows{{{labels}}} 2.0" in text
    assert f"patterns_outcomes_error{{{labels}}} 0.0" in text


def test_as_large_errors_are_hardly_ever_called_worse_and_larger_ones_are() -> None:
    rng = np.random.default_rng(2)
    worse = larger = 0
    for _ in range(200):
        bundle = noisy_line()
        worse += bool(off_by(rng.normal(size=300), bundle).is_worse)
        larger += bool(off_by(1.4 * rng.normal(size=300), bundle).is_worse)
    assert worse <= 2 and larger >= 190


def test_few_rows_are_no_verdict() -> None:
    assert off_by(np.full(ENOUGH_OUTCOMES - 1, 9.0), noisy_line()).is_worse is None
    assert off_by(np.full(ENOUGH_OUTCOMES, 9.0), noisy_line()).is_worse is True


async def test_predictions_go_on_where_many_outcomes_wait_for_the_database(store: Store) -> None:
    store.publish(line())
    async with serving(store, max_in_flight=8) as client:
        await told(client, "line", {"inputs": [1], "outcomes": [2]})
        with contextlib.closing(sqlite3.connect(store.root / "jobs.sqlite3", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            body = {"inputs": [1], "outcomes": [2]}
            waiting = [asyncio.create_task(client.post("/patterns/line/outcomes", json=body)) for _ in range(10)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.1)
            asked = await client.post("/predict/line", json={"inputs": [1]})
            database.execute("ROLLBACK")
        statuses = [(await task).status_code for task in waiting]
        rows = (await told(client, "line", body))["outcomes"]["rows"]
    assert asked.status_code == 200, asked.text
    assert (sorted(statuses), rows) == ([200] * 2 + [503] * 8, 4)
