"""The gRPC server of a process, on the loop of its HTTP server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from app.answering.answer import Answering
from app.dialects.oip.rpc import OIP_SERVICE
from app.dialects.tensorflow_serving.rpc import TENSORFLOW_SERVICES
from app.grpc.handlers import Handlers
from app.grpc.health import HEALTH_SERVICE, SERVICES
from app.http.dispatch import Dialects, Dispatch
from app.http.edge import Edge
from app.protos.pool import POOL
from app.settings import Settings

DIALECTS = (OIP_SERVICE, TENSORFLOW_SERVICES, HEALTH_SERVICE)
# Pings that hold a connection open come at most so often, and a connection that answers none is closed.
PING_SECONDS, PONG_SECONDS = 60, 20
# A connection without a call for so long is closed.
IDLE_SECONDS = 300


@asynccontextmanager
async def serving(answering: Answering, edge: Edge) -> AsyncIterator[Callable[[], None]]:
    """Serve on the settings' gRPC port inside the block; what it yields lets the server drain, from any thread.

    At the end of the block calls that are under way have `drain_seconds` to end, from the first call of that on.
    """
    settings = answering.settings
    dialects = Dialects(DIALECTS)
    handlers = Handlers(edge.beside(dialects, Dispatch(dialects, answering)), _paths(dialects), answering)
    # The edge limits calls. A limit of gRPC's own would count streams that never end, which take no room of calls.
    server = grpc.aio.server(options=options(settings))
    server.add_generic_rpc_handlers((handlers,))
    POOL.AddSerializedFile(reflection_pb2.DESCRIPTOR.serialized_pb)
    reflection.enable_server_reflection([*SERVICES, reflection.SERVICE_NAME], server, pool=POOL)
    server.add_insecure_port(address(settings))
    await server.start()
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        if not stopping:
            stopping.append(loop.create_task(server.stop(settings.drain_seconds)))

    def drain() -> None:
        loop.call_soon_threadsafe(stop)

    try:
        yield drain
    finally:
        stop()
        await asyncio.gather(*stopping)


def address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.grpc_port}"


def options(settings: Settings) -> list[tuple[str, int]]:
    """Return the options of gRPC, with the limits of HTTP where there are such."""
    return [
        # Workers share the port; `patterns serve` holds it for them. Without workers nobody may share it.
        ("grpc.so_reuseport", int(settings.workers > 1)),
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_header_kb << 10),
        ("grpc.absolute_max_metadata_size", settings.max_header_kb << 10),
        ("grpc.max_concurrent_streams", settings.max_in_flight),
        ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
        ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", PONG_SECONDS * 1000),
    ]


def _paths(dialects: Dialects) -> list[str]:
    return [address.path for address in dialects.addresses]
