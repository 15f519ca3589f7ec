"""The one table of errors: what went wrong -> HTTP status. Nothing else in the project knows a status code of an error.

PatternServerError
  Malformed · NotAcceptedType · BodyTooLarge · AnswerTooLarge · TooManyRows · Unprocessable · NotHere · WrongMethod
  KeyMissing · KeyWrong · ForeignOrigin
  UnknownJob · JobEnded · TrainingUnderWay · QueueFull · TrainingUnavailable
  NotLoaded · Unloaded · Overloaded · Draining · DeadlinePassed
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from models_store import errors as store_errors
from models_store.errors import PatternServerError
from training.recipe.base import RecipeError

# Doubled where every character is escaped, and still within the 2 KB that an error may have.
LONGEST_MESSAGE = 900
RETRY_SECONDS = 2


class Malformed(PatternServerError):
    code = "malformed"


class NotAcceptedType(PatternServerError):
    code = "unsupported_content_type"


class BodyTooLarge(PatternServerError):
    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the limit of {limit} bytes")


class TooManyRows(PatternServerError):
    code = "too_many_rows"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body holds more than the limit of {limit} rows; send several requests")


class AnswerTooLarge(PatternServerError):
    code = "answer_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer would hold more than {limit} numbers or labels; ask about fewer rows at a time")


class TrainingUnderWay(PatternServerError):
    code = "training_under_way"

    def __init__(self) -> None:
        super().__init__("a training of this pattern is queued or running, and would publish it again; cancel it first")


Fault = Literal[
    "bad_body",
    "bad_label",
    "bad_layout",
    "bad_parameter",
    "bad_row",
    "bad_shape",
    "bad_type",
    "bad_value",
    "compressed",
    "duplicate_column",
    "idempotency_key_reused",
    "missing_column",
    "missing_value",
    "no_rows",
    "not_a_classification",
    "not_a_number",
    "unknown_column",
]


class Unprocessable(PatternServerError):
    """A request that can be read but not used; `fault` says why, and is the code of the answer."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class NotHere(PatternServerError):
    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is nothing here")


class WrongMethod(PatternServerError):
    code = "method_not_allowed"

    def __init__(self, allowed: set[str]) -> None:
        super().__init__("this address answers other methods")
        self.allowed = ", ".join(sorted(allowed))


class KeyMissing(PatternServerError):
    code = "key_missing"

    def __init__(self) -> None:
        super().__init__("a key is needed: Authorization: Bearer <key>")


class KeyWrong(PatternServerError):
    code = "key_wrong"

    def __init__(self) -> None:
        super().__init__("the key is not the one for this")


class ForeignOrigin(PatternServerError):
    code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("a page from another origin may not change anything here")


class UnknownJob(PatternServerError):
    code = "unknown_job"

    def __init__(self) -> None:
        super().__init__("no such training; GET /train lists them")


class JobEnded(PatternServerError):
    code = "job_ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"this training has ended already: {status}")


class QueueFull(PatternServerError):
    code = "queue_full"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} trainings are waiting already; try again when one has ended")


class TrainingUnavailable(PatternServerError):
    code = "training_unavailable"


class NotLoaded(PatternServerError):
    code = "not_loaded"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not loaded yet; try again in a moment")


class Unloaded(PatternServerError):
    code = "unloaded"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"pattern {pattern} was unloaded; POST /v2/repository/models/{pattern}/load loads it again")


class Overloaded(PatternServerError):
    code = "overloaded"

    def __init__(self) -> None:
        super().__init__("too many requests are under way")


class Draining(PatternServerError):
    code = "draining"

    def __init__(self) -> None:
        super().__init__("the server is about to stop")


class DeadlinePassed(PatternServerError):
    code = "deadline_passed"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the answer was not ready within {seconds:g} s")


STATUS: dict[type[PatternServerError], int] = {
    Malformed: 400,
    KeyMissing: 401,
    KeyWrong: 403,
    ForeignOrigin: 403,
    store_errors.UnknownPattern: 404,
    store_errors.UnknownVersion: 404,
    store_errors.UnknownLabel: 404,
    store_errors.PlotNotApplicable: 404,
    store_errors.UnknownDataset: 404,
    store_errors.DatasetGone: 404,
    UnknownJob: 404,
    NotHere: 404,
    WrongMethod: 405,
    store_errors.VersionInUse: 409,
    store_errors.ChampionStays: 409,
    store_errors.NothingToRollBack: 409,
    store_errors.LabelsDamaged: 409,
    JobEnded: 409,
    TrainingUnderWay: 409,
    BodyTooLarge: 413,
    AnswerTooLarge: 413,
    TooManyRows: 413,
    NotAcceptedType: 415,
    Unprocessable: 422,
    store_errors.NotFinite: 422,
    store_errors.TableError: 422,
    RecipeError: 422,
    QueueFull: 429,
    TrainingUnavailable: 503,
    NotLoaded: 503,
    Unloaded: 503,
    Overloaded: 503,
    Draining: 503,
    store_errors.DeviceUnavailable: 503,
    store_errors.EngineUnavailable: 503,
    store_errors.NoGoodVersion: 503,
    store_errors.BundleDamaged: 503,
    store_errors.BundleUnreadable: 503,
    store_errors.DatasetDamaged: 503,
    store_errors.StoreUnwritable: 503,
    store_errors.StoreBusy: 503,
    store_errors.PublishUnconfirmed: 503,
    DeadlinePassed: 504,
    store_errors.DiskFull: 507,
}
# Waiting helps against these; a version that is damaged stays so.
WORTH_A_RETRY = (
    QueueFull,
    TrainingUnavailable,
    NotLoaded,
    Overloaded,
    Draining,
    store_errors.StoreBusy,
    store_errors.BundleUnreadable,
)


