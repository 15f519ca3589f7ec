"""Calls of the gRPC port: ours against an echo by grpc.aio, and MLServer; the client is the same, in its own process.

The client is in Python, and takes as much of a core as a server does: what a call costs the server says more than how
many there were.

python -m benchmarks.rpc load PORT STREAMS SECONDS < message     prints {"calls", "requests_per_s", "p50_ms", "p99_ms"}
python -m benchmarks.rpc echo PORT                               answers every call with its message
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop

from app.protos.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from benchmarks import environments
from benchmarks.contenders import ECHO, ours
from benchmarks.network import PATTERN
from benchmarks.peers import PEERS, mlserver
from benchmarks.servers import PATIENCE_SECONDS, PROJECT, TOLERANCE, Contender, Server, Trouble, free_port, launched
from benchmarks.serving import Effort

METHOD = "/inference.GRPCInferenceService/ModelInfer"
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
SEED = 0


@dataclass(frozen=True)
class Calls:
    """So many rows in each call, so many calls at a time."""

    name: str
    n_rows: int
    streams: int


ONE, MANY = Calls("gRPC, 1 row, 32 streams", 1, 32), Calls("gRPC, 100 000 rows, 2 streams", 100_000, 2)
WORKLOADS = (ONE, MANY)


def measured(store: Path, network: Path, engines: list[str], effort: Effort) -> dict[str, Any]:
    """Return {workload: {server: rounds}}; the servers take turns."""
    with contextlib.ExitStack() as running:
        servers = [running.enter_context(_answering(contender)) for contender in _contenders(store, network, engines)]
        return {calls.name: _rounds(servers, calls, effort) for calls in WORKLOADS}


def _rounds(servers: list[Server], calls: Calls, effort: Effort) -> dict[str, list[dict[str, float]]]:
    message = _message(calls.n_rows)
    found: dict[str, list[dict[str, float]]] = {server.contender.name: [] for server in servers}
    for _ in range(effort.rounds):
        for server in servers:
            before = server.cpu_seconds()
            taken = _load(server.port, calls.streams, effort.seconds, message)
            taken["cpu_ms"] = 1000 * (server.cpu_seconds() - before) / taken.pop("calls")
            found[server.contender.name].append(taken)
    return found


# -- servers -----------------------------------------------------------------------------------------------------------


def _contenders(store: Path, network: Path, engines: list[str]) -> Iterator[Contender]:
    yield Contender(ECHO, [sys.executable, "-m", "benchmarks.rpc", "echo", "{port}"], {}, is_echo=True)
    for engine in engines:
        yield ours(store, engine, port=free_port(), grpc_port="{port}", max_body_mb=64)
    if environments.python("mlserver").exists():
        peer = mlserver.contender(network)
        ports = {"MLSERVER_HTTP_PORT": str(free_port()), "MLSERVER_GRPC_PORT": "{port}"}
        yield replace(peer, name=PEERS["mlserver"], environment={**peer.environment, **ports})


@contextlib.contextmanager
def _answering(contender: Contender) -> Iterator[Server]:
    """Start a server, and wait until it answers right. Raises Trouble."""
    with launched(contender) as server:
        message = _message(3)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = _call(server.port, message)
                break
            except grpc.RpcError as error:
                if time.monotonic() > deadline or server.process.poll() is not None:
                    raise Trouble(f"{contender.name} does not answer by gRPC: {error}") from None
                time.sleep(0.2)
        if contender.is_echo:
            assert answer == message
        else:
            _check(contender.name, answer)
        yield server


def _call(port: int, message: bytes) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}", ANY_SIZE) as channel:
        call: Any = channel.unary_unary(METHOD, None, None)
        answer: bytes = call(message, timeout=10)
        return answer


def _check(name: str, answer: bytes) -> None:
    said = ModelInferResponse.FromString(answer)
    output = said.outputs[0]
    if said.raw_output_contents:
        kind = np.float64 if output.datatype == "FP64" else np.float32
        found = np.frombuffer(said.raw_output_contents[0], kind)
    else:
        found = np.asarray(output.contents.fp64_contents or output.contents.fp32_contents)
    if not np.allclose(found, _rows(3) + 10, rtol=TOLERANCE, atol=TOLERANCE):
        raise Trouble(f"{name} answers other numbers")


def _rows(n_rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(SEED).uniform(0, 100, n_rows).astype(np.float32)


def _message(n_rows: int) -> bytes:
    tensor = ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[n_rows, 1])
    raw = _rows(n_rows).tobytes()
    request = ModelInferRequest(model_name=PATTERN, inputs=[tensor], raw_input_contents=[raw])
    message: bytes = request.SerializeToString()
    return message


async def _echo(port: int) -> None:
    async def answer(message: bytes, _context: object) -> bytes:
        return message

    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    service, method = METHOD.lstrip("/").split("/")
    server = grpc.aio.server(options=ANY_SIZE)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


# -- load --------------------------------------------------------------------------------------------------------------


def _load(port: int, streams: int, seconds: float, message: bytes) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.rpc", "load", str(port), str(streams), str(seconds)]
    ran = subprocess.run(command, input=message, capture_output=True, check=True, timeout=PATIENCE_SECONDS, cwd=PROJECT)
    taken: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return taken


async def _calls(port: int, streams: int, seconds: float, message: bytes) -> dict[str, float]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", ANY_SIZE) as channel:
        call: Any = channel.unary_unary(METHOD, None, None)
        await call(message)
        begun = time.perf_counter()
        until = begun + seconds
        taken = await asyncio.gather(*(_stream(call, message, until) for _ in range(streams)))
        passed = time.perf_counter() - begun
    times = np.array([each for stream in taken for each in stream])
    p50, p99 = (1000 * np.percentile(times, [50, 99])).tolist()
    return {"calls": len(times), "requests_per_s": len(times) / passed, "p50_ms": p50, "p99_ms": p99}


async def _stream(call: Any, message: bytes, until: float) -> list[float]:
    """Send one call after another, and return the seconds that each took."""
    taken, now = [], time.perf_counter()
    while now < until:
        await call(message)
        taken.append(time.perf_counter() - now)
        now = time.perf_counter()
    return taken


def main() -> None:
    what, port, *rest = sys.argv[1:]
    if what == "echo":
        uvloop.run(_echo(int(port)))
        return
    streams, seconds = rest
    taken = uvloop.run(_calls(int(port), int(streams), float(seconds), sys.stdin.buffer.read()))
    sys.stdout.write(json.dumps(taken))


if __name__ == "__main__":
    main()
