"""Dispatch of calls to the dialects, before FastAPI's layers: those cost more than a small network's whole answer.

POST /v2/models/quadratic/infer  ->  the dialect of "v2"  ->  its address  ->  handler(answering, call)  ->  Response
GET  /patterns                   ->  no dialect: FastAPI
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from app.answering.answer import Answering
from app.envelopes import NATIVE, Envelope
from app.errors import NotHere, WrongMethod
from app.http import keys
from app.http.call import Call, Head
from app.responses import Response
from app.settings import Settings
from models_store.bundle import Bundle
from models_store.errors import PatternServerError

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


class Found(NamedTuple):
    """The address of a call, and the parameters in its path."""

    address: Address
    parameters: Mapping[str, str]


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

    def found(self, method: str, path: str) -> Found:
        """Return the address, and the parameters in its path. Raises NotHere or WrongMethod."""
        methods: set[str] = set()
        for address in self.addresses:
            if (match := address.pattern.fullmatch(path)) is not None:
                if address.answers(method):
                    return Found(address, MappingProxyType(match.groupdict()))
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

    def answer(self, call: Call) -> Awaitable[Response]:
        """Return what the handler of the call's address answers. Raises NotHere, WrongMethod, and for want of a key.

        No coroutine of its own: each would be entered again when the answer comes.
        """
        found = call.head.found or self._found(call.head)
        call.path_params = found.parameters
        call.route = found.address.path
        found.address.guard(call, self._answering.settings)
        return found.address.handler(self._answering, call)

    def admits(self, head: Head) -> bool:
        """True if the head's address would not refuse it for want of a key."""
        try:
            found = head.found or self._found(head)
            found.address.guard(Call(head), self._answering.settings)
        except PatternServerError:
            return False
        return True

    def _found(self, head: Head) -> Found:
        dialect = self._dialects.of(head.path)
        if dialect is None:
            raise NotHere
        head.found = dialect.found(head.method, head.path)
        return head.found


def first_segment(path: str) -> str:
    return path[1:].partition("/")[0]
