"""Servers in short turns, over connections that stay open: a noise that lasts longer meets them all.

A B, B A, A B, ...   A turn begins and ends with no request on its way: the time on a core is that of its requests.

Ratios of two servers are steady to a hundredth or two, where those of rounds of seconds vary by a tenth. What a server
does while the other has its turn, such as a part of what it saves every two seconds, is in no figure.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

from benchmarks.bodies import Workload
from benchmarks.load import PATIENCE_SECONDS, content_length
from benchmarks.servers import Server, Trouble, main_thread_ns

WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Turn:
    requests_per_s: float
    main_thread_us: float
    """Microseconds of the server's main thread for each request; NaN where the system does not tell."""


class Connection(asyncio.Protocol):
    """Sends one request after another until the end of the turn."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._until = 0.0
        self._received = b""
        self._length = 0
        self.answered = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, until: float) -> None:
        self._until, self.answered, self.done = until, 0, asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._fail("the connection was closed")
        else:
            self._transport.write(self._request)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own are no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._length:
            self._length = self._length_of_answer()
        is_right = self._received.startswith(b"HTTP/1.1 200"[: len(self._received)])
        if not is_right or len(self._received) > self._length > 0:
            self._fail(self._received[:200].decode(errors="replace"))
            return
        if not self._length or len(self._received) < self._length:
            return
        self._received = b""
        self.answered += 1
        if time.perf_counter() < self._until:
            self._transport.write(self._request)
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was closed")

    def _length_of_answer(self) -> int:
        """Return the bytes of the whole answer, as long as all that follow; 0 until its headers are here."""
        head, separator, _ = self._received.partition(b"\r\n\r\n")
        return len(head) + len(separator) + (content_length(head) or 0) if separator else 0

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Trouble(why))


def in_turns(servers: Sequence[Server], workload: Workload, turns: int, seconds: float) -> list[list[Turn]]:
    """Return the turns of each server, in the order of the servers. Raises Trouble where a request fails."""
    return uvloop.run(_in_turns(servers, workload, turns, seconds))


async def _in_turns(servers: Sequence[Server], workload: Workload, turns: int, seconds: float) -> list[list[Turn]]:
    connected = [await _connected(server, workload) for server in servers]
    found: list[list[Turn]] = [[] for _ in servers]
    each = list(zip(servers, connected, found, strict=True))
    try:
        for server, connections, _ in each:
            await _turn(server.process.pid, connections, WARM_UP_SECONDS)
        for turn in range(turns):
            for server, connections, its_turns in each if turn % 2 == 0 else each[::-1]:
                its_turns.append(await _turn(server.process.pid, connections, seconds))
    finally:
        for connection in (one for connections in connected for one in connections):
            connection.close()
        await asyncio.sleep(0)
    return found


async def _connected(server: Server, workload: Workload) -> list[Connection]:
    request = server.contender.formats[workload.format].body(workload.rows).request
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(request), "127.0.0.1", server.port)
        for _ in range(workload.connections)
    ]
    return [connection for _, connection in made]


async def _turn(pid: int, connections: Sequence[Connection], seconds: float) -> Turn:
    ns, began = main_thread_ns(pid), time.perf_counter()
    for connection in connections:
        connection.begin(began + seconds)
    try:
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            await asyncio.gather(*(connection.done for connection in connections))
    except TimeoutError:
        raise Trouble("a request is not answered") from None
    took, n = time.perf_counter() - began, sum(connection.answered for connection in connections)
    return Turn(n / took, (main_thread_ns(pid) - ns) / 1e3 / n)
