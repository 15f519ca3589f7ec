"""Scaling: the growth of time with rows, units, loaded patterns and connections, one figure for each point.

python -m benchmarks.scaling STORE COUNT      publishes the pattern under COUNT more names
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import load
from benchmarks.bodies import OURS, Body, Json, Workload
from benchmarks.contenders import ours, train
from benchmarks.network import PATTERN
from benchmarks.servers import Server, launched, running, settle
from benchmarks.serving import Effort

ROWS = (100, 1_000, 10_000, 100_000, 1_000_000)
UNITS = (16, 64, 256, 1024, 4096)
PATTERNS = (1, 10, 100, 500)
CONNECTIONS = (1, 8, 32, 128, 512)
Points = list[dict[str, float]]


def measured(store: Path, engine: str, effort: Effort) -> dict[str, Points]:
    return {
        "rows": by_rows(store, engine, effort),
        "connections": by_connections(store, engine, effort),
        "units": by_units(engine, effort),
        "patterns": by_patterns(engine, effort),
    }


def by_rows(store: Path, engine: str, effort: Effort) -> Points:
    """Measure requests of more and more rows on one connection, with `max_rows` raised."""
    with running(ours(store, engine, max_rows=ROWS[-1], max_body_mb=64)) as server:
        return [
            {"rows": n_rows} | _figures(server, OURS["npy"].body(Workload("npy", n_rows, 1).rows), 1, effort)
            for n_rows in ROWS
        ]


def by_connections(store: Path, engine: str, effort: Effort) -> Points:
    """Measure more and more connections, with `max_in_flight` raised above their number."""
    body = OURS["json"].body(Workload("json", 1, 1).rows)
    with running(ours(store, engine, max_in_flight=2 * CONNECTIONS[-1])) as server:
        return [{"connections": count} | _figures(server, body, count, effort) for count in CONNECTIONS]


def by_units(engine: str, effort: Effort) -> Points:
    """Measure networks of one hidden layer of more and more units, with a thousand rows as `.npy`."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        recipes = [_recipe(Path(folder), units) for units in UNITS]
        store = Path(folder, "store")
        train(store, [str(recipe) for recipe in recipes])
        rows = Workload("npy", 1000, 1).rows
        with running(ours(store, engine)) as server:
            bodies = {units: replace(OURS["npy"].body(rows), path=f"/predict/units-{units}") for units in UNITS}
            return [{"units": units} | _figures(server, body, 1, effort) for units, body in bodies.items()]


def _recipe(folder: Path, units: int) -> Path:
    path = folder / f"units-{units}.yaml"
    path.write_text(
        f"name: units-{units}\n"
        "data:\n  kind: formula\n  inputs: {x: {distribution: uniform, low: 0, high: 100}}\n"
        "  outputs: {y: x + 10}\n  rows: 200\n"
        f"network:\n  layers: [{{units: {units}, activation: relu}}]\n"
        "fit: {epochs: 20}\n"
    )
    return path


def by_patterns(engine: str, effort: Effort) -> Points:
    """Measure stores of more and more copies of a pattern: seconds until ready, MB of memory, time of a prediction."""
    points = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        store = Path(folder, "store")
        train(store, [PATTERN])
        for before, count in zip((1, *PATTERNS), PATTERNS, strict=False):
            if count > before:
                _publish(store, before, count)
            began = time.perf_counter()
            with launched(ours(store, engine)) as server:
                server.wait_ready()
                ready_s = time.perf_counter() - began
                settle(server.process.pid)
                body = Json(f"/predict/{PATTERN}").body(Workload("json", 1, 1).rows)
                figures = _figures(server, body, 1, effort)
                points.append({"patterns": count, "ready_s": ready_s, "serving_mb": server.resident_mb()} | figures)
    return points


def _publish(store: Path, first: int, end: int) -> None:
    command = [sys.executable, "-m", "benchmarks.scaling", str(store), str(first), str(end)]
    subprocess.run(command, check=True)


def publish_copies(root: Path, first: int, end: int) -> None:
    """Publish copies of the pattern. Its network is loaded once, and checks every copy."""
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow
    from models_store.storage.store import Store

    original = Store(root, KerasNetwork.from_bytes).load(PATTERN, 1).bundle
    store = Store(root, lambda saved, architecture: original.predictor.network)
    for number in range(first, end):
        store.publish(replace(original, pattern=f"copy-{number}"))


def _figures(server: Server, body: Body, connections: int, effort: Effort) -> dict[str, float]:
    ran = load.measure(server.port, body, connections, effort.seconds, effort.generator)
    return vars(ran)


if __name__ == "__main__":
    publish_copies(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
