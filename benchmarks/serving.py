"""The sections that measure servers. They alternate in rounds, as ratios within a round vary less than figures do.

Each returns the figures of every round; `report` makes medians and ratios of them.
"""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import contenders, load
from benchmarks.bodies import ANSWERED, BINARY, CROWD, ONE, Body, Workload
from benchmarks.contenders import ENGINES, ours
from benchmarks.load import Ran
from benchmarks.servers import Contender, Server, Trouble, launched, running, settle

Figures = dict[str, Any]
Runs = dict[str, list[dict[str, float]]]
WARM_UP_SECONDS = 0.3
RESIDENT = "; print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')))"
BUSY = {
    "name": "busy",
    "data": {
        "kind": "formula",
        "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 1}},
        "outputs": {"y": "x * x"},
        "rows": 10_000,
    },
    "network": {"layers": [{"units": 64, "activation": "relu"}, {"units": 64, "activation": "relu"}]},
    "fit": {"epochs": 1_000_000},
}


@dataclass(frozen=True)
class Effort:
    """The number of rounds, the seconds of each measurement, and the load generator."""

    rounds: int
    seconds: float
    generator: load.Generator


def requests(store: Path, network: Path, engines: Sequence[str], with_first_try: bool, effort: Effort) -> Figures:
    """Return {workload: {server: [figures of a round]}}, and the servers that were not compared with the reason."""
    by_hand = [contenders.by_hand(network), *([contenders.first_try(network)] if with_first_try else [])]
    own = [ours(store, engine) for engine in engines]
    wanted = [*own, contenders.ceiling(), contenders.echo(), *by_hand]
    return together(wanted, (*ANSWERED, *BINARY), effort)


def beside(peer: Contender, store: Path, engine: str, effort: Effort) -> Figures:
    """Return the same for one peer and ours alone: many idle servers would not leave the machine quiet."""
    return together([ours(store, engine), peer], ANSWERED, effort)


def together(wanted: Iterable[Contender], workloads: Sequence[Workload], effort: Effort) -> Figures:
    """Return the same for any servers, the first of which says what all must answer."""
    with contextlib.ExitStack() as stack:
        servers, troubles = _started(wanted, stack)
        return compared(servers, workloads, effort, troubles)


def _started(wanted: Iterable[Contender], stack: contextlib.ExitStack) -> tuple[list[Server], dict[str, str]]:
    """Start all servers at once, and wait until they are ready and at rest."""
    servers = [stack.enter_context(launched(contender)) for contender in wanted]
    troubles: dict[str, str] = {}
    for server in servers:
        try:
            server.wait_ready()
        except Trouble as trouble:
            troubles[server.contender.name] = str(trouble)
    for server in servers:
        settle(server.process.pid)
    return servers, troubles


def compared(
    servers: Sequence[Server], workloads: Sequence[Workload], effort: Effort, troubles: dict[str, str]
) -> Figures:
    """Measure the servers. All must give the answers of the first."""
    found: dict[str, Runs] = {}
    for workload in workloads:
        speaking = [server for server in servers if server.contender.name not in troubles and server.speaks(workload)]
        if all(server.contender.is_echo for server in speaking):
            continue
        able = list(_agreeing(speaking, workload, troubles))
        if len(able) > 1:
            found[workload.name] = alternating(able, workload, effort, troubles)
    return {"workloads": found, "not_compared": troubles}


def _agreeing(servers: Sequence[Server], workload: Workload, troubles: dict[str, str]) -> Iterable[Server]:
    first = next(server for server in servers if not server.contender.is_echo)
    try:
        expected = first.answers(workload)
    except Trouble as trouble:
        troubles[first.contender.name] = str(trouble)
        return
    for server in servers:
        try:
            server.check(workload, expected)
            yield server
        except Trouble as trouble:
            troubles[server.contender.name] = str(trouble)


def alternating(servers: Sequence[Server], workload: Workload, effort: Effort, troubles: dict[str, str]) -> Runs:
    """Measure the servers in the order A B C, C B A, A B C, ..."""
    bodies = {server.port: server.contender.formats[workload.format].body(workload.rows) for server in servers}
    runs: Runs = {server.contender.name: [] for server in servers}
    for turn in range(effort.rounds):
        for server in servers if turn % 2 == 0 else servers[::-1]:
            if turn == 0:
                load.measure(server.port, bodies[server.port], workload.connections, WARM_UP_SECONDS, "bundled")
            ran = _measured(server, bodies[server.port], workload, effort)
            if ran.failed:
                troubles[server.contender.name] = f"{ran.failed} requests failed: {workload.name}"
            runs[server.contender.name].append(vars(ran))
    return {name: measured for name, measured in runs.items() if name not in troubles}