@dataclass(frozen=True)
class Envelope:
    """The shape of a protocol's errors: at most 2 KB, ASCII, nothing of the input in it."""

    body: Callable[[int, str, str, str], dict[str, Any]]
    """status, code, message, request id -> what is sent as JSON"""
    unprocessable: int = 422
    """What protocols older than 422 say of a request that can be read but not used."""
    name: str = "Error"
    """In the OpenAPI document."""

    def status(self, native: int) -> int:
        """What this protocol says where the native one says `native`."""
        return self.unprocessable if native == 422 else native

    def answer(self, error: Exception, request_id: str) -> Response:
        status = self.status(status_of(error))
        code, message = _words(error)
        headers = retry_header(error)
        if isinstance(error, WrongMethod):
            headers["allow"] = error.allowed
        if status == 401:
            headers["www-authenticate"] = "Bearer"
        text = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in message)
        body = orjson.dumps(self.body(status, code, text[:LONGEST_MESSAGE], request_id))
        return Response(body, status, headers, "application/json")


NATIVE = Envelope(
    lambda _status, code, message, request_id: {"error": {"code": code, "message": message, "request_id": request_id}}
)
# Open Inference Protocol, TensorFlow Serving, KServe.
PLAIN = Envelope(lambda _status, _code, message, _request_id: {"error": message}, unprocessable=400, name="PlainError")
# MLflow's words, by status; what is not here is a bad request.
SCORING_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _scoring(status: int, code: str, message: str, _request_id: str) -> dict[str, Any]:
    word = "ENDPOINT_NOT_FOUND" if code == NotHere.code else SCORING_CODES.get(status, "BAD_REQUEST")
    return {"error_code": word, "message": message}


SCORING = Envelope(_scoring, unprocessable=400, name="ScoringError")


def retry_header(error: Exception) -> dict[str, str]:
    return {"retry-after": str(RETRY_SECONDS)} if isinstance(error, WORTH_A_RETRY) else {}


def codes_by_status(unprocessable: int = 422) -> dict[int, list[str]]:
    """Every code that an answer of each status may carry."""
    codes: dict[int, set[str]] = {}
    for kind, status in STATUS.items():
        place = unprocessable if status == 422 else status
        codes.setdefault(place, set()).update(get_args(Fault) if kind is Unprocessable else {kind.code})
    return {status: sorted(names) for status, names in codes.items()}


def is_unavailable(error: Exception) -> bool:
    """What was asked for is there, and does not answer now."""
    return status_of(error) == 503


def status_of(error: Exception) -> int:
    """By the nearest class in the table; what is not in it is a bug, 500."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def _words(error: Exception) -> tuple[str, str]:
    match error:
        case Unprocessable():
            return error.fault, str(error)
        case PatternServerError():
            return error.code, str(error)
    return "internal_error", "the server has a fault here; its log says more under this request id"


def install(app: FastAPI) -> None:
    """Every error, also those of the router and of parameter validation, leaves in the one shape."""

    async def domain(request: Request, error: Exception) -> Response:
        request.state.is_refused = isinstance(error, Overloaded)
        return NATIVE.answer(error, request.state.request_id)

    async def parameters(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if any(fault["loc"][0] == "path" for fault in error.errors()):
            return NATIVE.answer(NotHere(), request.state.request_id)
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc']))[:64]}: {fault['msg'][:200]}" for fault in error.errors()[:5]
        )
        return NATIVE.answer(Unprocessable("bad_parameter", wrong), request.state.request_id)

    async def router(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        found = WrongMethod(_methods(request)) if error.status_code == 405 else NotHere()
        return NATIVE.answer(found, request.state.request_id)

    app.add_exception_handler(PatternServerError, domain)
    app.add_exception_handler(Exception, domain)  # answered so, and raised on to the edge, which logs it
    app.add_exception_handler(RequestValidationError, parameters)
    app.add_exception_handler(HTTPException, router)


def _methods(request: Request) -> set[str]:
    """All that an address answers; the router names only those of the first route that it finds."""
    methods: set[str] = set()
    for route in request.app.state.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return methods
