"""TensorFlow Serving's REST API, its answers parsed by its own messages."""

import json

from cases import (
    ADD_TEN,
    COLUMNS,
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
    posted,
    refused,
)
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

MODELS = "/v1/models"


def records(rows, names):
    return [dict(zip(names, row, strict=True)) for row in rows]


@case
def status_is_its_message():
    for path in ("quadratic", "add-ten/versions/2", "add-ten/labels/champion"):
        said = got(f"{MODELS}/{path}")
        status = json_format.ParseDict(
            said, get_model_status_pb2.GetModelStatusResponse(), ignore_unknown_fields=True
        ).model_version_status
        assert {state.state for state in status} == {get_model_status_pb2.ModelVersionStatus.AVAILABLE}
        assert said["ready"] is True
        # Without the two fields that KServe adds, the answer must parse strictly.
        message = {"model_version_status": said["model_version_status"]}
        json_format.ParseDict(message, get_model_status_pb2.GetModelStatusResponse())


@case
def metadata_is_its_messages():
    said = got(f"{MODELS}/passengers/metadata")
    spec = json_format.ParseDict(said["model_spec"], model_pb2.ModelSpec())
    assert (spec.name, spec.version.value) == ("passengers", 1)
    signatures = json_format.ParseDict(said["metadata"]["signature_def"], get_model_metadata_pb2.SignatureDefMap())
    inputs = signatures.signature_def["serving_default"].inputs
    assert set(inputs) == set(COLUMNS)
    assert [size.size for size in inputs["age"].tensor_shape.dim] == [-1]


@case
def predict_rows_of_lists_and_of_records():
    expected = native("quadratic", QUADRATIC)
    close(posted(f"{MODELS}/quadratic:predict", {"instances": QUADRATIC})["predictions"], expected)
    named = {"instances": records(QUADRATIC, ["x1", "x2"]), "signature_name": "serving_default"}
    close(posted(f"{MODELS}/quadratic:predict", named)["predictions"], expected)


@case
def predict_rows_of_one_input():
    close(
        posted(f"{MODELS}/add-ten:predict", {"instances": [1.0, 2.0, 5.5]})["predictions"], native("add-ten", ADD_TEN)
    )


@case
def predict_columns():
    columns = {"x1": [row[0] for row in QUADRATIC], "x2": [[row[1]] for row in QUADRATIC]}
    close(posted(f"{MODELS}/quadratic:predict", {"inputs": columns})["outputs"], native("quadratic", QUADRATIC))


@case
def predict_several_outputs():
    expected = records(native("linear-pair", PAIR), ["y1", "y2"])
    close(posted(f"{MODELS}/linear-pair:predict", {"instances": PAIR})["predictions"], expected)
    columns = {f"x{place + 1}": [row[place] for row in PAIR] for place in range(4)}
    answer = posted(f"{MODELS}/linear-pair:predict", {"inputs": columns})["outputs"]
    close(answer["y1"], [row["y1"] for row in expected])


@case
def predict_versions_and_labels():
    body = {"instances": ADD_TEN}
    close(posted(f"{MODELS}/add-ten/versions/2:predict", body)["predictions"], native("add-ten", ADD_TEN, "?version=2"))
    close(posted(f"{MODELS}/add-ten/labels/champion:predict", body)["predictions"], native("add-ten", ADD_TEN))


@case
def predict_texts_and_missing_values():
    answer = posted(f"{MODELS}/passengers:predict", {"instances": records(PASSENGERS, COLUMNS)})
    close(answer["predictions"], native("passengers", PASSENGERS))


@case
def classify():
    names = list(
        got(f"{MODELS}/iris/metadata")["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    )
    card = got("/patterns/iris")["inputs"]
    assert set(names) == set(card)
    answer = posted(f"{MODELS}/iris:classify", {"examples": records(IRIS, card)})["results"]
    for row, probabilities in zip(answer, likely("iris", IRIS), strict=True):
        assert {label for label, _ in row} == set(probabilities)
        for label, score in row:
            close(score, probabilities[label])


@case
def regress_with_a_context():
    body = {"context": {"x2": 1.0}, "examples": [{"x1": row[0]} for row in QUADRATIC]}
    expected = native("quadratic", [[row[0], 1.0] for row in QUADRATIC])
    close(posted(f"{MODELS}/quadratic:regress", body)["results"], expected)


@case
def any_content_type():
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        posted(f"{MODELS}/add-ten:predict", {"instances": [1]}, content_type=kind)


@case
def refusals():
    def body(**given):
        return json.dumps(given).encode()

    predict = f"{MODELS}/quadratic:predict"
    refused(404, "POST", f"{MODELS}/nothing:predict", body(instances=[1]))
    refused(404, "POST", f"{MODELS}/quadratic/versions/99:predict", body(instances=QUADRATIC))
    refused(404, "GET", f"{MODELS}/nothing")
    refused(405, "GET", predict)
    refused(400, "POST", predict, body(instances=QUADRATIC, inputs={}))
    refused(400, "POST", predict, body())
    refused(400, "POST", predict, b"{")
    refused(400, "POST", predict, body(instances=[]))
    refused(400, "POST", predict, body(instances=[[1, 2, 3]]))
    refused(400, "POST", predict, b'{"instances": [[NaN, 1]]}')
    refused(400, "POST", predict, body(instances=QUADRATIC, signature_name="sesame"))
    refused(400, "POST", f"{MODELS}/quadratic:classify", body(examples=[{"x1": 1, "x2": 2}]))
    refused(400, "POST", f"{MODELS}/iris:regress", body(examples=records(IRIS, COLUMNS[:4])))


main()
