"""The first promise, over real HTTP: a row alone is answered the same to the bit as among others.

With each engine, in each form of a question. Numbers are compared as bits, which tell 0 from -0, and two neighbours of
float64 apart.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models_store.arrays import Dtype
from models_store.bundle import Bundle
from models_store.encoding.outputs import LabelDecoder, OutputDecoder
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.networks.architecture import Architecture, Engine, Layer
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.app.over_http import linear
from tests.keras_files import drawn, keras_file
from tests.server.conftest import PATIENCE_SECONDS, Server
from tests.server.forms import FORMS, Form, Rows
from tests.table_fakes import PASSENGERS, tabular

pytestmark = [pytest.mark.keras, pytest.mark.server]

N_ROWS = 33
# So many rows are no longer answered on the event loop, nor in one block.
N_REPEATS = 80
MOST_TRIES = 20


def deep(bundle: Bundle, activation: str, dtype: Dtype = "float32") -> Bundle:
    """Return the bundle with a network of two hidden layers and drawn weights in place of its own."""
    last = bundle.architecture.layers[-1]
    hidden = (Layer(256, activation), Layer(37, activation))
    architecture = Architecture(bundle.architecture.n_inputs, (*hidden, last), dtype)
    network = OnnxNetwork.from_bytes(keras_file(drawn(architecture)), architecture)
    encoder = bundle.predictor.encoder
    assert isinstance(encoder, InputEncoder | TableEncoder)
    predictor = replace(bundle.predictor, encoder=replace(encoder, dtype=dtype), network=network)
    return replace(bundle, architecture=architecture, predictor=predictor)


def fares() -> OutputDecoder:
    return OutputDecoder(("fare",), Scaler("standard", np.array([30.0]), np.array([7.3])))


def formula(pattern: str, *inputs: str) -> Bundle:
    return linear(pattern, {"y1": inputs[0], "y2": inputs[-1]}, [[1.0, 0.7]] * len(inputs))


GAUGES: dict[str, Any] = {name: ("number", [0.5, 9.25, None, 3.5, 7.125]) for name in ("upper", "lower", "river")}
BUNDLES = {
    bundle.pattern: bundle
    for bundle in (
        deep(formula("formula", "x1", "x2", "x3"), "relu"),
        deep(linear("exact", {"y": "x"}, [[1.0]]), "tanh", "float64"),
        deep(tabular("gauges", GAUGES, fares()), "gelu"),
        deep(tabular("voyages", PASSENGERS, fares()), "relu"),
        deep(tabular("survivors", PASSENGERS, LabelDecoder("survived", ("no", "yes"))), "silu"),
    )
}


def rows_of(bundle: Bundle) -> Rows:
    """Draw 33 rows: numbers that a float32 holds, categories seen and unseen, and missing values."""
    rng = np.random.default_rng(5)
    if "port" in bundle.inputs:
        return [
            {
                "age": None if rng.random() < 0.2 else number(rng, 80),
                "port": [None, "S", "C", "Q", "Aden"][rng.integers(5)],
                "crew": bool(rng.integers(2)),
                "boarded": f"1912-04-{rng.integers(1, 28):02}",
                "note": " ".join(rng.choice(["first", "class", "cabin", "trip", "unheard-of"], 3).tolist()),
            }
            for _ in range(N_ROWS)
        ]
    is_table = not isinstance(bundle.golden_inputs, np.ndarray)
    return [
        {name: None if is_table and rng.random() < 0.2 else number(rng, 16) for name in bundle.inputs}
        for _ in range(N_ROWS)
    ]


def number(rng: np.random.Generator, high: float) -> float:
    return float(np.float32(rng.uniform(0, high)))


# -- the server ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with these patterns; nothing was trained."""
    root = tmp_path_factory.mktemp("built") / "store"
    store = Store(root, OnnxNetwork.from_bytes)
    for bundle in BUNDLES.values():
        store.publish(bundle)
    return root


@pytest.fixture(scope="module", params=["onnx", "keras"])
def asked(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Asked"]:
    """A server with this engine, and as many connections to it as there are rows."""
    engine: Engine = request.param
    server = Server(built, tmp_path_factory.mktemp(engine) / "server.log", engine=engine, trainer_warm=False)
    server.wait_ready()
    with contextlib.ExitStack() as opened:
        connections = [HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS) for _ in range(N_ROWS)]
        for connection in connections:
            opened.enter_context(contextlib.closing(connection))
        yield Asked(server, connections)
    server.client.close()
    assert server.stop() == 0


