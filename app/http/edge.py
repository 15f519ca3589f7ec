"""The outermost layer, around every request: request id, admission, body size, errors, log line and metrics.

Requests enter as ASGI calls; calls of dialects of up to 1 MiB enter by `Edge.answer` alone, from the protocol
(direct.py).
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import errors
from app.http.call import AsgiCall, Call, Head
from app.http.dispatch import Dialects, Dispatch
from app.http.heads import Heads
from app.http.sizes import most_bytes
from app.responses import RawHeaders, Response, lines_of
from app.settings import Settings
from app.statuses import is_bug
from app.telemetry import logs, metrics

log = logging.getLogger("patterns.request")

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Health probes, and what monitoring reads, outside the dialects.
PROBES = frozenset({"/", "/livez", "/readyz", "/metrics"})
# Of the requests under way, one in so many is left to dialects.
DIALECTS_SHARE = 4
EVENTS = re.compile(r"/train/[0-9a-f]{32}/events")
# Stands in uvloop's message about writing to a closed connection, which is a bare RuntimeError.
CLOSED = "closed"
NOSNIFF = (b"x-content-type-options", b"nosniff")
OWN_LINES = b"x-request-id: %b\r\n" + lines_of((NOSNIFF,))
# Any other is counted as "other", so that clients cannot invent labels of metrics.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class UnderWay:
    """The number of requests between the end of their headers and the end of their answer, over all ports."""

    __slots__ = ("beside", "number")

    def __init__(self) -> None:
        self.number = 0
        self.beside = 0
        """Those of them that no dialect answers."""


class Edge:
    """The layer itself, which counts the requests under way. One for each port of the app."""

    def __init__(self, app: ASGIApp, dispatch: Dispatch, dialects: Dialects, settings: Settings) -> None:
        self._app = app
        self._dispatch = dispatch
        self._dialects = dialects
        self._settings = settings
        self._least_limit = min(settings.max_body_bytes, settings.max_dataset_bytes)
        self.heads = Heads()
        self._under_way = UnderWay()

    def beside(self, dialects: Dialects, dispatch: Dispatch) -> "Edge":
        """Return the edge of another port, whose requests are counted with those of this one."""
        other = Edge(self._app, dispatch, dialects, self._settings)
        other._under_way = self._under_way
        return other

    @property
    def under_way(self) -> int:
        """Requests between the end of their headers and the end of their answer."""
        return self._under_way.number

    @under_way.setter
    def under_way(self, number: int) -> None:
        self._under_way.number = number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = Head(scope["method"], scope["path"], scope["query_string"], scope["headers"])
        exchange = self.begin(head)
        scope.setdefault("state", {})["request_id"] = exchange.id
        channel = Channel(exchange, most_bytes(head.path, self._settings), receive, send)
        try:
            if self.speaks(head.path):
                await self._answer_call(scope, exchange, channel)
            else:
                await self._pass_on(scope, exchange, channel)
        except (ClientDisconnect, asyncio.CancelledError):
            pass  # nobody is left to answer, or no time to finish an answer that has begun
        finally:
            exchange.route = getattr(scope.get("route"), "path", exchange.route)
            self.end(exchange)

    def begin(self, head: Head) -> "Exchange":
        """Count a request from its headers on. A stream of events mostly waits; its route limits their number."""
        exchange = Exchange(head)
        path = head.path
        exchange.counted = 0 if path.startswith("/train/") and EVENTS.fullmatch(path) else 1
        self._under_way.number += exchange.counted
        return exchange

    def end(self, exchange: "Exchange") -> None:
        """Count a request no longer, and tell metrics and log of it. A second call does nothing."""
        if exchange.has_ended:
            return
        exchange.has_ended = True
        self._under_way.number -= exchange.counted
        exchange.finish()

    def speaks(self, path: str) -> bool:
        """True if a dialect answers at this path, and so `answer` does."""
        return self._dialects.of(path) is not None

    def admits(self, head: Head) -> bool:
        """True if a request with this head has an address and a key, and there is room for it."""
        is_room = self.under_way < self._settings.max_in_flight
        return is_room and head.declared <= most_bytes(head.path, self._settings) and self._dispatch.admits(head)

    async def answer(self, call: Call, exchange: "Exchange") -> Response:
        """Return the answer to a call of a dialect; an error is an answer in the shape of its protocol.

        uvicorn cancels what is under way when the time to finish it has passed: that is an answer too. Raises
        ClientDisconnect alone.
        """
        call.id = exchange.id
        try:
            self._check(exchange)
            answer = await self._dispatch.answer(call)
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            answer = self.refusal(errors.Draining(), exchange)
        except Exception as error:
            if is_bug(error):
                log.exception("bug", extra={"request_id": exchange.id})
            answer = self.refusal(error, exchange)
        finally:
            exchange.route = call.route
        exchange.status = answer.status
        return answer

    async def _answer_call(self, scope: Scope, exchange: "Exchange", channel: "Channel") -> None:
        answer = await self.answer(AsgiCall(scope, channel.receive, exchange.head), exchange)
        scope["state"]["is_refused"] = exchange.is_refused
        await answer(scope, channel.receive, channel.send)

    async def _pass_on(self, scope: Scope, exchange: "Exchange", channel: "Channel") -> None:
        try:
            self._check(exchange)
            with self._beside_dialects(exchange):
                await self._app(scope, channel.receive, channel.send)
            return
        except ClientDisconnect:
            raise
        except asyncio.CancelledError:
            refusal = self.refusal(errors.Draining(), exchange)
        except Exception as error:
            if is_bug(error):
                log.exception("bug", extra={"request_id": exchange.id})
            refusal = self.refusal(error, exchange)
        scope["state"]["is_refused"] = exchange.is_refused
        if not exchange.status:
            await refusal(scope, channel.receive, channel.send)

    def _check(self, exchange: "Exchange") -> None:
        """Raise Overloaded where too many requests are under way, BodyTooLarge where the declared length is too large.

        Health probes are never refused: an orchestrator would restart the process and make the overload worse.
        """
        if self._under_way.number > self._settings.max_in_flight and not self._is_probe(exchange):
            raise errors.Overloaded
        head = exchange.head
        if head.declared > self._least_limit and head.declared > (most := most_bytes(head.path, self._settings)):
            raise errors.BodyTooLarge(most)

    @contextmanager
    def _beside_dialects(self, exchange: "Exchange") -> Iterator[None]:
        """Count a request that no dialect answers. Raises Overloaded where these have all of their places.

        They may wait long, such as for a database, and predictions go on.
        """
        most = self._settings.max_in_flight
        is_full = self._under_way.beside >= most - most // DIALECTS_SHARE
        if is_full and exchange.counted and not self._is_probe(exchange):
            raise errors.Overloaded
        self._under_way.beside += exchange.counted
        try:
            yield
        finally:
            self._under_way.beside -= exchange.counted

    def _is_probe(self, exchange: "Exchange") -> bool:
        head = exchange.head
        return head.path in PROBES or self._dialects.is_probe(head.method, head.path)

    def refusal(self, error: Exception, exchange: "Exchange") -> Response:
        """Return an error in the shape of the protocol."""
        exchange.is_refused = isinstance(error, errors.Overloaded)
        return self._dialects.envelope(exchange.head.path).answer(error, exchange.id)


class Exchange:
    """One request and its answer, as the log and the metrics know them."""

    __slots__ = ("_started", "bytes_in", "counted", "has_ended", "head", "id", "is_refused", "route", "status")

    def __init__(self, head: Head) -> None:
        self._started = time.perf_counter()
        self.head = head
        self.route = "other"
        self.bytes_in = 0
        self.counted = 0
        self.has_ended = False
        self.status = 0
        self.is_refused = False
        """Refused because of overload."""
        given = head.headers.get("x-request-id")
        self.id = given if given and REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"

    @property
    def own_headers(self) -> RawHeaders:
        """Headers that every answer has."""
        return ((b"x-request-id", self.id.encode()), NOSNIFF)

    @property
    def own_lines(self) -> bytes:
        """The same, as HTTP/1.1 writes them."""
        return OWN_LINES % self.id.encode()

    def finish(self) -> None:
        """Count the request and write its log line."""
        seconds = time.perf_counter() - self._started
        status = self.status or 499  # nginx's number for a client that left before the answer
        method = self.head.method
        metrics.count_request(self.route, method if method in METHODS else "other", status, seconds)
        fields = {
            "request_id": self.id,
            "method": method,
            "path": self.head.path,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "bytes_in": self.bytes_in,
        }
        logs.event(log, "request", fields)


class Channel:
    """ASGI's two directions around one exchange: counts the bytes of the body, adds the own headers to the answer."""

    def __init__(self, exchange: Exchange, max_body: int, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._max_body = max_body
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """Receive a part of the body. Raises BodyTooLarge where it has become larger than the limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._exchange.bytes_in += len(message.get("body", b""))
            if self._exchange.bytes_in > self._max_body:
                raise errors.BodyTooLarge(self._max_body)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Raises ClientDisconnect where nobody is left to read it."""
        if message["type"] == "http.response.start":
            self._exchange.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._exchange.own_headers]
        try:
            await self._send(message)
        except RuntimeError as error:
            if CLOSED not in str(error):
                raise
            raise ClientDisconnect from error
