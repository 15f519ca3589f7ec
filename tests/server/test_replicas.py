"""Two servers with one store directory and one PostgreSQL are one service, whichever of them is asked or dies."""

import itertools
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.app.jobs.postgres import Postgres, running
from tests.server.conftest import Server, has_ended
from tests.server.test_training import LONG, heard, is_fitting, trials_of, wait_until

pytestmark = [pytest.mark.keras, pytest.mark.server]

QUICK = {"epochs": 2}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def pair(trained: Path, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[list[Server]]:
    root = tmp_path_factory.mktemp("replicas")
    shutil.copytree(trained, root / "store")
    # Their processes are there within a second, and TensorFlow only where something is trained.
    shared = {"database_url": postgres.new_database(), "engine": "onnx", "train_queue": 64}
    pair = [Server(root / "store", root / f"server-{number}.log", **shared) for number in range(2)]
    yield [server.wait_ready() for server in pair]
    for server in pair:
        server.client.close()
        server.kill()


def leader_and_other(pair: list[Server]) -> tuple[Server, Server]:
    """Return the server that trains, and the other one."""
    first, second = pair
    return (first, second) if first.trainers() else (second, first)


def test_what_is_trained_through_one_is_served_by_the_other(pair: list[Server]) -> None:
    for asked, other in (pair, pair[::-1]):
        before = other.version("add-ten")
        job = asked.trained("add-ten", fit=QUICK)
        assert (job["status"], job["version"]) == ("succeeded", before + 1)
        wait_until(lambda: other.predict("add-ten", [150])["version"] == before + 1)  # noqa: B023
        assert other.predict("add-ten", [150]) == asked.predict("add-ten", [150])
        assert other.job(job["id"]) == job
        assert heard(other, job["id"], "0") == heard(asked, job["id"], "0")
    assert len([server for server in pair if server.trainers()]) == 1


def test_a_training_is_heard_and_cancelled_through_the_other(pair: list[Server]) -> None:
    for asked, other in (pair, pair[::-1]):
        job = asked.train("linear-pair", fit=LONG)
        with other.client.stream("GET", f"/train/{job}/events") as listening:
            told = (line for line in listening.iter_lines() if line.startswith("event:"))
            assert list(itertools.islice(told, 3)) == ["event: queued", "event: started", "event: epoch"]
            assert other.client.delete(f"/train/{job}").status_code == 200
            assert list(told)[-1] == "event: cancelled"
        assert asked.job(job)["status"] == "cancelled"


def test_a_server_that_is_killed_loses_nothing_and_the_other_takes_up_its_training(pair: list[Server]) -> None:
    rates = [0.001 * place for place in range(1, 7)]
    search = {"method": "grid", "space": {"fit.optimizer.learning_rate": rates}}
    leader, other = leader_and_other(pair)
    running = leader.train("linear-pair", fit={"epochs": 3000})
    queued = [leader.train("add-ten", fit={"epochs": 2000}, search=search), other.train("add-ten", fit=QUICK)]
    other.until(running, is_fitting)
    leader.kill()
    assert other.until(running, has_ended)["status"] == "succeeded"
    assert "resumed" in [kind for _, kind, _ in heard(other, running, "0")]
    wait_until(lambda: len(trials_of(other, queued[0])) > 1)
    leader.restart()
    other.kill()
    assert [leader.until(job, has_ended)["status"] for job in queued] == ["succeeded"] * 2
    assert [trial["number"] for trial in trials_of(leader, queued[0])] == list(range(6))
    versions = leader.client.get("/patterns/linear-pair").json()["versions"]
    assert versions == [1, 2]
    other.restart()


def test_a_database_that_is_killed_under_load_costs_no_prediction_and_no_accepted_training(
    pair: list[Server], postgres: Postgres
) -> None:
    is_over = threading.Event()
    with ThreadPoolExecutor(4) as clients:
        predicting = [clients.submit(predicted_without_end, server, is_over) for server in pair]
        training = [clients.submit(trained_without_end, server, is_over) for server in pair]
        try:
            for _ in range(2):
                time.sleep(1)
                postgres.kill()
                time.sleep(1)
                postgres.start()
            time.sleep(1)
        finally:
            is_over.set()
    assert sum((told.result() for told in predicting), Counter()).keys() == {200}
    accepted = {job for told in training for job in told.result()[0]}
    refused = [answer for told in training for answer in told.result()[1]]
    assert accepted
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "training_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    ended = [pair[0].until(job, has_ended) for job in accepted]
    assert {job["status"] for job in ended} == {"succeeded"}
    versions = [job["version"] for job in ended]
    assert len(set(versions)) == len(versions)


def predicted_without_end(server: Server, is_over: threading.Event) -> Counter[int]:
    """Return how often each status answered a prediction until it is over."""
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=server.client.base_url, timeout=180) as client:
        while not is_over.is_set():
            statuses[client.post("/predict/add-ten", json={"inputs": [5]}).status_code] += 1
    return statuses


def trained_without_end(server: Server, is_over: threading.Event) -> tuple[list[str], list[httpx.Response]]:
    """Submit trainings until it is over; return the accepted jobs, and the answers that refused one."""
    accepted, refused = [], []
    with httpx.Client(base_url=server.client.base_url, timeout=180) as client:
        while not is_over.is_set():
            answer = client.post("/train", json={"pattern": "add-ten", "fit": QUICK, "promote": False})
            if answer.status_code == 202:
                accepted.append(answer.json()["id"])
            else:
                refused.append(answer)
            time.sleep(0.2)
    return accepted, refused


def test_changes_through_both_at_once_leave_a_store_that_is_whole(pair: list[Server]) -> None:
    table = "a,b\n" + "\n".join(f"{number},{number * 2}" for number in range(30))
    packed = pair[0].client.get("/patterns/linear-pair/export?to=bundle").content

    def changed(server: Server, turn: int) -> list[tuple[int, Any]]:
        client = server.client
        label = f"/patterns/linear-pair/labels/canary-{turn % 3}"
        answers = [
            client.post("/patterns/import", content=packed, headers={"content-type": "application/zip"}),
            client.put(label, json={"version": 1}),
            client.post("/datasets", content=table, headers={"content-type": "text/csv"}),
            client.delete(label),
            client.post("/patterns/linear-pair/rollback"),
            client.delete("/patterns/linear-pair/versions/2"),
        ]
        return [(answer.status_code, answer.json()) for answer in answers]

    before = pair[0].client.get("/patterns/linear-pair").json()["versions"]
    with ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(changed, pair[turn % 2], turn) for turn in range(8)]
        told = [answer for turn in asked for answer in turn.result()]
    assert {status for status, _ in told} <= {200, 201, 404, 409}
    imported = [said["version"] for _, said in told if "version" in said and "pattern" in said and len(said) == 2]
    assert sorted(imported) == list(range(max(before) + 1, max(before) + 9))
    assert len({said["id"] for _, said in told if "id" in said}) == 1
    wait_until(lambda: looked(pair[0]) == looked(pair[1]))
    assert set(looked(pair[0])["versions"]) <= {*before, *imported}


def looked(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get("/patterns/linear-pair").json()
    return found
