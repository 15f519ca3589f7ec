"""Trials a second on one node of a Ray cluster, and on two, each of one core of this machine.

python -m benchmarks.nodes --rounds 5      prints {"one": [trials/s], "two": [trials/s], "ratio": [median, least, most]}

Nodes are processes that may run on a core of their own alone; head and trainer run where there is room. One node is
measured while the other's core is taken by a call that sleeps, in turn with both, on the same connection. All programs
are compiled before. The training of the best is left out.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

from benchmarks.searching import RATES, RECIPE, SEEDS
from models_store.networks.keras_network import use_threads
from tests.ray_nodes import Nodes
from training.cluster import Cluster, connect
from training.data.well_known import well_known
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.search import elsewhere
from training.search.search import Listener, Searching

# So long that a call takes seconds, as trials do that are worth a cluster.
EPOCHS = 1_000
NODES = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    use_threads(1)
    with started() as (cluster, home):
        print(json.dumps(compared(cluster, home, rounds)))


@contextmanager
def started() -> Iterator[tuple[Cluster, Path]]:
    """Start a head without cores and the nodes, whose files lie in the folder, and kill them in the end."""
    home = Path(mkdtemp(prefix="ray-", dir="/tmp"))  # sockets lie in it, whose paths must be short
    nodes = Nodes(home)
    os.environ.update(nodes.environment)
    cores = sorted(os.sched_getaffinity(0))
    try:
        nodes.start_head(cores=0)
        for number in range(NODES):
            # Processes may run where the one that starts them may.
            os.sched_setaffinity(0, {cores[number % len(cores)]})
            nodes.start_nodes(1)
        os.sched_setaffinity(0, cores)
        yield connect("auto", lambda: None), home
    finally:
        nodes.kill_all()
        shutil.rmtree(home, ignore_errors=True)


def compared(cluster: Cluster, home: Path, rounds: int) -> dict[str, list[float]]:
    import ray  # deferred: an extra

    for _ in range(NODES):
        trials_per_second(cluster)
    found: dict[str, list[float]] = {"one": [], "two": []}
    for _ in range(rounds):
        with asleep(ray, home):
            found["one"].append(trials_per_second(cluster))
        found["two"].append(trials_per_second(cluster))
    ratios = [two / one for one, two in zip(found["one"], found["two"], strict=True)]
    return {**found, "ratio": [median(ratios), min(ratios), max(ratios)]}


@contextmanager
def asleep(ray: Any, home: Path) -> Iterator[None]:
    """Have a call take the core of one node. It ends by itself: a process that is killed loses its programs."""
    alarm = home / "alarm"

    def sleep() -> None:
        while not alarm.exists():
            time.sleep(0.1)

    def is_running() -> bool:
        free = ray.available_resources().get("CPU", 0)
        return bool(free <= NODES - 1)

    sleeping = ray.remote(num_cpus=1, max_retries=0)(sleep).remote()
    while not is_running():
        time.sleep(0.1)
    try:
        yield
    finally:
        alarm.touch()
        ray.get(sleeping)
        while is_running():
            time.sleep(0.1)
        alarm.unlink()


def trials_per_second(cluster: Cluster) -> float:
    """Search once on the cluster."""
    space = {"seed": list(SEEDS), "fit.optimizer.learning_rate": list(RATES)}
    spec = RECIPE.overridden({"fit": {"epochs": EPOCHS}, "search": {"method": "grid", "space": space}})
    assert spec.search is not None
    listener = Listener(Progress())
    runtime = Runtime("cpu", listener.progress, Programs())
    searching = Searching(
        spec.overridden({"search": None}), spec.search, runtime, listener, well_known, elsewhere.on(cluster)
    )
    began = time.perf_counter()
    trials = searching.trials(())
    return _per_second(trials, time.perf_counter() - began)


def _per_second(trials: Sequence[Any], seconds: float) -> float:
    return float(sum(trial.state == "complete" for trial in trials) / seconds)


if __name__ == "__main__":
    main()
