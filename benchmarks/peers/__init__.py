"""Peers: servers of other projects, a file for each. Each has a virtual environment of its own, made on demand.

All compute with `benchmarks.network`: the same file of weights, the same `tf.function`, the same scaling.
"""

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import environments
from benchmarks.environments import python

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
# The same in all environments, and the version that serves ours.
TENSORFLOW = "tensorflow==2.21.0"


def make(names: Iterable[str]) -> None:
    """Make the environments of these peers, with the versions that their files pin."""
    for name in names:
        environments.make(name, import_module(f"benchmarks.peers.{name}").REQUIREMENTS)


def compared(store: Path, network: Path, engine: str, names: Iterable[str] | None, effort: "Effort") -> dict[str, Any]:
    """Return {peer: {workload: {server: rounds}}} of the installed peers, and the names of those that are not."""
    from benchmarks.serving import beside  # deferred: peers' environments import this package too

    found: dict[str, Any] = {"not_installed": [name for name in PEERS if not python(name).is_file()]}
    for name in names or PEERS:
        if name not in found["not_installed"]:
            print(f"  {PEERS[name]}", file=sys.stderr, flush=True)
            found[name] = beside(import_module(f"benchmarks.peers.{name}").contender(network), store, engine, effort)
    return found
