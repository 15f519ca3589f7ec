"""TensorFlow Serving over gRPC: Predict, Classify, Regress, GetModelMetadata and GetModelStatus."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from app.protos import tensorflow_pb2 as tf
from app.protos import tensorflow_serving_pb2 as pb
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import publish_all
from tests.app.grpc.calls import MODEL, PREDICTION, Caller, calling
from tests.app.over_http import SESAME
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork

pytestmark = pytest.mark.anyio

PREDICT, CLASSIFY, REGRESS = (f"/{PREDICTION}/{name}" for name in ("Predict", "Classify", "Regress"))
INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    store = Store(tmp_path_factory.mktemp("grpc") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    publish_all(store)
    async with calling(store, max_rows=1000, max_body_mb=1, log_level="warning") as caller:
        yield caller


def tensor(dtype: Any, shape: Sequence[int], **values: Any) -> tf.TensorProto:
    dims = [tf.TensorShapeProto.Dim(size=size) for size in shape]
    return tf.TensorProto(dtype=dtype, tensor_shape=tf.TensorShapeProto(dim=dims), **values)


def asked(model: str, inputs: dict[str, tf.TensorProto], **more: Any) -> pb.PredictRequest:
    return pb.PredictRequest(model_spec=pb.ModelSpec(name=model, **more), inputs=inputs)


def examples(*records: dict[str, Any], context: dict[str, Any] | None = None) -> pb.Input:
    listed = [example(record) for record in records]
    if context is None:
        return pb.Input(example_list=pb.ExampleList(examples=listed))
    with_context = pb.ExampleListWithContext(examples=listed, context=example(context))
    return pb.Input(example_list_with_context=with_context)


def example(record: dict[str, Any]) -> tf.Example:
    features = {name: feature(value) for name, value in record.items()}
    return tf.Example(features=tf.Features(feature=features))


def feature(value: Any) -> tf.Feature:
    match value:
        case None:
            return tf.Feature()
        case str():
            return tf.Feature(bytes_list=tf.BytesList(value=[value.encode()]))
        case int():
            return tf.Feature(int64_list=tf.Int64List(value=[value]))
    return tf.Feature(float_list=tf.FloatList(value=[value]))


X1, X2 = tensor(tf.DT_FLOAT, [2], float_val=[2, 0]), tensor(tf.DT_INT64, [2, 1], int64_val=[1, 0])


# -- predict -------------------------------------------------------------------------------------------------------


async def test_columns_are_predicted(caller: Caller) -> None:
    said = await caller.ask(PREDICT, asked("pair", {"x1": X1, "x2": X2}), pb.PredictResponse)
    assert (said.model_spec.name, said.model_spec.version.value) == ("pair", 2)
    assert said.model_spec.signature_name == "serving_default"
    assert said.outputs["y1"] == tensor(tf.DT_FLOAT, [2], float_val=[4, 0])
    assert said.outputs["y2"] == tensor(tf.DT_FLOAT, [2], float_val=[1, 0])


@pytest.mark.parametrize(
    "given",
    [
        tensor(tf.DT_FLOAT, [2, 2], float_val=[2, 1, 0, 0]),
        tensor(tf.DT_FLOAT, [2, 2], float_val=[2, 1, 0]),  # the last stands for those that are left out
        tensor(tf.DT_DOUBLE, [2, 2], tensor_content=np.array([2, 1, 0, 0], "<f8").tobytes()),
        tensor(tf.DT_INT8, [2, 2], int_val=[2, 1, 0]),
        tensor(tf.DT_UINT16, [2, 2], int_val=[2, 1, 0]),
        tensor(tf.DT_UINT32, [2, 2], uint32_val=[2, 1, 0]),
        tensor(tf.DT_UINT64, [2, 2], uint64_val=[2, 1, 0]),
        tensor(tf.DT_HALF, [2, 2], half_val=np.array([2, 1, 0], "<f2").view("<u2").tolist()),
        tensor(tf.DT_BFLOAT16, [2, 2], half_val=[0x4000, 0x3F80, 0]),
    ],
)
async def test_tensors_of_every_dtype_are_read(caller: Caller, given: tf.TensorProto) -> None:
    said = await caller.ask(PREDICT, asked("pair", {"any": given}), pb.PredictResponse)
    assert list(said.outputs["y1"].float_val) == [4, 0]


async def test_texts_booleans_and_missing_values(caller: Caller) -> None:
    inputs = {
        "age": tensor(tf.DT_FLOAT, [1], float_val=[float("nan")]),
        "port": tensor(tf.DT_STRING, [1], string_val=[b"S"]),
        "crew": tensor(tf.DT_BOOL, [1], bool_val=[True]),
        "boarded": tensor(tf.DT_STRING, [1, 1], string_val=[b"1912-04-10"]),
        "note": tensor(tf.DT_STRING, [1], string_val=[b"first class"]),
    }
    said = await caller.ask(PREDICT, asked("passengers", inputs), pb.PredictResponse)
    records = [{"age": None, "port": "S", "crew": True, "boarded": "1912-04-10", "note": "first class"}]
    http = (await caller.http.post("/v1/models/passengers:predict", json={"instances": records})).json()
    assert [text.decode() for text in said.outputs["survived"].string_val] == http["predictions"]


async def test_versions_labels_and_outputs_are_selected(caller: Caller) -> None:
    request = asked("pair", {"x1": X1, "x2": X2}, version={"value": 1})
    request.output_filter.append("y2")
    said = await caller.ask(PREDICT, request, pb.PredictResponse)
    assert (said.model_spec.version.value, list(said.outputs)) == (1, ["y2"])
    request.model_spec.version_label = "champion"
    assert (await caller.ask(PREDICT, request, pb.PredictResponse)).model_spec.version.value == 2


# -- classify, regress ---------------------------------------------------------------------------------------------


async def test_classes_are_those_of_http(caller: Caller) -> None:
    records = [{"length": 1.5, "width": 2.0}, {"length": 6.0, "width": 2.0}]
    card = (await caller.http.get("/patterns/flowers")).json()["inputs"]
    records = [dict(zip(card, row.values(), strict=True)) for row in records]
    request = pb.ClassificationRequest(model_spec=pb.ModelSpec(name="flowers"), input=examples(*records))
    said = await caller.ask(CLASSIFY, request, pb.ClassificationResponse)
    http = (await caller.http.post("/v1/models/flowers:classify", json={"examples": records})).json()["results"]
    found = [[[one.label, one.score] for one in row.classes] for row in said.result.classifications]
    assert [[label for label, _ in row] for row in found] == [[label for label, _ in row] for row in http]
    scores: list[Any] = [[[score for _, score in row] for row in rows] for rows in (found, http)]
    assert np.allclose(*scores)


async def test_a_table_is_classified_with_what_is_missing(caller: Caller) -> None:
    record = {"age": None, "crew": 1, "boarded": "1912-04-10", "note": "first class"}
    request = pb.ClassificationRequest(model_spec=pb.ModelSpec(name="passengers"), input=examples(record))
    said = await caller.ask(CLASSIFY, request, pb.ClassificationResponse)
    body = {"examples": [record | {"crew": True}]}
    http = (await caller.http.post("/v1/models/passengers:classify", json=body)).json()["results"]
    assert [one.label for one in said.result.classifications[0].classes] == [label for label, _ in http[0]]


async def test_numbers_are_regressed_with_a_context(caller: Caller) -> None:
    request = pb.RegressionRequest(model_spec=pb.ModelSpec(name="line"), input=examples({"x": 2}, {"x": 0.5}))
    said = await caller.ask(REGRESS, request, pb.RegressionResponse)
    assert [one.value for one in said.result.regressions] == [4, 1]
    request = pb.RegressionRequest(model_spec=pb.ModelSpec(name="line"), input=examples({}, {}, context={"x": 3.0}))
    said = await caller.ask(REGRESS, request, pb.RegressionResponse)
    assert [one.value for one in said.result.regressions] == [6, 6]


# -- descriptions --------------------------------------------------------------------------------------------------


async def test_metadata_and_status(caller: Caller) -> None:
    spec = pb.ModelSpec(name="passengers")
    request = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    said = await caller.ask(f"/{PREDICTION}/GetModelMetadata", request, pb.GetModelMetadataResponse)
    packed = said.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signature = pb.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]
    assert signature.inputs["port"].dtype == tf.DT_STRING
    assert signature.method_name == "tensorflow/serving/predict"
    about = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="pair"))
    statuses = await caller.ask(f"/{MODEL}/GetModelStatus", about, pb.GetModelStatusResponse)
    found = [(one.version, one.state) for one in statuses.model_version_status]
    assert found == [(2, pb.ModelVersionStatus.AVAILABLE), (1, pb.ModelVersionStatus.AVAILABLE)]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "request_of", "code", "words"),
    [
        (PREDICT, asked(SESAME, {"x": X1}), NOT_FOUND, "Servable not found for request"),
        (PREDICT, asked("pair", {"x1": X1}, version={"value": 9}), NOT_FOUND, "Servable not found"),
        (PREDICT, asked("pair", {"x1": X1}, signature_name=SESAME), INVALID, "Serving signature name not found"),
        (PREDICT, asked("pair", {}), INVALID, "inputs must hold a tensor"),
        (PREDICT, asked("pair", {"x1": X1}), INVALID, "column x2 is missing"),
        (PREDICT, asked("line", {"x": tensor(8, [1])}), INVALID, "the dtype must be one of DT_FLOAT"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [1])}), INVALID, "no float_val and no tensor_content"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [], float_val=[1])}), INVALID, "the shape must be [rows]"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [0], float_val=[1])}), INVALID, "no rows"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [1], float_val=[1, 2])}), INVALID, "found 2"),
        (
            PREDICT,
            asked("line", {"x": tensor(tf.DT_FLOAT, [1 << 40], float_val=[1])}),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "1000 rows",
        ),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [1000, 1 << 40], float_val=[1])}), INVALID, "more columns"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_UINT8, [1], int_val=[300])}), INVALID, "UINT8 cannot hold"),
        (PREDICT, asked("line", {"x": tensor(tf.DT_FLOAT, [1], tensor_content=b"123")}), INVALID, "the shape"),
        (CLASSIFY, pb.ClassificationRequest(model_spec={"name": "line"}), INVALID, "only classification patterns"),
        (CLASSIFY, pb.ClassificationRequest(model_spec={"name": "flowers"}), INVALID, "no rows"),
        (REGRESS, pb.RegressionRequest(model_spec={"name": "flowers"}), INVALID, "one number for an answer"),
        (REGRESS, pb.RegressionRequest(model_spec={"name": "line"}, input=examples({"x": SESAME})), INVALID, "row 0"),
        (
            f"/{PREDICTION}/GetModelMetadata",
            pb.GetModelMetadataRequest(model_spec={"name": "line"}),
            INVALID,
            "signature_def",
        ),
        (
            f"/{MODEL}/GetModelStatus",
            pb.GetModelStatusRequest(model_spec={"name": SESAME}),
            NOT_FOUND,
            "no such pattern",
        ),
    ],
)
async def test_refusals_say_what_is_wrong(
    caller: Caller, path: str, request_of: Any, code: grpc.StatusCode, words: str
) -> None:
    found, details = await caller.refused(path, request_of)
    assert found == code
    assert words in details


async def test_a_feature_has_one_value(caller: Caller) -> None:
    request = pb.RegressionRequest(model_spec=pb.ModelSpec(name="line"), input=examples({"x": 1.0}))
    request.input.example_list.examples[0].features.feature["x"].float_list.value.append(2)
    assert await caller.refused(REGRESS, request) == (INVALID, "example 0: a feature must have one value, found 2")
