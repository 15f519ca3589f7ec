"""What stands between the socket and the routes: size and time of requests, and how many are under way.

LimitedProtocol   bytes and seconds of headers and bodies, before there is a request
Edge              request id, admission, body size, log line, metrics, and 500s, around every request
"""

import asyncio
import logging
import re
import time
import uuid
from typing import Any, NoReturn

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import errors, metrics
from app.settings import Settings

log = logging.getLogger("patterns.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UPLOADS = "/datasets"
ALWAYS_ANSWERED = frozenset({"/livez", "/readyz", "/metrics"})
EVENTS = re.compile(r"/train/[0-9a-f]{32}/events")
MOST_HEADERS = 100
MOST_DIGITS = 18
MOST_PIPELINED = 16
LAST_MOMENT = 0.5
PAUSE_SECONDS = 1.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROMISE = "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to what a client may send before anybody has looked at it."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.settings: Settings = self.app_state["settings"]  # as the lifespan yields it
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = self._unparsed = self._body_bytes = 0
        self._in_headers = self._is_told = False
        self._unread: asyncio.TimerHandle | None = None
        self._is_draining = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._due_in(self.settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._due_in(None)
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._is_told = False
        super().data_received(data)
        # The parser keeps a header, or a trailer, to itself until its end; what later reads add to it is counted here.
        if not self._is_told and not self.transport.is_closing():
            self._unparsed += len(data)
            if self._unparsed > self.settings.max_header_kb << 10:
                self._hang_up("431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = self._unparsed = self._body_bytes = 0
        self._in_headers = self._is_told = True
        self._due_in(self.settings.header_seconds)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """What comes after the body is counted, and is no header: what the headers said has been acted on by then."""
        if self._in_headers:
            super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._due_in(self.settings.body_seconds)
        super().on_headers_complete()

        if self._is_draining:
            self.cycle.keep_alive = False
        if len(self.pipeline) > MOST_PIPELINED:
            self._refuse("429 Too Many Requests")

    def on_body(self, body: bytes) -> None:
        """A table may be large: each part of it that is as large as other bodies may be has their time."""
        super().on_body(body)
        self._is_told = True
        self._unparsed = 0
        part = self.settings.max_body_bytes
        begun = self._body_bytes // part
        self._body_bytes += len(body)
        if begun < self._body_bytes // part and self._body_bytes <= most_bytes(self.scope["path"], self.settings):
            self._due_in(self.settings.body_seconds)

    def on_response_complete(self) -> None:
        """Whoever is refused hears it at once, and whoever then asks again at once waits: refusing is work as well."""
        super().on_response_complete()
        if self.scope["state"].get("is_refused") and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(PAUSE_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Whoever reads nothing of an answer in this time does not get the rest; a slow reader does."""
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
        """The next request on an idle connection may be on its way: it gets a moment to arrive, and its answer."""
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
        super().on_message_complete()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self.settings.max_header_kb << 10 or len(self.headers) > MOST_HEADERS:
            self._refuse("431 Request Header Fields Too Large")

    def _due_in(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._hang_up("408 Request Timeout")

    def _hang_up(self, status: str) -> None:
        self.transport.write(PROMISE.format(status=status).encode())
        self.transport.close()

    def _refuse(self, status: str) -> NoReturn:
        self._hang_up(status)
        # Ends the parser's run over this data; what uvicorn then writes goes to a closing transport.
        raise ValueError(status)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)


def most_bytes(path: str, settings: Settings) -> int:
    """What a body may have."""
    return settings.max_dataset_bytes if path == UPLOADS else settings.max_body_bytes


class Edge:
    """The outermost ASGI layer. One for the app; knows how many requests are under way."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, most_bytes(scope["path"], self._settings))
        # A stream of events waits more than it works; the jobs count those.
        weight = 0 if EVENTS.fullmatch(scope["path"]) else 1
        self._under_way += weight
        try:
            if self._under_way > self._settings.max_in_flight and scope["path"] not in ALWAYS_ANSWERED:
                scope["state"]["is_refused"] = True
                raise errors.Overloaded
            exchange.check_declared_size()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as error:
            # Raised above the routes, so that no handler has seen it.
            if errors.status_of(error) == 500:
                log.exception("bug", extra={"request_id": exchange.id})
            if not exchange.status:
                await errors.answer(error, exchange.id)(scope, receive, exchange.send)
        finally:
            self._under_way -= weight
            exchange.finish()


class Exchange:
    """One request and its answer: counts the body in, marks the answer with the request's id, remembers the status."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_body = max_body
        self._headers = Headers(scope=scope)
        self._started = time.perf_counter()
        self._received = 0
        self.status = 0
        given = self._headers.get("x-request-id", "")
        self.id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = self.id

    def check_declared_size(self) -> None:
        declared = self._headers.get("content-length", "0")
        if declared.isdecimal() and (len(declared) > MOST_DIGITS or int(declared) > self._max_body):
            raise errors.BodyTooLarge(self._max_body)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body:
                raise errors.BodyTooLarge(self._max_body)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.id
            headers["x-content-type-options"] = "nosniff"
        try:
            await self._send(message)
        except RuntimeError as error:  # uvloop's word for a connection that is closed
            raise ClientDisconnect from error

    def finish(self) -> None:
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "other")
        status = self.status or 499
        method = self._scope["method"] if self._scope["method"] in METHODS else "other"
        metrics.REQUESTS.labels(route, method, status).inc()
        metrics.SECONDS.labels(route).observe(seconds)
        log.info(
            "request",
            extra={
                "request_id": self.id,
                "method": self._scope["method"],
                "path": self._scope["path"],
                "status": status,
                "ms": round(seconds * 1000, 3),
                "bytes_in": self._received,
            },
        )
