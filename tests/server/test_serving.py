"""Answers of a real server: raw values in, raw values out, the same to the bit in every format and in any batch."""

import contextlib
import fcntl
import io
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from models_store.arrays import Array
from tests.server.conftest import PATIENCE_SECONDS, PATTERNS, Server, environment

pytestmark = [pytest.mark.keras, pytest.mark.server]

COLUMNS = {"linear-pair": ["x1", "x2", "x3", "x4"], "quadratic": ["x1", "x2"]}
OUTPUTS = {"linear-pair": ["y1", "y2"], "quadratic": ["y"]}


def as_rows(server: Server, pattern: str, rows: Array) -> Array:
    return np.array(server.predict(pattern, rows.tolist())["outputs"]).reshape(-1, len(OUTPUTS[pattern]))


def as_records(server: Server, pattern: str, rows: Array) -> Array:
    records = [dict(zip(COLUMNS[pattern], row, strict=True)) for row in rows.tolist()]
    answers = server.predict(pattern, records)["outputs"]
    return np.array([[record[name] for name in OUTPUTS[pattern]] for record in answers])


def as_columns(server: Server, pattern: str, rows: Array) -> Array:
    answers = server.predict(pattern, dict(zip(COLUMNS[pattern], rows.T.tolist(), strict=True)))["outputs"]
    return np.array([answers[name] for name in OUTPUTS[pattern]]).T


def as_csv(server: Server, pattern: str, rows: Array) -> Array:
    text = ",".join(COLUMNS[pattern]) + "\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist())
    answer = post(server, pattern, text.encode(), "text/csv")
    return np.array([[float(field) for field in line.split(",")] for line in answer.decode().splitlines()[1:]])


def as_npy(server: Server, pattern: str, rows: Array) -> Array:
    body = io.BytesIO()
    np.save(body, rows)
    answers: Array = np.load(io.BytesIO(post(server, pattern, body.getvalue(), "application/x-npy")))
    return answers


def as_arrow(server: Server, pattern: str, rows: Array) -> Array:
    table = pa.table(dict(zip(COLUMNS[pattern], rows.T, strict=True)))
    body = pa.BufferOutputStream()
    with pa.ipc.new_stream(body, table.schema) as stream:
        stream.write_table(table)
    media_type = "application/vnd.apache.arrow.stream"
    answered = pa.ipc.open_stream(post(server, pattern, body.getvalue().to_pybytes(), media_type))
    columns = answered.read_all()
    return np.stack([columns[name].to_numpy() for name in OUTPUTS[pattern]], axis=1)


def post(server: Server, pattern: str, body: bytes, media_type: str) -> bytes:
    answer = server.client.post(f"/predict/{pattern}", content=body, headers={"content-type": media_type})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, media_type), answer.text
    return answer.content


FORMATS = [as_rows, as_records, as_columns, as_csv, as_npy, as_arrow]
LIBRARY = {"keras": b"/tensorflow/", "onnx": b"/onnxruntime/"}


@pytest.fixture(scope="module")
def thousand() -> Array:
    """Rows of `linear-pair` from its training region, float64 (1000, 4)."""
    first = np.random.default_rng(0).uniform(0, 1000, (1000, 1))
    return np.asarray(first + np.arange(4.0))


@pytest.fixture(scope="module", params=["keras", "onnx"])
def of_engine(
    request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for each engine."""
    if request.param == "keras":
        server: Server = request.getfixturevalue("server")
        yield server
        return
    root = tmp_path_factory.mktemp(request.param)
    shutil.copytree(trained, root / "store")
    server = Server(root / "store", root / "server.log", engine=request.param)
    yield server.wait_ready()
    server.client.close()
    assert server.stop() == 0


def test_each_engine_computes_with_its_own_library(of_engine: Server, request: pytest.FixtureRequest) -> None:
    mapped = Path(f"/proc/{of_engine.process.pid}/maps").read_bytes()
    engine = request.node.callspec.params["of_engine"]
    assert {name for name, library in LIBRARY.items() if library in mapped} == {engine}


@pytest.mark.parametrize("pattern", COLUMNS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_row_alone_is_answered_to_the_bit_as_in_a_batch_of_a_thousand_on_every_body_format(
    of_engine: Server, pattern: str, form: Callable[[Server, str, Array], Array]
) -> None:
    rows = np.random.default_rng(0).uniform(0, 1000, (1000, len(COLUMNS[pattern])))
    together = bits(as_npy(of_engine, pattern, rows))
    assert np.array_equal(bits(form(of_engine, pattern, rows)), together)
    for place in (0, 1, 500, 999):
        assert np.array_equal(bits(form(of_engine, pattern, rows[[place]])), together[[place]]), place
    for size in (2, 7, 9, 33):
        assert np.array_equal(bits(form(of_engine, pattern, rows[-size:])), together[-size:]), size


def bits(answers: Array) -> NDArray[np.uint64]:
    """Return the bits of float64 answers: unlike the numbers, 0 and -0 differ."""
    assert answers.dtype == np.float64
    return np.ascontiguousarray(answers).view(np.uint64)


def test_add_ten_adds_ten_far_outside_its_training_region(server: Server) -> None:
    assert server.predict("add-ten", [150])["outputs"] == pytest.approx([160.0], abs=1e-3)
    answer = server.client.post("/predict/add-ten?outside=true", json={"inputs": [150, 50]})
    assert answer.json()["outside"] == [{"row": 0, "columns": ["x"]}]


def test_the_formula_is_answered_as_well_as_the_card_says(server: Server, thousand: Array) -> None:
    card = server.client.get("/patterns/linear-pair").json()["card"]
    inside = thousand[thousand[:, 0] < 999]
    exact = inside @ np.array([[0.3, 0.5], [0.2, -0.1], [-0.4, 0.3], [0.1, 0.0]]) + [2, -2]
    errors = as_rows(server, "linear-pair", inside) - exact
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
