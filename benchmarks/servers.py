"""Servers as processes: started on a free port, asked once they are at rest, and ended with all that they started."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.bodies import Array, Body, Format, Workload

PROJECT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 240
STOPPING_SECONDS = 40
# Absolute and relative. Networks in float32 have learned to add ten; the ceiling does it exactly.
TOLERANCE = 1e-3
NOT_SPOKEN = (404, 405, 415)


@dataclass(frozen=True)
class Contender:
    """A server: its command, and its formats. `{port}` in command and environment becomes its port."""

    name: str
    command: Sequence[str]
    formats: Mapping[str, Format]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/"
    """The path that answers 200 when the server is ready."""
    is_echo: bool = False


class Trouble(Exception):
    """A server that does not start, does not answer, or answers something else; it is not compared."""


@dataclass(frozen=True)
class Server:
    contender: Contender
    port: int
    process: "subprocess.Popen[bytes]"
    log: IO[bytes]

    def wait_ready(self) -> None:
        """Wait until the server is ready. Raises Trouble, with the end of its log, if it does not get ready."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                self.log.seek(0)
                raise Trouble(f"did not get ready: {self.log.read()[-600:].decode(errors='replace').strip()}")
            time.sleep(0.02)

    def post(self, body: Body) -> bytes:
        """Return the content of the answer. Raises Trouble with the status if that is not 200."""
        url = f"http://127.0.0.1:{self.port}{body.path}"
        request = urllib.request.Request(url, body.content, body.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            said = error.read()[:200].decode(errors="replace")
            raise Trouble(f"answers {error.code} to {body.path}: {said}") from None

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_SECONDS) as answer:
            content: bytes = answer.read()
            return content

    def delete(self, path: str) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method="DELETE")
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.contender.ready}", timeout=10).close()
            return True
        return False

    def speaks(self, workload: Workload) -> bool:
        """True if the server takes bodies in this format."""
        if workload.format not in self.contender.formats:
            return False
        try:
            self.post(self.contender.formats[workload.format].body(workload.rows[:1]))
        except Trouble as trouble:
            return not any(f"answers {status} " in str(trouble) for status in NOT_SPOKEN)
        return True

    def answers(self, workload: Workload) -> Array:
        form = self.contender.formats[workload.format]
        return form.answers(self.post(form.body(workload.rows)))

    def check(self, workload: Workload, expected: Array) -> None:
        """Raise Trouble if the server does not answer as the others do: only the same work is compared."""
        if self.contender.is_echo:
            body = self.contender.formats[workload.format].body(workload.rows)
            if self.post(body) != body.content:
                raise Trouble("echoes something else")
            return
        answers = self.answers(workload)
        if answers.shape != expected.shape or not np.allclose(answers, expected, rtol=TOLERANCE, atol=TOLERANCE):
            raise Trouble(f"answers other numbers to {workload.name}")

    def resident_mb(self) -> float:
        """Return the MB of memory of the serving process, without its children."""
        return resident_mb(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the server and all that it started, what has ended since included."""
        return cpu_seconds(self.process.pid)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextlib.contextmanager
def launched(contender: Contender) -> Iterator[Server]:
    """Start a server, without waiting until it is ready; stop it at the end, with all that it started."""
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in contender.command]
    cleaned = {name: value for name, value in os.environ.items() if not name.upper().startswith("PATTERNS_")}
    added = {name: value.replace("{port}", str(port)) for name, value in contender.environment.items()}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=cleaned | added, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield Server(contender, port, process, log)
        finally:
            stop(process)


@contextlib.contextmanager
def running(contender: Contender) -> Iterator[Server]:
    """Start a server, and wait until it is ready and at rest."""
    with launched(contender) as server:
        server.wait_ready()
        settle(server.process.pid)
        yield server


def settle(pid: int, patience: float = 60) -> None:
    """Wait until a process and its descendants are at rest, so that their start is not measured beside the others."""
    deadline = time.monotonic() + patience
    before = cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = cpu_seconds(pid)
        if now - before < 0.05:
            return
        before = now


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Stop a server as a supervisor would: SIGTERM, time to finish, then SIGKILL for it and its descendants."""
    family = {pid: _born(pid) for pid in _descendants(process.pid)}
    process.terminate()
    try:
        process.wait(STOPPING_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        for pid, born in family.items():
            if born and _born(pid) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


# -- what /proc knows; nothing where there is none -------------------------------------------------------------------


def resident_mb(pid: int) -> float:
    return _memory_mb(pid, "VmRSS")


def peak_mb(parent: int, named: str) -> float:
    """Return the most MB that a descendant with `named` in its command has held at once; 0 if there is none."""
    of_name = [pid for pid in _descendants(parent) if named in _command(pid)]
    return max((_memory_mb(pid, "VmHWM") for pid in of_name), default=0.0)


def main_thread_ns(pid: int) -> float:
    """Return the nanoseconds that the main thread of a process has run on a core; NaN where they are not told."""
    with contextlib.suppress(OSError):
        return float(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0])
    return math.nan


def _memory_mb(pid: int, what: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on: state, parent, ..."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _born(pid: int) -> str:
    """Return the start of a process, in ticks since boot: a process id may come again, but not with the same start."""
    stat = _stat(pid)
    return stat[19] if stat and stat[0] != "Z" else ""


def cpu_seconds(pid: int) -> float:
    """Return those of a process and its descendants; a parent has taken over those of children that have ended."""
    stats = [_stat(one) for one in [pid, *_descendants(pid)]]
    return sum(int(ticks) for stat in stats for ticks in stat[11:15]) / os.sysconf("SC_CLK_TCK")


def _descendants(parent: int) -> list[int]:
    if not Path("/proc").is_dir():
        return []
    parents = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found, waiting = [], [parent]
    while waiting:
        above = str(waiting.pop())
        children = [pid for pid, stat in parents.items() if stat and stat[1] == above]
        found += children
        waiting += children
    return found
