"""Ray nodes on this machine, each of processes of its own, which a test kills as machines die."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).parents[1]
RAY = Path(sys.executable).parent / "ray"
START_SECONDS = 90


class Nodes:
    """A head and further nodes. Their files lie in `home`, which must be a short path: sockets lie in it."""

    def __init__(self, home: Path, **variables: str) -> None:
        self._home = home
        home.mkdir(exist_ok=True)
        token = home / "token"
        token.write_text(os.urandom(32).hex())
        self.port, self.client_port = free_port(), free_port()
        self.environment = {
            "RAY_TMPDIR": str(home),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ADDRESS": f"127.0.0.1:{self.port}",
            **variables,
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start_head(self, cores: int) -> None:
        ports = [f"--port={self.port}", f"--ray-client-server-port={self.client_port}"]
        self._wait_for(self._start("--head", *ports, "--include-dashboard=false", f"--num-cpus={cores}"))

    def start_nodes(self, count: int, *path: Path) -> list[subprocess.Popen[bytes]]:
        """Start nodes with a core each, whose processes import from `path` before all else."""
        started = []
        for _ in range(count):
            # One by one: of two at a time on one machine, Ray lets the second wait in vain.
            started.append(self._start(f"--address=127.0.0.1:{self.port}", "--num-cpus=1", path=path))
            self._wait_for(started[-1])
        return started

    def kill(self, node: subprocess.Popen[bytes]) -> None:
        """Kill all processes of a node at once, as a machine dies."""
        for process in [*_descendants(node.pid), node.pid]:
            _kill(process)
        node.wait()

    def kill_all(self) -> None:
        """Kill every process that was started in this home, also those that a dead one has left."""
        for process in _with_environment(f"NODES={self._home}"):
            _kill(process)
        for started in self._started:
            started.wait()

    def _start(self, *options: str, path: Sequence[Path] = ()) -> subprocess.Popen[bytes]:
        command = [str(RAY), "start", "--block", "--disable-usage-stats", "--object-store-memory=100000000", *options]
        return self.start(command, path)

    def start(self, command: Sequence[str], path: Sequence[Path] = ()) -> subprocess.Popen[bytes]:
        """Start a process in the environment of the nodes, which `kill_all` kills."""
        paths = os.pathsep.join(map(str, (*path, PROJECT)))
        environment = {**os.environ, **self.environment, "PYTHONPATH": paths, "NODES": str(self._home)}
        with self._log(len(self._started)).open("wb") as log:
            started = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._started.append(started)
        return started

    def _wait_for(self, node: subprocess.Popen[bytes]) -> None:
        log = self._log(self._started.index(node))
        until = time.monotonic() + START_SECONDS
        while b"Ray runtime started" not in log.read_bytes():
            assert node.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)

    def _log(self, number: int) -> Path:
        return self._home / f"start-{number}.log"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _descendants(process: int) -> Iterator[int]:
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _descendants(child)


def _with_environment(line: str) -> Iterator[int]:
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if line.encode() in environment.read_bytes().split(b"\0") and int(environment.parent.name) != os.getpid():
                yield int(environment.parent.name)
