"""Which of several workers takes connections before it has loaded the store."""

import signal

import pytest
from uvicorn.config import Config

from app.processes.workers import Supervisor, Worker


def test_only_the_first_worker_takes_connections_before_it_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it says that the server is ready, no other worker may answer that a pattern is not loaded yet."""
    started: list[bool] = []

    def start(worker: Worker) -> None:
        started.append(worker.loads_first)

    monkeypatch.setattr(Worker, "start", start)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    Supervisor(Config("app.main:app", workers=3), []).init_processes()
    assert started == [False, True, True]
