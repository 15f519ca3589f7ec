"""The servers that are compared: the ceiling, an echo, servers by hand, and ours with each installed engine."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from app.settings import Settings
from benchmarks.bodies import DIALECTS, OURS, Json
from benchmarks.network import FOLDER, PATTERN
from benchmarks.servers import PROJECT, Contender

BIN = Path(sys.executable).parent
CEILING, ECHO, BY_HAND, FIRST_TRY = "ceiling", "echo", "by hand", "first try"


@dataclass(frozen=True)
class Engine:
    """The package that an engine needs, and the statement that imports it."""

    package: str
    imports: str

    @property
    def is_lean(self) -> bool:
        return self.package != "tensorflow"


ENGINES: Mapping[str, Engine] = {
    "keras": Engine("tensorflow", "import tensorflow, keras"),
    "onnx": Engine("onnxruntime", "import onnxruntime"),
    "jax": Engine("jax", "import jax"),
    "numpy": Engine("numpy", "import numpy"),
}


def available_engines() -> list[str]:
    """Return the engines that the settings accept and whose package is installed."""
    accepted = get_args(Settings.model_fields["engine"].annotation)
    return [name for name, engine in ENGINES.items() if name in accepted and find_spec(engine.package)]


def train(store: Path, patterns: list[str], checkout: Path = PROJECT) -> None:
    """Train these patterns, or the whole catalogue if there are none, by the code of a checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("PATTERNS_")}
    added = code_of(checkout) | {"PATTERNS_STORE": str(store)}
    subprocess.run([BIN / "patterns", "train", *(patterns or ["--missing"])], env=environment | added, check=True)


def code_of(checkout: Path) -> dict[str, str]:
    """Return the environment in which `patterns` is that of a checkout, whichever is installed."""
    return {"PYTHONPATH": str(checkout)}


def ours_name(engine: str) -> str:
    return f"ours, {engine}"


def at_commit(engine: str, commit: str) -> str:
    """Return the name of the server of another commit."""
    return f"{ours_name(engine)}, {commit}"


def ours(store: Path, engine: str, checkout: Path = PROJECT, **settings: object) -> Contender:
    """Return `patterns serve` of a checkout with its default limits, on this store."""
    given = {"store": store, "engine": engine, "port": "{port}", "trainer_warm": False, "log_level": "warning"}
    environment = {f"PATTERNS_{name.upper()}": str(value) for name, value in {**given, **settings}.items()}
    command = [str(BIN / "patterns"), "serve"]
    return Contender(ours_name(engine), command, {**OURS, **DIALECTS}, environment | code_of(checkout), "/readyz")


def ceiling() -> Contender:
    return Contender(CEILING, _uvicorn("benchmarks.ceiling:app"), {"json": Json(f"/predict/{PATTERN}"), **DIALECTS})


def echo() -> Contender:
    binary = {name: form for name, form in OURS.items() if name != "json"}
    return Contender(ECHO, _uvicorn("benchmarks.ceiling:echo"), binary, is_echo=True)


def by_hand(network: Path) -> Contender:
    return _by_hand(BY_HAND, "benchmarks.handwritten:app", network)


def first_try(network: Path) -> Contender:
    return _by_hand(FIRST_TRY, "benchmarks.first_try:app", network)


def _by_hand(name: str, app: str, network: Path) -> Contender:
    formats = {"json": Json(f"/predict/{PATTERN}")}
    return Contender(name, _uvicorn(app), formats, {FOLDER: str(network), "TF_CPP_MIN_LOG_LEVEL": "3"}, "/openapi.json")


def _uvicorn(app: str) -> list[str]:
    return [sys.executable, "-m", "uvicorn", app, "--port", "{port}", "--no-access-log", "--log-level", "error"]
