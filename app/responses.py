"""The response of a dialect, before it is sent: through ASGI, or by the protocol itself."""

import re
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from starlette.types import Receive, Scope, Send

# A line end in a value would begin a header of its own.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Different heads of answers that are remembered. Most answers of a version have the same; those with remarks on rows,
# of up to 2 KB, have their own.
MOST_REMEMBERED = 256

RawHeaders = tuple[tuple[bytes, bytes], ...]


class Response:
    """Status, headers and body. Lighter than Starlette's response, which costs as much as a small network's call.

    Raises ValueError where a header would hold a control character.
    """

    __slots__ = ("_head", "body", "headers", "media_type", "status")

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self._head = _head(status, tuple(headers.items()) if headers else (), media_type)
        self.body = body
        self.status = status
        self.headers = headers
        self.media_type = media_type

    @property
    def raw_headers(self) -> RawHeaders:
        """All headers, with those that describe the body."""
        return (*self._head.raw, (b"content-length", b"%d" % len(self.body)))

    def head(self, server: bytes) -> bytes:
        """Return the status line and all headers, as HTTP/1.1 writes them; those of the server come first."""
        begin, lines = self._head.begin, self._head.lines
        return b"%b%b%bcontent-length: %d\r\n" % (begin, server, lines, len(self.body))

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class _Head(NamedTuple):
    """What does not depend on the body."""

    begin: bytes
    """The status line."""
    raw: RawHeaders
    lines: bytes
    """The same, as HTTP/1.1 writes them."""


@lru_cache(maxsize=MOST_REMEMBERED)
def _head(status: int, headers: tuple[tuple[str, str], ...], media_type: str | None) -> _Head:
    if any(CONTROL.search(value) for _, value in headers):
        raise ValueError("a header would hold a control character")
    charset = "; charset=utf-8" if media_type is not None and media_type.startswith("text/") else ""
    described = () if media_type is None else (("content-type", f"{media_type}{charset}"),)
    raw = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in (*headers, *described))
    status_line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return _Head(status_line, raw, lines_of(raw))


@lru_cache(maxsize=1)  # they change once a second, with the date
def server_lines(raw: RawHeaders) -> bytes:
    return lines_of(raw)


def lines_of(raw: RawHeaders) -> bytes:
    """Return headers as HTTP/1.1 writes them, a line each."""
    return b"".join(b"%b: %b\r\n" % header for header in raw)
