"""Training beside serving: a fault of the one is not noticed by users of the other."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import PATIENCE_SECONDS, Server, has_ended, is_alive

pytestmark = [pytest.mark.keras, pytest.mark.server]

LONG = {"epochs": 200_000}


def is_fitting(job: dict[str, Any]) -> bool:
    return bool(job["progress"]["epoch"] > 0)


def test_retraining_a_pattern_in_use_fails_no_request_and_raises_its_version_once(server: Server) -> None:
    before = server.version("add-ten")
    answers: dict[int, list[tuple[int, int]]] = {}
    trained = threading.Event()

    def ask(number: int) -> None:
        answers[number] = []
        with httpx.Client(base_url=server.client.base_url, timeout=180) as client:
            while not trained.is_set():
                answer = client.post("/predict/add-ten", json={"inputs": [150]})
                answers[number].append((answer.status_code, answer.json().get("version", 0)))

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    try:
        job = server.trained("add-ten", seed=1)
        # Every client must be answered by the new version at least once more.
        before_that = {number: len(answers[number]) for number in range(4)}
        wait_until(lambda: all(len(answers[number]) > before_that[number] + 1 for number in range(4)))
    finally:
        trained.set()
        for client in clients:
            client.join()
    assert job["status"] == "succeeded"
    for told in answers.values():
        assert {status for status, _ in told} == {200}
        versions = [version for _, version in told]
        assert sorted(versions) == versions
        assert set(versions) == {before, job["version"]}


def test_every_epoch_is_told_as_it_happens_and_can_be_told_again(server: Server) -> None:
    job = server.train("add-ten", fit={"epochs": 7})
    first = heard(server, job, "0")
    assert [kind for _, kind, _ in first] == ["queued", "started", *["epoch"] * 7, "evaluated", "published"]
    assert [number for number, _, _ in first] == list(range(1, 12))
    assert [data["epoch"] for _, kind, data in first if kind == "epoch"] == list(range(1, 8))
    assert heard(server, job, "9") == first[9:]


def heard(server: Server, job: str, last: str) -> list[tuple[int, str, Any]]:
    answer = server.client.get(f"/train/{job}/events", headers={"last-event-id": last})
    blocks = [block for block in answer.text.strip().split("\n\n") if not block.startswith(":")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [(int(block["id"]), block["event"], json.loads(block["data"])) for block in fields]


def test_a_killed_trainer_interrupts_its_job_and_nothing_else(server: Server) -> None:
    job = server.train("linear-pair", fit=LONG)
    server.until(job, is_fitting)
    for trainer in server.trainers():
        os.kill(trainer, signal.SIGKILL)
    ended = server.until(job, has_ended)
    assert (ended["status"], ended["version"]) == ("interrupted", None)
    assert server.predict("linear-pair", [[1, 2, 3, 4]])["version"] == 1
    assert server.trained("add-ten")["status"] == "succeeded"


def test_a_killed_server_leaves_no_half_version_and_begins_its_training_again(serve: Callable[..., Server]) -> None:
    server = serve().wait_ready()
    running = server.train("linear-pair", fit=LONG)
    queued = server.train("add-ten", seed=5)
    server.until(running, is_fitting)
    trainers = server.trainers()
    assert trainers
    server.kill()
    wait_until(lambda: not any(is_alive(trainer) for trainer in trainers))
    server.restart()
    server.until(running, is_fitting)
    assert server.predict("linear-pair", [[1, 2, 3, 4]])["version"] == 1
    assert server.client.delete(f"/train/{running}").status_code == 200
    assert server.until(running, has_ended)["status"] == "cancelled"
    assert [kind for _, kind, _ in heard(server, running, "0") if kind != "epoch"] == [
        *["queued", "started", "resumed", "started", "cancelled"]
    ]
    assert server.until(queued, has_ended)["version"] == 2
    assert not list(server.store.glob(".tmp-*"))
    assert [entry.name for entry in (server.store / "linear-pair").iterdir() if entry.name.isdigit()] == ["1"]


def test_a_search_goes_on_after_a_killed_server_and_ends_as_it_would_have(serve: Callable[..., Server]) -> None:
    server = serve().wait_ready()
    # Two trials of as many units end together. Rates so low that no two trials are equally good.
    rates, units = [0.01, 0.002], [4, 8, 12, 16]
    space = {"fit.optimizer.learning_rate": rates, "network.layers.*.units": units}
    job = server.train("add-ten", fit={"epochs": 4000}, search={"method": "grid", "space": space})
    wait_until(lambda: len(trials_of(server, job)) > 1)
    assert server.version("add-ten") == 1
    before = trials_of(server, job)
    server.kill()
    server.restart()
    assert 1 < len(before) < 8
    assert server.until(job, has_ended)["status"] == "succeeded"
    after = trials_of(server, job)
    assert [trial for trial in after if trial in before] == before
    assert [trial["number"] for trial in after] == list(range(8))
    assert len({tuple(trial["point"].values()) for trial in after}) == 8
    assert "resumed" in [kind for _, kind, _ in heard(server, job, "0")]
    card = server.client.get("/patterns/add-ten/versions/2").json()["card"]
    assert len(card["search"]["trials"]) == 8


def trials_of(server: Server, job: str) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = server.client.get(f"/train/{job}/trials").json()["trials"]
    return trials


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.05)


def test_cancelling_a_running_training_ends_it_and_publishes_nothing(server: Server) -> None:
    job = server.train("linear-pair", fit=LONG)
    server.until(job, is_fitting)
    assert server.client.delete(f"/train/{job}").status_code == 200
    assert server.until(job, has_ended)["status"] == "cancelled"
    assert server.client.get("/patterns/linear-pair").json()["versions"] == [1]
    assert server.client.delete(f"/train/{job}").status_code == 409


def test_a_diverging_training_fails_with_advice_and_publishes_nothing(server: Server) -> None:
    before = server.version("add-ten")
    optimizer = {"name": "sgd", "learning_rate": 1000.0}
    job = server.trained("add-ten", fit={"optimizer": optimizer})
    assert (job["status"], job["error"]["code"]) == ("failed", "diverged")
    assert "learning_rate" in job["error"]["message"]
    assert server.version("add-ten") == before


def test_a_training_under_way_does_not_keep_the_server_from_stopping(serve: Callable[..., Server]) -> None:
    server = serve().wait_ready()
    job = server.train("linear-pair", fit=LONG)
    server.until(job, is_fitting)
    with server.client.stream("GET", f"/train/{job}/events") as listening:
        told = listening.iter_lines()
        assert next(told) == "id: 1"
        assert server.stop() == 0
        assert "event: published" not in list(told)
    server.restart()
    server.until(job, is_fitting)
    assert server.stop() == 0


def test_two_workers_see_every_job_and_every_version(serve: Callable[..., Server]) -> None:
    server = serve(workers=2).wait_ready()
    job = server.train("add-ten", seed=3)
    for status in [_fresh(server, f"/train/{job}").status_code for _ in range(20)]:
        assert status == 200
    assert server.until(job, has_ended)["version"] == 2
    wait_until(lambda: {_fresh_version(server) for _ in range(40)} == {2})
    assert "patterns_rows_total" in server.client.get("/metrics").text
    assert server.stop() == 0


def _fresh_version(server: Server) -> int:
    version: int = _fresh(server, "/predict/add-ten", {"inputs": [150]}).json()["version"]
    return version


def _fresh(server: Server, path: str, body: object = None) -> httpx.Response:
    """Ask over a new connection, so that any worker process may get the request."""
    with httpx.Client(base_url=server.client.base_url, timeout=180) as client:
        return client.get(path) if body is None else client.post(path, json=body)
