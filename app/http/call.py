"""A call of a dialect, whichever way the request came: from the protocol itself, or through ASGI."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Scope

if TYPE_CHECKING:
    from app.http.dispatch import Found

RawHeaders = Sequence[tuple[bytes, bytes]]

# Of a declared length. More are too large in any case, and turning thousands of digits into a number takes time.
MOST_DIGITS = 18


class Head:
    """What stands before the body of a request. Requests of the same bytes may share one.

    Its address is found once; nothing else changes it.
    """

    __slots__ = ("declared", "found", "headers", "method", "path", "query")

    def __init__(self, method: str, path: str, query: bytes, headers: RawHeaders) -> None:
        self.method = method
        self.path = path
        """Decoded."""
        self.query = query
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(headers)
        }
        """By name in lower case; of several with one name, the first."""
        self.declared = _declared(self.headers.get("content-length", ""))
        """Bytes that the body has by its declared length; 0 where none is declared."""
        self.found: Found | None = None
        """The address that answers, once it has been looked for."""


def _declared(length: str) -> int:
    if not length.isdecimal():
        return 0
    return int(length) if len(length) <= MOST_DIGITS else 10**MOST_DIGITS


@dataclass(slots=True, eq=False)
class Call:
    """One request, as the handlers of dialects see it. Its body has been received, or is received when it is asked for.

    `path_params` are filled in by dispatch.
    """

    head: Head
    received: bytes = b""
    path_params: Mapping[str, str] = field(default_factory=dict)
    route: str = "other"
    """The address that answers, as metrics call it."""
    id: str = ""
    """The request id that the answer has in its header; the edge fills it in."""

    @property
    def headers(self) -> Mapping[str, str]:
        return self.head.headers

    async def body(self) -> bytes:
        return self.received

    @property
    def base_url(self) -> URL:
        """The address of this server, as the client called it."""
        host = self.headers.get("host")
        headers = [] if host is None else [(b"host", host.encode("latin-1"))]
        scope = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "headers": headers}
        return HTTPConnection(scope).base_url


class AsgiCall(Call):
    """A call whose body is received through ASGI."""

    __slots__ = ("_request",)

    def __init__(self, scope: Scope, receive: Receive, head: Head) -> None:
        super().__init__(head)
        self._request = Request(scope, receive)

    async def body(self) -> bytes:
        """Receive the whole body. Raises BodyTooLarge, or ClientDisconnect where nobody is left to send it."""
        return await self._request.body()

    @property
    def base_url(self) -> URL:
        return self._request.base_url
