"""A call of a dialect, whichever way the request came: from the protocol itself, or through ASGI."""

from collections.abc import Mapping, Sequence
from typing import overload

from starlette.datastructures import URL, QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.types import Receive, Scope

RawHeaders = Sequence[tuple[bytes, bytes]]


class Headers:
    """The headers of a request, by name in lower case; of several with one name, the first."""

    __slots__ = ("_values",)

    def __init__(self, raw: RawHeaders) -> None:
        self._values = dict(reversed(raw))

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a header's value, decoded as Latin-1; `default` where the request has no such header."""
        value = self._values.get(name.encode("latin-1"))
        return default if value is None else value.decode("latin-1")


class Call:
    """One request, as the handlers of dialects see it. Its body has been received, or is received when it is asked for.

    `path` is decoded; `path_params` are filled in by dispatch.
    """

    __slots__ = ("_body", "_query", "headers", "method", "path", "path_params", "route")

    def __init__(self, method: str, path: str, query: bytes, headers: Headers, body: bytes = b"") -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.path_params: Mapping[str, str] = {}
        self.route = "other"
        """The address that answers, as metrics call it."""
        self._query = query
        self._body = body

    async def body(self) -> bytes:
        return self._body

    @property
    def has_query(self) -> bool:
        return bool(self._query)

    @property
    def query_params(self) -> QueryParams:
        return QueryParams(self._query)

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

    def __init__(self, scope: Scope, receive: Receive, headers: Headers) -> None:
        super().__init__(scope["method"], scope["path"], scope["query_string"], headers)
        self._request = Request(scope, receive)

    async def body(self) -> bytes:
        """Receive the whole body. Raises BodyTooLarge, or ClientDisconnect where nobody is left to send it."""
        return await self._request.body()

    @property
    def base_url(self) -> URL:
        return self._request.base_url
