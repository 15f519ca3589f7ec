"""The addresses that MLflow, SageMaker and Vertex AI expect of a container: /invocations, /ping, /health, /version."""

from functools import partial
from importlib.metadata import version as version_of

from app.answering.answer import Answering
from app.answering.registry import Served
from app.dialects import documented as doc
from app.dialects.beyond import by_recipe
from app.dialects.levels import NO_LEVELS, WORK, Levels, may_be_asked
from app.dialects.parameters import Version
from app.dialects.remarks import with_remarks
from app.dialects.scoring import bodies
from app.dialects.scoring.bodies import ScoringQuestion
from app.envelopes import SCORING
from app.errors import Unprocessable
from app.formats import arrow_stream
from app.formats.compression import check_plain
from app.formats.media_types import ARROW, ARROW_FILE, JSON_LINES
from app.formats.reply import Reply
from app.http.call import Call
from app.http.dispatch import Address, Dialect, anybody
from app.openapi import BYTES, LEVEL, query_parameter
from app.responses import Response
from app.settings import Settings
from models_store.arrays import Array
from models_store.bundle import Bundle

TAG = "MLflow, SageMaker, Vertex AI"


class Wanted(Levels, Version):
    pattern: str | None = None


async def health(answering: Answering, _call: Call) -> Response:
    """Answer a health probe, with an empty body as SageMaker wants it. Raises Draining or NotLoaded."""
    answering.check_ready()
    return Response()


async def version(_answering: Answering, _call: Call) -> Response:
    return Response(version_of("pattern-server").encode(), media_type="text/plain")


async def invocations(answering: Answering, call: Call) -> Response:
    wanted = Wanted.by(call)
    pattern = _default(answering) if wanted.pattern is None else wanted.pattern
    release = await answering.registry.release(pattern, wanted.version, wanted.label)
    levels = NO_LEVELS if wanted.asked is None and not wanted.joint else wanted
    levels.check(release.bundle)
    check_plain(call.headers.get("content-encoding", ""))
    content_type = call.headers.get("content-type", "")
    media_type = bodies.answer_type(content_type, call.headers.get("accept", ""))
    body = await call.body()
    read = partial(bodies.read, body, content_type, wanted.known(release.expected), answering.settings.max_rows)
    if media_type in (ARROW, ARROW_FILE):  # which are told apart by their bytes
        media_type = arrow_stream.media_type_of(body)
    cost = bodies.cost(body, content_type)
    if wanted.asked is not None or may_be_asked(body):
        cost *= WORK
    write = partial(_written, release, media_type, levels)
    handled = by_recipe(release.bundle, cost, read, write, is_sure=levels.is_sure)
    return await answering.answer(call.id, release, *handled)


def _default(answering: Answering) -> str:
    """Return the pattern that answers where none is named: that of the settings, or the only one there is.

    Raises Unprocessable where there are several.
    """
    if answering.settings.default is not None:
        return answering.settings.default
    patterns = answering.registry.patterns
    if len(patterns) > 1:
        raise Unprocessable("bad_parameter", "name a pattern: /invocations?pattern=..., or set PATTERNS_DEFAULT")
    # Where there is no pattern at all, the registry refuses any name.
    return patterns[0] if patterns else ""


def _written(release: Served, media_type: str, levels: Levels, question: ScoringQuestion, answers: Array) -> Response:
    if question.levels is not NO_LEVELS:
        levels = question.levels
        levels.check(release.bundle)
    levels.check_size(*answers.shape)
    sure = levels.sureness(release.bundle, question.rows, answers)
    reply = Reply(release.bundle, answers, ends=sure.ends, members=sure.members)
    content = bodies.write(question, reply, media_type)
    headers = with_remarks(release.headers, levels.remarks_on(release.bundle, question))
    return Response(content, media_type=media_type, headers=headers)


# -- addresses -----------------------------------------------------------------------------------------------------


# Columns without names are numbered from 0, in the order of the pattern.
SPLIT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "columns": {"type": "array", "uniqueItems": True, "items": {"type": ["string", "integer"]}},
        "data": {"type": "array", "minItems": 1, "items": doc.CELLS},
    },
}
HEEDED = "interval, confidence and joint, as in the address; others are ignored"
PARAMS = {name: {"type": ["object", "null"], "description": HEEDED} for name in bodies.PARAMETERS}


def _health_at(path: str, name: str) -> Address:
    described = doc.operation(TAG, path, name, "Ready to predict", "it is ready; the body is empty", content={})
    return Address("GET", path, health, anybody, described, is_probe=True)


def _invocations_at(path: str, name: str) -> Address:
    forms = {
        "dataframe_split": SPLIT,
        "dataframe_records": doc.RECORDS,
        "instances": doc.ROWS,
        "inputs": doc.TENSORS,
    }
    answer = '{"predictions": [{"y": 4.0}, ...]}, or CSV or JSON lines where Accept asks for them, or as the question'
    described = doc.operation(TAG, path, name, "Predict, as they ask for it", answer, doc.one_of(PARAMS, **forms))
    for media_type in ("text/csv", *JSON_LINES):
        described["requestBody"]["content"][media_type] = doc.TEXT
        described["responses"]["200"]["content"][media_type] = doc.TEXT
    for media_type in bodies.TYPED:
        described["requestBody"]["content"][media_type] = BYTES
        described["responses"]["200"]["content"][media_type] = BYTES
    described["parameters"] = [
        query_parameter("pattern", {"type": "string"}, "without it PATTERNS_DEFAULT, or the only one there is"),
        query_parameter("version", {"type": "integer", "minimum": 1}, "a version; without it the champion answers"),
        query_parameter("label", {"type": "string"}, "a label, such as champion"),
        query_parameter("interval", LEVEL, 'of numbers: add y_lower and y_upper; also as "params": {"interval": 0.9}'),
        query_parameter("joint", {"type": "boolean"}, "with interval: all outputs of a row hold at once so often"),
        query_parameter("confidence", LEVEL, "of labels: add species_set; also among params"),
        query_parameter(
            "extra",
            {"enum": ["refuse", "ignore"], "type": "string"},
            "ignore: columns that the pattern does not know are ignored; those that training left out always are",
        ),
    ]
    return Address("POST", path, invocations, documented=described, example=_example)


def _example(bundle: Bundle) -> dict[str, object]:
    return {"dataframe_records": bundle.sample()["inputs"]}


VERSION = doc.operation(
    TAG, "/version", "serverVersion", "The version of the server", "such as 0.1.0", content={"text/plain": doc.TEXT}
)
SCORING_DIALECT = Dialect(
    [
        _health_at("/ping", "ping"),
        _health_at("/health", "health"),
        Address("GET", "/version", version, anybody, VERSION),
        _invocations_at("/invocations", "invocations"),
    ],
    SCORING,
)


def vertex_dialects(settings: Settings) -> list[Dialect]:
    """Return the same at the addresses that Vertex AI has chosen, which may stand among those of another dialect."""
    addresses = []
    if settings.health_route is not None:
        addresses.append(_health_at(settings.health_route, "vertexHealth"))
    if settings.predict_route is not None:
        addresses.append(_invocations_at(settings.predict_route, "vertexPredict"))
    return [Dialect(addresses, SCORING, has_segments=False)] if addresses else []
