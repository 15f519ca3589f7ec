"""Answers of a real server with trained patterns: raw values in, raw values out; and how it stops."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from tests.server.conftest import PATIENCE_SECONDS, PATTERNS, Server, environment

pytestmark = [pytest.mark.keras, pytest.mark.server]


@pytest.fixture(scope="module")
def thousand() -> Array:
    """Rows of `linear-pair` from its training region, float64 (1000, 4)."""
    first = np.random.default_rng(0).uniform(0, 1000, (1000, 1))
    return np.asarray(first + np.arange(4.0))


def test_add_ten_adds_ten_far_outside_its_training_region(server: Server) -> None:
    assert server.predict("add-ten", [150])["outputs"] == pytest.approx([160.0], abs=1e-3)
    answer = server.client.post("/predict/add-ten?outside=true", json={"inputs": [150, 50]})
    assert [row["columns"] for row in answer.json()["outside"]] == [["x"]]


def test_the_formula_is_answered_as_well_as_the_card_says(server: Server, thousand: Array) -> None:
    card = server.client.get("/patterns/linear-pair").json()["card"]
    inside = thousand[thousand[:, 0] < 999]
    exact = inside @ np.array([[0.3, 0.5], [0.2, -0.1], [-0.4, 0.3], [0.1, 0.0]]) + [2, -2]
    errors = np.array(server.predict("linear-pair", inside.tolist())["outputs"]) - exact
    assert np.sqrt((errors**2).mean()) <= 1.5 * card["test"]["overall"]["rmse"]


def test_asking_for_a_gpu_where_there_is_none_is_one_clear_line(trained: object) -> None:
    blind = environment(store=trained) | {"CUDA_VISIBLE_DEVICES": "-1"}
    ran = subprocess.run([PATTERNS, "serve", "--device", "gpu"], env=blind, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "a GPU was asked for, but TensorFlow sees none" in " ".join(ran.stderr.split())


HALF = b"POST /predict/add-ten HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"


@contextlib.contextmanager
def held(server: Server) -> Iterator[HTTPConnection]:
    """A connection whose request is half sent, to a worker process that has accepted it and could answer."""
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)) as connection:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while status_of(connection) != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        connection.send(HALF)
        yield connection


def status_of(connection: HTTPConnection) -> int:
    connection.request("POST", "/predict/add-ten", b'{"inputs": [1]}', {"content-type": "application/json"})
    with connection.getresponse() as answer:
        answer.read()
    return answer.status


def answered(connection: HTTPConnection) -> tuple[int, Any]:
    answer = HTTPResponse(connection.sock, method="POST")
    answer.begin()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_it_listens_no_more_whatever_its_trainer_does(serve: Callable[..., Server], workers: int) -> None:
    server = serve(workers=workers).wait_ready()
    server.trained("add-ten", seed=5)
    with held(server) as busy:
        server.process.terminate()
        with pytest.raises(ConnectionRefusedError):
            while server.process.poll() is None:
                with contextlib.suppress(ConnectionResetError):  # at the very moment of closing
                    socket.create_connection(("127.0.0.1", server.port)).close()
        assert server.process.poll() is None
        busy.send(b'{"inputs": [5]}')
        status, said = answered(busy)
    assert (status, said["outputs"]) == (200, pytest.approx([15.0], abs=1e-3))
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_it_answers_also_who_does_not_finish_asking(serve: Callable[..., Server], workers: int) -> None:
    server = serve(workers=workers, drain_seconds=1).wait_ready()
    with held(server) as busy:
        assert server.stop() == 0
        status, said = answered(busy)
    assert (status, said["error"]["code"]) == (503, "draining")


def test_told_to_stop_it_ends_in_time_also_while_a_thread_hangs(serve: Callable[..., Server]) -> None:
    server = serve(drain_seconds=1).wait_ready()
    server.trained("add-ten", seed=5)
    directory = os.open(server.store / "add-ten" / "1", os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        with ThreadPoolExecutor() as threads:
            # Waits for a lock that is never released.
            hanging = threads.submit(server.client.post, "/predict/add-ten?version=1", json={"inputs": [1]})
            server.predict("add-ten", [1])
            assert server.stop() == 0
            hanging.exception()
    finally:
        os.close(directory)


def test_told_to_stop_it_finishes_and_exits_with_zero(serve: Callable[..., Server]) -> None:
    server = serve().wait_ready()
    server.predict("add-ten", [1])
    assert server.stop() == 0
