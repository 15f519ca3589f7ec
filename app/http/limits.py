"""The HTTP protocol of a connection: limits of what a client may send, and calls that it answers itself.

Headers and bodies may take so many bytes and seconds before the app sees a request. Calls of dialects need no ASGI:
they go to `Direct`, and past the parser where their head is known.
"""

import asyncio
import re
from typing import Any, NoReturn
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.answering.plan import reads_on_loop
from app.http.call import Head
from app.http.direct import Direct
from app.http.edge import Edge
from app.http.heads import END
from app.http.sizes import most_bytes
from app.settings import Settings

# Browsers and proxies send some 30 at most.
MOST_HEADERS = 100
# Requests that wait on one connection for the answer to an earlier one. HTTP clients send one at a time, if they
# pipeline at all; every waiting request keeps its headers in memory.
MOST_PIPELINED = 16
# Seconds that an idle connection stays open when the server stops: a request may be on its way already.
LAST_MOMENT = 0.5
# Seconds for which a connection is not read from after it was refused because of overload.
PAUSE_SECONDS = 1.0
# Seconds that a timer may fire too early.
LATE = 0.005
UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
DIRECT_METHODS = frozenset({b"GET", b"HEAD", b"POST"})
# Bytes of a body that a connection keeps until it is complete; of a larger one the app receives part by part.
MOST_DIRECT = 1 << 20
CLOSING_RESPONSE = "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits for what a client may send before the app reads it."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        # As the lifespan yields them.
        self.settings: Settings = self.app_state["settings"]
        self._edge: Edge = self.app_state["edge"]
        self._direct: Direct | None = None
        self._begun_at_once = 0
        self._arrived: Direct | None = None
        self._is_between = True
        # Bytes of the body of a direct call that are still to come, where the parser does not know of it.
        self._left = 0
        # Seconds of the loop's clock. Most requests end long before their deadline, so the timer is not moved with it;
        # if it rings too early, it is set again.
        self._due = float("inf")
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._header_bytes = self._unparsed = self._body_bytes = 0
        self._in_headers = self._is_told = self._is_idle = False
        self._unread: asyncio.TimerHandle | None = None
        self._is_draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._due_in(self.settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._unread):
            if timer is not None:
                timer.cancel()
        direct, self._direct = self._direct, None
        super().connection_lost(exc)
        if direct is not None:
            direct.abandon()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._left:
            self._receive_unparsed(data)
            return
        if self._begins_unparsed(data):
            return
        if self._is_idle:
            self._is_idle = False
            self._due_in(None)
        was_between = self._is_between
        if was_between:
            data = _without_upgrade(data)
        self._expect_news()
        super().data_received(data)
        if self._direct is not None:
            self._direct.wait_for_body()
        if was_between and self._arrived is not None and self._arrived.keep_alive:
            self._edge.heads.keep(data, self._arrived.head, self._arrived.n_received)
        # The parser reports a header or a trailer only when it is complete; what arrives before that is counted here.
        if not self._is_told and not self.transport.is_closing():
            self._unparsed += len(data)
            if self._unparsed > self.settings.max_header_kb << 10:
                self._hang_up("431 Request Header Fields Too Large")
            elif self._due == float("inf") and (self.cycle is None or self.cycle.response_complete):
                # Blank lines before a request: they make uvicorn cancel its own timeout of an idle connection.
                self._due_in(self.settings.header_seconds)

    def _expect_news(self) -> None:
        """Forget what the piece of data before this one told."""
        self._arrived = None
        self._is_told = False
        self._begun_at_once = 0

    def on_message_begin(self) -> None:
        if self.transport.is_closing():
            # The answer before it was the last of this connection: nobody would hear what becomes of this request.
            raise ValueError("a request after the last answer")
        super().on_message_begin()
        # Set where a direct call before this one, in the same piece of data, has been answered already.
        self._unset_keepalive_if_required()
        self._header_bytes = self._unparsed = self._body_bytes = 0
        self._is_between = self._is_idle = False
        self._in_headers = self._is_told = True
        self._due_in(self.settings.header_seconds)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. A trailer, which follows the body, is only counted: the request is being answered by then."""
        if self._in_headers:
            super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._due_in(self.settings.body_seconds)
        self._direct = self._direct_call()
        if self._direct is None:
            super().on_headers_complete()
        else:
            self.cycle = self._direct  # type: ignore[assignment]  # it has all of a cycle that uvicorn uses here
            self._arrived = self._direct
        if self._is_draining or self.parser.should_upgrade():
            # After an upgrade the parser takes the body of the request for the next one.
            self.cycle.keep_alive = False
        if len(self.pipeline) > MOST_PIPELINED:
            self._refuse("429 Too Many Requests")

    def on_body(self, body: bytes) -> None:
        """Count the body. A table may be larger than other bodies; `body_seconds` begin anew every `max_body_bytes`."""
        self._is_told = True
        self._unparsed = 0
        if self._direct is not None:
            self._direct.receive(body)
            return
        super().on_body(body)
        part = self.settings.max_body_bytes
        begun = self._body_bytes // part
        self._body_bytes += len(body)
        if begun < self._body_bytes // part and self._body_bytes <= most_bytes(self.scope["path"], self.settings):
            self._due_in(self.settings.body_seconds)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.scope["state"].get("is_refused"):
            self.pause_reading()

    def pause_reading(self) -> None:
        """Stop reading for a moment, after a refusal because of overload: refusing the next request is work as well."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(PAUSE_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Break the connection off if the client reads nothing for `answer_seconds`; a slow reader gets its answer."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def _expect_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.settings.answer_seconds, self._abort_unless_read, unread)

    def _abort_unless_read(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._expect_reading()
        else:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close the connection after its last answer. A request on its way to an idle one gets a moment to arrive."""
        self._is_draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_MOMENT, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def on_message_complete(self) -> None:
        self._due_in(None)
        self._is_between = True
        if self._direct is None:
            super().on_message_complete()
            if self.cycle.response_complete:  # answered before its body was complete; uvicorn's timer is gone
                self._is_idle = True
                self._due_in(self.timeout_keep_alive)
            return
        direct, self._direct = self._direct, None
        direct.begin()

    def on_direct_complete(self) -> None:
        """Go on after the answer to a direct call: with the requests that wait behind it, or with the next to come."""
        if self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self._is_between:
                self._is_idle = True
                self._due_in(self.timeout_keep_alive)

    # -- calls that are not parsed -----------------------------------------------------------------------------------

    def _begins_unparsed(self, data: bytes) -> bool:
        """Begin the call in `data`, if its head has been parsed before, and say whether it has.

        A client sends the same head with each of its calls, to the byte, and parsing it takes as long as answering. The
        parser is between two requests all the while.
        """
        if not self._is_between or self._is_draining or (self.cycle is not None and not self.cycle.response_complete):
            return False
        known = self._edge.heads.of(data)
        if known is None:
            return False
        head, end = known
        left = head.declared - (len(data) - end)
        if left < 0 or (left and not reads_on_loop(head.declared) and not self._edge.admits(head)):
            return False
        self._unset_keepalive_if_required()
        self._is_idle = False
        self._due_in(self.settings.body_seconds if left else None)
        self.cycle = direct = Direct(self, self._edge, head, keep_alive=True)  # type: ignore[assignment]  # as above
        if left:
            self._left, self._direct = left, direct
            direct.receive(data[end:])
            direct.wait_for_body()
        else:
            direct.begin(data[end:])
        return True

    def _receive_unparsed(self, data: bytes) -> None:
        assert self._direct is not None
        part, rest = (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
        self._direct.receive(part)
        self._left -= len(part)
        if not self._left:
            direct, self._direct = self._direct, None
            self._due_in(None)
            direct.begin()
        if rest:
            self.data_received(rest)

    def _direct_call(self) -> Direct | None:
        """Return the call that begins with these headers, where the protocol can answer it by itself.

        That is a call of a dialect, whose length is declared, with no other request of its connection under way. A
        body that is not small is received only from somebody who may be answered.
        """
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        # Many calls in one piece of data would hold up everybody else: the rest are tasks, and have a limit.
        if self._begun_at_once >= MOST_PIPELINED:
            return None
        method = self.parser.get_method()
        if method not in DIRECT_METHODS or self.parser.should_upgrade() or self.expect_100_continue or self.root_path:
            return None
        if any(name == b"transfer-encoding" for name, _ in self.headers):
            return None
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        if not self._edge.speaks(path):
            return None
        head = Head(method.decode(), path, url.query or b"", self.headers)
        if head.declared > MOST_DIRECT or not (reads_on_loop(head.declared) or self._edge.admits(head)):
            return None
        self._begun_at_once += 1
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        return Direct(self, self._edge, head, keep_alive=keep_alive)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.settings.max_header_kb << 10 or len(self.headers) > MOST_HEADERS:
            self._refuse("431 Request Header Fields Too Large")

    def _due_in(self, seconds: float | None) -> None:
        """Set the deadline for what the client sends next; None for no deadline."""
        if seconds is None:
            self._due = float("inf")
            return
        self._due = self.loop.time() + seconds
        if self._timer is None or self._rings_at > self._due:
            self._ring_in(seconds)

    def _ring_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = self.loop.time() + seconds
        self._timer = self.loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._timer = None
        left = self._due - self.loop.time()
        if LATE < left < float("inf"):
            self._ring_in(left)
        elif left <= LATE and not self.transport.is_closing():
            if self._is_idle:
                self.transport.close()
            else:
                self._hang_up("408 Request Timeout")

    def _hang_up(self, status: str) -> None:
        """Answer without the app, and close the connection."""
        self.transport.write(CLOSING_RESPONSE.format(status=status).encode())
        self.transport.close()

    def _refuse(self, status: str) -> NoReturn:
        self._hang_up(status)
        # Stops the parser. uvicorn then answers 400, which `send_400_response` drops.
        raise ValueError(status)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)


def _without_upgrade(data: bytes) -> bytes:
    """Return the data with the header Upgrade of the request that begins it under another name.

    Nothing is upgraded here, so the header is ignored (RFC 9110, 7.8); the parser would ignore the body instead. Java's
    HTTP client asks for HTTP/2 in this way, with the first request of each connection.
    """
    end = data.find(END)
    if end < 0 or (found := UPGRADE.search(data, 0, end)) is None:
        return data
    return data[: found.start()] + b"\r\nx-upgrade:" + data[found.end() :]
