"""What is compared on one table: a server of ours, and peers as processes in their environments."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from benchmarks import environments
from benchmarks.accuracy.folds import Fold, Rows
from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.prepared import prepared
from benchmarks.accuracy.scores import Array, scored
from benchmarks.accuracy.tables import Table
from benchmarks.bodies import Body
from benchmarks.servers import PROJECT, Trouble

OURS = "ours"
PATTERN = "measured"
PAUSE_SECONDS = 0.05
ROWS_A_REQUEST = 5_000
LONGEST_REASON = 300
# Threads that wait for work would count as CPU seconds, and take the core from others.
AT_REST = {"OMP_WAIT_POLICY": "passive"}
Run = dict[str, float]


class Asked(Protocol):
    """A running server of ours. Each call raises Trouble where it answers no 2xx."""

    def post(self, body: Body) -> bytes: ...

    def get(self, path: str) -> bytes: ...

    def delete(self, path: str) -> None: ...

    def cpu_seconds(self) -> float: ...


class Failed(Exception):
    """A contender that has no answers to a table; the message says why."""


# -- ours --------------------------------------------------------------------------------------------------------------


def by_ours(server: Asked, table: Table, folds: Iterable[Fold]) -> list[Run]:
    """Train on the rows of each fold with all defaults, and ask for the others, as people do. Raises Failed."""
    try:
        return [_one_of_ours(server, table, fold) for fold in folds]
    except (Trouble, OSError, ValueError) as error:
        raise Failed(_shortened(str(error))) from None


def _one_of_ours(server: Asked, table: Table, fold: Fold) -> Run:
    uploaded = json.loads(server.post(Body("/datasets", "text/csv", table.csv(fold.train))))["id"]
    data = {"kind": "table", "dataset": uploaded, "target": table.target, "task": table.task}
    before, began = server.cpu_seconds(), time.perf_counter()
    train(server, {"spec": {"name": PATTERN, "data": data, "seed": fold.seed}})
    taken, ended = server.cpu_seconds() - before, time.perf_counter()
    answers = np.concatenate([_asked(server, table, rows) for rows in _parts(fold.test)])
    us_a_row = 1e6 * (time.perf_counter() - ended) / len(fold.test)
    for path in (f"/patterns/{PATTERN}", f"/datasets/{uploaded}"):
        server.delete(path)
    return {**scored(table.y[fold.test], answers), "cpu_s": taken, "seconds": ended - began, "us_a_row": us_a_row}


def train(server: Asked, asked: Mapping[str, Any]) -> None:
    """Train to the end. Raises Failed with what the job says."""
    job = json.loads(server.post(Body("/train", "application/json", json.dumps(asked).encode())))
    while job["status"] in ("queued", "running"):
        time.sleep(PAUSE_SECONDS)
        job = json.loads(server.get(job["links"]["self"]))
    if job["status"] != "succeeded":
        raise Failed(_shortened(f"{job['status']}: {(job.get('error') or {}).get('message', '')}"))


def _parts(rows: Rows) -> list[Rows]:
    return np.array_split(rows, -(-len(rows) // ROWS_A_REQUEST))


def _asked(server: Asked, table: Table, rows: Rows) -> Array:
    """Return the answers to these rows: numbers (n_rows,), or probabilities (n_rows, n_labels)."""
    path = f"/predict/{PATTERN}?probabilities=true" if table.labels else f"/predict/{PATTERN}"
    said = pl.read_csv(server.post(Body(path, "text/csv", table.input_csv(rows))), infer_schema=False)
    if not table.labels:
        return said[:, 0].cast(pl.Float64).to_numpy()
    answered = {name.partition("=")[2]: said[name] for name in said.columns[1:]}
    chances = np.zeros((len(rows), len(table.labels)))
    for label, column in answered.items():
        chances[:, place_of(label, table.labels)] = column.cast(pl.Float64).to_numpy()
    return chances


def place_of(label: str, labels: Sequence[str]) -> int:
    """Return the place of an answered label among those of a file, where 1 may stand as 1.0, and true as True."""
    for spelling in (str, str.lower, float):
        with contextlib.suppress(ValueError):
            return [spelling(one) for one in labels].index(spelling(label))
    raise Failed(f"answers a label that the table does not have, of {len(label)} characters")


# -- peers -------------------------------------------------------------------------------------------------------------


def prepare(table: Table, folds: Iterable[Fold], folder: Path) -> None:
    """Write the folds for peers, in the form that `benchmarks.accuracy.peers.runner` reads."""
    for place, fold in enumerate(folds):
        train, test = prepared(table.inputs, fold.train, fold.test, fold.seed)
        np.savez(
            folder / f"fold-{place:02}.npz",
            train_numbers=train.numbers,
            train_codes=train.codes,
            test_numbers=test.numbers,
            test_codes=test.codes,
            y=table.y[fold.train],
            n_labels=len(table.labels),
            seed=fold.seed,
        )


def by_peer(
    name: str,
    table: Table,
    folds: Sequence[Fold],
    folder: Path,
    patience: float,
    python: Callable[[str], Path] = environments.python,
) -> list[Run]:
    """Run a peer on these folds in a process of its own, within `patience` seconds. Raises Failed with its last words.

    The folder is the table's, and all its peers find the prepared folds there.
    """
    if not list(folder.glob("fold-*.npz")):
        prepare(table, folds, folder)
    command = [str(python(name)), "-m", "benchmarks.accuracy.peers.runner", name, str(folder)]
    try:
        subprocess.run(
            command,
            env=os.environ | {"PYTHONPATH": str(PROJECT), **AT_REST},
            cwd=folder,
            timeout=patience,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        return [_read(folder / f"{name}-{place}.npz", table, fold) for place, fold in enumerate(folds)]
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {patience:.0f} s") from None
    except subprocess.CalledProcessError as error:
        last = [line for line in error.stderr.splitlines() if line.strip()] or [f"ended with {error.returncode}"]
        raise Failed(_shortened(last[-1])) from None
    except (OSError, ValueError) as error:
        raise Failed(_shortened(str(error))) from None


def _read(path: Path, table: Table, fold: Fold) -> Run:
    with np.load(path) as answered:
        took = {name: float(answered[name]) for name in ("cpu_s", "seconds", "us_a_row")}
        return {**scored(table.y[fold.test], answered["answers"]), **took}


def available() -> list[str]:
    """Return the names of the peers whose environments are there."""
    return [name for name in PEERS if environments.python(name).is_file()]


def make(names: Iterable[str]) -> dict[str, str]:
    """Make the environments of these peers; return {name: reason} of those that cannot be had."""
    absent = {}
    for name in names:
        try:
            environments.make(name, import_module(f"benchmarks.accuracy.peers.{name}").REQUIREMENTS)
        except subprocess.CalledProcessError as error:
            absent[name] = _shortened(" ".join((error.stderr or str(error)).split()))
    return absent


def _shortened(reason: str) -> str:
    return reason if len(reason) <= LONGEST_REASON else reason[: LONGEST_REASON - 1] + "…"
