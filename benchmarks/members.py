"""What the members of a network cost: trainings of a table, and a row of it asked.

python -m benchmarks.members california.csv median_house_value --against fddd6cf

Trainings are timed beside those of another revision, each from `POST /train` to its end with default recipes, and the
peak memory of both trainers is read. Rows are asked of the network and of one with `members: 1`, engine `onnx`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl

from benchmarks import against, load
from benchmarks.accuracy.contenders import train
from benchmarks.bodies import Body
from benchmarks.contenders import at_commit, ours
from benchmarks.servers import Contender, Server, peak_mb, running

ENGINE = "onnx"
# A training of this table makes the trainer import all that it needs; no other shape is compiled.
SMALL = b"a,b\n" + b"".join(b"%d.5,%d\n" % (row % 9, row % 7) for row in range(60))
DEFAULT, ALONE = "default", "alone"
RECIPES: Mapping[str, Mapping[str, Any]] = {DEFAULT: {}, ALONE: {"network": {"members": 1}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="a CSV file")
    parser.add_argument("target", help="its column to predict")
    parser.add_argument("--against", type=against.commit_of, required=True, metavar="REVISION")
    parser.add_argument("--rounds", type=int, default=4, help="trainings of each; in the first, programs are compiled")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of rows")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-members-") as made, ExitStack() as stack:
        both = [stack.enter_context(running(one)) for one in _contenders(Path(made), given.against)]
        report_trainings(both, given.table.read_bytes(), given.target, given.rounds)
        report_rows(both[0], given.table, given.target, given.rounds, given.seconds)


def _contenders(folder: Path, commit: str) -> tuple[Contender, Contender]:
    against.unpack(commit, folder / "checkout")
    against.check_imports(folder / "checkout")
    for store in ("new", "old"):
        (folder / store).mkdir()
    old = ours(folder / "old", ENGINE, folder / "checkout")
    return ours(folder / "new", ENGINE), replace(old, name=at_commit(ENGINE, commit))


def report_trainings(servers: Sequence[Server], table: bytes, target: str, rounds: int) -> None:
    """Train in turn, A B, B A, …; print seconds, and the ratio of the first server's to the second's in each round."""
    recipes = []
    for server in servers:
        train(server, _recipe("small", _uploaded(server, SMALL), "b"))
        recipes.append(_recipe(DEFAULT, _uploaded(server, table), target))
    found: list[list[float]] = [[] for _ in servers]
    for turn in range(rounds):
        for place in (0, 1) if turn % 2 == 0 else (1, 0):
            began = time.perf_counter()
            train(servers[place], recipes[place])
            found[place].append(time.perf_counter() - began)
    for server, seconds in zip(servers, found, strict=True):
        print(f"{server.contender.name}: training, compiled first {seconds[0]:.2f} s, again {_spread(seconds[1:])} s")
    ratios = [new / old for new, old in zip(*found, strict=True)]
    print(f"ratio: compiled first {ratios[0]:.2f}, again {_spread(ratios[1:])}")
    peaks = [peak_mb(server.process.pid, "training.worker") for server in servers]
    print(f"peak memory of the trainer: {peaks[0]:.0f} MB and {peaks[1]:.0f} MB, ratio {peaks[0] / peaks[1]:.2f}")


def report_rows(server: Server, table: Path, target: str, rounds: int, seconds: float) -> None:
    """Ask for one row, one connection, of both networks in turn; print the medians of both, and of their ratio."""
    dataset = _uploaded(server, table.read_bytes())
    for name, more in RECIPES.items():
        train(server, _recipe(name, dataset, target, more))
    row = pl.read_csv(table, n_rows=1).drop(target).to_dicts()
    bodies = {
        name: Body(f"/predict/{name}", "application/json", json.dumps({"inputs": row}).encode()) for name in RECIPES
    }
    found: dict[str, list[float]] = {name: [] for name in RECIPES}
    for _ in range(rounds):
        for name, body in bodies.items():
            found[name].append(load.measure(server.port, body, 1, seconds, load.found()).p50_ms * 1000)
    ratios = [default / alone for default, alone in zip(found[DEFAULT], found[ALONE], strict=True)]
    for name, p50 in found.items():
        print(f"one row, {name}: p50 {_spread(p50, 0)} µs")
    print(f"ratio: {_spread(ratios)}")


def _uploaded(server: Server, table: bytes) -> str:
    dataset: str = json.loads(server.post(Body("/datasets", "text/csv", table)))["id"]
    return dataset


def _recipe(name: str, dataset: str, target: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    data = {"kind": "table", "dataset": dataset, "target": target}
    return {"spec": {"name": name, "data": data, "seed": 0, **(more or {})}}


def _spread(figures: Sequence[float], digits: int = 2) -> str:
    return f"{median(figures):.{digits}f} ({min(figures):.{digits}f} – {max(figures):.{digits}f})"


if __name__ == "__main__":
    main()
