"""The server of this checkout and that of another git revision, in turn: same store, bodies, engine and settings.

    git archive REVISION -> a checkout, which trains a store -> a copy for each server -> rounds A B, B A, A B, ...

The ceiling and the echo take part, so that both have their share of it.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import contenders
from benchmarks.bodies import BINARY, CROWD, IN_DIALECTS, ONE, THOUSAND
from benchmarks.contenders import at_commit, ours, train
from benchmarks.network import PATTERN
from benchmarks.servers import PROJECT, Contender, Trouble
from benchmarks.serving import Effort, Figures, together

WORKLOADS = (ONE, CROWD, *IN_DIALECTS, THOUSAND, *BINARY)
WHERE = """import app.cli, models_store, training
for package in (app, models_store, training):
    print(package.__file__)
"""


def commit_of(revision: str) -> str:
    """Return the short hash of the commit. Raises ArgumentTypeError with git's words if there is none."""
    command = ["git", "rev-parse", "--short", "--verify", f"{revision}^{{commit}}"]
    said = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if said.returncode:
        raise argparse.ArgumentTypeError(f"{revision}: {said.stderr.strip()}")
    return said.stdout.strip()


def compared(commit: str, engines: Sequence[str], effort: Effort) -> Figures:
    """Return {engine: {workload: {server: rounds}}}. Raises Trouble if the other code would not be its own."""
    with tempfile.TemporaryDirectory(prefix="benchmark-against-") as made:
        folder = Path(made).resolve()
        checkout, store = folder / "checkout", folder / "store"
        unpack(commit, checkout)
        for code in (PROJECT, checkout):
            check_imports(code)
        # Newer code reads the store of older code; the opposite is not promised.
        train(store, [PATTERN], checkout)
        found = {}
        for engine in engines:
            pair = both(folder / engine, store, checkout, engine, commit)
            found[engine] = together([*pair, contenders.ceiling(), contenders.echo()], WORKLOADS, effort)
        return {"commit": commit, "engines": found}


def unpack(commit: str, checkout: Path) -> None:
    """Write the files of a commit into a new folder. Nothing of this checkout changes, nor what git knows of it."""
    checkout.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", checkout], input=archive, check=True)


def check_imports(checkout: Path) -> None:
    """Raise Trouble unless a server of this checkout runs its own code: the installed package is another."""
    environment = contenders.code_of(checkout)
    # -P: the current directory comes first otherwise, as it does not for `patterns`.
    command = [sys.executable, "-P", "-c", WHERE]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    if other := [path for path in said.splitlines() if not Path(path).is_relative_to(checkout)]:
        raise Trouble(f"{checkout} is not what runs: {other[0]} is imported")


def both(folder: Path, store: Path, checkout: Path, engine: str, commit: str) -> tuple[Contender, Contender]:
    """Return the server of this checkout and the other, each on a copy of the store inside `folder`."""
    new, old = (Path(shutil.copytree(store, folder / name)) for name in ("new", "old"))
    return ours(new, engine), replace(ours(old, engine, checkout), name=at_commit(engine, commit))
