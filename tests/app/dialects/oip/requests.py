"""Requests of the Open Inference Protocol as real clients send them, and a store with patterns of every sort."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from app.dialects.oip import tensors
from models_store.storage.store import Store
from tests.app.over_http import SESAME, fork, pair
from tests.fakes import line
from tests.table_fakes import flowers, messages, passengers, rents

Object = dict[str, Any]


def publish_all(store: Store) -> None:
    """`pair` has two versions; `years` has labels that are numbers."""
    for bundle in (line(), pair(), fork(), passengers(), flowers(), messages(), rents()):
        store.publish(bundle)
    store.publish(flowers("years", ("1999", "2000", "2001"), "number"))
    store.publish(pair())


def in_json(name: str, datatype: str, data: Sequence[Any], shape: Sequence[int] | None = None) -> Object:
    return {"name": name, "datatype": datatype, "shape": list(shape or [len(data)]), "data": list(data)}


def in_bytes(name: str, datatype: str, values: NDArray[Any]) -> tuple[Object, bytes]:
    content = bytes(tensors.to_bytes(values))
    about = {"name": name, "datatype": datatype, "shape": list(values.shape)}
    return {**about, "parameters": {"binary_data_size": len(content)}}, content


def body_of(inputs: Sequence[Object], *binary: bytes, **more: Any) -> tuple[bytes, dict[str, str]]:
    """Return a body as tritonclient writes it, JSON and then binary data, and its header."""
    header = json.dumps({"inputs": inputs, **more}).encode()
    length = {"inference-header-content-length": str(len(header))} if binary else {}
    return b"".join([header, *binary]), length


async def infer(
    client: httpx.AsyncClient,
    model: str,
    inputs: Sequence[Object],
    *binary: bytes,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    content, length = body_of(inputs, *binary, **more)
    address = f"/v2/models/{model}/infer"
    return await client.post(address, content=content, headers={**length, **(headers or {})})


def outputs_in(answer: httpx.Response) -> dict[str, list[Any]]:
    """Values by output, from wherever they stand in the answer."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    said, rest = json.loads(answer.content[:length]), answer.content[length:]
    found: dict[str, list[Any]] = {}
    for output in said["outputs"]:
        if "data" in output:
            found[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        values = tensors.from_bytes(output["datatype"], output["shape"], memoryview(rest[:size]))
        found[output["name"]], rest = values.ravel().tolist(), rest[size:]
    assert rest == b""
    return found


def refusal(answer: httpx.Response) -> int:
    """The status, after a look at what all errors have in common."""
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said.keys() == {"error"} and isinstance(said["error"], str) and said["error"]
    assert len(answer.content) <= 2048 and answer.content.isascii() and SESAME not in answer.text
    return answer.status_code


def numbers(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)
