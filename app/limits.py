"""What stands between the socket and the routes: size and time of requests, and how many are under way.

LimitedProtocol   bytes and seconds of headers and bodies, before there is a request
Edge              request id, admission, body size, log line, metrics, and 500s, around every request
admin / predictor keys, as FastAPI dependencies
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
ALWAYS_ANSWERED = frozenset({"/livez", "/readyz", "/metrics"})
MOST_HEADERS = 100
MOST_DIGITS = 18
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROMISE = "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to what a client may send before anybody has looked at it."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.settings: Settings = self.app_state["settings"]  # as the lifespan yields it
        self._deadline: asyncio.TimerHandle | None = None
        self._header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._due_in(self.settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._due_in(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self._due_in(self.settings.header_seconds)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._due_in(self.settings.body_seconds)
        super().on_headers_complete()

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
            self.transport.write(PROMISE.format(status="408 Request Timeout").encode())
            self.transport.close()

    def _refuse(self, status: str) -> NoReturn:
        self.transport.write(PROMISE.format(status=status).encode())
        self.transport.close()
        # Ends the parser's run over this data; what uvicorn then writes goes to a closing transport.
        raise ValueError(status)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)


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
        exchange = Exchange(scope, receive, send, self._settings.max_body_bytes)
        self._under_way += 1
        try:
            if self._under_way > self._settings.max_in_flight and scope["path"] not in ALWAYS_ANSWERED:
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
            self._under_way -= 1
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
        await self._send(message)

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
