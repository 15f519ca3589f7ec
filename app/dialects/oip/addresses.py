"""The Open Inference Protocol v2, as clients of Triton, KServe and MLServer speak it: /v2."""

import asyncio
from functools import partial
from importlib.metadata import version as version_of
from typing import Any

import orjson
from fastapi import Request, Response

from app.answering.admission import MOST_BYTES_ON_LOOP
from app.answering.answer import MOST_LABELS, Answering
from app.dialects.oip import bodies
from app.dialects.oip import models as oip_models
from app.dialects.oip import openapi as operations
from app.dialects.oip.bodies import OipQuestion
from app.dialects.oip.inputs import object_in, parameters_of
from app.dialects.oip.openapi import Operation
from app.envelopes import PLAIN
from app.errors import AnswerTooLarge, BodyTooLarge, Unprocessable
from app.formats import compression, strict_json
from app.formats.expected import Expected
from app.formats.media_types import JSON
from app.formats.strict_json import LARGEST
from app.http import keys
from app.http.dispatch import Address, Dialect, Guard, Handler, anybody
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.errors import UnknownVersion
from models_store.storage.store import VERSION, Release

BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"


async def infer(answering: Answering, request: Request) -> Response:
    """Whatever content type it says: clients say none, or a wrong one."""
    release = await _release(answering, request)
    encoding = request.headers.get("content-encoding", "")
    header_length, accept_encoding = (request.headers.get(name, "") for name in (HEADER_LENGTH, "accept-encoding"))
    expected = Expected.of(release.bundle.predictor.encoder)
    body = await request.body()
    cost = len(body)
    if cost > MOST_BYTES_ON_LOOP:
        if compression.is_plain(encoding):
            cost = bodies.cost(body, header_length, expected)
    elif not compression.is_plain(encoding):
        try:
            body, encoding = compression.decoded(body, encoding, MOST_BYTES_ON_LOOP), ""
            cost = len(body)
        except BodyTooLarge:  # to be looked at here; it may be as large as any
            cost = answering.settings.max_body_bytes
    is_compressed = bool(compression.encoding_for(accept_encoding, cost))
    read = partial(_read, answering, release.bundle, expected, header_length, encoding, body, is_compressed)
    write = partial(_answer, release, accept_encoding)
    return await answering.answer(release, cost, read, write)


def _read(
    answering: Answering,
    bundle: Bundle,
    expected: Expected,
    header_length: str,
    encoding: str,
    body: bytes,
    is_compressed: bool,
) -> OipQuestion:
    limits = answering.settings
    plain = compression.decoded(body, encoding, limits.max_body_bytes)
    question = bodies.read(plain, header_length, expected, bundle.outputs, limits.max_rows, is_compressed=is_compressed)
    n_classes = max(min(wanted.n_classes, bundle.architecture.n_outputs) for wanted in question.wanted)
    if len(question.rows) * n_classes > MOST_LABELS:
        raise AnswerTooLarge(MOST_LABELS)
    return question


def _answer(release: Release, accept_encoding: str, question: OipQuestion, answers: Array) -> Response:
    """The length in its header is of the JSON before it is compressed."""
    written = bodies.write(release, question, answers)
    content, headers = written.content, {"x-pattern-version": str(release.version)}
    if written.header_size is not None:
        headers[HEADER_LENGTH] = str(written.header_size)
    if encoding := compression.encoding_for(accept_encoding, len(content)):
        content = compression.encoded(content, encoding)
        headers |= {"content-encoding": encoding, "vary": "accept-encoding"}
    return Response(content, media_type=JSON if written.header_size is None else BINARY, headers=headers)


# -- the server ----------------------------------------------------------------------------------------------------


async def server(_answering: Answering, _request: Request) -> Response:
    return _json(oip_models.server(version_of("pattern-server")))


async def live(_answering: Answering, _request: Request) -> Response:
    return _json({"live": True})


async def ready(answering: Answering, _request: Request) -> Response:
    answering.check_ready()
    return _json({"ready": True, "live": True})


# -- models --------------------------------------------------------------------------------------------------------


async def models(answering: Answering, _request: Request) -> Response:
    """Those that answer."""
    return _json({"models": [shelf.pattern for shelf in answering.registry.shelves if shelf.champion is not None]})


async def metadata(answering: Answering, request: Request) -> Response:
    release = await _release(answering, request)
    return _json(oip_models.metadata(release.bundle, _versions(answering, request), answering.settings.engine))


