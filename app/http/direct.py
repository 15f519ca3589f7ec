"""Calls of dialects that the protocol answers itself, without an ASGI message or a task for each.

    bytes -> LimitedProtocol -> Direct -> Edge.answer(call) -> one write

What ASGI brings costs more than a small network's whole answer. Everything else is the same: `Edge.answer` is the way
of requests that come through ASGI as well.
"""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.errors import Draining
from app.http.call import Call, Headers, RawHeaders
from app.http.edge import Edge, Exchange
from app.responses import Response

if TYPE_CHECKING:
    from app.http.limits import LimitedProtocol


class Unwatched:
    """Takes the place of the event that tells an ASGI app about its request: here nobody waits for it."""

    def set(self) -> None:
        """Tell nobody."""


UNWATCHED = Unwatched()


class Direct:
    """One call while it is answered: what uvicorn's protocol has as its cycle, and what its server has as a task.

    The coroutine is advanced by hand. Where it waits, for its batch or for a thread, the future resumes it.
    """

    __slots__ = (
        "_coroutine",
        "_edge",
        "_exchange",
        "_future",
        "_protocol",
        "_query",
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "method",
        "more_body",
        "response_complete",
        "waiting_for_100_continue",
    )

    def __init__(
        self,
        protocol: "LimitedProtocol",
        edge: Edge,
        method: str,
        path: str,
        query: bytes,
        headers: RawHeaders,
        *,
        keep_alive: bool,
    ) -> None:
        self._protocol = protocol
        self._edge = edge
        self._query = query
        self._exchange = Exchange(method, path, Headers(headers))
        self._future: asyncio.Future[Any] | None = None
        self.method = method
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = UNWATCHED

    def wait_for_body(self) -> None:
        """Let the server know of this call, so that it is told when the server ends before the body is complete."""
        self._protocol.tasks.add(self)  # type: ignore[arg-type]  # the server only counts and cancels them

    def begin(self) -> None:
        """Answer, now that the body is complete."""
        self._protocol.tasks.discard(self)
        self.more_body = False
        self._exchange.bytes_in = len(self.body)
        exchange = self._exchange
        call = Call(self.method, exchange.path, self._query, exchange.headers, self.body)
        self._edge.under_way += 1
        self._coroutine: Coroutine[Any, None, Response] = self._edge.answer(call, self._exchange)
        self._advance()

    def cancel(self, msg: str | None = None) -> None:
        """Answer that the server is about to stop; uvicorn calls this when the time to finish has passed."""
        if self._future is not None:
            self._future.cancel(msg)
        elif self.more_body:
            # Later, as of a task: the server is going through its set of tasks now.
            self._protocol.loop.call_soon(self._refuse)

    def _refuse(self) -> None:
        self._edge.under_way += 1
        self._exchange.bytes_in = len(self.body)
        answer = self._edge.refusal(Draining(), self._exchange)
        self._exchange.status = answer.status
        self._end(answer)

    def _advance(self) -> None:
        try:
            future: asyncio.Future[Any] = self._coroutine.send(None)
        except StopIteration as ended:
            self._end(ended.value)
            return
        future._asyncio_future_blocking = False  # as a task does that has taken note of what is awaited
        self._future = future
        self._protocol.tasks.add(self)  # type: ignore[arg-type]  # as above
        future.add_done_callback(self._resume)

    def _resume(self, _future: asyncio.Future[Any]) -> None:
        self._future = None
        self._protocol.tasks.discard(self)
        self._advance()

    def _end(self, answer: Response) -> None:
        if self._protocol.flow.write_paused and not self.disconnected:
            # The client has not read earlier answers yet.
            self._coroutine = _after(self._protocol.flow.drain(), answer)
            self._advance()
            return
        self._edge.under_way -= 1
        self._protocol.tasks.discard(self)
        self.response_complete = True
        transport = self._protocol.transport
        if not self.disconnected and not transport.is_closing():
            transport.write(self._bytes_of(answer))
            if not self.keep_alive:
                transport.close()
        self._exchange.finish(self._exchange.route)
        self._protocol.on_response_complete()
        if self._exchange.is_refused:
            self._protocol.pause_reading()

    def _bytes_of(self, answer: Response) -> bytes:
        parts = [STATUS_LINE[answer.status]]
        headers = (*self._protocol.server_state.default_headers, *answer.raw_headers(), *self._exchange.own_headers)
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        if self.method != "HEAD":
            parts.append(answer.body)
        return b"".join(parts)


async def _after(drained: Coroutine[Any, Any, None], answer: Response) -> Response:
    await drained
    return answer
