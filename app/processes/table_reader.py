"""Reads what was uploaded, in a process of its own: a few bytes of a compressed file may become gigabytes.

Reader.add     python -m app.processes.table_reader ROOT FORM NAME DIALECT PARENT MEGABYTES LOG_LEVEL    stdin: the file
               stdout: one JSON object, the table as it was stored, or why it was not
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from app.errors import DeadlinePassed, Overloaded
from app.processes.limits import installed_memory, restrain
from app.processes.trainer import PASSED_ON, PROJECT
from app.telemetry import logs
from models_store import errors
from models_store.errors import PatternServerError, TableError
from models_store.storage.datasets import Datasets, Form, Stored
from models_store.tables.csv_dialect import PLAIN, CsvDialect

# What Python and its libraries take, and how much a file may become while it is read.
ITSELF_MB, GROWTH = 768, 4
# A table of a gigabyte takes half a minute. Each that waits lies on the disk meanwhile.
MOST_SECONDS, MOST_WAITING = 600, 8


class ReadsTables(Protocol):
    async def add(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect) -> Stored:
        """The table in a file, stored. TableError, StoreUnwritable, and what else `Datasets.add` says."""


class Reader:
    """One upload at a time: a large table takes both memory and cores while it is read."""

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
                status, said = await asyncio.wait_for(self._read(file, form, name, dialect), MOST_SECONDS)
        except TimeoutError:
            raise DeadlinePassed(MOST_SECONDS) from None
        finally:
            self._waiting -= 1
        if status == 0:
            return _heard(json.loads(said))
        if status < 0:
            raise TableError(
                f"reading the table was ended by the system; most likely it takes more than {self._megabytes} MB of "
                "memory, the most that an upload may take"
            )
        raise RuntimeError(f"the process that reads tables ended with {status}")

    async def _read(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect) -> tuple[int, bytes]:
        """How the process ended, and what it said; whoever is not waited for any more is ended."""
        written = json.dumps(asdict(dialect))
        asked = (str(self._root), form, name, written, str(os.getpid()), str(self._megabytes), self._log_level)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.processes.table_reader",
            *asked,
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            cwd=PROJECT,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            start_new_session=True,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, said


def main() -> None:
    root, form, name, dialect, parent, megabytes, log_level = sys.argv[1:]
    # What libraries print must not get between the lines of the protocol.
    protocol = os.dup(1)
    os.dup2(2, 1)
    restrain(int(parent), int(megabytes) << 20)
    logs.configure(log_level)
    said = json.dumps(_read(Path(root), cast(Form, form), name, CsvDialect(**json.loads(dialect)))).encode()
    with os.fdopen(protocol, "wb") as stream:
        stream.write(said)


def _read(root: Path, form: Form, name: str, dialect: CsvDialect) -> dict[str, Any]:
    try:
        return Datasets(root).add(Path("/dev/fd/0"), form, name, dialect).to_json()
    except MemoryError:
        return _refusal(TableError("the table needs more memory than there is for it"))
    except PatternServerError as error:
        return _refusal(error)


def _refusal(error: PatternServerError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error)}


def _heard(said: dict[str, Any]) -> Stored:
    if "error" not in said:
        return Stored.from_json(said)
    # Of the same class, and in the same words; what its own constructor would add is in them already.
    kind: type[PatternServerError] = getattr(errors, said["error"])
    error = kind.__new__(kind)
    PatternServerError.__init__(error, said["message"])
    raise error


if __name__ == "__main__":
    main()
