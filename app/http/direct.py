"""Calls of dialects that the protocol answers itself, without an ASGI message or a task for each.

    bytes -> LimitedProtocol -> Direct -> Edge.answer(call) -> one write

What ASGI brings costs more than a small network's whole answer. Everything else is the same: `Edge.answer` is the way
of requests that come through ASGI as well.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from app.errors import Draining
from app.http.call import Call, Head
from app.http.edge import Edge
from app.responses import Response, server_lines

if TYPE_CHECKING:
    from app.http.limits import LimitedProtocol

log = logging.getLogger("patterns.request")

# Bytes. Copying a larger body beside its head takes longer than a second part to write.
MOST_JOINED = 1 << 16


class Unwatched:
    """Takes the place of the event that tells an ASGI app about its request: here nobody waits for it."""

    def set(self) -> None:
        """Tell nobody."""


UNWATCHED = Unwatched()


class Direct:
    """One call from its headers to its answer: what uvicorn's protocol has as its cycle, and its server as a task.

    The coroutine is advanced by hand. Where it waits, for its batch or for a thread, the future resumes it.
    """

    __slots__ = (
        "_coroutine",
        "_edge",
        "_exchange",
        "_future",
        "_parts",
        "_protocol",
        "body",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(self, protocol: "LimitedProtocol", edge: Edge, head: Head, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._edge = edge
        self._exchange = edge.begin(head)
        self._future: asyncio.Future[Any] | None = None
        self._parts: list[bytes] = []
        self.keep_alive = keep_alive
        self.body = b""  # of a cycle; ours is in parts
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = UNWATCHED

    @property
    def head(self) -> Head:
        return self._exchange.head

    @property
    def n_received(self) -> int:
        """Bytes of the body that have arrived."""
        return self._exchange.bytes_in

    # -- the body --------------------------------------------------------------------------------------------------

    def wait_for_body(self) -> None:
        """Let the server know of this call, so that it is told when the server ends before the body is complete."""
        if not self.response_complete:
            self._protocol.tasks.add(self)  # type: ignore[arg-type]  # the server only counts and cancels them

    def receive(self, part: bytes) -> None:
        """Take a part of the body. They are put together once, at its end."""
        self._parts.append(part)
        self._exchange.bytes_in += len(part)

    def abandon(self) -> None:
        """End without an answer: the connection is gone before the body was complete."""
        self._finish()

    def begin(self, last: bytes = b"") -> None:
        """Answer, now that the body is complete; `last` is its last part, if that has not been received yet."""
        if self.response_complete:
            return
        self._protocol.tasks.discard(self)
        self.more_body = False
        exchange = self._exchange
        if last:
            self.receive(last)
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._coroutine: Coroutine[Any, None, Response] = self._edge.answer(Call(exchange.head, body), exchange)
        self._advance()

    # -- the end of the server -------------------------------------------------------------------------------------

    def cancel(self, msg: str | None = None) -> None:
        """Answer that the server is about to stop; uvicorn calls this when the time to finish has passed."""
        if self._future is not None:
            self._future.cancel(msg)
        elif self.more_body:
            # Later, as of a task: the server is going through its set of tasks now.
            self._protocol.loop.call_soon(self._refuse)

    def _refuse(self) -> None:
        if self.response_complete or not self.more_body:  # the rest of the body has arrived in between
            return
        self.more_body = False
        answer = self._edge.refusal(Draining(), self._exchange)
        self._exchange.status = answer.status
        self._end(answer)

    # -- the answer ------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        try:
            future: asyncio.Future[Any] | None = self._coroutine.send(None)
        except StopIteration as ended:
            self._end(ended.value)
            return
        except (Exception, asyncio.CancelledError):
            # `Edge.answer` raises nothing; cut off while an answer waits for its reader, or a fault of this module.
            log.exception("not answered", extra={"request_id": self._exchange.id})
            self._finish()
            self._protocol.transport.abort()
            return
        if future is None:  # it only lets others go first
            self._protocol.loop.call_soon(self._advance)
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
        protocol, transport = self._protocol, self._protocol.transport
        is_heard = not self.disconnected and not transport.is_closing()
        if protocol.flow.write_paused and is_heard:
            # The client has not read earlier answers yet.
            self._coroutine = _after(protocol.flow.drain(), answer)
            self._advance()
            return
        head, body = self._head_of(answer), b"" if self._exchange.head.method == "HEAD" else answer.body
        self.response_complete = True
        if is_heard:
            if len(body) <= MOST_JOINED:
                transport.write(head + body)
            else:
                transport.writelines((head, body))
            if not self.keep_alive:
                transport.close()
        protocol.tasks.discard(self)
        self._edge.end(self._exchange)
        protocol.on_direct_complete()
        if self._exchange.is_refused:
            protocol.pause_reading()

    def _finish(self) -> None:
        self.response_complete = True
        self._protocol.tasks.discard(self)
        self._edge.end(self._exchange)

    def _head_of(self, answer: Response) -> bytes:
        server = server_lines(tuple(self._protocol.server_state.default_headers))
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return b"".join((answer.head(server), self._exchange.own_lines, end))


async def _after(drained: Coroutine[Any, Any, None], answer: Response) -> Response:
    await drained
    return answer
