"""Calls of the gRPC port as clients make them, and an app that has one."""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
import httpx
import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

from app.dialects.oip import tensors
from app.protos import open_inference_pb2 as pb
from models_store.storage.store import Store
from tests.app.over_http import SESAME, an_app, client_of

Said = TypeVar("Said", bound=Message)
OIP, PREDICTION, MODEL = (
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class Caller:
    """A channel to the gRPC port of an app, and a client of its HTTP port."""

    def __init__(self, channel: Any, http: httpx.AsyncClient, app: Any) -> None:
        self.channel = channel
        self.http = http
        self.app = app

    async def bytes_of(self, path: str, content: bytes, **metadata: str) -> bytes:
        """Return the bytes of an answer. Raises AioRpcError."""
        call = self.channel.unary_unary(path)
        answer: bytes = await call(content, metadata=[*metadata.items()], timeout=30)
        return answer

    async def ask(self, path: str, request: Message, kind: type[Said], **metadata: str) -> Said:
        return kind.FromString(await self.bytes_of(path, request.SerializeToString(), **metadata))

    async def infer(self, request: pb.ModelInferRequest, **metadata: str) -> dict[str, list[Any]]:
        """Return values by output."""
        response = await self.ask(f"/{OIP}/ModelInfer", request, pb.ModelInferResponse, **metadata)
        return outputs_in(response)

    async def refused(self, path: str, request: Message | bytes, **metadata: str) -> tuple[grpc.StatusCode, str]:
        """Return code and details, after a look at what all refusals have in common."""
        content = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            await self.bytes_of(path, content, **metadata)
        except grpc.aio.AioRpcError as error:
            details = error.details() or ""
            assert len(details) <= 4096 and details.isascii() and details and SESAME not in details
            assert error.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
            assert "x-request-id" in dict(error.trailing_metadata() or ())
            return error.code(), details
        raise AssertionError("answered")


@asynccontextmanager
async def calling(store: Store, **changes: Any) -> AsyncIterator[Caller]:
    """A caller of an app that has looked at the store."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = an_app(store, **{"grpc_port": port, **changes})
    async with app.router.lifespan_context(app), client_of(app) as http:
        await app.state.parts.registry.refresh()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Caller(channel, http, app)


def typed(model: str, inputs: Sequence[tuple[str, str, Sequence[int], Sequence[Any]]], **more: Any) -> Any:
    """Return a request with typed contents; inputs are names, datatypes, shapes and elements."""
    request = pb.ModelInferRequest(model_name=model, **more)
    for name, datatype, shape, elements in inputs:
        given = request.inputs.add(name=name, datatype=datatype, shape=shape)
        getattr(given.contents, FIELDS[datatype]).extend(elements)
    return request


def raw(model: str, inputs: Mapping[str, NDArray[Any]], **more: Any) -> pb.ModelInferRequest:
    """Return a request with raw contents, as Triton's client sends it."""
    request = pb.ModelInferRequest(model_name=model, **more)
    for name, values in inputs.items():
        request.inputs.add(name=name, datatype=tensors.datatype_of(values), shape=values.shape)
        request.raw_input_contents.append(bytes(tensors.to_bytes(values)))
    return request


def outputs_in(response: pb.ModelInferResponse) -> dict[str, list[Any]]:
    assert len(response.outputs) == len(response.raw_output_contents)
    found = {}
    for output, content in zip(response.outputs, response.raw_output_contents, strict=True):
        values = tensors.from_bytes(output.datatype, list(output.shape), memoryview(content))
        found[output.name] = values.ravel().tolist()
    return found


FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def texts(*values: str) -> NDArray[Any]:
    return np.array(values, dtype=object).reshape(-1, 1)
