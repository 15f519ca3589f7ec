"""Start a helper process, in a session of its own and without the secrets of the environment.

Spawned, never forked: TensorFlow does not survive a fork.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import BinaryIO, Literal

Module = Literal["training.worker", "app.processes.table_reader"]
"""The modules that a helper process may run."""
PROJECT = Path(__file__).resolve().parents[2]
# No keys, and no address of a database.
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "XLA_FLAGS",
    "VIRTUAL_ENV",
    # Where a Ray cluster is, and the files that it is joined by.
    "RAY_ADDRESS",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_TMPDIR",
)
# Bytes; a card with many columns is a line of some megabytes.
LONGEST_LINE = 16 << 20


async def spawn(module: Module, *arguments: str, n_bytes: int, stdin: int | BinaryIO = PIPE) -> Process:
    """Start `module`, limited to `n_bytes` of memory. Its stdout is a pipe, its stderr is this process' own."""
    return await asyncio.create_subprocess_exec(
        *command(module, *arguments, n_bytes=n_bytes),
        stdin=stdin,
        stdout=PIPE,
        limit=LONGEST_LINE,
        cwd=PROJECT,
        env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
        start_new_session=True,
    )


def command(module: Module, *arguments: str, n_bytes: int) -> list[str]:
    """Return the command line of a helper of this process."""
    return [sys.executable, "-m", "app.processes", module, str(os.getpid()), str(n_bytes), *arguments]
