"""The ceilings of the stack: uvicorn and orjson, no framework and no model.

`app` answers like `/predict/add-ten`, with a Python loop over the rows; `echo` answers any body with its own bytes.
"""

from typing import Any

import orjson


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    body = await _body(receive)
    inputs = orjson.loads(body)["inputs"] if body else []
    answer = orjson.dumps({"pattern": "add-ten", "version": 1, "outputs": [[row[0] + 10.0] for row in inputs]})
    await _answer(send, answer, b"application/json")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await _answer(send, await _body(receive), b"application/octet-stream")


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