async def model_ready(answering: Answering, request: Request) -> Response:
    release = await _release(answering, request)
    return _json({"name": release.bundle.pattern, "ready": True})


async def config(answering: Answering, request: Request) -> Response:
    release = await _release(answering, request)
    versions = _versions(answering, request)
    settings = answering.settings
    return _json(oip_models.configuration(release.bundle, versions, settings.max_rows, settings.engine))


async def statistics(answering: Answering, request: Request) -> Response:
    """Also of what is not loaded: it may have been."""
    shelf = answering.registry.shelf(request.path_params["model"])
    return _json(oip_models.statistics([shelf], answering.statistics, _version(answering, request)))


async def all_statistics(answering: Answering, _request: Request) -> Response:
    return _json(oip_models.statistics(answering.registry.shelves, answering.statistics))


async def _release(answering: Answering, request: Request) -> Release:
    """Of the version in the address, else the champion."""
    model = request.path_params["model"]
    return await answering.registry.release(model, _version(answering, request))


def _version(answering: Answering, request: Request) -> int | None:
    """What is no number of a version is none that there is."""
    given = request.path_params.get("version")
    if given is None:
        return None
    versions = _versions(answering, request)
    if VERSION.fullmatch(given) is None or int(given) not in versions:
        raise UnknownVersion(request.path_params["model"], versions)
    return int(given)


def _versions(answering: Answering, request: Request) -> tuple[int, ...]:
    return answering.registry.shelf(request.path_params["model"]).versions


# -- the repository ------------------------------------------------------------------------------------------------


async def index(answering: Answering, request: Request) -> Response:
    asked = await _asked(request)
    only_ready = asked.get("ready", False)
    if not isinstance(only_ready, bool):
        raise Unprocessable("bad_body", "ready must be true or false")
    return _json(oip_models.index(answering.registry, only_ready=only_ready))


async def load(answering: Answering, request: Request) -> Response:
    """After this, what the store holds of the pattern is what is served, here; elsewhere within a moment."""
    if parameters_of(await _asked(request)):
        raise Unprocessable("bad_parameter", "a model is loaded as it was trained; there are no parameters")
    model = request.path_params["model"]
    await answering.registry.refresh()
    if answering.registry.shelf(model).is_unloaded:
        await asyncio.to_thread(answering.store.mark_loaded, model)
        await answering.registry.refresh()
    return _json({"name": answering.registry.champion(model).bundle.pattern, "load": True})


async def unload(answering: Answering, request: Request) -> Response:
    """Not served until it is loaded again, by no process, and also after a restart. Nothing else changes."""
    await _asked(request)
    model = request.path_params["model"]
    await answering.registry.refresh()
    shelf = answering.registry.shelf(model)
    await asyncio.to_thread(answering.store.mark_unloaded, shelf.pattern)
    await answering.registry.refresh()
    return _json({"name": shelf.pattern, "unload": True})


async def _asked(request: Request) -> dict[str, Any]:
    """The body, which may be empty."""
    body = await request.body()
    if len(body) > LARGEST:
        raise BodyTooLarge(LARGEST)
    plain = compression.decoded(body, request.headers.get("content-encoding", ""), LARGEST)
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
    """Without a version in the address, and with one."""
    return [
        _address(method, f"/v2/models/{{model}}{action}", *parts),
        _address(method, f"/v2/models/{{model}}/versions/{{version}}{action}", *parts, suffix="Version"),
    ]


OIP_DIALECT = Dialect(
    [
        # First what is asked for all the time; a model called stats there is none.
        *_of_model("POST", "/infer", infer, operations.INFER, keys.require_predictor),
        _address("GET", "/v2/health/live", live, operations.LIVE),
        _address("GET", "/v2/health/ready", ready, operations.READY),
        _address("GET", "/v2", server, operations.SERVER),
        _address("GET", "/v2/models", models, operations.MODELS),
        _address("GET", "/v2/models/stats", all_statistics, operations.ALL_STATISTICS),
        *_of_model("GET", "", metadata, operations.METADATA),
        *_of_model("GET", "/ready", model_ready, operations.MODEL_READY),
        *_of_model("GET", "/config", config, operations.CONFIG),
        *_of_model("GET", "/stats", statistics, operations.STATISTICS),
        _address("POST", "/v2/repository/index", index, operations.INDEX, keys.require_predictor),
        _address("POST", "/v2/repository/models/{model}/load", load, operations.LOAD, keys.require_admin),
        _address("POST", "/v2/repository/models/{model}/unload", unload, operations.UNLOAD, keys.require_admin),
    ],
    PLAIN,
)
