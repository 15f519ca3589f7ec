"""Imports that take long, such as TensorFlow's many seconds, happen only where they are needed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models_store.bundle import Bundle
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.keras_files import drawn, keras_file

PROJECT = Path(__file__).parents[2]
# Seconds each: the network's own, and what only draws.
HEAVY = {"tensorflow", "keras", "h5py", "jax", "torch", "matplotlib", "pandas", "scipy"}
# Not heavy, but nothing that a page of help needs.
UNNEEDED = HEAVY | {"numpy", "pyarrow", "fastapi", "starlette", "uvicorn", "sqlalchemy", "prometheus_client"}


def imported(code: str) -> set[str]:
    """The packages that a new process has imported after running this code."""
    report = "import sys, io\nprint(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(ran.stderr.split())


def test_an_app_is_made_and_a_store_is_shown_without_a_network_library() -> None:
    commands = "from app.commands import predict, reproduce, serve, show, train\n"
    made = "from app.main import create_app\nfrom app.settings import Settings\nfrom pathlib import Path\n"
    assert imported(commands + made + "create_app(Settings(_env_file=None, store=Path('nowhere')))") & HEAVY == set()
    assert not (PROJECT / "nowhere").exists()


def test_both_ends_of_the_trainers_protocol_import_little_more_than_its_messages() -> None:
    listed = "import sys\nimport training.messages\nprint(*sys.modules)\n"
    ran = subprocess.run([sys.executable, "-c", listed], cwd=PROJECT, capture_output=True, text=True, check=True)
    modules = set(ran.stdout.split())
    assert {name.partition(".")[0] for name in modules} & UNNEEDED == set()
    assert {name for name in modules if name.startswith("training")} == {"training", "training.messages"}


def test_help_needs_nothing_but_the_command_line() -> None:
    asked = "import sys\nfrom app.cli import main\nsys.argv = ['patterns', 'serve', '--help']\n"
    assert imported(asked + "try:\n    main()\nexcept SystemExit:\n    pass") & UNNEEDED == set()


def test_formats_need_no_web_framework() -> None:
    modules = [path.stem for path in (PROJECT / "app" / "formats").glob("*.py") if path.stem != "__init__"]
    assert "csv_rows" in modules
    assert imported(f"from app.formats import {', '.join(modules)}") & {"fastapi", "starlette", "uvicorn"} == set()


SERVED = """
from pathlib import Path
from fastapi.testclient import TestClient
from app.main import create_app
from app.settings import Settings

settings = Settings(_env_file=None, store=Path({store!r}), engine="onnx", trainer_warm=False)
with TestClient(create_app(settings)) as client:
    while client.get("/readyz").status_code == 503:
        pass
    assert client.post("/predict/line", json={{"inputs": [4]}}).status_code == 200
"""


LACKED = [
    line for line in (PROJECT / "requirements-serve.excluded").read_text().splitlines() if line and line[0] != "#"
]
MODULES = {"scikit-learn": "sklearn"}
ABSENT = f"""
import sys
sys.modules.update(dict.fromkeys({[MODULES.get(name, name) for name in LACKED]}))
"""
REFUSING = (
    SERVED
    + """
    refused = [
        client.post("/train", json={{"pattern": "line"}}),
        client.post("/datasets", content="a,b\\n1,2\\n", headers={{"content-type": "text/csv"}}),
    ]
    said = [(answer.status_code, answer.json()["error"]["code"], "retry-after" in answer.headers) for answer in refused]
    assert said == [(503, "no_trainer", False), (503, "no_tables", False)], said
    assert client.get("/train").json() == {{"jobs": []}}
"""
)


@pytest.fixture
def served(bundle: Bundle, tmp_path: Path) -> Path:
    """Return a store with the pattern line, which either engine answers."""
    architecture = bundle.architecture
    network = OnnxNetwork.from_bytes(keras_file(drawn(architecture)), architecture)
    line = replace(bundle, predictor=replace(bundle.predictor, network=network))
    Store(tmp_path, OnnxNetwork.from_bytes).publish(line)
    return tmp_path


def test_the_set_for_serving_answers_and_refuses_trainings_and_tables(served: Path) -> None:
    code = ABSENT + REFUSING.format(store=str(served))
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


TABLE = ("--csv", "rows.csv")


@pytest.mark.parametrize(
    ("asked", "way_out"),
    [
        (("train", *TABLE, "--target", "b"), "use a server with the full installation"),
        (("cross-validate", *TABLE, "--target", "b"), "use a server with the full installation"),
        (("search", *TABLE, "--target", "b"), "use a server with the full installation"),
        (("predict", "line", *TABLE), "run the command in the full installation"),
    ],
)
def test_the_set_for_serving_refuses_commands_that_read_tables(
    served: Path, asked: tuple[str, ...], way_out: str
) -> None:
    (served / "rows.csv").write_text("a,b\n1,2\n3,4\n")
    code = f"{ABSENT}\nsys.path.insert(0, {str(PROJECT)!r})\nfrom app.cli import main\nmain()\n"
    environment = {**os.environ, "PATTERNS_STORE": str(served), "PATTERNS_ENGINE": "onnx"}
    command = [sys.executable, "-c", code, *asked]
    ran = subprocess.run(command, cwd=served, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: table") and len(ran.stderr.splitlines()) == 1
    assert "polars is not installed" in ran.stderr and way_out in ran.stderr


def test_a_server_with_the_engine_onnx_answers_without_tensorflow_and_keras(served: Path) -> None:
    brought = imported(SERVED.format(store=str(served)))
    assert brought & HEAVY == {"h5py"}
    assert "onnxruntime" in brought
