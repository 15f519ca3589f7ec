"""In which order workers take connections: nobody may refuse what he has not loaded once the server is ready."""

import signal
import threading

import pytest
from uvicorn.config import Config

from app.processes.workers import Place, Supervisor, Turns, Worker


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each of the workers that were started is the first; none runs, as if all had died."""
    firsts: list[bool] = []

    def start(worker: Worker) -> None:
        firsts.append(worker.is_first)

    monkeypatch.setattr(Worker, "start", start)
    monkeypatch.setattr(Worker, "is_well", lambda _: False)
    for name in ("kill", "join"):
        monkeypatch.setattr(Worker, name, lambda _: None)
    monkeypatch.setattr(Worker, "exitcode", -9)
    monkeypatch.setattr(Worker, "pid", 1)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return firsts


def test_one_worker_is_the_first_until_the_store_is_loaded(
    started: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns()
    monkeypatch.setattr("app.processes.workers.Turns", lambda: turns)
    supervisor = Supervisor(Config("app.main:app", workers=3), [])
    supervisor.init_processes()
    supervisor.keep_subprocess_alive()
    assert started == [True, False, False] * 2
    turns.tell_loaded()
    supervisor.keep_subprocess_alive()
    assert started[6:] == [False, False, False]


def test_all_other_workers_wait_until_the_first_has_loaded() -> None:
    turns = Turns()
    Place(turns).wait_for_turn()
    waiting = threading.Thread(target=Place(turns, is_first=False).wait_for_turn)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    turns.tell_loaded()
    waiting.join(10)
    assert not waiting.is_alive()
