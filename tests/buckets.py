"""A bucket for the tests: moto answers like S3, and in front of it stands a network that can be cut or hang."""

import contextlib
import socket
import socketserver
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MOTO_PYTHON = Path(__file__).parents[1] / ".runtimes" / "moto" / "bin" / "python"
START_SECONDS = 60
CHUNK = 1 << 16


class Network(socketserver.ThreadingTCPServer):
    """Passes connections on to a port of this machine, unless it is cut; while it hangs, no bytes arrive."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.upstream = port
        self.passes = threading.Event()
        self.passes.set()
        self.is_cut = False
        self.open: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Close all connections, and each new one at once."""
        self.is_cut = True
        self._close_all()
        try:
            yield
        finally:
            self.is_cut = False

    @contextmanager
    def hanging(self) -> Iterator[None]:
        self.passes.clear()
        try:
            yield
        finally:
            self._close_all()
            self.passes.set()

    def _close_all(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Passing(socketserver.BaseRequestHandler):
    server: Network

    def handle(self) -> None:
        if self.server.is_cut:
            return
        with socket.create_connection(("127.0.0.1", self.server.upstream)) as upstream:
            self.server.open |= {self.request, upstream}
            back = threading.Thread(target=self._pass_on, args=(upstream, self.request), daemon=True)
            back.start()
            self._pass_on(self.request, upstream)
            back.join()
            self.server.open -= {self.request, upstream}

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(CHUNK):
                self.server.passes.wait()
                target.sendall(content)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def a_bucket() -> Iterator[tuple[Network, dict[str, str]]]:
    """Start moto with an empty bucket named `patterns`; yield the network to it, and the variables that lead there.

    Skips the test where moto is not installed.
    """
    if not MOTO_PYTHON.parents[1].joinpath("made-of.lock").exists():
        pytest.skip("moto is not installed; tests/install_environment.sh installs it")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [str(MOTO_PYTHON), "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    moto = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _make_bucket(f"http://127.0.0.1:{port}/patterns")
        with Network(port) as network:
            address = f"http://127.0.0.1:{network.server_address[1]}"
            keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}
            yield network, {**keys, "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true"}
            network.shutdown()
    finally:
        moto.kill()
        moto.wait()


def _make_bucket(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="PUT")).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "moto does not answer"
            time.sleep(0.05)
