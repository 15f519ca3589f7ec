"""Uploaded tables are read by a process of its own: a few bytes of a compressed file may become gigabytes.

Reader.add     python -m app.processes app.processes.table_reader PARENT BYTES ROOT FORM NAME DIALECT LOG_LEVEL
               stdin: the file    stdout: {"stored": {…}} or {"error": {"code", "message"}}
"""

import asyncio
import json
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol, cast

from app.errors import DeadlinePassed, Overloaded
from app.processes.limits import installed_memory
from app.processes.spawn import spawn
from app.telemetry import logs
from models_store.errors import PatternServerError, TableError, error_of
from models_store.storage.datasets import Datasets, Form, Stored
from models_store.tables.csv_dialect import PLAIN, CsvDialect

# Megabytes that Python and its libraries take, and how much larger than its file a table may become.
ITSELF_MB, GROWTH = 768, 4
# A library that gets no memory aborts; a system that has none left kills.
OF_MEMORY = frozenset({signal.SIGABRT, signal.SIGKILL})
# A table of a gigabyte takes half a minute. Each upload that waits lies on the disk meanwhile.
MOST_SECONDS, MOST_WAITING = 600, 8


class ReadsTables(Protocol):
    async def add(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect) -> Stored:
        """Store the table in a file. Raises TableError, StoreUnwritable, and all that `Datasets.add` raises."""


# -- in the server -------------------------------------------------------------------------------------------------


class Reader:
    """Reads one upload at a time, because a large table takes both memory and cores."""

    def __init__(self, root: Path, max_dataset_mb: int, log_level: str = "info") -> None:
        self._root = root.absolute()
        self._megabytes = min(ITSELF_MB + GROWTH * max_dataset_mb, installed_memory() >> 21)
        self._log_level = log_level
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def add(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect = PLAIN) -> Stored:
        if self._waiting >= MOST_WAITING:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._turn:
                status, answer = await asyncio.wait_for(self._read(file, form, name, dialect), MOST_SECONDS)
        except TimeoutError:
            raise DeadlinePassed(MOST_SECONDS) from None
        finally:
            self._waiting -= 1
        if status == 0:
            return _stored(json.loads(answer))
        if status < 0:
            raise TableError(self._ended_by(-status))
        raise RuntimeError(f"the process that reads tables ended with {status}")

    def _ended_by(self, number: int) -> str:
        """Say which signal has ended the process, and what most likely sent it."""
        said = f"reading the table was ended by the signal {signal.Signals(number).name}; most likely"
        if number in OF_MEMORY:
            return f"{said} it takes more than {self._megabytes} MB of memory, the most that an upload may take"
        return f"{said} the file is damaged; write it again, or save it as CSV"

    async def _read(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect) -> tuple[int, bytes]:
        """Return the exit status and the answer. The process is killed if nobody waits for it any more."""
        arguments = (str(self._root), form, name, json.dumps(asdict(dialect)), self._log_level)
        process = await spawn("app.processes.table_reader", *arguments, n_bytes=self._megabytes << 20, stdin=file)
        try:
            answer, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, answer


def _stored(answer: dict[str, Any]) -> Stored:
    if "error" in answer:
        raise error_of(**answer["error"])
    return Stored.from_json(answer["stored"])


# -- in the process ------------------------------------------------------------------------------------------------


def run(messages: IO[str], arguments: Sequence[str]) -> None:
    root, form, name, dialect, log_level = arguments
    logs.configure(log_level)
    answer = _answer(Path(root), cast(Form, form), name, CsvDialect(**json.loads(dialect)))
    messages.write(json.dumps(answer))


def _answer(root: Path, form: Form, name: str, dialect: CsvDialect) -> dict[str, Any]:
    try:
        return {"stored": Datasets(root).add(Path("/dev/fd/0"), form, name, dialect).to_json()}
    except MemoryError:
        return _refusal(TableError("the table needs more memory than there is for it"))
    except PatternServerError as error:
        return _refusal(error)


def _refusal(error: PatternServerError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": str(error)}}