def _measured(server: Server, body: Body, workload: Workload, effort: Effort) -> Ran:
    return load.measure(server.port, body, workload.connections, effort.seconds, effort.generator)


# -- start and memory ------------------------------------------------------------------------------------------------


def start(store: Path, engines: Sequence[str], rounds: int, effort: Effort) -> Figures:
    """Measure seconds until ready and memory in MB, in turn with a process that only imports the engine."""
    found: Figures = {}
    for engine in engines:
        rows = [_started_once(store, engine, effort) for _ in range(rounds)]
        found[engine] = {name: [row[name] for row in rows] for name in rows[0]}
    found["patterns"] = sum(1 for entry in store.iterdir() if (entry / "labels.json").is_file())
    return found


def _started_once(store: Path, engine: str, effort: Effort) -> dict[str, float]:
    began = time.perf_counter()
    command = [sys.executable, "-c", ENGINES[engine].imports + RESIDENT]
    imported = subprocess.run(command, capture_output=True, check=True)
    import_s, began = time.perf_counter() - began, time.perf_counter()
    # With the default, which starts the trainer beside the server.
    with launched(ours(store, engine, trainer_warm=True)) as server:
        server.wait_ready()
        ready_s = time.perf_counter() - began
        settle(server.process.pid)
        body = server.contender.formats[CROWD.format].body(CROWD.rows)
        load.measure(server.port, body, CROWD.connections, 1, effort.generator)
        serving_mb = server.resident_mb()
    return {
        "import_s": import_s,
        "ready_s": ready_s,
        "imported_mb": int(imported.stdout) / 1024,
        "serving_mb": serving_mb,
    }


# -- workers ---------------------------------------------------------------------------------------------------------


def workers(store: Path, engine: str, effort: Effort) -> Runs:
    """Return {number of worker processes: rounds}."""
    alone, together = ours(store, engine), ours(store, engine, workers=2)
    with running(alone) as one, running(together) as two:
        body = alone.formats[CROWD.format].body(CROWD.rows)
        runs: Runs = {"1": [], "2": []}
        for _ in range(effort.rounds):
            runs["1"].append(vars(_measured(one, body, CROWD, effort)))
            runs["2"].append(vars(_measured(two, body, CROWD, effort)))
        return runs


# -- while a training runs -------------------------------------------------------------------------------------------


def during_training(store: Path, engine: str, effort: Effort) -> Figures:
    """Return {workload: {"without": rounds, "with": rounds}}, of one server with and without a training under way."""
    with running(ours(store, engine, trainer_warm=True)) as server:
        _cancel(server, _train(server))  # the trainer has compiled once
        return {workload.name: _with_and_without(server, workload, effort) for workload in (ONE, CROWD)}


def _with_and_without(server: Server, workload: Workload, effort: Effort) -> Runs:
    body = server.contender.formats[workload.format].body(workload.rows)
    runs: Runs = {"without": [], "with": []}
    for _ in range(effort.rounds):
        runs["without"].append(vars(_measured(server, body, workload, effort)))
        job = _train(server)
        runs["with"].append(vars(_measured(server, body, workload, effort)))
        _cancel(server, job)
    return runs


def _train(server: Server) -> str:
    """Start a training that goes on until it is cancelled; return the id of its job once it runs."""
    body = Body("/train", "application/json", json.dumps({"spec": BUSY, "promote": False}).encode())
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/train", body.content, body.headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        job: str = json.loads(answer.read())["id"]
    _until(server, job, lambda said: bool((said.get("progress") or {}).get("epoch")))
    return job


def _cancel(server: Server, job: str) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/train/{job}", method="DELETE")
    urllib.request.urlopen(request, timeout=60).close()
    _until(server, job, lambda said: said["status"] == "cancelled")


def _until(server: Server, job: str, holds: Any) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/train/{job}", timeout=60) as answer:
            said = json.loads(answer.read())
        if holds(said):
            return
        if said["status"] not in ("queued", "running"):
            break
        time.sleep(0.05)
    raise Trouble(f"a training is {said['status']}: {said.get('error')}")
