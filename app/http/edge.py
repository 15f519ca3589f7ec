"""The outermost ASGI layer, around every request: request id, admission, body size, errors, log line and metrics."""

import asyncio
import logging
import random
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.http.dispatch import Dialects
from app.http.sizes import most_bytes
from app.settings import Settings
from app.statuses import is_bug
from app.telemetry import logs, metrics

log = logging.getLogger("patterns.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Health probes, and what monitoring reads, outside the dialects.
PROBES = frozenset({"/", "/livez", "/readyz", "/metrics"})
EVENTS = re.compile(r"/train/[0-9a-f]{32}/events")
# Of a declared length. More are too large in any case, and turning thousands of digits into a number takes time.
MOST_DIGITS = 18
# Stands in uvloop's message about writing to a closed connection, which is a bare RuntimeError.
CLOSED = "closed"
# Any other is counted as "other", so that clients cannot invent labels of metrics.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Edge:
    """The layer itself, which counts the requests under way. One for the app."""

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
        # A stream of events mostly waits, so it takes no place here; its route limits their number.
        counts = EVENTS.fullmatch(scope["path"]) is None
        self._under_way += counts
        try:
            if self._under_way > self._settings.max_in_flight and not self._is_probe(scope):
                raise errors.Overloaded
            exchange.check_declared_size()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except asyncio.CancelledError:
            # uvicorn cancels what is under way when the time to finish it has passed.
            await self._refuse(errors.Draining(), exchange)
        except Exception as error:
            if is_bug(error):
                log.exception("bug", extra={"request_id": exchange.id})
            await self._refuse(error, exchange)
        finally:
            self._under_way -= counts
            exchange.finish()

    def _is_probe(self, scope: Scope) -> bool:
        """Health probes are never refused: an orchestrator would restart the process and make the overload worse."""
        path = scope["path"]
        return path in PROBES or self._dialects.is_probe(scope["method"], path)

    async def _refuse(self, error: Exception, exchange: "Exchange") -> None:
        """Answer an error that FastAPI's handlers have not seen: it was raised above its layers, or by a dialect."""
        exchange.scope["state"]["is_refused"] = isinstance(error, errors.Overloaded)
        if not exchange.status:
            answer = self._dialects.envelope(exchange.scope["path"]).answer(error, exchange.id)
            await answer(exchange.scope, exchange.receive, exchange.send)


class Exchange:
    """One request and its answer: counts the bytes of the body, adds the request id to the answer, keeps its status."""

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
        """Raise BodyTooLarge, before anything is read, where the declared length is above the limit."""
        declared = _header(self.scope, b"content-length")
        if declared.isdigit() and (len(declared) > MOST_DIGITS or int(declared) > self._max_body):
            raise errors.BodyTooLarge(self._max_body)

    async def receive(self) -> Message:
        """Receive a part of the body. Raises BodyTooLarge where it has become larger than the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._max_body:
                raise errors.BodyTooLarge(self._max_body)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Raises ClientDisconnect where nobody is left to read it."""
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
        """Count the request and write its log line."""
        seconds = time.perf_counter() - self._started
        route = getattr(self.scope.get("route"), "path", "other")
        status = self.status or 499  # nginx's number for a client that left before the answer
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
    """Return the first header of this name, which is lower case; empty if there is none."""
    return next((value for name, value in scope["headers"] if name == wanted), b"")
