"""The addresses of the Open Inference Protocol v2, /v2, for clients of Triton, KServe and MLServer."""

from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import orjson

from app.answering.answer import Answering
from app.answering.registry import Served
from app.dialects.beyond import by_recipe
from app.dialects.levels import WORK, may_be_asked
from app.dialects.oip import bodies, repository
from app.dialects.oip import models as oip_models
from app.dialects.oip import openapi as operations
from app.dialects.oip.bodies import OipQuestion
from app.dialects.oip.compressed import HEADER_LENGTH, Sent, compressed
from app.dialects.oip.inputs import object_in, parameters_of
from app.dialects.oip.openapi import Operation
from app.dialects.parameters import expected_by
from app.dialects.remarks import with_remarks
from app.envelopes import PLAIN
from app.errors import BodyTooLarge, Unprocessable
from app.formats import compression, strict_json
from app.formats.expected import Expected
from app.formats.found import kind_of
from app.formats.media_types import JSON
from app.formats.strict_json import LARGEST
from app.http import keys
from app.http.call import Call
from app.http.dispatch import Address, Dialect, Guard, Handler, anybody
from app.responses import Response
from app.settings import Settings
from models_store.arrays import Array

BINARY = "application/octet-stream"


async def infer(answering: Answering, call: Call) -> Response:
    """Answer an inference. The content type does not matter: clients send none, or a wrong one."""
    release = await _release(answering, call)
    sent = await Sent.of(call, release.expected, answering.settings.max_body_bytes)
    read = partial(_read, answering.settings, release, expected_by(call, release.expected), sent)
    cost = sent.cost * (WORK if may_be_asked(sent.body) else 1)
    handled = by_recipe(release.bundle, cost, read, partial(_written, release, sent.accept_encoding))
    return await answering.answer(call.id, release, *handled)


def _read(settings: Settings, release: Served, expected: Expected, sent: Sent) -> OipQuestion:
    body = sent.plain(settings.max_body_bytes)
    question = bodies.read(
        body,
        sent.header_length,
        expected,
        release.bundle.outputs,
        settings.max_rows,
        is_compressed=sent.wants_compression,
    )
    bodies.check_classes(question, release.shape.n_outputs)
    return question


def _written(release: Served, accept_encoding: str, question: OipQuestion, answers: Array) -> Response:
    remarks = question.levels.remarks_on(release.bundle, question)
    written = bodies.write(release, question, answers, remarks)
    content, headers = compressed(written.content, accept_encoding)
    headers |= with_remarks(release.headers, remarks)
    if written.header_size is not None:  # the size of the JSON before it is compressed
        headers[HEADER_LENGTH] = str(written.header_size)
    return Response(content, media_type=JSON if written.header_size is None else BINARY, headers=headers)


# -- the server ----------------------------------------------------------------------------------------------------


async def server(_answering: Answering, _call: Call) -> Response:
    return _json(oip_models.server(version_of("pattern-server")))


async def live(_answering: Answering, _call: Call) -> Response:
    return _json({"live": True})


async def ready(answering: Answering, _call: Call) -> Response:
    answering.check_ready()
    return _json({"ready": True, "live": True})


# -- models --------------------------------------------------------------------------------------------------------


async def models(answering: Answering, _call: Call) -> Response:
    """List the patterns that answer."""
    return _json({"models": [shelf.pattern for shelf in answering.registry.shelves if shelf.champion is not None]})


async def metadata(answering: Answering, call: Call) -> Response:
    release = await _release(answering, call)
    return _json(oip_models.metadata(release.bundle, _versions(answering, call), answering.settings.engine))


async def model_ready(answering: Answering, call: Call) -> Response:
    release = await _release(answering, call)
    return _json({"name": release.bundle.pattern, "ready": True})


async def config(answering: Answering, call: Call) -> Response:
    release = await _release(answering, call)
    versions = _versions(answering, call)
    settings = answering.settings
    return _json(oip_models.configuration(release.bundle, versions, settings.max_rows, settings.engine))


async def statistics(answering: Answering, call: Call) -> Response:
    """Tell the statistics of a model, even if it is unloaded: it may have answered before."""
    shelf = answering.registry.shelf(call.path_params["model"])
    return _json(oip_models.statistics([shelf], answering.statistics, _version(answering, call)))


