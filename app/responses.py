"""The response of a dialect, before it is sent: through ASGI, or by the protocol itself."""

import re

from starlette.types import Receive, Scope, Send

# A line end in a value would begin a header of its own.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Response:
    """Status, headers and body. Lighter than Starlette's response, which costs as much as a small network's call."""

    __slots__ = ("body", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        headers: dict[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        if headers is not None and any(CONTROL.search(value) for value in headers.values()):
            raise ValueError("a header would hold a control character")
        self.body = body
        self.status = status
        self.headers = headers
        self.media_type = media_type

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers, with those that describe the body."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (self.headers or {}).items()]
        raw.append((b"content-length", b"%d" % len(self.body)))
        if self.media_type is not None:
            charset = "; charset=utf-8" if self.media_type.startswith("text/") else ""
            raw.append((b"content-type", f"{self.media_type}{charset}".encode("latin-1")))
        return raw

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.raw_headers()})
        await send({"type": "http.response.body", "body": self.body})
