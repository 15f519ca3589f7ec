"""What several workers are asked is added, and outlives them: kill -9 of a worker, and a restart of the server."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from models_store.networks.engines import loader
from models_store.profiles.profile import Profile
from models_store.storage.store import Store
from tests.server.conftest import PATTERNS, Server, command_of, descendants_of

pytestmark = [pytest.mark.server]
KEPT = Path(__file__).parents[1] / "stores" / "format_1"
SOON = 60
ASKED = 200


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A kept store, with a version of `area` that has histograms of rows between 1 and 9."""
    root = Path(shutil.copytree(KEPT, tmp_path / "store"))
    store = Store(root, loader("onnx", "cpu"))
    bundle = store.load("area", store.champion("area")).bundle
    rows = np.random.default_rng(0).uniform(1, 9, (500, len(bundle.inputs)))
    profile = Profile.learn(rows, bundle.predict(rows), bundle.predictor.encoder, bundle.predictor.decoder)
    # What a job has published is not published again.
    card = bundle.card.model_copy(update={"lineage": bundle.card.lineage.model_copy(update={"job": None})})
    version = store.publish(replace(bundle, card=card, profile=profile))
    store.set_alias("area", "champion", version)
    store.set_alias("area", "shadow", store.publish(replace(bundle, card=card), promote=False))
    return root


def ask(server: Server) -> str:
    """Ask about rows far from those of training, each on a connection of its own; any worker may take it.

    Return the id of one.
    """
    with httpx.Client(base_url=server.client.base_url, headers={"connection": "close"}) as client:
        for _ in range(ASKED):
            answer = client.post("/predict/area", json={"inputs": [[80.0, 90.0]]})
            assert answer.status_code == 200, answer.text
    return str(answer.headers["x-request-id"])


def rows_of(server: Server) -> int:
    rows: int = server.client.get("/patterns/area/drift").json()["rows"]
    return rows


def until_rows(server: Server, rows: int) -> None:
    """Wait until this many rows are known: each worker tells of its own every two seconds."""
    deadline = time.monotonic() + SOON
    while (found := rows_of(server)) != rows:
        assert found < rows and time.monotonic() < deadline, found
        time.sleep(0.2)


def test_workers_are_added_and_their_counts_outlive_them(store: Path, tmp_path: Path) -> None:
    settings = {"workers": 2, "engine": "onnx", "shadow_share": 1, "trainer": "none", "log_level": "warning"}
    settings["remembered_requests"] = 1000
    server = Server(store, tmp_path / "server.log", **settings).wait_ready()
    try:
        before = ask(server)
        until_rows(server, ASKED)
        for pid in descendants_of(server.process.pid):
            if b"spawn_main" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        server.wait_ready()
        after = ask(server)
        assert server.stop() == 0  # what was asked a moment ago is saved at the end
        server.restart()
        assert rows_of(server) == 2 * ASKED
        assert [tell(server, name) for name in (before, after, after)] == [200, 200, 409]
        said = shown(server, "drift")
        assert f"{2 * ASKED} rows since" in said and "drift" in said
        shadowed = server.client.get("/patterns/area/shadow").json()
        assert shadowed["questions"] == shadowed["copied"] == 2 * ASKED
        assert ASKED < shadowed["rows"] <= 2 * ASKED  # what waited in a process that was killed is not compared
        assert shadowed["outputs"]["area"]["rmse"] == 0
        said = shown(server, "shadow")
        assert f"{shadowed['rows']} rows compared since" in said
        assert f"Of {2 * ASKED} live questions: {2 * ASKED} copied" in said
    finally:
        server.client.close()
        server.stop()


def tell(server: Server, request_id: str) -> int:
    """Return the status of the outcome of a request."""
    body = {"request_id": request_id, "outcomes": [0.0]}
    return int(server.client.post("/patterns/area/outcomes", json=body).status_code)


def shown(server: Server, verb: str) -> str:
    """Return what the command line shows of a drift or of a shadow."""
    command = [str(PATTERNS), verb, "area", "--url", str(server.client.base_url)]
    ran = subprocess.run(command, env=server.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said: str = ran.stdout
    return said