async def all_statistics(answering: Answering, _call: Call) -> Response:
    return _json(oip_models.statistics(answering.registry.shelves, answering.statistics))


async def _release(answering: Answering, call: Call) -> Served:
    """Return the version in the address, or else the champion. Raises as `Registry.release` does."""
    return await repository.release(answering.registry, call.path_params["model"], call.path_params.get("version"))


def _version(answering: Answering, call: Call) -> int | None:
    return repository.version(answering.registry, call.path_params["model"], call.path_params.get("version"))


def _versions(answering: Answering, call: Call) -> tuple[int, ...]:
    return answering.registry.shelf(call.path_params["model"]).versions


# -- the repository ------------------------------------------------------------------------------------------------


async def index(answering: Answering, call: Call) -> Response:
    asked = await _asked(call)
    only_ready = asked.get("ready", False)
    if not isinstance(only_ready, bool):
        raise Unprocessable("bad_body", f"ready must be true or false, found {kind_of(only_ready)}")
    return _json(oip_models.index(answering.registry, only_ready=only_ready))


async def load(answering: Answering, call: Call) -> Response:
    if parameters_of(await _asked(call)):
        raise Unprocessable("bad_parameter", "a model is loaded as it was trained; there are no parameters")
    return _json({"name": await repository.load(answering, call.path_params["model"]), "load": True})


async def unload(answering: Answering, call: Call) -> Response:
    await _asked(call)
    return _json({"name": await repository.unload(answering, call.path_params["model"]), "unload": True})


async def _asked(call: Call) -> dict[str, Any]:
    """Return the object in the body, empty where the body is. Raises BodyTooLarge, Malformed or Unprocessable."""
    body = await call.body()
    if len(body) > LARGEST:
        raise BodyTooLarge(LARGEST)
    plain = compression.decoded(body, call.headers.get("content-encoding", ""), LARGEST)
    return object_in(strict_json.loads(plain), "the body") if plain.strip() else {}


def _json(said: object) -> Response:
    return Response(orjson.dumps(said), media_type=JSON)


# -- addresses -----------------------------------------------------------------------------------------------------


def _address(
    method: str, path: str, handler: Handler, operation: Operation, guard: Guard = anybody, *, suffix: str = ""
) -> Address:
    example = oip_models.sample if operation is operations.INFER else None
    is_probe = operation in (operations.LIVE, operations.READY, operations.MODEL_READY)
    return Address(method, path, handler, guard, operation.at(path, suffix), example, is_probe)


def _of_model(method: str, action: str, *parts: Any) -> list[Address]:
    """Return two addresses for an action: without a version in it, and with one."""
    return [
        _address(method, f"/v2/models/{{model}}{action}", *parts),
        _address(method, f"/v2/models/{{model}}/versions/{{version}}{action}", *parts, suffix="Version"),
    ]


OIP_DIALECT = Dialect(
    [
        # Inference is the most frequent, so it is looked for first. No model can be named stats.
        *_of_model("POST", "/infer", infer, operations.INFER, keys.check_predictor),
        _address("GET", "/v2/health/live", live, operations.LIVE),
        _address("GET", "/v2/health/ready", ready, operations.READY),
        _address("GET", "/v2", server, operations.SERVER),
        _address("GET", "/v2/models", models, operations.MODELS),
        _address("GET", "/v2/models/stats", all_statistics, operations.ALL_STATISTICS),
        *_of_model("GET", "", metadata, operations.METADATA),
        *_of_model("GET", "/ready", model_ready, operations.MODEL_READY),
        *_of_model("GET", "/config", config, operations.CONFIG),
        *_of_model("GET", "/stats", statistics, operations.STATISTICS),
        _address("POST", "/v2/repository/index", index, operations.INDEX, keys.check_predictor),
        _address("POST", "/v2/repository/models/{model}/load", load, operations.LOAD, keys.check_admin),
        _address("POST", "/v2/repository/models/{model}/unload", unload, operations.UNLOAD, keys.check_admin),
    ],
    PLAIN,
)
