"""A closed-loop load generator: each connection sends its next request when it has the answer to the last.

`wrk` where it is installed, because it takes least from the server; else this file itself, in a process of its own:
python -m benchmarks.load PORT CONNECTIONS SECONDS < request     prints {"requests_per_s", "p50_ms", "p99_ms", "failed"}
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import uvloop

from benchmarks.bodies import Body

Generator = Literal["wrk", "bundled"]
SCRIPT = Path(__file__).with_name("post.lua")
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Ran:
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def found() -> Generator:
    return "wrk" if shutil.which("wrk") else "bundled"


def measure(port: int, body: Body, connections: int, seconds: float, generator: Generator) -> Ran:
    return (_by_wrk if generator == "wrk" else _by_this)(port, body, connections, seconds)


def _by_wrk(port: int, body: Body, connections: int, seconds: float) -> Ran:
    with tempfile.NamedTemporaryFile() as content:
        content.write(body.content)
        content.flush()
        headers = "\n".join(f"{name}: {value}" for name, value in body.headers.items())
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={PATIENCE_SECONDS}s"]
        return _ran(
            [*command, "-s", str(SCRIPT), f"http://127.0.0.1:{port}{body.path}"],
            b"",
            {"BENCHMARK_BODY": content.name, "BENCHMARK_HEADERS": headers},
        )


def _by_this(port: int, body: Body, connections: int, seconds: float) -> Ran:
    return _ran([sys.executable, "-m", "benchmarks.load", str(port), str(connections), str(seconds)], body.request, {})


def _ran(command: list[str], given: bytes, environment: dict[str, str]) -> Ran:
    environment = {**os.environ, **environment}
    ran = subprocess.run(
        command, input=given, capture_output=True, check=True, timeout=PATIENCE_SECONDS, env=environment
    )
    return Ran(**json.loads(ran.stdout.splitlines()[-1]))


class Connection(asyncio.Protocol):
    """Sends one request after another until the moment `until`, and keeps the seconds that each took."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._parts: list[bytes] = []
        self._missing = 0
        self._length = -1
        self._sent = 0.0
        self.seconds: list[float] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        # The same request has the same answer, so one that arrives whole and is as long as the first is not parsed.
        if len(data) == self._length and not self._parts and data.startswith(b"HTTP/1.1 200"):
            self._answered(failed=False)
            return
        self._missing -= len(data)
        self._parts.append(data)
        if self._missing <= 0:
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failed += bool(self._parts) or time.perf_counter() < self._until
            self.done.set_result(None)

    def _look(self) -> None:
        received = b"".join(self._parts)
        self._parts = [received]
        head, separator, body = received.partition(b"\r\n\r\n")
        if not separator:
            return
        if (length := content_length(head)) is None:  # chunked
            if not received.endswith(b"0\r\n\r\n"):
                return
        elif (missing := length - len(body)) > 0:
            self._missing = missing
            return
        self._length = len(received)
        self._answered(failed=not received.startswith(b"HTTP/1.1 200"))

    def _answered(self, *, failed: bool) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._sent)
        self.failed += failed
        self._parts, self._missing = [], 0
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def content_length(head: bytes) -> int | None:
    """Return the bytes of the body that the headers declare; None if they declare none."""
    _, found, after = head.lower().partition(b"content-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else None


async def generate(port: int, connections: int, seconds: float, request: bytes) -> Ran:
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    open_ones = [Connection(request, began + seconds) for _ in range(connections)]
    for one in open_ones:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(one.done for one in open_ones))
    times = sorted(second for one in open_ones for second in one.seconds)
    return Ran(
        requests_per_s=round(len(times) / (time.perf_counter() - began), 1),
        p50_ms=round(times[len(times) // 2] * 1000, 3),
        p99_ms=round(times[len(times) * 99 // 100] * 1000, 3),
        failed=sum(one.failed for one in open_ones),
    )


def main() -> None:
    port, connections, seconds = sys.argv[1:4]
    ran = uvloop.run(generate(int(port), int(connections), float(seconds), sys.stdin.buffer.read()))
    print(json.dumps(vars(ran)))


if __name__ == "__main__":
    main()