class Asked:
    """The server, and how it is asked in a form."""

    def __init__(self, server: Server, connections: Sequence[HTTPConnection]) -> None:
        self.server = server
        self._connections = connections

    def together(self, form: Form, pattern: str, rows: Rows) -> list[list[str]]:
        """Return the bits of the answers to rows that are one request."""
        self._send(self._connections[0], form, pattern, rows)
        return self._received(self._connections[0], form, pattern)

    def at_once(self, form: Form, pattern: str, rows: Rows) -> list[list[str]]:
        """Return the bits of the answers to one request a row; all are sent before an answer is read."""
        for connection, row in zip(self._connections, rows, strict=True):
            self._send(connection, form, pattern, [row])
        return [answer for c in self._connections for answer in self._received(c, form, pattern)]

    def calls(self, pattern: str) -> int:
        """Return how often the network of the pattern has been called."""
        said = self.server.client.get(f"/v2/models/{pattern}/stats").json()
        return int(said["model_stats"][0]["execution_count"])

    def _send(self, connection: HTTPConnection, form: Form, pattern: str, rows: Rows) -> None:
        body, headers = form.write(rows, BUNDLES[pattern].kinds)
        connection.request("POST", form.path.format(pattern=pattern), body, headers)

    def _received(self, connection: HTTPConnection, form: Form, pattern: str) -> list[list[str]]:
        with connection.getresponse() as received:
            answer = httpx.Response(received.status, headers=received.getheaders(), content=received.read())
        assert answer.status_code == 200, answer.text
        return [bits(row) for row in form.read(answer, BUNDLES[pattern].outputs)]


def bits(row: Sequence[float | str]) -> list[str]:
    return [cell if isinstance(cell, str) else float(cell).hex() for cell in row]


def rounded(row: list[str], dtype: Dtype) -> list[str]:
    """Return the bits of the same numbers, rounded to the dtype."""
    return [float(np.dtype(dtype).type(float.fromhex(cell))).hex() if "0x" in cell else cell for cell in row]


LIBRARY = {"keras": b"/tensorflow/", "onnx": b"/onnxruntime/"}


def test_each_engine_computes_with_its_own_library(asked: Asked, request: pytest.FixtureRequest) -> None:
    mapped = Path(f"/proc/{asked.server.process.pid}/maps").read_bytes()
    engine = request.node.callspec.params["asked"]
    assert {name for name, library in LIBRARY.items() if library in mapped} == {engine}


# -- the promise ---------------------------------------------------------------------------------------------------

CASES = [(name, form) for name, bundle in BUNDLES.items() for form in FORMS if form.takes(bundle)]


@pytest.mark.parametrize(("pattern", "form"), CASES, ids=[f"{pattern}: {form.name}" for pattern, form in CASES])
def test_a_row_alone_is_answered_as_among_others(asked: Asked, pattern: str, form: Form) -> None:
    rows = rows_of(BUNDLES[pattern])
    together = asked.together(form, pattern, rows)
    assert len(together) == N_ROWS
    for row in (0, 1, N_ROWS - 1):
        assert asked.together(form, pattern, [rows[row]]) == [together[row]], row
    for row in (0, 7, N_ROWS - 2):
        assert asked.together(form, pattern, rows[row : row + 2]) == together[row : row + 2], row
    assert asked.together(form, pattern, rows * N_REPEATS) == together * N_REPEATS
    assert asked.at_once(form, pattern, rows) == together


@pytest.mark.parametrize(("pattern", "form"), CASES, ids=[f"{pattern}: {form.name}" for pattern, form in CASES])
def test_every_form_has_the_answer_of_rows_in_json(asked: Asked, pattern: str, form: Form) -> None:
    bundle, rows = BUNDLES[pattern], rows_of(BUNDLES[pattern])
    expected = expected_of(asked, pattern, form, rows)
    if form.is_rounded:
        dtype: Dtype = "float32" if form.name == "npy, float32" else bundle.architecture.dtype
        expected = [rounded(row, dtype) for row in expected]
    assert asked.together(form, pattern, rows) == expected


def expected_of(asked: Asked, pattern: str, form: Form, rows: Rows) -> list[list[str]]:
    forms: Mapping[str, Form] = {form.name: form for form in FORMS}
    if form.scope != "labels":
        return asked.together(forms["rows"], pattern, rows)
    likely = asked.together(forms["rows, likely"], pattern, rows)
    if form.name == "TensorFlow, classify":
        return [["no", no, "yes", yes] for _, no, yes in likely]
    if form.name == "OIP, classes":
        return [best_of(float.fromhex(no), float.fromhex(yes)) for _, no, yes in likely]
    return likely


def best_of(no: float, yes: float) -> list[str]:
    """Return both labels as the Open Inference Protocol writes classes, the more probable one first."""
    scores = [(np.float32(no), "0:no"), (np.float32(yes), "1:yes")]
    return [f"{score!s}:{label}" for score, label in sorted(scores, key=lambda pair: -pair[0])]


@pytest.mark.parametrize("pattern", BUNDLES)
def test_rows_that_come_at_once_share_a_call_of_the_network(asked: Asked, pattern: str) -> None:
    rows = rows_of(BUNDLES[pattern])
    together = asked.together(FORMS[0], pattern, rows)
    for _ in range(MOST_TRIES):
        before = asked.calls(pattern)
        assert asked.at_once(FORMS[0], pattern, rows) == together
        if asked.calls(pattern) - before < N_ROWS:
            return
    raise AssertionError("every row had a call of its own")
