"""The trainer process as the server and the command line see it: requests in, events out (`training.messages`).

Kept warm between trainings, because importing TensorFlow takes many seconds.
"""

import asyncio
import contextlib
import os
import signal
from importlib.util import find_spec

from app.errors import NoTrainer
from app.processes.limits import half_of_memory
from app.processes.spawn import spawn
from models_store.card import EarlyEnd
from models_store.errors import PatternServerError
from models_store.networks.engines import missing_for_keras
from training.messages import (
    LOST_CLUSTER,
    Cancel,
    Event,
    Finish,
    MeasureEach,
    Message,
    PublishEach,
    TrainingRequest,
    event_of,
    to_line,
)

# XLA keeps the code that it has compiled, 8 to 12 MB for each recipe of another shape, until the process ends. So a
# process that has done this many trainings is replaced. Trainings of one recipe share a program, and leave nothing.
MOST_TRAININGS = 50
# A search compiles code for each shape of its trials.
TRAININGS_OF_A_SEARCH = 25


def is_search(request: TrainingRequest) -> bool:
    return request.recipe.get("search") is not None


class TrainerDied(Exception):
    """The process has ended, and has told all that it had to tell; `status` is its exit status."""

    def __init__(self, status: int | None) -> None:
        self.lost_cluster = status == LOST_CLUSTER
        super().__init__(
            "the Ray cluster no longer answered" if self.lost_cluster else f"the trainer process ended with {status}"
        )
        self.status = status


class RayUnavailable(PatternServerError):
    """A Ray cluster is wanted, and this installation or its environment cannot reach one."""

    code = "ray_unavailable"


def check_ray(ray: str | None) -> None:
    """Raise RayUnavailable where a cluster is wanted that the trainer could not connect to. Imports nothing."""
    if ray is None:
        return
    if find_spec("ray") is None:
        raise RayUnavailable(
            f"PATTERNS_RAY is {ray}, and Ray is not installed here; `pip install 'pattern-server[ray]'` brings it"
        )
    token = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if ray == "local" or os.environ.get("RAY_AUTH_MODE", "token") != "token":
        return
    if token is None:
        raise RayUnavailable(
            f"PATTERNS_RAY is {ray}, and RAY_AUTH_TOKEN_PATH is not set; set it to the file with the token of the "
            "cluster, or RAY_AUTH_MODE to disabled if the cluster has none"
        )
    if not os.access(token, os.R_OK):
        raise RayUnavailable("RAY_AUTH_TOKEN_PATH names a file that is not there, or cannot be read")


class Trainer:
    """Lives as long as its owner; the process behind it comes and goes. `memory_mb` 0 means half of all memory.

    Trials of searches, and trainings that are asked for together, run on the cluster `ray`, if there is one.
    """

    def __init__(self, memory_mb: int = 0, ray: str | None = None) -> None:
        self._memory_mb = memory_mb
        self._ray = ray
        self._process: asyncio.subprocess.Process | None = None
        self._trainings = 0

    async def start(self) -> None:
        """Make sure that there is a process, ready or about to be. Raises NoTrainer where it cannot train."""
        if (missing := missing_for_keras()) is not None:
            raise NoTrainer(f"{missing} is not installed")
        check_ray(self._ray)
        if self._process is not None and self._process.returncode is None and self._trainings < MOST_TRAININGS:
            return
        await self.stop()
        self._process = await spawn(
            "training.worker", *filter(None, [self._ray]), n_bytes=self._memory_mb << 20 or half_of_memory()
        )
        self._trainings = 0

    async def submit(self, request: TrainingRequest | PublishEach | MeasureEach) -> None:
        await self.start()
        requests = request.trainings if isinstance(request, PublishEach | MeasureEach) else (request,)
        self._trainings += sum(TRAININGS_OF_A_SEARCH if is_search(one) else 1 for one in requests)
        await self._send(request)

    async def event(self) -> Event:
        """Wait for the next event. Raises TrainerDied after the last one, ValueError at a line that is none."""
        process = self._alive()
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise TrainerDied(await process.wait())
        return event_of(line)

    async def cancel(self, training: str) -> None:
        """Ask for an end of the training with this id. The event cancelled follows, if it was not too late."""
        await self._send(Cancel(id=training))

    async def finish(self, search: str, why: EarlyEnd) -> None:
        """Ask for an end of the trials of the search with this id; the best so far is trained and published."""
        await self._send(Finish(id=search, why=why))

    async def stop(self) -> None:
        """Kill the process and its children."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    async def _send(self, message: Message) -> None:
        process = self._alive()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `event` will tell that it died
            process.stdin.write(to_line(message).encode())
            await process.stdin.drain()

    def _alive(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise TrainerDied(None)
        return self._process
