"""The one table from errors to HTTP statuses and gRPC's codes: no other module of the app knows those of an error."""

from typing import get_args

from app.errors import (
    AlreadyTold,
    AnswerTooLarge,
    BodyTooLarge,
    DeadlinePassed,
    Draining,
    Fault,
    ForeignOrigin,
    JobEnded,
    KeyMissing,
    KeyWrong,
    Malformed,
    NoFormula,
    NoProfile,
    NoShadow,
    NotAcceptedType,
    NotCounted,
    NotHere,
    NotLoaded,
    NotOffered,
    NoTrainer,
    NotRemembered,
    Overloaded,
    QueueFull,
    TooManyRows,
    TrainingUnavailable,
    TrainingUnderWay,
    UnknownJob,
    UnknownRequest,
    Unloaded,
    Unprocessable,
    WrongMethod,
)
from models_store import errors as store_errors
from models_store.errors import PatternServerError
from training.recipe.base import RecipeError

STATUS: dict[type[PatternServerError], int] = {
    Malformed: 400,
    KeyMissing: 401,
    KeyWrong: 403,
    ForeignOrigin: 403,
    store_errors.UnknownPattern: 404,
    store_errors.UnknownVersion: 404,
    store_errors.UnknownAlias: 404,
    store_errors.PlotNotApplicable: 404,
    store_errors.UnknownDataset: 404,
    store_errors.DatasetGone: 404,
    UnknownJob: 404,
    NoFormula: 404,
    NoProfile: 404,
    NoShadow: 404,
    NotCounted: 404,
    NotRemembered: 404,
    UnknownRequest: 404,
    NotHere: 404,
    WrongMethod: 405,
    store_errors.VersionInUse: 409,
    store_errors.ChampionMoved: 409,
    store_errors.ChampionStays: 409,
    store_errors.NothingToRollBack: 409,
    store_errors.AliasesDamaged: 409,
    store_errors.NotComparable: 409,
    JobEnded: 409,
    TrainingUnderWay: 409,
    AlreadyTold: 409,
    BodyTooLarge: 413,
    AnswerTooLarge: 413,
    TooManyRows: 413,
    NotAcceptedType: 415,
    Unprocessable: 422,
    store_errors.NotFinite: 422,
    store_errors.NoCalibration: 422,
    store_errors.TooFewRows: 422,
    store_errors.NotExpressible: 422,
    store_errors.UnknownTarget: 422,
    store_errors.ExportDiffers: 422,
    store_errors.ImportRefused: 422,
    store_errors.TableError: 422,
    RecipeError: 422,
    QueueFull: 429,
    NotOffered: 501,
    TrainingUnavailable: 503,
    NoTrainer: 503,
    NotLoaded: 503,
    Unloaded: 503,
    Overloaded: 503,
    Draining: 503,
    store_errors.DeviceUnavailable: 503,
    store_errors.EngineUnavailable: 503,
    store_errors.RuntimeAbsent: 503,
    store_errors.TablesUnavailable: 503,
    store_errors.NoGoodVersion: 503,
    store_errors.BundleDamaged: 503,
    store_errors.BundleUnreadable: 503,
    store_errors.DatasetDamaged: 503,
    store_errors.StoreUnwritable: 503,
    store_errors.StoreBusy: 503,
    store_errors.PublishUnconfirmed: 503,
    store_errors.BucketUnavailable: 503,
    DeadlinePassed: 504,
    store_errors.DiskFull: 507,
}
BUG = 500
# gRPC's codes for them.
RPC_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}
UNPROCESSABLE = STATUS[Unprocessable]
# Waiting helps against these; a version that is damaged stays so.
WORTH_A_RETRY = (
    QueueFull,
    TrainingUnavailable,
    NotLoaded,
    Overloaded,
    Draining,
    store_errors.StoreBusy,
    store_errors.BundleUnreadable,
    store_errors.BucketUnavailable,
)
RETRY_SECONDS = 2


def status_of(error: Exception) -> int:
    """Return the status of the nearest class in the table; an error that is not in it is a bug."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), BUG)


def is_bug(error: Exception) -> bool:
    return status_of(error) == BUG


def is_unavailable(error: Exception) -> bool:
    """True if what was asked for exists, and does not answer at the moment."""
    return status_of(error) == 503


def retry_header(error: Exception) -> dict[str, str]:
    return {"retry-after": str(RETRY_SECONDS)} if isinstance(error, WORTH_A_RETRY) else {}


def codes_by_status(unprocessable: int = UNPROCESSABLE) -> dict[int, list[str]]:
    """Return every error code that an answer of each status may carry over HTTP.

    `unprocessable` is the status that a protocol has for a request that can be read but not used.
    """
    codes: dict[int, set[str]] = {}
    for kind, native in STATUS.items():
        if kind is NotOffered:  # of methods of gRPC alone
            continue
        status = unprocessable if native == UNPROCESSABLE else native
        codes.setdefault(status, set()).update(get_args(Fault) if kind is Unprocessable else {kind.code})
    return {status: sorted(names) for status, names in codes.items()}
