"""Uploads of tables: one of many columns and one of many rows, by this checkout and by another revision in turn.

Each upload starts a process that reads the table. A table of one row tells how long that takes alone.
"""

import io
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import against
from benchmarks.bodies import Body
from benchmarks.contenders import at_commit, ours
from benchmarks.servers import Contender, Server, launched, settle
from benchmarks.serving import Effort

Figures = dict[str, Any]
ONE_ROW, WIDE, LONG = "1 row × 2", "400 rows × 2 500", "1 000 000 rows × 20"


def one_row() -> bytes:
    return b"a,b\n1,2\n"


def wide() -> bytes:
    """Return a table of booleans."""
    flags = np.random.default_rng(0).integers(0, 2, (400, 2500)).astype(bool)
    return _csv(pl.DataFrame(flags, schema=[f"c{place}" for place in range(flags.shape[1])]))


def long() -> bytes:
    """Return a table of 17 columns of real numbers, one of whole ones, one of words and one of booleans."""
    rng = np.random.default_rng(0)
    n_rows = 1_000_000
    columns: dict[str, Any] = {f"x{place}": rng.normal(size=n_rows).round(6) for place in range(17)}
    columns["count"] = rng.integers(0, 1000, n_rows)
    columns["word"] = np.array(["north", "east", "south", "west"])[rng.integers(0, 4, n_rows)]
    columns["flag"] = rng.integers(0, 2, n_rows).astype(bool)
    return _csv(pl.DataFrame(columns))


def _csv(frame: pl.DataFrame) -> bytes:
    target = io.BytesIO()
    frame.write_csv(target)
    return target.getvalue()


TABLES: Mapping[str, Callable[[], bytes]] = {ONE_ROW: one_row, WIDE: wide, LONG: long}


def measured(engine: str, commit: str | None, effort: Effort) -> Figures:
    """Return {"tables": {table: {server: [{"seconds"}]}}, "commit"}; `commit`: also its server, in turn with ours."""
    with tempfile.TemporaryDirectory(prefix="benchmark-uploads-") as made, ExitStack() as stack:
        servers = [stack.enter_context(launched(one)) for one in _contenders(Path(made), engine, commit)]
        for server in servers:
            server.wait_ready()
            settle(server.process.pid)
        found: dict[str, dict[str, list[Figures]]] = {}
        for name, table in TABLES.items():
            content = table()
            for turn in range(effort.rounds):
                for server in servers[:: -1 if turn % 2 else 1]:
                    figures = {"seconds": seconds_of(server, content)}
                    found.setdefault(name, {}).setdefault(server.contender.name, []).append(figures)
        return {"tables": found, "commit": commit}


def _contenders(folder: Path, engine: str, commit: str | None) -> list[Contender]:
    (folder / "new").mkdir()
    new = ours(folder / "new", engine, max_dataset_mb=1024)
    if commit is None:
        return [new]
    checkout = folder / "checkout"
    against.unpack(commit, checkout)
    against.check_imports(checkout)
    (folder / "old").mkdir()
    old = ours(folder / "old", engine, checkout, max_dataset_mb=1024)
    return [new, replace(old, name=at_commit(engine, commit))]


def seconds_of(server: Server, content: bytes) -> float:
    """Upload a table, and delete it again: the same table is not read twice."""
    began = time.perf_counter()
    answer = server.post(Body("/datasets", "text/csv", content))
    seconds = time.perf_counter() - began
    server.delete(f"/datasets/{json.loads(answer)['id']}")
    return seconds
