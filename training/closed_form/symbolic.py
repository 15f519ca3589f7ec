"""A closed form by symbolic regression, for rows in which sparse regression finds none. Of the extra `symbolic`.

rows -> a process of its own, of limited time and memory -> a formula, or nothing
"""

import asyncio
import io
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from time import monotonic

import numpy as np

from training.closed_form.expression import Written
from training.closed_form.rows import Rows

PULSE_SECONDS = 0.2


def evolved(train: Rows, seed: int, seconds: int, pulse: Callable[[], None]) -> Written | None:
    """Return the formula that evolution arrives at; the same `seed`, the same one. None if there is none in time.

    `pulse` is called a few times a second, and may raise what ends the training.
    """
    names = list(train.columns)
    weights = np.ones(len(train.target)) if train.weights is None else train.weights
    given = io.BytesIO()
    np.save(given, np.stack([*train.columns.values(), train.target, weights], axis=1))
    command = (sys.executable, "-m", "training.closed_form.symbolic_process", str(seed), str(seconds), *names)
    said = asyncio.run(_asked(command, given.getvalue(), seconds, pulse))
    return Written(said.decode()) if said else None


async def _asked(command: tuple[str, ...], given: bytes, seconds: int, pulse: Callable[[], None]) -> bytes | None:
    """Return what the process says; None where it has failed, or is not done in time. It never outlives this call."""
    # sympy keeps the parts of a sum in the order of their hashes, and so leaves out another one first by another seed.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment)
    answer = asyncio.create_task(process.communicate(given))
    end = monotonic() + seconds
    try:
        while not answer.done():
            if monotonic() > end:
                return None
            await asyncio.wait({answer}, timeout=PULSE_SECONDS)
            pulse()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said, _ = await answer
    return said if process.returncode == 0 else None
