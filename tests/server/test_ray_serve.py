"""Pattern Server under Ray Serve, by the manifest of the docs; and the manifest for KServe, which is read alone."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
import yaml

from app.settings import Settings
from tests.ray_nodes import Nodes, free_port

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "docs" / "examples"
KEPT = PROJECT / "tests" / "stores" / "format_1"
THEN: dict[str, Any] = json.loads(KEPT.with_suffix(".json").read_text("utf-8"))
KEY = "open-sesame"
PATIENCE_SECONDS = 120
needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed; pip install 'pattern-server[ray]'"
)


def manifest(port: int, store: Path) -> dict[str, Any]:
    """The manifest of the docs with a port, a store and a database of its own."""
    read: dict[str, Any] = yaml.safe_load((EXAMPLES / "ray-serve.yaml").read_text())
    read["http_options"]["port"] = port
    environment = ray_environment(read)
    del environment["PATTERNS_DATABASE_URL"]
    environment["PATTERNS_STORE"] = str(store)
    return read


def ray_environment(read: dict[str, Any]) -> dict[str, str]:
    (application,) = read["applications"]
    (deployment,) = application["deployments"]
    found: dict[str, str] = deployment["ray_actor_options"]["runtime_env"]["env_vars"]
    return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("served")
    store = Path(shutil.copytree(KEPT, folder / "store"))
    port = free_port()
    (folder / "serve.yaml").write_text(yaml.safe_dump(manifest(port, store)))
    # Sockets lie in it, whose paths must be short.
    home = Path(mkdtemp(prefix="ray-", dir="/tmp"))
    nodes = Nodes(home, PATTERNS_ADMIN_KEY=KEY)
    try:
        nodes.start_head(cores=1)
        nodes.start([str(Path(sys.executable).parent / "serve"), "run", str(folder / "serve.yaml")])
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            wait_until_ready(client)
            yield client
    finally:
        nodes.kill_all()
        shutil.rmtree(home, ignore_errors=True)


def wait_until_ready(client: httpx.Client) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("Ray Serve is not ready")


@needs_ray
@pytest.mark.server
def test_ray_serve_answers_as_the_server_does(served: httpx.Client) -> None:
    answer = served.post("/predict/exact", json={"inputs": [[1.0, 2.0]]})
    assert (answer.status_code, answer.headers["x-pattern-version"]) == (200, "1")
    assert served.get("/v2/models/exact").json()["name"] == "exact"


@needs_ray
@pytest.mark.server
def test_changes_under_ray_serve_need_the_key(served: httpx.Client) -> None:
    assert served.post("/train", json={"pattern": "add-ten"}).json()["error"]["code"] == "key_missing"
    queued = served.post("/train", json={"pattern": "add-ten"}, headers={"authorization": f"Bearer {KEY}"})
    assert queued.status_code == 202


@needs_ray
def test_ray_serve_without_an_admin_key_does_not_start(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PATTERNS_")}
    script = "import app.ray_serve; app.ray_serve.build()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONPATH": str(PROJECT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SettingsError: admin_key: must be set under Ray Serve" in done.stderr


def test_the_manifests_name_settings_that_there_are() -> None:
    kserve = yaml.safe_load((EXAMPLES / "kserve.yaml").read_text())
    (container,) = kserve["spec"]["predictor"]["containers"]
    by_ray = ray_environment(yaml.safe_load((EXAMPLES / "ray-serve.yaml").read_text()))
    by_kserve = {variable["name"]: variable.get("value", "sqlite:///x") for variable in container["env"]}
    for environment in (by_ray, by_kserve):
        values = {name.removeprefix("PATTERNS_").lower(): value for name, value in environment.items()}
        assert values.keys() <= Settings.model_fields.keys()
        assert Settings.model_validate(values).trainer == "elsewhere"
    assert container["ports"][0]["containerPort"] == int(by_kserve["PATTERNS_PORT"])
