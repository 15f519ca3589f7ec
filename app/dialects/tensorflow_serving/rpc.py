"""TensorFlow Serving over gRPC: PredictionService (Predict, Classify, Regress, GetModelMetadata) and ModelService."""

from functools import partial

from app.answering.answer import Answering
from app.answering.plan import MOST_LABELS_ANSWERED, cost_of_array
from app.answering.registry import Served
from app.dialects.beyond import by_recipe
from app.dialects.messages import answer_of, filled, message_of
from app.dialects.parameters import expected_by
from app.dialects.remarks import remarks_on, with_remarks
from app.dialects.tensorflow_serving import bodies as tfs
from app.dialects.tensorflow_serving import messages
from app.dialects.tensorflow_serving.addresses import check_classification, check_one_number, statuses_of
from app.dialects.tensorflow_serving.bodies import TensorFlowServingQuestion
from app.dialects.tensorflow_serving.messages import TensorsQuestion
from app.errors import Unprocessable
from app.http.call import Call
from app.http.dispatch import Address, Dialect, Guard, Handler, anybody
from app.http.keys import check_predictor
from app.protos import tensorflow_serving_pb2 as pb
from app.responses import Response
from models_store.arrays import Array

PREDICTION, MODEL = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
SIGNATURE_FIELD = "signature_def"


async def predict(answering: Answering, call: Call) -> Response:
    request = await message_of(pb.PredictRequest, answering, call)
    release = await _release(answering, request.model_spec)
    expected = expected_by(call, release.expected)
    n_bytes = len(await call.body())
    cost = n_bytes if expected.typed else cost_of_array(n_bytes)
    read = partial(messages.read_tensors, request, expected, release.bundle, answering.settings.max_rows)
    handled = by_recipe(release.bundle, cost, read, partial(_tensors, release))
    return await answering.answer(call.id, release, *handled)


async def classify(answering: Answering, call: Call) -> Response:
    request = await message_of(pb.ClassificationRequest, answering, call)
    release = await _release(answering, request.model_spec)
    check_classification(release.bundle)
    read = partial(messages.read_examples, request.input, expected_by(call, release.expected), _max_rows(answering))
    n_bytes = len(await call.body())
    handled = by_recipe(release.bundle, n_bytes, read, partial(_classes, release))
    return await answering.answer(call.id, release, *handled, MOST_LABELS_ANSWERED)


async def regress(answering: Answering, call: Call) -> Response:
    request = await message_of(pb.RegressionRequest, answering, call)
    release = await _release(answering, request.model_spec)
    check_one_number(release.bundle)
    read = partial(messages.read_examples, request.input, expected_by(call, release.expected), _max_rows(answering))
    handled = by_recipe(release.bundle, len(await call.body()), read, partial(_regressions, release))
    return await answering.answer(call.id, release, *handled)


async def metadata(answering: Answering, call: Call) -> Response:
    request = await message_of(pb.GetModelMetadataRequest, answering, call)
    if list(request.metadata_field) != [SIGNATURE_FIELD]:
        raise Unprocessable("bad_parameter", f"metadata_field must be {SIGNATURE_FIELD}")
    release = await _release(answering, request.model_spec)
    said = tfs.signature_of(release)
    response = pb.GetModelMetadataResponse(model_spec=messages.spec_of(release))
    response.model_spec.signature_name = ""
    packed = response.metadata[SIGNATURE_FIELD]
    packed.type_url = f"type.googleapis.com/{pb.SignatureDefMap.DESCRIPTOR.full_name}"
    packed.value = filled(pb.SignatureDefMap, said["metadata"][SIGNATURE_FIELD]).SerializeToString()
    return answer_of(response)


async def status(answering: Answering, call: Call) -> Response:
    """Tell the status of the champion first, then of all other versions, newest first."""
    spec = (await message_of(pb.GetModelStatusRequest, answering, call)).model_spec
    said = statuses_of(answering, spec.name, _version(spec), _alias(spec))
    return answer_of(filled(pb.GetModelStatusResponse, {"model_version_status": said}))


# -- which version -------------------------------------------------------------------------------------------------


async def _release(answering: Answering, spec: pb.ModelSpec) -> Served:
    tfs.check_signature(spec.signature_name)
    return await answering.registry.release(spec.name, _version(spec), _alias(spec))


def _version(spec: pb.ModelSpec) -> int | None:
    return spec.version.value if spec.HasField("version") else None


def _alias(spec: pb.ModelSpec) -> str | None:
    return spec.version_label if spec.HasField("version_label") else None


def _max_rows(answering: Answering) -> int:
    return answering.settings.max_rows


# -- answers -------------------------------------------------------------------------------------------------------


def _tensors(release: Served, question: TensorsQuestion, answers: Array) -> Response:
    headers = with_remarks(release.headers, remarks_on(release.bundle, question))
    return Response(messages.write_tensors(release, question, answers), headers=headers)


def _classes(release: Served, question: TensorFlowServingQuestion, answers: Array) -> Response:
    headers = with_remarks(release.headers, remarks_on(release.bundle, question))
    return Response(messages.write_classes(release, question, answers), headers=headers)


def _regressions(release: Served, question: TensorFlowServingQuestion, answers: Array) -> Response:
    headers = with_remarks(release.headers, remarks_on(release.bundle, question))
    return Response(messages.write_regressions(release, question, answers), headers=headers)


# -- methods -------------------------------------------------------------------------------------------------------


def _method(
    service: str, name: str, handler: Handler, guard: Guard = check_predictor, *, is_probe: bool = False
) -> Address:
    return Address("POST", f"/{service}/{name}", handler, guard, is_probe=is_probe)


TENSORFLOW_SERVICES = Dialect(
    [
        _method(PREDICTION, "Predict", predict),
        _method(PREDICTION, "Classify", classify),
        _method(PREDICTION, "Regress", regress),
        _method(PREDICTION, "GetModelMetadata", metadata, anybody),
        _method(MODEL, "GetModelStatus", status, anybody, is_probe=True),
    ],
    tfs.ENVELOPE,
)
