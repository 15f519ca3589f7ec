"""The outermost ASGI layer: request id, admission, body size, errors, log line and metrics, around every request."""

import asyncio
import logging
import random
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.http.dispatch import Dialects
from app.http.limits import most_bytes
from app.settings import Settings
from app.statuses import is_bug
from app.telemetry import logs, metrics

log = logging.getLogger("patterns.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Probes that belong to no dialect.
PROBES = frozenset({"/", "/livez", "/readyz", "/metrics"})
EVENTS = re.compile(r"/train/[0-9a-f]{32}/events")
MOST_DIGITS = 18
# In uvloop's words for writing to a connection that is closed.
CLOSED = "closed"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """One for the app; knows how many requests are under way."""

    def __init__(self, app: ASGIApp, settings: Settings, dialects: Dialects) -> None:
        self._app = app
        self._settings = settings
        self._dialects = dialects
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
            if self._under_way > self._settings.max_in_flight and not self._is_probe(scope):
                raise errors.Overloaded
            exchange.check_declared_size()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except asyncio.CancelledError:
            # By uvicorn, when the time to finish what is under way has passed.
            await self._refuse(errors.Draining(), exchange)
        except Exception as error:
            if is_bug(error):
                log.exception("bug", extra={"request_id": exchange.id})
            await self._refuse(error, exchange)
        finally:
            self._under_way -= weight
            exchange.finish()

    def _is_probe(self, scope: Scope) -> bool:
        """Whoever hears no on asking whether the process lives would start another, and there would be less still."""
        path = scope["path"]
        return path in PROBES or self._dialects.is_probe(scope["method"], path)

    async def _refuse(self, error: Exception, exchange: "Exchange") -> None:
        """What FastAPI's handlers have not seen: raised above its layers, or by a dialect."""
        exchange.scope["state"]["is_refused"] = isinstance(error, errors.Overloaded)
        if not exchange.status:
            answer = self._dialects.envelope(exchange.scope["path"]).answer(error, exchange.id)
            await answer(exchange.scope, exchange.receive, exchange.send)


class Exchange:
    """One request and its answer: counts the body in, marks the answer with the request's id, remembers the status."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_body: int) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._max_body = max_body
        self._started = time.perf_counter()
        self._received = 0
        self.status = 0
        given = _header(scope, b"x-request-id").decode("latin-1")
        self.id = given if given and REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        scope.setdefault("state", {})["request_id"] = self.id

    def check_declared_size(self) -> None:
        declared = _header(self.scope, b"content-length")
        if declared.isdigit() and (len(declared) > MOST_DIGITS or int(declared) > self._max_body):
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
            own = ((b"x-request-id", self.id.encode()), (b"x-content-type-options", b"nosniff"))
            message["headers"] = [*message.get("headers", ()), *own]
        try:
            await self._send(message)
        except RuntimeError as error:
            if CLOSED not in str(error):
                raise
            raise ClientDisconnect from error

    def finish(self) -> None:
        seconds = time.perf_counter() - self._started
        route = getattr(self.scope.get("route"), "path", "other")
        status = self.status or 499
        method = self.scope["method"] if self.scope["method"] in METHODS else "other"
        metrics.count_request(route, method, status, seconds)
        fields = {
            "request_id": self.id,
            "method": self.scope["method"],
            "path": self.scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 3),
            "bytes_in": self._received,
        }
        logs.event(log, "request", fields)


def _header(scope: Scope, wanted: bytes) -> bytes:
    """The first of this name, in lower case; empty if there is none."""
    return next((value for name, value in scope["headers"] if name == wanted), b"")
