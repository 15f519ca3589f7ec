"""The Open Inference Protocol v2 over gRPC: GRPCInferenceService, for clients of Triton, KServe and MLServer."""

from functools import partial
from importlib.metadata import version as version_of

from app.answering.answer import Answering
from app.answering.registry import Served
from app.dialects.beyond import by_recipe
from app.dialects.levels import NAMES, WORK
from app.dialects.messages import answer_of, filled, message_of
from app.dialects.oip import bodies, messages, repository
from app.dialects.oip import models as oip_models
from app.dialects.oip.bodies import OipQuestion
from app.dialects.parameters import expected_by
from app.dialects.remarks import with_remarks
from app.envelopes import PLAIN
from app.errors import NotOffered, Unprocessable
from app.formats.expected import Expected
from app.http import keys
from app.http.call import Call
from app.http.dispatch import Address, Dialect, Guard, Handler, anybody
from app.protos import open_inference_pb2 as pb
from app.responses import Response
from app.settings import Settings
from models_store.arrays import Array
from models_store.errors import PatternServerError

SERVICE = "inference.GRPCInferenceService"


async def infer(answering: Answering, call: Call) -> Response:
    request = await message_of(pb.ModelInferRequest, answering, call)
    release = await _release(answering, request)
    expected = expected_by(call, release.expected)
    cost = messages.cost(request, len(await call.body()), expected)
    if any(name in request.parameters for name in NAMES):
        cost *= WORK
    read = partial(_read, answering.settings, release, expected, request)
    handled = by_recipe(release.bundle, cost, read, partial(_written, release))
    return await answering.answer(call.id, release, *handled)


def _read(settings: Settings, release: Served, expected: Expected, request: pb.ModelInferRequest) -> OipQuestion:
    question = messages.read(request, expected, release.bundle.outputs, settings.max_rows)
    bodies.check_classes(question, release.shape.n_outputs)
    return question


def _written(release: Served, question: OipQuestion, answers: Array) -> Response:
    remarks = question.levels.remarks_on(release.bundle, question)
    headers = with_remarks(release.headers, remarks)
    return Response(messages.write(release, question, answers, remarks), headers=headers)


async def stream(_answering: Answering, _call: Call) -> Response:
    raise NotOffered("streams are not offered; call ModelInfer for each request")


# -- the server ----------------------------------------------------------------------------------------------------


async def live(_answering: Answering, _call: Call) -> Response:
    return answer_of(pb.ServerLiveResponse(live=True))


async def ready(answering: Answering, _call: Call) -> Response:
    """Tell whether the server is ready: no error where it is not, as in the protocol."""
    return answer_of(pb.ServerReadyResponse(ready=answering.is_ready))


async def server(_answering: Answering, _call: Call) -> Response:
    return answer_of(filled(pb.ServerMetadataResponse, oip_models.server(version_of("pattern-server"))))


# -- models --------------------------------------------------------------------------------------------------------


async def model_ready(answering: Answering, call: Call) -> Response:
    """Tell whether a model answers. Raises where there is no such model or version."""
    asked = await message_of(pb.ModelReadyRequest, answering, call)
    answering.registry.shelf(asked.name)
    repository.version(answering.registry, asked.name, asked.version or None)
    try:
        await repository.release(answering.registry, asked.name, asked.version or None)
    except PatternServerError:
        return answer_of(pb.ModelReadyResponse(ready=False))
    return answer_of(pb.ModelReadyResponse(ready=True))


async def metadata(answering: Answering, call: Call) -> Response:
    asked = await message_of(pb.ModelMetadataRequest, answering, call)
    release = await repository.release(answering.registry, asked.name, asked.version or None)
    versions = answering.registry.shelf(asked.name).versions
    said = oip_models.metadata(release.bundle, versions, answering.settings.engine)
    return answer_of(filled(pb.ModelMetadataResponse, said))


async def config(answering: Answering, call: Call) -> Response:
    asked = await message_of(pb.ModelConfigRequest, answering, call)
    release = await repository.release(answering.registry, asked.name, asked.version or None)
    versions = answering.registry.shelf(asked.name).versions
    settings = answering.settings
    said = oip_models.configuration(release.bundle, versions, settings.max_rows, settings.engine)
    return answer_of(filled(pb.ModelConfigResponse, {"config": said}))


async def statistics(answering: Answering, call: Call) -> Response:
    """Tell the statistics of a model, or of all where none is named."""
    asked = await message_of(pb.ModelStatisticsRequest, answering, call)
    registry = answering.registry
    shelves = [registry.shelf(asked.name)] if asked.name else registry.shelves
    version = repository.version(registry, asked.name, asked.version or None) if asked.name else None
    said = oip_models.statistics(shelves, answering.statistics, version)
    return answer_of(filled(pb.ModelStatisticsResponse, said))


async def _release(answering: Answering, request: pb.ModelInferRequest) -> Served:
    return await repository.release(answering.registry, request.model_name, request.model_version or None)


# -- the repository ------------------------------------------------------------------------------------------------


async def index(answering: Answering, call: Call) -> Response:
    asked = await message_of(pb.RepositoryIndexRequest, answering, call)
    listed = oip_models.index(answering.registry, only_ready=asked.ready)
    return answer_of(filled(pb.RepositoryIndexResponse, {"models": listed}))


async def load(answering: Answering, call: Call) -> Response:
    asked = await message_of(pb.RepositoryModelLoadRequest, answering, call)
    if asked.parameters:
        raise Unprocessable("bad_parameter", "a model is loaded as it was trained; there are no parameters")
    await repository.load(answering, asked.model_name)
    return answer_of(pb.RepositoryModelLoadResponse())


async def unload(answering: Answering, call: Call) -> Response:
    asked = await message_of(pb.RepositoryModelUnloadRequest, answering, call)
    await repository.unload(answering, asked.model_name)
    return answer_of(pb.RepositoryModelUnloadResponse())


# -- methods -------------------------------------------------------------------------------------------------------


def _method(name: str, handler: Handler, guard: Guard = anybody, *, is_probe: bool = False) -> Address:
    return Address("POST", f"/{SERVICE}/{name}", handler, guard, is_probe=is_probe)


OIP_SERVICE = Dialect(
    [
        _method("ModelInfer", infer, keys.check_predictor),
        _method("ModelStreamInfer", stream, keys.check_predictor),
        _method("ServerLive", live, is_probe=True),
        _method("ServerReady", ready, is_probe=True),
        _method("ModelReady", model_ready, is_probe=True),
        _method("ServerMetadata", server),
        _method("ModelMetadata", metadata),
        _method("ModelConfig", config),
        _method("ModelStatistics", statistics),
        _method("RepositoryIndex", index, keys.check_predictor),
        _method("RepositoryModelLoad", load, keys.check_admin),
        _method("RepositoryModelUnload", unload, keys.check_admin),
    ],
    PLAIN,
)
