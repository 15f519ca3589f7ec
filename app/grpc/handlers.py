"""From a gRPC call to its answer: the call passes the edge as a request of HTTP does.

metadata, message  ->  Call  ->  Edge.answer  ->  Response  ->  message, or a status with its details
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import grpc
import orjson
from google.protobuf.message import DecodeError

from app.answering.answer import Answering
from app.errors import BodyTooLarge, Malformed
from app.formats.expected import TO_IGNORE
from app.grpc.health import HEALTH, watched
from app.http.call import Call, Head
from app.http.edge import Edge, Exchange
from app.protos.health_pb2 import HealthCheckRequest
from app.responses import Response
from app.settings import Settings
from app.statuses import RPC_CODES

# Bytes. Of longer details a client gets as much as fits into the headers that it takes, or a status of its own.
LONGEST_DETAILS = 4096
# The metadata that takes the place of `?extra=` of an address.
EXTRA = "extra"
TO_IGNORE_HERE = "send the metadata extra: ignore"
Metadata = Sequence[tuple[str, str | bytes]]
Context = Any


class RpcCall(Call):
    """A call whose message is received when it is asked for: after the checks of key, address and room."""

    __slots__ = ("_context", "_exchange", "_is_received", "_settings")

    def __init__(self, head: Head, context: Context, exchange: Exchange, settings: Settings) -> None:
        super().__init__(head)
        self._context = context
        self._exchange = exchange
        self._settings = settings
        self._is_received = False

    async def body(self) -> bytes:
        """Receive the message. Raises Malformed where none comes in time, and BodyTooLarge."""
        if not self._is_received:
            try:
                async with asyncio.timeout(self._settings.body_seconds):
                    self.received = await _message(self._context)
            except TimeoutError:
                raise Malformed(f"no message came within {self._settings.body_seconds:g} s") from None
            self._is_received = True
            self._exchange.bytes_in = len(self.received)
            if len(self.received) > self._settings.max_body_bytes:
                raise BodyTooLarge(self._settings.max_body_bytes)
        return self.received


async def _message(context: Context) -> bytes:
    received = await context.read()
    return b"" if received is grpc.aio.EOF else received


class Handlers(grpc.GenericRpcHandler):
    """The handlers of all methods. One for the app."""

    def __init__(self, edge: Edge, paths: Sequence[str], answering: Answering) -> None:
        self._edge = edge
        self._answering = answering
        # A handler that takes a stream of messages receives the only one itself, after it has looked at the metadata.
        self._handlers: dict[str, Any] = {
            path: grpc.stream_unary_rpc_method_handler(partial(self._answer, path)) for path in paths
        }
        self._n_watches = 0
        self._handlers[f"/{HEALTH}/Watch"] = grpc.unary_stream_rpc_method_handler(self._watch)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return the handler of a method; gRPC itself refuses those that are not there."""
        return self._handlers.get(handler_call_details.method)

    async def _answer(self, path: str, _messages: object, context: Context) -> bytes:
        head = _head(path, context.invocation_metadata() or ())
        exchange = self._edge.begin(head)
        try:
            answer = await self._edge.answer(RpcCall(head, context, exchange, self._answering.settings), exchange)
            if context.cancelled():
                exchange.status = 0  # its client has gone, or its time has passed
        finally:
            self._edge.end(exchange)
        metadata = (("x-request-id", exchange.id), *(answer.headers or {}).items())
        if answer.status == HTTPStatus.OK:
            context.set_trailing_metadata(metadata)
            return answer.body
        await context.abort(code_of(answer.status), details_of(answer), metadata)
        raise AssertionError("aborted")

    async def _watch(self, message: bytes, context: Context) -> None:
        try:
            service = HealthCheckRequest.FromString(message).service
        except DecodeError:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"the body is no {HealthCheckRequest.DESCRIPTOR.full_name}"
            )
        most = self._answering.settings.max_in_flight
        if self._n_watches >= most:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{most} watches are open; call Check instead")
        self._n_watches += 1
        try:
            async for status in watched(self._answering, service):
                await context.write(status.SerializeToString())
        finally:
            self._n_watches -= 1


def _head(path: str, metadata: Metadata) -> Head:
    """Return metadata as the headers of a request."""
    headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1")) for name, value in metadata
    ]
    head = Head("POST", path, b"", headers)
    if EXTRA in head.headers:
        head.query = urlencode({EXTRA: head.headers[EXTRA]}).encode()
    return head


def code_of(status: int) -> grpc.StatusCode:
    """Return the code of gRPC for a status of HTTP. A fault of the server is UNKNOWN, as gRPC itself has it."""
    return grpc.StatusCode[RPC_CODES.get(status, "UNKNOWN")]


def details_of(answer: Response) -> str:
    """Return the words of an error."""
    words: str = orjson.loads(answer.body)["error"]
    return words.replace(TO_IGNORE, TO_IGNORE_HERE)[:LONGEST_DETAILS]
