"""The trainer process as seen from here: JSON lines in and out of `python -m training.worker`.

Spawned, never forked, because TensorFlow does not survive a fork; kept warm, because importing it takes many seconds.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

# Fitting leaks a few megabytes each time; a process that has done this many is replaced.
MOST_TRAININGS = 50
LONGEST_LINE = 16 << 20
PROJECT = Path(__file__).resolve().parents[2]
# Nothing else of the environment is the trainer's business: no keys, no database address.
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
)


class TrainerDied(Exception):
    """The process ended without a last word; `status` is what it ended with."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"the trainer process ended with {status}")
        self.status = status


class Trainer:
    """Lives as long as who made it; the process behind it comes and goes."""

    def __init__(self, memory_mb: int = 0) -> None:
        self._memory_mb = memory_mb
        self._process: asyncio.subprocess.Process | None = None
        self._trainings = 0

    async def start(self) -> None:
        """Make sure there is a process, and that it is ready or getting there."""
        if self._process is not None and self._process.returncode is None and self._trainings < MOST_TRAININGS:
            return
        await self.stop()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "training.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            cwd=PROJECT,
            env={
                **environment,
                "PATTERNS_TRAINER_MEMORY_MB": str(self._memory_mb),
                "PATTERNS_TRAINER_PARENT": str(os.getpid()),
            },
            start_new_session=True,
        )
        self._trainings = 0

    async def submit(self, request: dict[str, Any]) -> None:
        await self.start()
        self._trainings += 1
        await self._say(request)

    async def event(self) -> dict[str, Any]:
        """The next thing it says, in order; TrainerDied when it says no more."""
        process = self._alive()
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise TrainerDied(await process.wait())
        said: dict[str, Any] = json.loads(line)
        return said

    async def cancel(self, request: str) -> None:
        await self._say({"cancel": request})

    async def stop(self) -> None:
        """Kill it, with whatever it started."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _say(self, message: dict[str, Any]) -> None:
        process = self._alive()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `event` will tell that it died
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()

    def _alive(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise TrainerDied(None)
        return self._process
