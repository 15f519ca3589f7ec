"""Fixtures: the real server in a process of its own, with really trained patterns, on a free port."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

PATTERNS = Path(sys.executable).with_name("patterns")
PATIENCE_SECONDS = 300


def environment(**settings: object) -> dict[str, str]:
    """Return our environment with these settings, and without PATTERNS_* of the person who runs the tests."""
    cleaned = {name: value for name, value in os.environ.items() if not name.upper().startswith("PATTERNS_")}
    return cleaned | {f"PATTERNS_{name.upper()}": str(value) for name, value in settings.items()}


def has_ended(job: dict[str, Any]) -> bool:
    return job["status"] not in ("queued", "running")


class Server:
    """A process of `patterns serve` with a port of its own."""

    def __init__(self, store: Path, log: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.store = store
        self.log = log
        self.environment = environment(store=store, port=self.port, **settings)
        self.process = self._start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=180)

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            # A folder without an `.env` file.
            here = self.log.parent
            return subprocess.Popen([PATTERNS, "serve"], cwd=here, env=self.environment, stdout=log, stderr=log)

    def wait_ready(self) -> "Server":
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/readyz").status_code == 200:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def restart(self) -> "Server":
        self.process = self._start()
        return self.wait_ready()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def predict(self, pattern: str, inputs: Any) -> dict[str, Any]:
        answer = self.client.post(f"/predict/{pattern}", json={"inputs": inputs})
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def train(self, pattern: str, **changes: Any) -> str:
        """Start a training; return the id of its job."""
        answer = self.client.post("/train", json={"pattern": pattern, **changes})
        assert answer.status_code == 202, answer.text
        job: str = answer.json()["id"]
        return job

    def trained(self, pattern: str, **changes: Any) -> dict[str, Any]:
        """Start a training; return its job when it has ended."""
        return self.until(self.train(pattern, **changes), has_ended)

    def version(self, pattern: str) -> int:
        version: int = self.client.get(f"/patterns/{pattern}").json()["champion"]
        return version

    def job(self, job: str) -> dict[str, Any]:
        said: dict[str, Any] = self.client.get(f"/train/{job}").json()
        return said

    def until(self, job: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until `holds(job)`; return the job."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if holds(said := self.job(job)):
                return said
            time.sleep(0.05)
        raise AssertionError(said)

    def trainers(self) -> list[int]:
        """Return the process ids of the trainers that this server or a worker of it has started."""
        return [pid for pid in descendants_of(self.process.pid) if b"training.worker" in command_of(pid)]


def descendants_of(parent: int) -> list[int]:
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _parent(int(entry.name)) == parent
    ]
    return children + [below for child in children for below in descendants_of(child)]


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def is_alive(pid: int) -> bool:
    """True if the process exists and is not a zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with `add-ten`, `linear-pair`, `quadratic` and `iris`, trained by the command line; never served."""
    root = tmp_path_factory.mktemp("trained") / "store"
    command = [str(PATTERNS), "train", "add-ten", "linear-pair", "quadratic", "iris"]
    ran = subprocess.run(
        command, cwd=root.parent, env=environment(store=root), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return root


@pytest.fixture
def serve(trained: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(**settings: object) -> Server:
        store = tmp_path / f"store-{len(started)}"
        shutil.copytree(trained, store)
        started.append(Server(store, tmp_path / f"server-{len(started)}.log", **settings))
        return started[-1]

    yield start
    for server in started:
        server.client.close()
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="session")
def server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests that neither kill nor stop it."""
    root = tmp_path_factory.mktemp("shared")
    shutil.copytree(trained, root / "store")
    server = Server(root / "store", root / "server.log")
    yield server.wait_ready()
    server.client.close()
    assert server.stop() == 0
