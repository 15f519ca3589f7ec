"""The ceilings of the stack: uvicorn and orjson, no framework and no model.

`app` answers like `/predict/add-ten`, and like the JSON of other protocols at their addresses, with a Python loop over
the rows; `echo` answers any body with its own bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = await _body(receive)
    answer = ANSWERS.get(scope["path"], _native)(orjson.loads(body) if body else NO_ROWS)
    await _answer(send, orjson.dumps(answer), b"application/json")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _answer(send, await _body(receive), b"application/octet-stream")


def _native(asked: Any) -> dict[str, Any]:
    return {"pattern": "add-ten", "version": 1, "outputs": [[row[0] + 10.0] for row in asked["inputs"]]}


def _oip(asked: Any) -> dict[str, Any]:
    tensor = asked["inputs"][0]
    output = {"name": "y", "shape": tensor["shape"], "datatype": "FP32", "data": [x + 10.0 for x in tensor["data"]]}
    return {"model_name": "add-ten", "model_version": "1", "outputs": [output]}


def _tensorflow_serving(asked: Any) -> dict[str, Any]:
    return {"predictions": [row[0] + 10.0 for row in asked["instances"]]}


def _invocations(asked: Any) -> dict[str, Any]:
    return {"predictions": [{"y": row[0] + 10.0} for row in asked["dataframe_split"]["data"]]}


NO_ROWS: Mapping[str, Any] = {"inputs": []}
ANSWERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "/v2/models/add-ten/infer": _oip,
    "/v1/models/add-ten:predict": _tensorflow_serving,
    "/invocations": _invocations,
}


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Any, answer: bytes, content_type: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
