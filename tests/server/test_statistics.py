"""Statistics that a client reads while others ask: the counts of each request are there together, or not at all."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.server.conftest import PATIENCE_SECONDS, Server
from tests.server.test_to_the_bit import deep, formula

pytestmark = pytest.mark.server

READS, CLIENTS = 300, 8
STAGES = ("queue", "compute_input", "compute_infer", "compute_output")
QUESTIONS = [
    ("/v2/models/busy/infer", b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}'),
    ("/predict/busy", b'{"inputs": [3]}'),
    ("/predict/busy", b'{"inputs": [%s]}' % b",".join([b"0.25"] * 3000)),
    ("/v1/models/busy:predict", b'{"instances": ["none"]}'),
]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("busy")
    Store(root / "store", OnnxNetwork.from_bytes).publish(deep(formula("busy", "x"), "relu"))
    server = Server(root / "store", root / "server.log", engine="onnx", trainer_warm=False)
    yield server.wait_ready()
    server.client.close()
    assert server.stop() == 0


def asking(server: Server, place: int, stop: threading.Event) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    while not stop.is_set():
        path, body = QUESTIONS[place % len(QUESTIONS)]
        connection.request("POST", path, body, {"content-type": "application/json"})
        connection.getresponse().read()
    connection.close()


def test_counts_that_are_read_under_load_agree(busy: Server) -> None:
    stop = threading.Event()
    clients = [threading.Thread(target=asking, args=(busy, place, stop)) for place in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        read = [busy.client.get("/v2/models/busy/stats").json()["model_stats"][0] for _ in range(READS)]
    finally:
        stop.set()
        for client in clients:
            client.join()
    for said in read:
        check(said)
    counts = [said["inference_stats"]["success"]["count"] for said in read]
    assert counts == sorted(counts)
    assert len(set(counts)) > READS // 10
    assert read[-1]["inference_stats"]["fail"]["count"] > 0


def check(said: dict[str, Any]) -> None:
    """Check that the counts of one reading are those of whole requests."""
    stats = said["inference_stats"]
    assert {stats[stage]["count"] for stage in STAGES} == {stats["success"]["count"]}, said
    assert sum(stats[stage]["ns"] for stage in STAGES) == stats["success"]["ns"], said
    # A request has one row or 3000, and one call of the network may answer several requests.
    assert (said["inference_count"] - stats["success"]["count"]) % 2999 == 0, said
    assert said["execution_count"] <= stats["success"]["count"] + stats["fail"]["count"], said
    assert (said["last_inference"] > 0) == (stats["success"]["count"] > 0), said
