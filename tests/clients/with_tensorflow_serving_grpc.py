"""TensorFlow Serving's own stubs over gRPC, with tensors and examples that TensorFlow makes."""

import grpc
import tensorflow as tf
from cases import (
    ADD_TEN,
    COLUMNS,
    GRPC_ADDRESS,
    IRIS,
    PAIR,
    PASSENGERS,
    QUADRATIC,
    case,
    close,
    got,
    likely,
    main,
    native,
)
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

channel = grpc.insecure_channel(GRPC_ADDRESS)
service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
models = model_service_pb2_grpc.ModelServiceStub(channel)


def predict(model, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name, values in inputs.items():
        is_tensor = hasattr(values, "tensor_shape")
        request.inputs[name].CopyFrom(values if is_tensor else tf.make_tensor_proto(values))
    return request


def answered(request):
    return {name: tf.make_ndarray(value) for name, value in service.Predict(request).outputs.items()}


def example(record):
    features = {}
    for name, value in record.items():
        if value is None:
            continue
        if isinstance(value, str):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        elif isinstance(value, bool):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def refused(call, request):
    try:
        call(request)
    except grpc.RpcError as error:
        return error.code().name
    raise AssertionError("was not refused")


@case
def predict_columns_and_one_tensor():
    expected = native("quadratic", QUADRATIC)
    columns = {"x1": [row[0] for row in QUADRATIC], "x2": [[row[1]] for row in QUADRATIC]}
    close(answered(predict("quadratic", **columns))["y"], expected)
    close(answered(predict("quadratic", rows=QUADRATIC))["y"], expected)
    for dtype in (tf.float64, tf.float16, tf.bfloat16, tf.int32, tf.int64, tf.uint8, tf.int8, tf.uint16, tf.uint64):
        close(
            answered(predict("add-ten", x=tf.make_tensor_proto([1, 2, 3], dtype)))["y"],
            native("add-ten", [[1], [2], [3]]),
        )


@case
def predict_one_value_for_all_rows():
    # TensorFlow writes equal values as one.
    same = tf.make_tensor_proto(5.0, shape=[4, 1])
    close(answered(predict("add-ten", x=same))["y"], native("add-ten", [[5.0]] * 4))


@case
def predict_several_outputs_and_a_filter():
    expected = native("linear-pair", PAIR)
    request = predict("linear-pair", rows=PAIR)
    close(answered(request)["y1"], [row[0] for row in expected])
    request.output_filter.append("y2")
    assert set(answered(request)) == {"y2"}


@case
def predict_texts_and_missing_values():
    inputs = {}
    for place, name in enumerate(COLUMNS):
        cells = [row[place] for row in PASSENGERS]
        nothing = float("nan") if name == "age" else ""
        inputs[name] = [nothing if cell is None else cell for cell in cells]
    close(answered(predict("passengers", **inputs))["survived"], native("passengers", PASSENGERS))


@case
def versions_and_labels():
    request = predict("add-ten", x=ADD_TEN)
    request.model_spec.version.value = 2
    response = service.Predict(request)
    assert (response.model_spec.name, response.model_spec.version.value) == ("add-ten", 2)
    close(tf.make_ndarray(response.outputs["y"]), native("add-ten", ADD_TEN, "?version=2"))
    request.model_spec.version_label = "champion"
    close(answered(request)["y"], native("add-ten", ADD_TEN))


@case
def classify():
    names = got("/patterns/iris")["inputs"]
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "iris"
    request.input.example_list.examples.extend(example(dict(zip(names, row, strict=True))) for row in IRIS)
    answer = service.Classify(request).result.classifications
    for row, probabilities in zip(answer, likely("iris", IRIS), strict=True):
        assert {one.label for one in row.classes} == set(probabilities)
        for one in row.classes:
            close(one.score, probabilities[one.label])


@case
def classify_a_table():
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "passengers"
    request.input.example_list.examples.extend(example(dict(zip(COLUMNS, row, strict=True))) for row in PASSENGERS)
    answer = service.Classify(request).result.classifications
    best = [max(row.classes, key=lambda one: one.score).label for row in answer]
    close(best, native("passengers", PASSENGERS))


@case
def regress_with_a_context():
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "quadratic"
    listed = request.input.example_list_with_context
    listed.context.CopyFrom(example({"x2": 1.0}))
    listed.examples.extend(example({"x1": row[0]}) for row in QUADRATIC)
    values = [one.value for one in service.Regress(request).result.regressions]
    close(values, native("quadratic", [[row[0], 1.0] for row in QUADRATIC]))


@case
def metadata_and_status():
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "passengers"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert service.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def["serving_default"].inputs) == set(COLUMNS)
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "add-ten"
    status = models.GetModelStatus(asked).model_version_status
    assert sorted(one.version for one in status) == [1, 2]
    assert {one.state for one in status} == {get_model_status_pb2.ModelVersionStatus.AVAILABLE}


@case
def refusals():
    assert refused(service.Predict, predict("nothing", x=[1.0])) == "NOT_FOUND"
    assert refused(service.Predict, predict("quadratic", x1=[1.0])) == "INVALID_ARGUMENT"
    assert refused(service.Predict, predict("quadratic", rows=[[1.0, float("nan")]])) == "INVALID_ARGUMENT"
    assert refused(service.MultiInference, inference_pb2.MultiInferenceRequest()) == "UNIMPLEMENTED"


main()
