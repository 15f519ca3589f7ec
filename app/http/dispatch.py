"""Dispatch of calls to the dialects, before FastAPI's layers: those cost more than a small network's whole answer.

POST /v2/models/quadratic/infer  ->  the dialect of "v2"  ->  its address  ->  handler(answering, call)  ->  Response
GET  /patterns                   ->  no dialect: FastAPI
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from app.answering.answer import Answering
from app.envelopes import NATIVE, Envelope
from app.errors import NotHere, WrongMethod
from app.http import keys
from app.http.call import Call
from app.responses import Response
from app.settings import Settings
from models_store.bundle import Bundle

# Clients ask at few addresses, and very often: so many ways are remembered, of paths of so many characters.
MOST_REMEMBERED, LONGEST_REMEMBERED = 1024, 200
PARAMETER = re.compile(r"\{([a-z]+)\}")


Handler = Callable[[Answering, Call], Awaitable[Response]]
Guard = Callable[[Call, Settings], None]


def anybody(_call: Call, _settings: Settings) -> None:
    """No key is needed."""


@dataclass(frozen=True)
class Address:
    """One address and method of a dialect. `{name}` in the path stands for a part without slash or colon."""

    method: str
    path: str
    handler: Handler
    guard: Guard = keys.check_predictor
    documented: Mapping[str, Any] = field(default_factory=dict)
    """Its operation in the OpenAPI document."""
    example: Callable[[Bundle], Any] | None = None
    """A body in JSON that works as it is, or None where this address is not for the bundle's pattern."""
    is_probe: bool = False
    """True for a question whether something lives or is ready: answered however many requests are under way."""

    def answers(self, method: str) -> bool:
        """True if this address answers the method; a GET is answered to HEAD as well, without a body."""
        return method == self.method or (method == "HEAD" and self.method == "GET")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        literal = [re.escape(part) for part in PARAMETER.split(self.path)[::2]]
        names = PARAMETER.findall(self.path)
        return re.compile(
            "".join(f"{part}(?P<{name}>[^/:]+)" for part, name in zip(literal, names, strict=False)) + literal[-1]
        )


@dataclass(frozen=True, eq=False)
class Dialect:
    """A protocol: its addresses, and the shape of its errors. The first segments of its addresses are its own."""

    addresses: Sequence[Address]
    envelope: Envelope = NATIVE
    has_segments: bool = True
    """False where only its very addresses belong to it, and other dialects stand beside them."""

    @property
    def segments(self) -> set[str]:
        return {first_segment(address.path) for address in self.addresses}

    def found(self, method: str, path: str) -> tuple[Address, dict[str, str]]:
        """Return the address, and the parameters in its path. Raises NotHere or WrongMethod."""
        methods: set[str] = set()
        for address in self.addresses:
            if (match := address.pattern.fullmatch(path)) is not None:
                if address.answers(method):
                    return address, match.groupdict()
                methods |= {address.method, "HEAD"} if address.method == "GET" else {address.method}
        if methods:
            raise WrongMethod(methods)
        raise NotHere

    def is_probe(self, method: str, path: str) -> bool:
        probes = (address for address in self.addresses if address.is_probe)
        return any(address.answers(method) and address.pattern.fullmatch(path) for address in probes)


class Dialects:
    """All dialects, by the first segment of their addresses."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._by_segment = {
            segment: dialect for dialect in dialects if dialect.has_segments for segment in dialect.segments
        }
        self._by_path = {
            address.path: dialect for dialect in dialects if not dialect.has_segments for address in dialect.addresses
        }
        self.addresses = [address for dialect in dialects for address in dialect.addresses]

    def of(self, path: str) -> Dialect | None:
        return self._by_path.get(path) or self._by_segment.get(first_segment(path))

    def is_probe(self, method: str, path: str) -> bool:
        dialect = self.of(path)
        return dialect is not None and dialect.is_probe(method, path)

    def envelope(self, path: str) -> Envelope:
        """Return the shape of errors at this path."""
        dialect = self.of(path)
        return NATIVE if dialect is None else dialect.envelope


class Dispatch:
    """The way from a call to the handler of its address. One for the app."""

    def __init__(self, dialects: Dialects, answering: Answering) -> None:
        self._dialects = dialects
        self._answering = answering
        self._remembered = lru_cache(maxsize=MOST_REMEMBERED)(_found)

    async def answer(self, call: Call) -> Response:
        """Return what the handler of the call's address answers. Raises NotHere or WrongMethod, and what it raises."""
        dialect = self._dialects.of(call.path)
        if dialect is None:
            raise NotHere
        find = self._remembered if len(call.path) <= LONGEST_REMEMBERED else _found
        address, call.path_params = find(dialect, call.method, call.path)
        call.route = address.path
        address.guard(call, self._answering.settings)
        return await address.handler(self._answering, call)


def _found(dialect: Dialect, method: str, path: str) -> tuple[Address, Mapping[str, str]]:
    """Return what `Dialect.found` does, for good: the parameters of one call are those of the next."""
    address, parameters = dialect.found(method, path)
    return address, MappingProxyType(parameters)


def first_segment(path: str) -> str:
    return path[1:].partition("/")[0]
