"""Training over HTTP: submitted, followed, listened to, cancelled, refused."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from app.answering.registry import Registry
from app.jobs.jobs import Jobs
from app.jobs.patience import Patience
from app.jobs.records import Records
from app.main import create_app
from app.parts import parts_of
from app.settings import Settings
from models_store.storage.aliases import CHAMPION
from models_store.storage.store import Store
from tests.app.jobs.conftest import HOUR, LOOKS, SHORT, MakeJobs, until, without_table
from tests.app.jobs.fakes import (
    SCORES,
    FakeTrainer,
    diverges,
    hangs,
    is_killed,
    learned,
    obeys,
    recipe,
    searches,
    searches_until_finished,
    searching,
    trial,
    waits_for,
)
from tests.app.jobs.postgres import Postgres
from tests.app.over_http import jobs_of
from tests.disks import PausingDisk
from tests.fakes import LinearNetwork
from training.messages import IfBetter, Promote, Publish

pytestmark = pytest.mark.anyio

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
LINE = {"pattern": "line"}


@pytest.fixture
def serve(settings: Settings, store: Store, trainer: FakeTrainer) -> Serve:
    """The app with `line` (y = 2x) as its only version, and the fake trainer."""
    store.publish(learned(recipe().to_json()))

    @asynccontextmanager
    async def serve(
        patience: Patience = SHORT, most_listeners: int = 200, openings: int = 5, **changes: object
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = app_of(settings.model_copy(update=changes), trainer, patience, most_listeners, openings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://testserver") as client,
        ):
            await app.state.parts.registry.refresh()
            yield client

    return serve


def app_of(
    settings: Settings,
    trainer: FakeTrainer,
    patience: Patience = SHORT,
    most_listeners: int = 200,
    openings: int = 5,
) -> FastAPI:
    app = create_app(settings, LinearNetwork.from_bytes)
    parts = parts_of(app)
    records = Records(settings.jobs_url, settings.train_queue, openings=openings)
    jobs = Jobs(records, parts.store, trainer, settings, patience, most_listeners)
    app.state.parts = replace(parts, jobs=jobs)
    return app


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[httpx.AsyncClient]:
    async with serve() as client:
        yield client


async def train(client: httpx.AsyncClient, *, wait: int = 0, **body: Any) -> dict[str, Any]:
    headers = {"prefer": f"wait={wait}"} if wait else {}
    answer = await client.post("/train", json={**LINE, **body}, headers=headers)
    assert answer.status_code == (200 if wait else 202), answer.text
    job: dict[str, Any] = answer.json()
    return job


async def once(client: httpx.AsyncClient, job: str, status: str, epoch: int = 0) -> dict[str, Any]:
    """Return the job as soon as it has this status and as many epochs."""
    for _ in range(LOOKS):
        said: dict[str, Any] = (await client.get(f"/train/{job}")).json()
        if said["status"] == status and said["progress"]["epoch"] >= epoch:
            return said
        await asyncio.sleep(0.005)
    raise AssertionError(said)


async def predicted(client: httpx.AsyncClient) -> tuple[int, list[float]]:
    """Return the version that answers, and its prediction for 1."""
    said = (await client.post("/predict/line", json={"inputs": [1]})).json()
    return said["version"], said["outputs"]


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = (await client.get("/train")).json()["jobs"]
    return jobs


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# -- asking --------------------------------------------------------------------------------------------------------


async def test_a_training_is_accepted_with_its_address(client: httpx.AsyncClient) -> None:
    answer = await client.post("/train", json=LINE)
    job = answer.json()
    address = f"/train/{job['id']}"
    assert (answer.status_code, answer.headers["location"]) == (202, address)
    told = {name: job[name] for name in ("pattern", "status", "links")}
    links = {"self": address, "events": f"{address}/events", "cancel": address}
    assert told == {"pattern": "line", "status": "queued", "links": links}
    assert (await client.get(answer.headers["location"])).json()["id"] == job["id"]


async def test_a_pattern_is_not_deleted_while_a_training_would_bring_it_back(
    client: httpx.AsyncClient, trainer: FakeTrainer
) -> None:
    trainer.scripts = [obeys]
    job = (await client.post("/train", json=LINE)).json()
    answer = await client.delete("/patterns/line")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "training_under_way")
    await client.delete(job["links"]["cancel"])
    await once(client, job["id"], "cancelled")
    assert (await client.delete("/patterns/line")).status_code == 204


async def test_who_waits_gets_the_finished_job_and_is_answered_by_the_new_version(client: httpx.AsyncClient) -> None:
    assert await predicted(client) == (1, [2.0])
    answer = await client.post("/train", json={**LINE, "seed": 7}, headers={"prefer": "respond-async, wait=60"})
    assert await predicted(client) == (2, [7.0])
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (200, job["links"]["self"])
    assert {name: time is not None for name, time in job.pop("times").items()} == dict.fromkeys(
        ("created", "started", "heartbeat", "finished"), True
    )
    assert job == {
        "id": job["id"],
        "pattern": "line",
        "status": "succeeded",
        "progress": {"epoch": 3, "epochs": 3, "loss": 1 / 3, "val_loss": None, "eta_s": None},
        "version": 2,
        "metrics": SCORES,
        "error": None,
        "links": job["links"],
    }


async def test_a_training_is_the_same_story_on_postgresql(serve: Serve, postgres: Postgres) -> None:
    # So that no query is under way when the server stops.
    patience = replace(SHORT, queue_poll_seconds=HOUR)
    async with serve(patience, database_url=SecretStr(postgres.shared)) as client:
        job = await train(client, wait=60, seed=7)
        assert (job["status"], job["version"], job["metrics"]) == ("succeeded", 2, SCORES)
        assert (await heard(client, job["id"]), await listed(client)) == (WHOLE_STORY, [job])
        assert await predicted(client) == (2, [7.0])


async def test_who_waits_too_short_gets_the_job_as_it_is(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    trainer.scripts = [hangs]
    answer = await client.post("/train", json=LINE, headers={"prefer": "wait=0"})
    assert (answer.status_code, answer.json()["version"]) == (202, None)


async def test_who_reads_that_it_succeeded_is_answered_by_the_new_version(client: httpx.AsyncClient) -> None:
    job = await train(client, seed=7)
    await once(client, job["id"], "succeeded")
    assert await predicted(client) == (2, [7.0])


async def test_so_is_who_reads_it_after_the_server_has_seen_the_version_without_its_label(
    serve: Serve, trainer: FakeTrainer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publishes_slowly(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(await asyncio.to_thread(trainer.publish))

    monkeypatch.setattr("app.answering.registry.POLL_SECONDS", HOUR)
    disk = PausingDisk()
    trainer.store = Store(settings.store, LinearNetwork.from_bytes, disk=disk)
    trainer.scripts = [publishes_slowly]
    async with serve() as client:
        job = await train(client, seed=7)
        await asyncio.to_thread(disk.has_paused.wait, 20)
        await registry_of(client).refresh()
        assert await predicted(client) == (1, [2.0])
        disk.may_go_on.set()
        await once(client, job["id"], "succeeded")
        assert await predicted(client) == (2, [7.0])


async def test_a_version_that_is_to_be_promoted_only_if_it_is_better_is_trained_so(client: httpx.AsyncClient) -> None:
    job = await train(client, wait=60, seed=7, promote="if-better", tolerance=0.25)
    assert (await jobs_of(client).get(job["id"])).promote == IfBetter(tolerance=0.25)


@pytest.mark.parametrize(
    ("recipe", "asked", "promote"),
    [
        ({"when": "if-better", "tolerance": 0.25}, {}, IfBetter(tolerance=0.25)),
        ({"when": "if-better", "tolerance": 0.25}, {"tolerance": 0.5}, IfBetter(tolerance=0.5)),
        ({"when": "if-better", "tolerance": 0.25}, {"promote": True}, True),
        ({"when": "never"}, {}, False),
        ({"when": "never"}, {"promote": "if-better"}, IfBetter()),
        ({"when": "never"}, {"promote": "always"}, True),
        ({"when": "if-better"}, {"promote": "never"}, False),
        ({"when": "if-better"}, {"promote": False}, False),
        (None, {}, True),
    ],
)
async def test_what_a_request_does_not_say_of_the_promotion_its_recipe_says(
    client: httpx.AsyncClient, recipe: dict[str, Any] | None, asked: dict[str, Any], promote: Promote
) -> None:
    await train(client, wait=60, promotion=recipe)
    again = await train(client, **asked)
    assert (await jobs_of(client).get(again["id"])).promote == promote


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outside", "reject"),
        ("missing", "refuse"),
        ("promotion", {"when": "never", "tolerance": 0.0}),
        ("description", "A line"),
        ("seed", 7),
    ],
)
async def test_any_part_of_a_recipe_may_be_changed_with_the_name_of_its_pattern(
    client: httpx.AsyncClient, trainer: FakeTrainer, field: str, value: object
) -> None:
    await train(client, wait=60, **{field: value})
    [request] = trainer.requests
    assert request.recipe[field] == value


async def test_a_version_that_is_not_to_be_promoted_leaves_the_champion(
    client: httpx.AsyncClient, store: Store
) -> None:
    job = await train(client, wait=60, seed=7, promote=False)
    assert (job["status"], job["version"]) == ("succeeded", 2)
    assert (await predicted(client), store.aliases("line")) == ((1, [2.0]), {CHAMPION: 1})
    asked = await client.post("/predict/line?version=2", json={"inputs": [1]})
    assert asked.json()["outputs"] == [7.0]


async def test_a_pattern_is_trained_by_its_newest_recipe_with_changes(
    client: httpx.AsyncClient, trainer: FakeTrainer
) -> None:
    await train(client, wait=60, seed=7)
    await train(client, wait=60, fit={"epochs": 5})
    assert [request.recipe for request in trainer.requests] == [
        # Another seed is for first weights; the rows stay those of the version before.
        recipe(seed=7).overridden({"data": {"seed": 2}}).to_json(),
        recipe(seed=7, epochs=5).overridden({"data": {"seed": 2}}).to_json(),
    ]


async def test_a_change_says_what_becomes_of_rows_outside(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    await train(client, wait=60, outside="clip")
    await train(client, wait=60, outside=None)
    assert [request.recipe.get("outside") for request in trainer.requests] == ["clip", None]


async def test_a_pattern_is_trained_by_its_own_recipe_also_before_it_is_loaded(
    settings: Settings, store: Store, trainer: FakeTrainer
) -> None:
    store.publish(learned(recipe("add-ten", seed=7).to_json()))
    transport = httpx.ASGITransport(app_of(settings, trainer))  # outside its lifespan it never looks at the store
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        job = await train(client, pattern="add-ten")
        assert (await jobs_of(client).get(job["id"])).recipe == recipe("add-ten", seed=7).to_json()
    jobs_of(client).close()


async def test_a_pattern_of_the_catalogue_is_trained_for_the_first_time(client: httpx.AsyncClient) -> None:
    job = await train(client, wait=60, pattern="add-ten", fit={"epochs": 2})
    assert (job["pattern"], job["status"], job["version"]) == ("add-ten", "succeeded", 1)
    assert (await client.post("/predict/add-ten", json={"inputs": [1]})).status_code == 200


async def test_a_whole_recipe_makes_a_new_pattern(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    spec = recipe("mine", seed=3).to_json()
    answer = await client.post("/train", json={"spec": spec}, headers={"prefer": "wait=60"})
    assert (answer.json()["status"], trainer.requests[0].recipe) == ("succeeded", spec)
    said = (await client.post("/predict/mine", json={"inputs": [2]})).json()
    assert said == {"pattern": "mine", "version": 1, "outputs": [6.0]}


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [(diverges, "failed", "diverged"), (is_killed, "interrupted", "interrupted")],
)
async def test_a_training_that_comes_to_nothing_says_so_and_changes_nothing(
    client: httpx.AsyncClient, trainer: FakeTrainer, script: Any, status: str, code: str
) -> None:
    trainer.scripts = [script]
    job = await train(client, wait=60)
    assert (job["status"], job["version"], job["error"]["code"]) == (status, None, code)
    assert await predicted(client) == (1, [2.0])


# -- refused -------------------------------------------------------------------------------------------------------

WHOLE = recipe().to_json()


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"pattern": "nowhere"}, 404, "unknown_pattern", "line"),
        ({"pattern": "No Name"}, 404, "unknown_pattern", "line"),
        ({"pattern": "../line"}, 404, "unknown_pattern", "line"),
        ({}, 422, "bad_recipe", "pattern:"),
        ({"pattern": 1}, 422, "bad_recipe", "pattern:"),
        ({**LINE, "fit": {"epochs": 0}}, 422, "bad_recipe", "fit.epochs:"),
        ({**LINE, "fit": {"epochs": "300"}}, 422, "bad_recipe", "fit.epochs:"),
        ({**LINE, "fit": {"epoch": 300}}, 422, "bad_recipe", "fit.epoch:"),
        ({**LINE, "fit": {"optimizer": {"name": "sgd", "beta_1": 0.5}}}, 422, "bad_recipe", "fit.optimizer.beta_1:"),
        ({**LINE, "fit": 3}, 422, "bad_recipe", "fit:"),
        ({**LINE, "seed": -1}, 422, "bad_recipe", "seed:"),
        ({**LINE, "formula": {"search": "magic"}}, 422, "bad_recipe", "formula.search:"),
        ({**LINE, "data": {"outputs": {"y": "x +"}}}, 422, "bad_recipe", "data.outputs.y:"),
        ({**LINE, "data": {"outputs": {"y": "__import__('os')"}}}, 422, "bad_recipe", "data.outputs.y:"),
        (
            {**LINE, "promote": "no"},
            422,
            "bad_recipe",
            '"if-better", true (always) or false (never), found anoth',
        ),
        ({**LINE, "promote": 1}, 422, "bad_recipe", 'promote: must be "always", "never", "if-better", true'),
        ({**LINE, "promote": []}, 422, "bad_recipe", "or false (never), found a list"),
        ({**LINE, "promote": True, "tolerance": 0.1}, 422, "bad_recipe", 'goes only with "promote": "if-better"'),
        ({**LINE, "promote": "if-better", "tolerance": -0.1}, 422, "bad_recipe", "tolerance: must be a number from 0"),
        ({**LINE, "promote": "if-better", "tolerance": "0"}, 422, "bad_recipe", "tolerance: must be a number from 0"),
        ({**LINE, "epochs": 300}, 422, "bad_recipe", "how to fit stands together"),
        ({**LINE, "name": "other"}, 422, "bad_recipe", "unknown field name; a body has"),
        ({**LINE, "outside": "banana"}, 422, "bad_recipe", "outside:"),
        ({**LINE, "spec": WHOLE}, 422, "bad_recipe", "spec:"),
        ({"spec": WHOLE, "fit": {"epochs": 3}}, 422, "bad_recipe", "spec:"),
        ({"spec": {**WHOLE, "name": "stats"}}, 422, "bad_recipe", "name:"),
        ({"spec": {**WHOLE, "more": 1}}, 422, "bad_recipe", "more:"),
        ({"spec": "quadratic"}, 422, "bad_recipe", "be a"),
        ([], 400, "malformed", "JSON object, found a list"),
    ],
)
async def test_what_cannot_be_trained_is_refused_by_name(
    client: httpx.AsyncClient, body: Any, status: int, code: str, said: str
) -> None:
    answer = await client.post("/train", json=body)
    assert refusal(answer) == (status, code)
    assert said in answer.json()["error"]["message"]
    assert await listed(client) == []


async def test_a_recipe_that_asks_for_an_extra_is_refused_where_it_is_not_installed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyoperon", None)
    answer = await client.post("/train", json={**LINE, "formula": {"search": "symbolic"}})
    assert refusal(answer) == (422, "bad_recipe")
    assert "pip install 'pattern-server[symbolic]'" in answer.json()["error"]["message"]
    assert await listed(client) == []


async def test_a_refusal_does_not_tell_how_the_server_is_written(client: httpx.AsyncClient) -> None:
    answers = [await client.post("/train", json=body) for body in ({"spec": "quadratic"}, {**LINE, "fit": 3})]
    said = " ".join(answer.json()["error"]["message"] for answer in answers)
    assert [name for name in ("PatternSpec", "Fit") if name in said] == []


@pytest.mark.parametrize(
    ("body", "content_type", "refused"),
    [
        (b'{"pattern": "line"', "application/json", (400, "malformed")),
        (b'{"pattern": "line", "pattern": "line"}', "application/json", (400, "malformed")),
        (b'{"pattern": "line", "seed": NaN}', "application/json", (400, "malformed")),
        (b"\xff\xfe{}", "application/json", (400, "malformed")),
        (b"", "application/json", (400, "malformed")),
        (b"pattern=line", "application/x-www-form-urlencoded", (415, "unsupported_content_type")),
        (b"pattern: line", "application/yaml", (415, "unsupported_content_type")),
        (b'{"pattern": "line"}', "text/plain", (415, "unsupported_content_type")),
    ],
)
async def test_what_is_not_json_is_refused(
    client: httpx.AsyncClient, body: bytes, content_type: str, refused: tuple[int, str]
) -> None:
    answer = await client.post("/train", content=body, headers={"content-type": content_type})
    assert refusal(answer) == refused


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await client.post("/train", content=gzip.compress(b'{"pattern": "line"}'), headers=headers)
    assert refusal(answer) == (415, "unsupported_content_type")


async def test_a_body_without_a_content_type_is_refused(client: httpx.AsyncClient) -> None:
    assert refusal(await client.post("/train", content=b'{"pattern": "line"}')) == (415, "unsupported_content_type")


async def test_a_full_queue_asks_for_patience(serve: Serve, trainer: FakeTrainer) -> None:
    trainer.scripts = [hangs]
    async with serve(train_queue=1) as client:
        await once(client, (await train(client))["id"], "running")
        waiting = await train(client)
        refused = await client.post("/train", json=LINE)
        assert (refusal(refused), refused.headers["retry-after"]) == ((429, "queue_full"), "2")
        assert (await listed(client))[0] == waiting


async def test_a_server_that_is_about_to_stop_takes_no_trainings(serve: Serve, trainer: FakeTrainer) -> None:
    async with serve() as client:
        jobs_of(client).drain()
        refused = await client.post("/train", json=LINE)
        assert (refusal(refused), refused.headers["retry-after"]) == ((503, "draining"), "2")
        assert await predicted(client) == (1, [2.0])
    assert trainer.requests == []


def registry_of(client: httpx.AsyncClient) -> Registry:
    transport: Any = client._transport
    registry: Registry = transport.app.state.parts.registry
    return registry


async def test_without_its_database_a_server_predicts_and_refuses_trainings(serve: Serve) -> None:
    async with serve(openings=1, database_url=SecretStr("postgresql://127.0.0.1:1/jobs")) as client:
        refused = [await client.post("/train", json=LINE), await client.get("/train"), await client.get("/train/1")]
        assert [refusal(answer) for answer in refused] == [(503, "training_unavailable")] * 3
        assert {answer.headers["retry-after"] for answer in refused} == {"2"}
        assert await predicted(client) == (1, [2.0])


async def test_where_nobody_trains_trainings_are_refused_and_the_rest_is_answered(serve: Serve) -> None:
    async with serve(trainer="none") as client:
        refused = await client.post("/train", json=LINE)
        assert refusal(refused) == (503, "no_trainer")
        assert "PATTERNS_TRAINER is none" in refused.text
        assert "retry-after" not in refused.headers
        assert (await client.get("/train")).json() == {"jobs": []}
        assert await predicted(client) == (1, [2.0])


async def test_a_training_may_be_done_by_another_server_on_the_store_and_the_database(
    serve: Serve, make_jobs: MakeJobs, trainer: FakeTrainer
) -> None:
    async with serve(trainer="elsewhere") as client:
        waiting = await train(client)
        await asyncio.sleep(5 * SHORT.leader_poll_seconds)
        assert (await once(client, waiting["id"], "queued"))["version"] is None
        assert trainer.requests == []
        leading = asyncio.create_task(make_jobs().lead())
        assert (await once(client, waiting["id"], "succeeded"))["version"] == 2
        assert await predicted(client) == (2, [2.0])
        leading.cancel()
        await asyncio.wait([leading])


async def test_an_accepted_training_is_not_refused_when_its_database_goes_away(
    client: httpx.AsyncClient, trainer: FakeTrainer, settings: Settings
) -> None:
    trainer.scripts = [hangs]
    waiting = asyncio.create_task(client.post("/train", json=LINE, headers={"prefer": "wait=60"}))
    await until(lambda: bool(trainer.requests))
    with without_table(settings.jobs_url.removeprefix("sqlite:///")):
        answer = await waiting
    assert (answer.status_code, answer.headers["location"]) == (202, f"/train/{trainer.requests[0].id}")


# -- idempotency keys ----------------------------------------------------------------------------------------------


async def test_a_repeated_request_is_answered_with_the_job_of_the_first(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    first, second = [await client.post("/train", json=LINE, headers=headers) for _ in range(2)]
    assert (first.status_code, first.headers["location"]) == (202, second.headers["location"])
    done = await client.post("/train", json=LINE, headers={**headers, "prefer": "wait=60"})
    assert (done.status_code, done.json()["id"], done.json()["version"]) == (200, first.json()["id"], 2)
    again = await client.post("/train", json=LINE, headers=headers)
    assert (again.status_code, again.json()) == (200, done.json())


async def test_fifty_repetitions_at_once_are_one_training(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    headers = {"idempotency-key": "once"}
    answers = await asyncio.gather(*(client.post("/train", json=LINE, headers=headers) for _ in range(50)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    await once(client, answers[0].json()["id"], "succeeded")
    assert (len(trainer.requests), len(await listed(client))) == (1, 1)


async def test_a_key_of_another_request_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "once"}
    await client.post("/train", json=LINE, headers=headers)
    answer = await client.post("/train", json={**LINE, "seed": 1}, headers=headers)
    assert refusal(answer) == (422, "idempotency_key_reused")
    assert refusal(await client.post("/train", json=LINE, headers={"idempotency-key": "k" * 256})) == (
        422,
        "bad_parameter",
    )


# -- following -----------------------------------------------------------------------------------------------------


async def test_trainings_are_listed_newest_first(client: httpx.AsyncClient) -> None:
    jobs = [await train(client, wait=60, seed=seed) for seed in (1, 2, 3)]
    assert (await client.get("/train")).json() == {"jobs": jobs[::-1]}
    assert (await client.get(f"/train/{jobs[0]['id']}")).json() == jobs[0]


@pytest.mark.parametrize("job", ["0" * 32, "no-such-job", "%00", "x" * 300])
async def test_a_job_that_there_never_was_is_not_found(client: httpx.AsyncClient, job: str) -> None:
    asked = [("GET", f"/train/{job}"), ("GET", f"/train/{job}/events"), ("DELETE", f"/train/{job}")]
    answers = [await client.request(method, address) for method, address in asked]
    assert [refusal(answer) for answer in answers] == [(404, "unknown_job")] * 3


async def heard(client: httpx.AsyncClient, job: str, last: str | None = None) -> list[tuple[int, str, Any]]:
    """Return all events of a job until its stream ends."""
    headers = {} if last is None else {"last-event-id": last}
    answer = await client.get(f"/train/{job}/events", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    blocks = [block for block in answer.text.split("\n\n")[:-1] if not block.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(int(block["id"]), block["event"], json.loads(block["data"])) for block in fields]


WHOLE_STORY = [
    (1, "queued", {"pattern": "line"}),
    (2, "started", {"epochs": 3}),
    *[
        (epoch + 2, "epoch", {"epoch": epoch, "loss": 1 / epoch, "val_loss": None, "metric": None, "val_metric": None})
        for epoch in (1, 2, 3)
    ],
    (6, "evaluated", {"metrics": SCORES}),
    (7, "published", {"version": 2}),
]


async def test_every_epoch_is_told(client: httpx.AsyncClient) -> None:
    assert await heard(client, (await train(client))["id"]) == WHOLE_STORY


async def test_a_listener_that_comes_back_hears_the_rest(client: httpx.AsyncClient) -> None:
    job = (await train(client, wait=60))["id"]
    for last in (0, 1, 4, 6, 7, 99):
        assert await heard(client, job, str(last)) == WHOLE_STORY[last:]


async def test_who_hears_that_it_is_published_is_answered_by_the_new_version(client: httpx.AsyncClient) -> None:
    job = await train(client, seed=7)
    assert (await heard(client, job["id"]))[-1] == (7, "published", {"version": 2})
    assert await predicted(client) == (2, [7.0])


async def test_listeners_hear_what_happens_while_they_listen(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go)]
    job = (await train(client))["id"]
    listening = [asyncio.create_task(heard(client, job, last)) for last in (None, "2")]
    await once(client, job, "running", epoch=1)
    go.set()
    whole = [*WHOLE_STORY[:3], (4, "published", {"version": 2})]
    assert await asyncio.gather(*listening) == [whole, whole[2:]]


async def test_there_are_never_more_listeners_than_may_be(serve: Serve, trainer: FakeTrainer) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go)]
    async with serve(most_listeners=3) as client:
        job = (await train(client))["id"]
        listening = [asyncio.create_task(client.get(f"/train/{job}/events")) for _ in range(10)]
        await until(lambda: sum(task.done() for task in listening) == 7)
        assert jobs_of(client).listeners == 3
        go.set()
        answers = await asyncio.gather(*listening)
        refused = [refusal(answer) for answer in answers if answer.status_code != 200]
        assert refused == [(503, "overloaded")] * 7
        assert jobs_of(client).listeners == 0


async def test_a_silent_stream_says_that_it_lives(serve: Serve, trainer: FakeTrainer) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go)]
    async with serve(replace(SHORT, keep_alive_seconds=0)) as client:
        job = (await train(client))["id"]
        listening = asyncio.create_task(client.get(f"/train/{job}/events"))
        await once(client, job, "running", epoch=1)
        await asyncio.sleep(0.1)
        go.set()
        blocks = (await listening).text.split("\n\n")
    assert ": still here" in blocks
    assert [block.partition("\n")[0] for block in blocks if block not in ("", ": still here")] == [
        f"id: {number}" for number in (1, 2, 3, 4)
    ]


async def test_a_number_that_no_event_can_have_is_refused(client: httpx.AsyncClient) -> None:
    job = (await train(client))["id"]
    for last in ("-1", "one", "1.5", "", "9" * 10, "²"):
        answer = await client.get(f"/train/{job}/events", headers=[(b"last-event-id", last.encode())])
        assert refusal(answer) == (422, "bad_parameter")


async def test_streams_and_waits_end_when_the_server_is_about_to_stop(
    client: httpx.AsyncClient, trainer: FakeTrainer
) -> None:
    trainer.scripts = [hangs]
    headers = {"prefer": "wait=60"}
    waiting = asyncio.create_task(client.post("/train", json=LINE, headers=headers))
    await until(lambda: bool(trainer.requests))
    job = trainer.requests[0].id
    listening = asyncio.create_task(heard(client, job))
    await once(client, job, "running", epoch=1)
    jobs_of(client).drain()
    assert (await waiting).status_code == 202
    assert (await listening) == WHOLE_STORY[: len(await listening)]


# -- cancelling ----------------------------------------------------------------------------------------------------


async def test_a_running_training_is_cancelled_once(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    trainer.scripts = [obeys]
    job = (await train(client))["id"]
    await once(client, job, "running", epoch=1)
    answer = await client.delete(f"/train/{job}")
    assert (answer.status_code, answer.json()["id"]) == (200, job)
    await once(client, job, "cancelled")
    assert refusal(await client.delete(f"/train/{job}")) == (409, "job_ended")
    assert (await heard(client, job))[-1] == (4, "cancelled", {})
    assert await predicted(client) == (1, [2.0])


async def test_a_queued_training_is_cancelled_once(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    trainer.scripts = [hangs]
    await once(client, (await train(client))["id"], "running")
    job = (await train(client))["id"]
    answer = await client.delete(f"/train/{job}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert refusal(await client.delete(f"/train/{job}")) == (409, "job_ended")
    assert [kind for _, kind, _ in await heard(client, job)] == ["queued", "cancelled"]


async def test_what_has_succeeded_cannot_be_cancelled(client: httpx.AsyncClient) -> None:
    job = await train(client, wait=60)
    answer = await client.delete(f"/train/{job['id']}")
    assert refusal(answer) == (409, "job_ended")
    assert (await client.get(f"/train/{job['id']}")).json() == job


# -- keys ----------------------------------------------------------------------------------------------------------

KEYS = [
    ({}, (401, "key_missing")),
    ({"authorization": "Basic YTpi"}, (401, "key_missing")),
    ({"authorization": "Bearer "}, (401, "key_missing")),
    ({"authorization": "Bearer wrong"}, (403, "key_wrong")),
    ({"authorization": "Bearer reader"}, (403, "key_wrong")),
    ({"authorization": "Bearer secret", "origin": "http://elsewhere"}, (403, "foreign_origin")),
]


async def test_only_who_has_the_key_trains_and_cancels(serve: Serve, trainer: FakeTrainer) -> None:
    keys = {"admin_key": SecretStr("secret"), "predict_key": SecretStr("reader")}
    trainer.scripts = [obeys]
    async with serve(**keys) as client:
        admin = {"authorization": "Bearer secret"}
        job = (await client.post("/train", json=LINE, headers=admin)).json()
        address = job["links"]["self"]
        refused = [
            (refusal(await client.post("/train", json=LINE, headers=headers)), expected) for headers, expected in KEYS
        ] + [(refusal(await client.delete(address, headers=headers)), expected) for headers, expected in KEYS]
        assert [answer for answer, _ in refused] == [expected for _, expected in refused]
        assert [known["id"] for known in await listed(client)] == [job["id"]]
        assert (await client.delete(address, headers=admin)).status_code == 200


# -- searches ------------------------------------------------------------------------------------------------------


async def search(client: httpx.AsyncClient, trainer: FakeTrainer) -> str:
    """Run a search to its end, and return its job."""
    trainer.scripts = [searches]
    asked = {"spec": searching().to_json()}
    answer = await client.post("/train", json=asked, headers={"prefer": "wait=30"})
    assert answer.json()["status"] == "succeeded", answer.json()
    return str(answer.json()["id"])


async def test_the_trials_of_a_search_are_listed_with_their_recipes(
    client: httpx.AsyncClient, trainer: FakeTrainer
) -> None:
    job = await search(client, trainer)
    assert (await client.get(f"/train/{job}")).json()["links"]["trials"] == f"/train/{job}/trials"
    listed = (await client.get(f"/train/{job}/trials")).json()
    assert listed["best"] == 0
    assert [one["number"] for one in listed["trials"]] == [0, 1, 2, 3]
    second = listed["trials"][1]
    fit = {"optimizer": {"learning_rate": 0.2}, "early_stopping": {"patience": 3}}
    changed = recipe().overridden({"fit": fit, "split": {"validation": 0.2}})
    assert second.pop("recipe") == changed.to_json()
    assert second == trial(1).model_dump(mode="json", exclude={"reports"})


async def test_the_recipe_of_a_trial_is_trained_as_it_is_listed(
    client: httpx.AsyncClient, trainer: FakeTrainer
) -> None:
    job = await search(client, trainer)
    spec = (await client.get(f"/train/{job}/trials")).json()["trials"][1]["recipe"]
    assert (await client.post("/train", json={"spec": spec})).status_code == 202


@pytest.mark.parametrize(("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv")])
async def test_trials_are_a_table_where_csv_is_asked_for(
    client: httpx.AsyncClient, trainer: FakeTrainer, query: str, accept: str
) -> None:
    job = await search(client, trainer)
    answer = await client.get(f"/train/{job}/trials{query}", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[:2] == [
        "number,state,value,epochs,seconds,fit.optimizer.learning_rate,error",
        "0,complete,1.0,3,0.5,0.1,",
    ]


async def test_a_search_may_be_a_change_to_a_recipe_and_bad_ones_are_refused(client: httpx.AsyncClient) -> None:
    space = {"fit.optimizer.learning_rate": [0.1]}
    assert (await client.post("/train", json={**LINE, "search": {"space": space}})).status_code == 202
    answer = await client.post("/train", json={**LINE, "search": {"space": {"fit.speed": [1]}}})
    assert refusal(answer) == (422, "bad_recipe")
    assert "search.space.fit.speed" in answer.json()["error"]["message"]


async def test_a_search_is_ended_with_its_best_trial(client: httpx.AsyncClient, trainer: FakeTrainer) -> None:
    trainer.scripts = [searches_until_finished]
    job = (await client.post("/train", json={"spec": searching().to_json()})).json()["id"]
    await once(client, job, "running")
    assert (await client.delete(f"/train/{job}?publish=best")).status_code == 200
    assert (await once(client, job, "succeeded"))["version"] == 2


async def test_the_best_of_what_is_no_search_is_refused(client: httpx.AsyncClient) -> None:
    job = (await client.post("/train", json=LINE)).json()["id"]
    assert refusal(await client.delete(f"/train/{job}?publish=best")) == (422, "bad_parameter")
    assert refusal(await client.delete(f"/train/{job}?publish=worst"))[0] == 422
    assert (await client.get(f"/train/{job}/trials")).json() == {"best": None, "trials": []}
    assert refusal(await client.get(f"/train/{'0' * 32}/trials"))[0] == 404
