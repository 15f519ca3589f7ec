"""Several worker processes: whatever becomes of one, the others answer, it is replaced, and the server can stop."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server.conftest import PATIENCE_SECONDS, Server, command_of, descendants_of, is_alive

pytestmark = [pytest.mark.server]

# Seconds for what takes a moment, and took two minutes where the supervisor waited for a dead worker.
SOON = 30


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(workers=2, engine="onnx", drain_seconds=1, trainer_warm="false").wait_ready()


def workers_of(server: Server) -> list[int]:
    return [pid for pid in descendants_of(server.process.pid) if b"spawn_main" in command_of(pid)]


def until(holds: Callable[[], bool], seconds: float = SOON) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.1)


def answers(server: Server) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return server.client.post("/predict/add-ten", json={"inputs": [5]}).status_code == 200
    return False


def asked_without_end(server: Server, is_over: threading.Event) -> set[int]:
    """Return the statuses of requests until it is over, each on a connection of its own; any worker may take it."""
    statuses = set()
    headers = {"connection": "close"}
    with httpx.Client(base_url=server.client.base_url, headers=headers) as client:
        while not is_over.is_set():
            # A worker that ends closes the connections that wait for it.
            with contextlib.suppress(httpx.TransportError):
                statuses.add(client.post("/predict/add-ten", json={"inputs": [5]}).status_code)
    return statuses


def test_a_worker_that_hangs_and_then_dies_is_replaced_and_the_server_can_be_stopped(server: Server) -> None:
    before = workers_of(server)
    os.kill(before[0], signal.SIGSTOP)
    time.sleep(1.2)  # the supervisor asks twice a second
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(workers_of(server)) == 2 and before[0] not in workers_of(server))
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(SOON) == 0


def test_two_workers_that_are_killed_at_once_are_back(server: Server) -> None:
    before = workers_of(server)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(workers_of(server)) == 2 and not set(before) & set(workers_of(server)))
    until(lambda: answers(server))


def test_a_server_is_stopped_in_time_also_where_a_worker_hangs(server: Server) -> None:
    hung = workers_of(server)[0]
    os.kill(hung, signal.SIGSTOP)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(SOON) == 0
    assert not is_alive(hung)


def test_workers_end_with_their_supervisor_and_the_next_start_finds_the_port_free(server: Server) -> None:
    left = workers_of(server)
    server.kill()
    until(lambda: not any(map(is_alive, left)))
    server.restart()
    assert answers(server)


def test_told_to_restart_all_workers_are_replaced_and_no_request_is_refused(server: Server) -> None:
    before = set(workers_of(server))
    server.process.send_signal(signal.SIGHUP)
    is_over = threading.Event()
    with ThreadPoolExecutor(2) as clients:
        asking = [clients.submit(asked_without_end, server, is_over) for _ in range(2)]
        try:
            until(lambda: not before & set(workers_of(server)), PATIENCE_SECONDS)
            assert len(workers_of(server)) == 2
            time.sleep(1)  # a worker that refused what it has not loaded would do so now
        finally:
            is_over.set()
    assert {status for asked in asking for status in asked.result()} == {200}
