"""Outcomes that name the request that asked, in place of its rows: its answers are remembered."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest

from app.drift.watch import Watch
from app.errors import TrainingUnavailable
from app.parts import parts_of
from app.settings import Settings
from app.telemetry.answer_log import MOST_OF_A_REQUEST, MOST_REQUESTS, AnswerLog
from app.telemetry.likeness import Likenesses
from app.telemetry.tally import Tallies
from models_store.errors import StoreUnwritable
from models_store.storage.store import Store
from tests.app.drift.test_drift_route import ten_columns
from tests.app.over_http import NPY, an_app, client_of, message, npy_of, pair, refusal, serving
from tests.fakes import line
from tests.table_fakes import flowers

pytestmark = pytest.mark.anyio
MOST = 1000


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    for bundle in (line(), pair(), pair("other"), flowers()):
        store.publish(bundle)
    async with serving(store, remembered_requests=MOST) as client:
        yield client


async def ask(client: httpx.AsyncClient, pattern: str, inputs: Any, **headers: str) -> str:
    """Return the id of the answer."""
    answer = await client.post(f"/predict/{pattern}", json={"inputs": inputs}, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-request-id"])


async def tell(client: httpx.AsyncClient, pattern: str, body: Any, **query: str | int) -> httpx.Response:
    return await client.post(f"/patterns/{pattern}/outcomes", json=body, params=query)


async def told(client: httpx.AsyncClient, pattern: str, body: Any, **query: str | int) -> dict[str, Any]:
    answer = await tell(client, pattern, body, **query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_errors_by_id_are_those_by_rows(client: httpx.AsyncClient) -> None:
    rng = np.random.default_rng(0)
    by_id = by_rows = None
    for n_rows in (1, 7, 1, 40):
        asked, right = (rng.normal(size=(n_rows, 2)).tolist() for _ in range(2))
        name = await ask(client, "pair", asked)
        by_id = await told(client, "pair", {"request_id": name, "outcomes": right})
        by_rows = await told(client, "other", {"inputs": asked, "outcomes": right})
        assert by_id["outcomes"] == by_rows["outcomes"]
        assert (by_id["added"], by_id["version"]) == (n_rows, 1)
    assert by_id is not None and by_id["outcomes"]["rows"] == 49 and by_id["outcomes"]["value"] > 0


async def test_labels_are_right_or_wrong(client: httpx.AsyncClient) -> None:
    asked = [{"length": 1.5, "width": 0.25}, {"length": 5.5, "width": 2}, {"length": 5.5, "width": 2}]
    answer = await client.post("/predict/flowers", json={"inputs": asked})
    said = answer.json()["outputs"]
    body = {"request_id": answer.headers["x-request-id"], "outcomes": [*said[:2], {"species": "sesame"}]}
    found = (await told(client, "flowers", body))["outcomes"]
    assert (found["rows"], found["metric"], found["value"]) == (3, "accuracy", pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/pair/infer", {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}),
        ("/v1/models/pair:predict", {"instances": [[1, 2]]}),
        ("/invocations?pattern=pair", {"inputs": [[1, 2]]}),
        ("/predict/pair?version=1", {"inputs": [[1, 2]]}),
    ],
)
async def test_answers_of_every_protocol_are_remembered(client: httpx.AsyncClient, path: str, body: Any) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    found = await told(client, "pair", {"request_id": answer.headers["x-request-id"], "outcomes": [[5, -1]]})
    assert (found["added"], found["outcomes"]["value"]) == (1, 0)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/json", b'{"outcomes": [3, 5]}'),
        ("text/csv", b"y\n3\n5\n"),
        (NPY, npy_of(np.array([[3.0], [5.0]]))),
        ("application/x-ndjson", b'{"y": 3}\n{"y": 5}\n'),
    ],
)
async def test_the_address_names_the_request_of_a_table_of_outcomes(
    client: httpx.AsyncClient, media_type: str, body: bytes
) -> None:
    query = {"request_id": await ask(client, "line", [1, 2])}
    headers = {"content-type": media_type}
    answer = await client.post("/patterns/line/outcomes", content=body, headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["outcomes"]["rows"], answer.json()["outcomes"]["value"]) == (2, 1)


async def test_a_table_may_have_the_question_as_well_where_other_columns_are_ignored(
    client: httpx.AsyncClient,
) -> None:
    name = await ask(client, "pair", [[1, 2], [3, 4]])
    headers = {"content-type": "text/csv"}
    body, path = b"x1,x2,y1,y2,note\n1,2,5,-1,a\n3,4,11,-1,b\n", "/patterns/pair/outcomes"
    for query in ({}, {"request_id": name}):
        refused = await client.post(path, content=body, headers=headers, params=query)
        assert refusal(refused) == (422, "unknown_column")
        taken = await client.post(path, content=body, headers=headers, params={**query, "extra": "ignore"})
        assert (taken.status_code, taken.json().get("added")) == (200, 2), taken.text
    rows = {"inputs": [{"x1": 1, "x2": 2, "note": "a"}], "outcomes": [{"y1": 5, "y2": -1, "sure": True}]}
    assert (await told(client, "pair", rows, extra="ignore"))["added"] == 1


async def test_outcomes_count_once(client: httpx.AsyncClient) -> None:
    body = {"request_id": await ask(client, "line", [1, 2]), "outcomes": [3, 5]}
    await told(client, "line", body)
    assert refusal(await tell(client, "line", body)) == (409, "already_told")
    again = await told(client, "line", {"request_id": await ask(client, "line", [1]), "outcomes": [2]})
    assert again["outcomes"]["rows"] == 3


async def test_an_id_of_the_client_names_its_last_answer_of_a_pattern(client: httpx.AsyncClient) -> None:
    for pattern, inputs in (("line", [1]), ("line", [2, 3]), ("pair", [[1, 2]])):
        assert await ask(client, pattern, inputs, **{"x-request-id": "order.17"}) == "order.17"
    found = await told(client, "line", {"request_id": "order.17", "outcomes": [4, 6]})
    assert (found["added"], found["outcomes"]["value"]) == (2, 0)
    assert (await told(client, "pair", {"request_id": "order.17", "outcomes": [[5, -1]]}))["added"] == 1


REFUSED: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
    ({"outcomes": [3]}, {}, 422, "bad_layout"),
    ({"outcomes": [3, 5, 7]}, {}, 422, "bad_layout"),
    ({"outcomes": []}, {}, 422, "no_rows"),
    ({"outcomes": [[3, 4], [5, 6]]}, {}, 422, "bad_row"),
    ({"outcomes": ["sesame", 5]}, {}, 422, "not_a_number"),
    ({"outcomes": [1e200, 5]}, {}, 422, "not_a_number"),
    ({"outcomes": [3, 5], "inputs": [1, 2]}, {}, 422, "bad_body"),
    ({"outcomes": [3, 5]}, {"version": 1}, 422, "bad_parameter"),
    ({"outcomes": [3, 5]}, {"request_id": "sesame"}, 422, "bad_body"),
    ({"outcomes": [3, 5], "request_id": "never-answered"}, {}, 404, "unknown_request"),
    ({"outcomes": [3, 5], "request_id": 7}, {}, 422, "bad_parameter"),
    ({"outcomes": [3, 5], "request_id": "sesame\0"}, {}, 422, "bad_parameter"),
    ({"outcomes": [3, 5], "request_id": None}, {}, 422, "bad_body"),
]


async def test_what_does_not_fit_is_refused_and_can_be_told_well_afterwards(client: httpx.AsyncClient) -> None:
    name = await ask(client, "line", [1, 2], **{"x-request-id": "sesame"})
    for body, query, status, code in REFUSED:
        answer = await tell(client, "line", {"request_id": name, **body}, **query)
        assert refusal(answer) == (status, code), body
        assert "?" not in answer.text  # what stands for letters other than those of ASCII
    assert (await told(client, "line", {"request_id": name, "outcomes": [3, 5]}))["outcomes"]["rows"] == 2


async def test_an_id_of_another_pattern_is_told_which(client: httpx.AsyncClient) -> None:
    answer = await tell(client, "line", {"request_id": await ask(client, "pair", [[1, 2]]), "outcomes": [3]})
    assert refusal(answer) == (404, "unknown_request")
    assert message(answer) == (
        "no remembered request to line: that id is of a request to pair; add outcomes at /patterns/pair/outcomes"
    )


@pytest.mark.parametrize("name", ["", "sesame 1", "é", "s" * 65])
async def test_what_no_answer_has_as_its_id_is_refused_alike_in_body_and_address(
    client: httpx.AsyncClient, name: str
) -> None:
    said = "request_id: must be a text as answers have it as x-request-id: 1 to 64 letters, digits, and any of . _ -"
    for answer in (
        await tell(client, "line", {"request_id": name, "outcomes": [3]}),
        await tell(client, "line", {"outcomes": [3]}, request_id=name),
    ):
        assert refusal(answer) == (422, "bad_parameter")
        assert message(answer) == said


async def test_refused_questions_and_large_answers_are_not_remembered(client: httpx.AsyncClient) -> None:
    refused = await client.post("/predict/line", json={"inputs": ["sesame"]})
    large = await ask(client, "line", [0.0] * (MOST_OF_A_REQUEST + 1))
    for name in (refused.headers["x-request-id"], large):
        assert refusal(await tell(client, "line", {"request_id": name, "outcomes": [3]})) == (404, "unknown_request")
    counted = 'patterns_requests_not_remembered_total{pattern="line"}'
    text = (await client.get("/metrics")).text
    assert f"{counted} " in text and f"{counted} 0.0" not in text


async def test_only_the_newest_are_remembered(store: Store) -> None:
    store.publish(line())
    async with serving(store, remembered_requests=2) as client:
        names = [await ask(client, "line", [place]) for place in range(4)]
        bodies = [{"request_id": name, "outcomes": [0]} for name in names]
        statuses = [(await tell(client, "line", body)).status_code for body in bodies]
    assert statuses == [404, 404, 200, 200]


async def test_only_the_newest_are_remembered_however_often_the_server_starts_anew(store: Store) -> None:
    store.publish(line())
    for place in range(25):
        log = AnswerLog()
        watch = watch_of(store, log, most=20)
        log.note(str(place), line(), 1, np.zeros((1, 1)))
        await watch.save()
        watch.close()
    with contextlib.closing(sqlite3.connect(store.root / "jobs.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM pattern_answered").fetchone() == (20,)


async def test_a_version_that_is_champion_no_longer_gets_its_own_outcomes(
    store: Store, client: httpx.AsyncClient
) -> None:
    name = await ask(client, "line", [1])
    store.publish(line())
    parts: Any = client._transport
    await parts.app.state.parts.registry.refresh()
    found = await told(client, "line", {"request_id": name, "outcomes": [2]})
    assert (found["version"], found["outcomes"]["rows"]) == (1, 1)


async def test_several_processes_share_what_they_remember_and_count_it_once(store: Store) -> None:
    store.publish(line())
    async with serving(store, remembered_requests=MOST) as one, serving(store, remembered_requests=MOST) as other:
        names = [await ask(one, "line", [1]) for _ in range(5)]
        transport: Any = one._transport
        await parts_of(transport.app).watch.save()
        bodies = [{"request_id": name, "outcomes": [3]} for name in names]
        answers = await asyncio.gather(*(tell(client, "line", body) for body in bodies for client in (one, other)))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 5
        drift = await one.post("/patterns/line/outcomes", json={"inputs": [1], "outcomes": [2]})
    assert drift.json()["outcomes"]["rows"] == 6


async def test_answers_outlive_the_server(store: Store) -> None:
    store.publish(line())
    app = an_app(store, remembered_requests=MOST)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await parts_of(app).registry.refresh()
        name = await ask(client, "line", [1])
    async with serving(store, remembered_requests=MOST) as client:
        assert (await told(client, "line", {"request_id": name, "outcomes": [2]}))["added"] == 1


async def test_a_server_that_does_not_remember_says_how_to_let_it(store: Store) -> None:
    store.publish(line())
    async with serving(store) as client:
        answer = await tell(client, "line", {"request_id": await ask(client, "line", [1]), "outcomes": [2]})
    assert refusal(answer) == (404, "not_remembered")
    assert "PATTERNS_REMEMBERED_REQUESTS" in answer.text


async def test_answers_wait_while_the_database_does_not_answer(store: Store) -> None:
    log, bundle = AnswerLog(), line()
    store.publish(bundle)
    watch = watch_of(store, log)
    log.note("before", bundle, 1, np.zeros((1, 1)))
    await watch.save()
    with contextlib.closing(sqlite3.connect(store.root / "jobs.sqlite3")) as database:
        database.execute("ALTER TABLE pattern_answered RENAME TO pattern_gone")
        log.note("meanwhile", bundle, 1, np.array([[7.0]]))
        with pytest.raises(TrainingUnavailable):
            await watch.save()
        database.execute("ALTER TABLE pattern_gone RENAME TO pattern_answered")
    assert (await watch.remembered("line", "meanwhile")).said.tolist() == [[7]]
    assert (await watch.remembered("line", "before")).said.tolist() == [[0]]
    watch.close()


async def test_answers_that_cannot_be_saved_keep_no_counts_from_being_saved(store: Store) -> None:
    store.publish(ten_columns())
    async with serving(store, remembered_requests=MOST) as client:
        await ask(client, "ten", [[0.0] * 10])
        assert (await client.get("/patterns/ten/drift")).json()["rows"] == 1
        with contextlib.closing(sqlite3.connect(store.root / "jobs.sqlite3")) as database:
            database.execute("ALTER TABLE pattern_answered RENAME TO pattern_gone")
            name = await ask(client, "ten", [[0.0] * 10])
            found = await client.get("/patterns/ten/drift")
            assert (found.status_code, found.json().get("rows")) == (200, 2)
            database.execute("ALTER TABLE pattern_gone RENAME TO pattern_answered")
        assert (await tell(client, "ten", {"request_id": name, "outcomes": [0.0]})).status_code == 200


async def test_nothing_is_remembered_where_nothing_can_be_kept(store: Store) -> None:
    log = AnswerLog()
    watch = watch_of(store, log)  # whose folder is not there yet
    log.note("a", line(), 1, np.zeros((1, 1)))
    await watch.save()
    assert log.tick() == []
    with pytest.raises(StoreUnwritable):
        await watch.remembered("line", "a")
    watch.close()


def watch_of(store: Store, log: AnswerLog, most: int = MOST) -> Watch:
    settings = Settings(_env_file=None, store=store.root, remembered_requests=most)
    return Watch(Tallies(are_on=False), Likenesses(), log, store, settings)


def test_a_log_that_nobody_saves_is_bounded() -> None:
    log, bundle = AnswerLog(), line()
    for place in range(MOST_REQUESTS + 5):
        log.note(str(place), bundle, 1, np.zeros((1, 1)))
    waiting = log.tick()
    assert len(waiting) == MOST_REQUESTS
    log.saved(waiting)
    log.note("next", bundle, 1, np.zeros((1, 1)))
    assert [one.request_id for one in log.tick()] == ["next"]
