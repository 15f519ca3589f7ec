"""A closed-loop load generator: each connection sends its next request when it has the answer to the last.

python -m benchmarks.load PORT CONNECTIONS SECONDS < body     prints {"requests_per_s", "p50_ms", "p99_ms", "failed"}
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

PATH = "/predict/add-ten"


class Connection(asyncio.Protocol):
    """Sends one request after another until `until`; keeps the time of each."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._received = b""
        self._sent = 0.0
        self.seconds: list[float] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self.seconds.append(time.perf_counter() - self._sent)
        self.failed += b" 200 " not in head[:16]
        self._received = b""
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.index(b"content-length:") + 15
    return int(lower[start:].split(b"\r\n", 1)[0])


async def measure(port: int, connections: int, seconds: float, body: bytes) -> dict[str, float]:
    lines = (
        f"POST {PATH} HTTP/1.1",
        "host: localhost",
        "content-type: application/json",
        f"content-length: {len(body)}",
    )
    head = "\r\n".join([*lines, "", ""])
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    open_ones = [Connection(head.encode() + body, began + seconds) for _ in range(connections)]
    for one in open_ones:
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*(one.done for one in open_ones))
    times = sorted(second for one in open_ones for second in one.seconds)
    return {
        "requests_per_s": round(len(times) / (time.perf_counter() - began), 1),
        "p50_ms": round(times[len(times) // 2] * 1000, 3),
        "p99_ms": round(times[len(times) * 99 // 100] * 1000, 3),
        "failed": sum(one.failed for one in open_ones),
    }


def main() -> None:
    port, connections, seconds = sys.argv[1:4]
    print(json.dumps(uvloop.run(measure(int(port), int(connections), float(seconds), sys.stdin.buffer.read()))))


if __name__ == "__main__":
    main()
