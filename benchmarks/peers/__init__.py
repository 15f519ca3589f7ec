"""Peers: servers of other projects, a file for each. Each has a virtual environment of its own, made on demand.

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
# The same in all environments, and the version that serves ours.
TENSORFLOW = "tensorflow==2.21.0"


def python(name: str) -> Path:
    """Return the path of the interpreter of a peer's environment, which may not exist yet."""
    return ENVIRONMENTS / name / "bin" / "python"


def make(names: Iterable[str]) -> None:
    """Make the environments of these peers, with the versions that their files pin. uv links packages to its cache."""
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
    """Return {peer: {workload: {server: rounds}}} of the installed peers, and the names of those that are not."""
    from benchmarks.serving import beside  # deferred: peers' environments import this package too

    found: dict[str, Any] = {"not_installed": [name for name in PEERS if not python(name).is_file()]}
    for name in names or PEERS:
        if name not in found["not_installed"]:
            print(f"  {PEERS[name]}", file=sys.stderr, flush=True)
            found[name] = beside(import_module(f"benchmarks.peers.{name}").contender(network), store, engine, effort)
    return found
