"""The shapes in which the protocols send errors, and the handlers that put FastAPI's errors into the native one."""

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response as StarletteResponse
from starlette.routing import Match

from app.errors import (
    DeadlinePassed,
    KeyMissing,
    KeyWrong,
    Malformed,
    NotHere,
    Overloaded,
    Unprocessable,
    WrongMethod,
)
from app.responses import Response
from app.statuses import BUG, STATUS, UNPROCESSABLE, retry_header, status_of
from models_store.errors import PatternServerError, UnknownPattern

LONGEST_MESSAGE = 900
# Bytes of a message as JSON in ASCII, where the 2 KB that an error may have leave room for the rest of it.
MOST_ESCAPED = 1800


@dataclass(frozen=True)
class Envelope:
    """The shape of a protocol's errors: at most 2 KB of ASCII, other characters as JSON escapes them."""

    body: Callable[[int, str, str, str], dict[str, Any]]
    """status, code, message, request id -> the body, sent as JSON"""
    unprocessable: int = UNPROCESSABLE
    """The status of a request that can be read but not used; protocols older than 422 have another."""
    name: str = "Error"
    """The name of the shape in the OpenAPI document."""

    def answer(self, error: Exception, request_id: str) -> Response:
        status = self._status(error)
        code, message = _code_and_message(error)
        headers = retry_header(error)
        if isinstance(error, WrongMethod):
            headers["allow"] = error.allowed
        if isinstance(error, KeyMissing):
            headers["www-authenticate"] = "Bearer"
        body = json.dumps(self.body(status, code, _shortened(message), request_id), separators=(",", ":"))
        return Response(body.encode(), status, headers, "application/json")

    def _status(self, error: Exception) -> int:
        native = status_of(error)
        return self.unprocessable if native == UNPROCESSABLE else native


def _shortened(message: str) -> str:
    """Return the printable characters of a message, as many as an error has room for once they are escaped."""
    text = "".join(letter if letter.isprintable() else "?" for letter in message[:LONGEST_MESSAGE])
    return text[: bisect_right([*accumulate(map(_escaped_size, text))], MOST_ESCAPED)]


def _escaped_size(letter: str) -> int:
    """Return the bytes of a character in JSON of ASCII: one beyond 65 535 is a pair of escapes."""
    if letter.isascii():
        return 2 if letter in '"\\' else 1
    return 6 if ord(letter) <= 0xFFFF else 12


def _code_and_message(error: Exception) -> tuple[str, str]:
    match error:
        case Unprocessable():
            return error.fault, str(error)
        case PatternServerError():
            return error.code, str(error)
    return "internal_error", "the server has a fault here; its log says more under this request id"


# -- the protocols -------------------------------------------------------------------------------------------------

NATIVE = Envelope(
    lambda _status, code, message, request_id: {"error": {"code": code, "message": message, "request_id": request_id}}
)
# Open Inference Protocol, TensorFlow Serving, KServe.
PLAIN = Envelope(
    lambda _status, _code, message, _request_id: {"error": message},
    unprocessable=STATUS[Malformed],
    name="PlainError",
)
# MLflow's error codes; every other status is a bad request.
SCORING_CODES = {
    STATUS[KeyMissing]: "UNAUTHENTICATED",
    STATUS[KeyWrong]: "PERMISSION_DENIED",
    STATUS[UnknownPattern]: "RESOURCE_DOES_NOT_EXIST",
    BUG: "INTERNAL_ERROR",
    STATUS[Overloaded]: "TEMPORARILY_UNAVAILABLE",
    STATUS[DeadlinePassed]: "DEADLINE_EXCEEDED",
}


def _scoring(status: int, code: str, message: str, _request_id: str) -> dict[str, Any]:
    scoring_code = "ENDPOINT_NOT_FOUND" if code == NotHere.code else SCORING_CODES.get(status, "BAD_REQUEST")
    return {"error_code": scoring_code, "message": message}


SCORING = Envelope(_scoring, unprocessable=STATUS[Malformed], name="ScoringError")


# -- FastAPI -------------------------------------------------------------------------------------------------------


def install(app: FastAPI) -> None:
    """Let every error of the app leave in the native shape, also those of the router and of parameter validation."""
    app.add_exception_handler(PatternServerError, _on_error)
    app.add_exception_handler(Exception, _on_error)  # answered so, and raised on to the edge, which logs it
    app.add_exception_handler(RequestValidationError, _on_bad_parameter)
    app.add_exception_handler(HTTPException, _on_no_route)


async def _on_error(request: Request, error: Exception) -> StarletteResponse:
    request.state.is_refused = isinstance(error, Overloaded)
    return _response(error, request.state.request_id)


async def _on_bad_parameter(request: Request, error: Exception) -> StarletteResponse:
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["loc"][0] == "path" for fault in faults):
        return _response(NotHere(), request.state.request_id)
    wrong = "; ".join(f"{_place(fault['loc'])[:64]}: {fault['msg'][:200]}" for fault in faults[:5])
    return _response(Unprocessable("bad_parameter", wrong), request.state.request_id)


def _place(location: tuple[int | str, ...]) -> str:
    """Return the name of a parameter as the address has it, and any other place with the part of the request."""
    return ".".join(map(str, location[1:] if location[0] == "query" else location))


async def _on_no_route(request: Request, error: Exception) -> StarletteResponse:
    assert isinstance(error, HTTPException)
    is_wrong_method = error.status_code == STATUS[WrongMethod]
    found = WrongMethod(_methods(request)) if is_wrong_method else NotHere()
    return _response(found, request.state.request_id)


def _response(error: Exception, request_id: str) -> StarletteResponse:
    answer = NATIVE.answer(error, request_id)
    return StarletteResponse(answer.body, answer.status, answer.headers, answer.media_type)


def _methods(request: Request) -> set[str]:
    """Return all methods that an address answers; the router names only those of the first route that it finds."""
    methods: set[str] = set()
    for route in request.app.state.parts.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return methods
