"""The way of one request through the project's files, traced in process: python -m benchmarks.journeys [--sequence]

    bytes of a request -> the protocol class of `patterns serve` -> ... -> bytes of its answer

The network is a fake outside the project, so the files of the engine are not counted. A request of the same kind goes
before the one that is traced, as in a server that has been running for a while.
"""

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from uvicorn.server import ServerState

from app.http.limits import LimitedProtocol
from app.main import create_app
from app.parts import parts_of
from app.settings import Settings
from benchmarks.bodies import CSV, DIALECTS, ONE, OURS, Format
from benchmarks.load import content_length
from benchmarks.network import PATTERN
from benchmarks.report import NARROWEST
from benchmarks.servers import PROJECT, Trouble
from models_store.storage.store import Store
from tests.fakes import LinearNetwork, line

PACKAGES = ("app", "models_store", "training")
JOURNEYS: Mapping[str, Format] = {
    "JSON rows, /predict": OURS["json"],
    "CSV, /predict": CSV,
    "OIP binary, /v2/.../infer": OURS["oip-binary"],
    "TensorFlow Serving JSON": DIALECTS["tensorflow-serving"],
}
# Turns of the event loop in which the log line and the end of the request's task follow its answer.
LAST_TURNS = 8
MOST_SHOWN = 4
Enter = Callable[[bytes], Awaitable[bytes]]
"""Lets the bytes of a request in, and returns those of the answer."""


@dataclass(frozen=True)
class Journey:
    """The file of each call, in order; a coroutine that is resumed is called again."""

    calls: tuple[str, ...]

    @property
    def entered(self) -> tuple[str, ...]:
        """The files in the order in which they were entered: calls within a file are one."""
        return tuple(file for file, _ in groupby(self.calls))

    @property
    def files(self) -> int:
        return len(set(self.calls))

    @property
    def moves(self) -> int:
        """The number of changes from one file to another."""
        return max(len(self.entered) - 1, 0)

    @property
    def returns(self) -> int:
        """The number of moves into a file that was entered before."""
        return len(self.entered) - self.files

    @property
    def most_entered(self) -> list[tuple[str, int]]:
        """The files that were entered most often, with how often; only those entered more than once."""
        return [(file, count) for file, count in Counter(self.entered).most_common(MOST_SHOWN) if count > 1]


class Trace(contextlib.AbstractContextManager["Trace"]):
    """Keeps the file of each call in this thread, if it is one of these folders', from `with` to its end."""

    def __init__(self, root: Path, folders: Iterable[str]) -> None:
        self._root = f"{root}/"
        self._folders = tuple(f"{root}/{folder}/" for folder in folders)
        self._calls: list[str] = []

    def __enter__(self) -> "Trace":
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_raised: object) -> None:
        sys.setprofile(None)

    @property
    def journey(self) -> Journey:
        return Journey(tuple(self._calls))

    def _note(self, frame: FrameType, event: str, _given: Any) -> None:
        if event == "call" and (path := frame.f_code.co_filename).startswith(self._folders):
            self._calls.append(path.removeprefix(self._root))


async def traced(enter: Enter, request: bytes) -> Journey:
    """Return the journey of the second of two equal requests. Raises Trouble if they are not answered with 200."""
    await _answered(enter, request)
    with Trace(PROJECT, PACKAGES) as trace:
        await _answered(enter, request)
    return trace.journey


async def _answered(enter: Enter, request: bytes) -> None:
    """Let a request in, and wait for its answer and for what follows that."""
    answer = await enter(request)
    for _ in range(LAST_TURNS):
        await asyncio.sleep(0)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise Trouble(f"answers {answer[:300].decode(errors='replace')}")


# -- the server, without a socket ----------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """A connection with nobody behind it, which keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self._written = b""
        self._is_closing = False
        self._answer: asyncio.Future[bytes] | None = None

    def next_answer(self) -> asyncio.Future[bytes]:
        """Return a future that is done when the whole answer to the next request has been written."""
        self._written = b""
        self._answer = asyncio.get_running_loop().create_future()
        return self._answer

    def write(self, data: Any) -> None:
        self._written += data
        head, end, body = self._written.partition(b"\r\n\r\n")
        is_whole = end and len(body) >= (content_length(head) or 0)
        if is_whole and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._written)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """Do nothing: nothing more will be sent."""

    def resume_reading(self) -> None:
        """Do nothing, likewise."""


@contextlib.asynccontextmanager
async def serving(store: Path) -> AsyncIterator[Enter]:
    """Serve the store as `patterns serve` does, but for the socket and the network. Nothing else runs meanwhile."""
    app = create_app(Settings(_env_file=None, store=store, trainer_warm=False), LinearNetwork.from_bytes)
    async with app.router.lifespan_context(app) as state:
        await parts_of(app).registry.refresh()
        # What follows the store and the jobs would be traced among the request's calls.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with connected(app, dict(state or {})) as enter:
            yield enter


@contextlib.contextmanager
def connected(app: FastAPI, state: dict[str, Any]) -> Iterator[Enter]:
    """Open one connection, kept alive, by the protocol class that uvicorn is given; requests enter as bytes."""
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    wire = Wire()
    protocol = LimitedProtocol(config=config, server_state=ServerState(), app_state=state)
    protocol.connection_made(wire)

    async def enter(request: bytes) -> bytes:
        answer = wire.next_answer()
        protocol.data_received(request)
        return await answer

    try:
        yield enter
    finally:
        protocol.connection_lost(None)


async def journeys() -> dict[str, Journey]:
    """Return the journeys by name, each of one row."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, contextlib.redirect_stdout(io.StringIO()):
        Store(Path(folder), LinearNetwork.from_bytes).publish(line(pattern=PATTERN))
        async with serving(Path(folder)) as enter:
            found = {name: await traced(enter, form.body(ONE.rows).request) for name, form in JOURNEYS.items()}
        # A thread that reads the store for a cancelled task goes on: it would find the folder half deleted, and write.
        await asyncio.get_running_loop().shutdown_default_executor()
        return found


# -- tables --------------------------------------------------------------------------------------------------------


def shown(found: Mapping[str, Journey]) -> Table:
    table = Table("journey", "files", "moves", "returns", "calls", "most often entered")
    for name, journey in found.items():
        most = ", ".join(f"{_short(file)} {count}" for file, count in journey.most_entered)
        numbers = (journey.files, journey.moves, journey.returns, len(journey.calls))
        table.add_row(name, *map(str, numbers), most)
    return table


def _short(file: str) -> str:
    """Return the name of a file with that of its folder: app/telemetry/metrics.py -> telemetry/metrics."""
    path = Path(file)
    return f"{path.parent.name}/{path.stem}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.journeys", description=__doc__)
    parser.add_argument("--sequence", action="store_true", help="the files in the order in which they are entered")
    arguments = parser.parse_args()
    found = uvloop.run(journeys())
    out = Console()
    out.width = max(out.width, NARROWEST)
    out.print(shown(found))
    if arguments.sequence:
        for name, journey in found.items():
            out.print(f"\n{name}:", *journey.entered, sep="\n  ", highlight=False)


if __name__ == "__main__":
    main()
