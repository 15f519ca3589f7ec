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
from benchmarks.bodies import OURS, Json
from benchmarks.network import FOLDER, PATTERN
from benchmarks.servers import Contender

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


def train(store: Path, patterns: list[str]) -> None:
    """Train these patterns, or the whole catalogue if there are none."""
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("PATTERNS_")}
    what = patterns or ["--missing"]
    subprocess.run([BIN / "patterns", "train", *what], env=environment | {"PATTERNS_STORE": str(store)}, check=True)


def ours_name(engine: str) -> str:
    return f"ours, {engine}"


def ours(store: Path, engine: str, **settings: object) -> Contender:
    """Return `patterns serve` with its default limits, on this store."""
    given = {"store": store, "engine": engine, "port": "{port}", "trainer_warm": False, "log_level": "warning"}
    environment = {f"PATTERNS_{name.upper()}": str(value) for name, value in {**given, **settings}.items()}
    return Contender(ours_name(engine), [str(BIN / "patterns"), "serve"], OURS, environment, "/readyz")


def ceiling() -> Contender:
    return Contender(CEILING, _uvicorn("benchmarks.ceiling:app"), {"json": Json(f"/predict/{PATTERN}")})


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
