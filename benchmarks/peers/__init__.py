"""Servers that others made: one file each, each in a virtual environment of its own, made only when asked for.

All compute with `benchmarks.network`: the same file of weights, the same `tf.function`, the same scaling.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.serving import Effort

PEERS: Mapping[str, str] = {
    "mlserver": "MLServer",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "ray": "Ray Serve",
    "mlflow": "MLflow",
    "pytriton": "PyTriton",
}
ENVIRONMENTS = Path(__file__).with_name(".venvs")
# The same in all environments, and the one that ours is served with.
TENSORFLOW = "tensorflow==2.21.0"


def python(name: str) -> Path:
    """Of the environment that a peer lives in, if it is made."""
    return ENVIRONMENTS / name / "bin" / "python"


def make(names: Iterable[str]) -> None:
    """Environments of these peers, with what their files pin; uv links what it has, so TensorFlow is there once."""
    for name in names:
        requirements: tuple[str, ...] = import_module(f"benchmarks.peers.{name}").REQUIREMENTS
        made = ENVIRONMENTS / name / "requirements.txt"
        wanted = "\n".join(requirements) + "\n"
        if made.is_file() and made.read_text() == wanted:
            continue
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, made.parent], check=True)
        subprocess.run([*uv, "pip", "install", "--quiet", "--python", python(name), *requirements], check=True)
        made.write_text(wanted)


def compared(store: Path, network: Path, engine: str, names: Iterable[str] | None, effort: "Effort") -> dict[str, Any]:
    """{peer: {workload: {server: rounds}}} for each that is installed, and the names of those that are not."""
    from benchmarks.serving import beside  # deferred: peers' environments import this package too

    found: dict[str, Any] = {"not_installed": [name for name in PEERS if not python(name).is_file()]}
    for name in names or PEERS:
        if name not in found["not_installed"]:
            print(f"  {PEERS[name]}", file=sys.stderr, flush=True)
            found[name] = beside(import_module(f"benchmarks.peers.{name}").contender(network), store, engine, effort)
    return found
