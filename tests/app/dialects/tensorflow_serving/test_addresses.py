"""TensorFlow Serving's REST protocol and KServe's version 1: what their clients send, and what they read."""

import base64
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.errors import NotLoaded
from models_store.storage.store import Store
from tests.app.over_http import CSV, SESAME, an_app, client_of, outputs_of, said, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio

NOTE = {"age": 22, "port": "S", "crew": True, "boarded": "1912-04-10", "note": "cabin"}


async def asked(client: httpx.AsyncClient, what: str, body: Any) -> httpx.Response:
    return await client.post(f"/v1/models/{what}", content=body if isinstance(body, bytes) else json.dumps(body))


def b64(text: str) -> dict[str, str]:
    return {"b64": base64.b64encode(text.encode()).decode()}


# -- predict -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "body", "answer"),
    [
        # One output: its name is left out.
        ("line", {"instances": [1, 2.5]}, {"predictions": [20.0, 50.0]}),
        ("line", {"instances": [[1], [2.5]]}, {"predictions": [20.0, 50.0]}),
        ("line", {"instances": [{"x": 1}, {"x": [2]}]}, {"predictions": [20.0, 40.0]}),
        ("line", {"inputs": [1, 2]}, {"outputs": [20.0, 40.0]}),
        ("line", {"inputs": [[1], [2]]}, {"outputs": [20.0, 40.0]}),
        ("line", {"inputs": {"x": [1, 2]}}, {"outputs": [20.0, 40.0]}),
        ("line", {"inputs": {"x": [[1], [2]]}}, {"outputs": [20.0, 40.0]}),
        ("line", {"inputs": {"x": 1}}, {"outputs": 20.0}),
        # Several: objects in the row form, one object in the column form.
        ("pair", {"instances": [[2, 1], [0, 0]]}, {"predictions": [{"y1": 4.0, "y2": 1.0}, {"y1": 0.0, "y2": 0.0}]}),
        ("pair", {"instances": [{"x2": 1, "x1": 2}]}, {"predictions": [{"y1": 4.0, "y2": 1.0}]}),
        ("pair", {"inputs": {"x2": [1, 0], "x1": [2, 4]}}, {"outputs": {"y1": [4.0, 4.0], "y2": [1.0, 4.0]}}),
        ("pair", {"inputs": {"x2": [[1], [0]], "x1": [2, 4]}}, {"outputs": {"y1": [4.0, 4.0], "y2": [1.0, 4.0]}}),
        ("pair", {"inputs": [[2, 1]]}, {"outputs": {"y1": [4.0], "y2": [1.0]}}),
        ("pair", {"inputs": {"x1": 2, "x2": 1}}, {"outputs": {"y1": 4.0, "y2": 1.0}}),
        ("fork", {"instances": [1, 2]}, {"predictions": [{"up": 1.0, "down": -1.0}, {"up": 2.0, "down": -2.0}]}),
        ("fork", {"inputs": [3]}, {"outputs": {"up": [3.0], "down": [-3.0]}}),
        # Versions, labels, signatures.
        ("line/versions/1", {"instances": [1]}, {"predictions": [2.0]}),
        ("line/versions/03", {"instances": [1]}, {"predictions": [200.0]}),
        ("line/labels/champion", {"instances": [1]}, {"predictions": [20.0]}),
        ("line/labels/candidate", {"instances": [1]}, {"predictions": [200.0]}),
        ("line", {"signature_name": "serving_default", "instances": [1]}, {"predictions": [20.0]}),
        ("line", {"signature_name": "", "instances": [1]}, {"predictions": [20.0]}),
        ("line", {"instances": [1], "more": None}, {"predictions": [20.0]}),
    ],
)
async def test_rows_are_answered_with_predictions_and_columns_with_outputs(
    spoken: httpx.AsyncClient, model: str, body: Any, answer: Any
) -> None:
    given = await asked(spoken, f"{model}:predict", body)
    assert (given.status_code, given.headers["content-type"]) == (200, "application/json")
    assert given.json() == answer


@pytest.mark.parametrize("content_type", [None, "application/json", "application/x-www-form-urlencoded", CSV])
async def test_the_content_type_does_not_matter(spoken: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = await spoken.post("/v1/models/line:predict", content=b'{"instances": [1]}', headers=headers)
    assert answer.json() == {"predictions": [20.0]}


async def test_labels_are_predicted_as_they_stood_in_the_data(spoken: httpx.AsyncClient) -> None:
    instances = [{"message": "win a prize"}, {"message": "tea"}]
    expected = [answer["spam"] for answer in await outputs_of(spoken, instances, "messages")]
    assert set(map(type, expected)) == {bool}
    answer = await asked(spoken, "messages:predict", {"instances": instances})
    assert answer.json() == {"predictions": expected}


@pytest.mark.parametrize(
    "body", [{"instances": [b64("win a prize"), "tea", b64("té")]}, {"inputs": ["win a prize", b64("tea"), "té"]}]
)
async def test_a_text_may_be_base64(spoken: httpx.AsyncClient, body: Any) -> None:
    expected = await outputs_of(spoken, ["win a prize", "tea", "té"], "messages")
    answer = await asked(spoken, "messages:predict", body)
    assert list(answer.json().values()) == [expected]


# -- classify and regress ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"examples": [{"length": 1.5, "width": 2}, {"length": [4.5], "width": [2]}]},
        {"examples": [{"length": 1.5}, {"length": 4.5}], "context": {"width": 2}},
        {
            "examples": [{"length": 1.5}, {"length": 4.5}],
            "context": {"width": [2]},
            "signature_name": "serving_default",
        },
    ],
)
async def test_each_label_is_classified_with_its_probability(spoken: httpx.AsyncClient, body: Any) -> None:
    native = await spoken.post(
        "/predict/flowers?probabilities=true", json={"inputs": {"length": [1.5, 4.5], "width": [2, 2]}}
    )
    expected = [[[label, score] for label, score in row.items()] for row in native.json()["probabilities"]["species"]]
    answer = await asked(spoken, "flowers:classify", body)
    assert answer.json() == {"results": expected}
    assert [label for label, _ in expected[0]] == ["setosa", "versicolor", "virginica"]


async def test_labels_that_are_no_texts_are_classified_as_texts(spoken: httpx.AsyncClient) -> None:
    answer = await asked(spoken, "messages:classify", {"examples": [{"message": b64("tea")}]})
    assert [label for label, _ in answer.json()["results"][0]] == ["false", "true"]


@pytest.mark.parametrize(("what", "answer"), [("line:regress", [30.0, 40.0]), ("line/versions/1:regress", [3.0, 4.0])])
async def test_a_number_is_regressed(spoken: httpx.AsyncClient, what: str, answer: list[float]) -> None:
    given = await asked(spoken, what, {"examples": [{"x": 1.5}, {"x": [2]}]})
    assert given.json() == {"results": answer}


# -- refusals ------------------------------------------------------------------------------------------------------

PREDICT, TWO = "line:predict", "pair:predict"


@pytest.mark.parametrize(
    ("what", "body", "status", "words"),
    [
        (PREDICT, b"", 400, "the body is not JSON: line 1, column 1"),
        (PREDICT, b"\xff", 400, "the body is not UTF-8"),
        (PREDICT, b'{"instances": [1]} sesame', 400, "the body is not JSON: line 1, column 20"),
        (PREDICT, b'{"instances": [1], "instances": [2]}', 400, "the JSON has the same key twice in one object"),
        (PREDICT, b"[" * 900, 400, "the body is not JSON"),
        (PREDICT, [1], 400, "the body must be a JSON object"),
        (PREDICT, b64("sesame"), 400, "the body must be a JSON object"),
        (PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, {"sesame": [1]}, 400, "Missing 'inputs' or 'instances' key"),
        (PREDICT, {"instances": [1], "inputs": [1]}, 400, "expecting only one of 'inputs' or 'instances' keys"),
        (PREDICT, {"instances": 1}, 400, "'instances' must be a list"),
        (PREDICT, {"instances": {"x": [1]}}, 400, "'instances' must be a list"),
        (PREDICT, {"instances": []}, 400, "there are no rows to predict"),
        (PREDICT, {"inputs": 1}, 400, "inputs must be a list"),
        (PREDICT, {"inputs": None}, 400, "inputs must be a list"),
        (PREDICT, {"instances": ["sesame"]}, 400, "row 0, column x: expected a number"),
        (PREDICT, {"instances": [[[1, 2]]]}, 400, "row 0, column x: expected a number"),
        (PREDICT, {"instances": [[[[1]]]]}, 400, "row 0, column x: expected a number"),
        (PREDICT, {"instances": [True]}, 400, "row 0, column x: expected a number"),
        (PREDICT, {"instances": [1, None]}, 400, "row 1, column x: expected a number"),
        (PREDICT, {"instances": [b64("1")]}, 400, "row 0, column x: expected a number"),
        (PREDICT, {"instances": [{"x": 1, "other": 2}]}, 400, "row 0: column other is not among x"),
        (PREDICT, b'{"instances": [NaN]}', 400, "row 0, column x: not a finite number"),
        (PREDICT, b'{"instances": [1, -Infinity]}', 400, "row 1, column x: not a finite number"),
        (PREDICT, {"instances": [1, 1e300]}, 400, "row 1: "),
        (PREDICT, {"signature_name": SESAME, "instances": [1]}, 400, "Serving signature name not found"),
        (PREDICT, {"signature_name": [1], "instances": [1]}, 400, "Serving signature name not found"),
        (PREDICT, {"instances": [1] * 1001}, 413, "the body holds more than the limit of 1000 rows"),
        (PREDICT, {"inputs": {"x": [[1]] * 1001}}, 413, "the body holds more than the limit of 1000 rows"),
        (PREDICT, {"instances": [[1]] * 5000}, 413, "the body holds more than the limit of 1000 rows"),
        (PREDICT, b"1" * (1 << 21), 413, "the body is larger than the limit of 1048576 bytes"),
        (TWO, {"instances": [1, 2]}, 400, "row 0: expected a list of 2 values, found a number; the columns"),
        (TWO, {"instances": [{"x1": 1}]}, 400, "row 0: column x2 is missing"),
        (TWO, {"inputs": {"x1": [1, 2], "x2": [1]}}, 400, "columns must all be lists of the same length"),
        (TWO, {"inputs": {"x1": [1]}}, 400, "column x2 is missing"),
        ("messages:predict", {"instances": [{"b64": "?"}]}, 400, "what stands under b64 is not the base64 of a text"),
        ("messages:predict", {"instances": [{"b64": "/w=="}]}, 400, "what stands under b64 is not the base64"),
        ("messages:predict", {"instances": [None]}, 400, "row 0, column message: expected a text, found no value"),
        ("passengers:predict", b'{"instances": [{"age": Infinity}]}', 400, "row 0: columns crew, boarded"),
        ("passengers:predict", {"instances": [NOTE | {"crew": 7}]}, 400, "row 0, column crew: expected true or false"),
        ("flowers:regress", {"examples": [{"length": 1}]}, 400, "only patterns with one number"),
        ("pair:regress", {"examples": [{"x1": 1, "x2": 1}]}, 400, "only patterns with one number"),
        ("line:classify", {"examples": [{"x": 1}]}, 400, "only classification patterns can classify"),
        ("line:regress", {"instances": [1]}, 400, "'examples' must be a list of objects"),
        ("line:regress", {"examples": {"x": 1}}, 400, "'examples' must be a list of objects"),
        ("line:regress", {"examples": [{"x": 1}, 2]}, 400, "'examples' must be a list of objects"),
        ("line:regress", {"examples": []}, 400, "there are no rows to predict"),
        ("line:regress", {"examples": [{"x": [1, 2]}]}, 400, "row 0, column x: expected a number"),
        ("line:regress", {"examples": [{"x": 1}], "context": [1]}, 400, "'context' must be an object"),
        ("line:regress", {"examples": [{"x": 1}], "context": {"x": 1}}, 400, "what stands in 'context' must not"),
        ("line:regress", {"examples": [{"x": 1}], "signature_name": SESAME}, 400, "Serving signature name not found"),
        ("sesame:predict", {"instances": [1]}, 404, "Servable not found for request: no such pattern; there are f"),
        ("line/versions/9:predict", {"instances": [1]}, 404, "Servable not found for request: pattern line has"),
        ("line/labels/sesame:predict", {"instances": [1]}, 404, "Servable not found for request: pattern line has"),
        ("line/versions/sesame:predict", {"instances": [1]}, 404, "there is nothing here"),
        ("line/versions/" + "9" * 5000 + ":predict", {"instances": [1]}, 404, "there is nothing here"),
        ("line:sesame", {"instances": [1]}, 404, "there is nothing here"),
        ("line/sesame", {"instances": [1]}, 404, "there is nothing here"),
        ("line", {"instances": [1]}, 405, "this address answers only GET, HEAD"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_in_one_sentence(
    spoken: httpx.AsyncClient, what: str, body: Any, status: int, words: str
) -> None:
    answer = await asked(spoken, what, body)
    assert answer.status_code == status
    assert said(answer)["error"].startswith(words)


async def test_a_compressed_body_is_refused(spoken: httpx.AsyncClient) -> None:
    answer = await spoken.post("/v1/models/line:predict", content=b"{}", headers={"content-encoding": "gzip"})
    assert (answer.status_code, said(answer)) == (415, {"error": "the body must be sent without Content-Encoding"})


async def test_a_key_guards_predictions_and_not_what_there_is(published: Store) -> None:
    async with serving(published, predict_key="open") as client:
        answer = await asked(client, "line:predict", {"instances": [1]})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert said(answer) == {"error": "a key is needed: Authorization: Bearer <key>"}
        body, headers = {"instances": [1]}, {"authorization": "Bearer open"}
        assert (await client.post("/v1/models/line:predict", json=body, headers=headers)).status_code == 200
        for path in ("/v1/models", "/v1/models/line", "/v1/models/line/metadata"):
            assert (await client.get(path)).status_code == 200


# -- status and metadata -------------------------------------------------------------------------------------------


def statuses(*versions: int) -> list[Any]:
    status = {"error_code": "OK", "error_message": ""}
    return [{"version": str(version), "state": "AVAILABLE", "status": status} for version in versions]


@pytest.mark.parametrize(
    ("where", "versions"),
    [
        ("", [2, 3, 1]),
        ("/versions/1", [1]),
        ("/labels/champion", [2]),
        ("/labels/candidate", [3]),
    ],
)
async def test_a_status_is_for_both_protocols_and_begins_with_who_answers(
    spoken: httpx.AsyncClient, where: str, versions: list[int]
) -> None:
    answer = await spoken.get(f"/v1/models/line{where}")
    assert answer.json() == {"name": "line", "ready": True, "model_version_status": statuses(*versions)}


@pytest.mark.parametrize("where", ["line/versions/9", "line/labels/sesame", "sesame", "sesame/metadata"])
async def test_what_is_not_there_has_no_status(spoken: httpx.AsyncClient, where: str) -> None:
    answer = await spoken.get(f"/v1/models/{where}")
    assert answer.status_code == 404
    assert said(answer)["error"].startswith("Servable not found for request: ")


async def test_what_is_not_loaded_is_not_ready(published: Store) -> None:
    async with client_of(an_app(published)) as client:
        answer = await client.get("/v1/models/line")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json() == {"name": "line", "ready": False, "model_version_status": []}
        assert said(await asked(client, "line:predict", {"instances": [1]})) == {
            "error": str(NotLoaded("the store")),
        }
        assert (await client.get("/v1/models/SESAME")).status_code == 404


async def test_a_server_about_to_stop_is_not_ready(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.parts.jobs.drain()
    answer = await client.get("/v1/models/line")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert (await asked(client, "line:predict", {"instances": [1]})).status_code == 200


def tensor(name: str, dtype: str) -> dict[str, Any]:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    return {"dtype": dtype, "tensor_shape": shape, "name": name}


@pytest.mark.parametrize(
    ("where", "version", "inputs", "outputs"),
    [
        ("line", 2, {"x": "DT_FLOAT"}, {"y": "DT_FLOAT"}),
        ("line/versions/1", 1, {"x": "DT_FLOAT"}, {"y": "DT_FLOAT"}),
        ("line/labels/candidate", 3, {"x": "DT_FLOAT"}, {"y": "DT_FLOAT"}),
        ("pair", 1, {"x1": "DT_FLOAT", "x2": "DT_FLOAT"}, {"y1": "DT_FLOAT", "y2": "DT_FLOAT"}),
        ("messages", 1, {"message": "DT_STRING"}, {"spam": "DT_BOOL"}),
        (
            "passengers",
            1,
            {"age": "DT_FLOAT", "port": "DT_STRING", "crew": "DT_BOOL", "boarded": "DT_STRING", "note": "DT_STRING"},
            {"survived": "DT_STRING"},
        ),
    ],
)
async def test_metadata_are_a_signature(
    spoken: httpx.AsyncClient, where: str, version: int, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    answer = await spoken.get(f"/v1/models/{where}/metadata")
    signature = {
        "inputs": {name: tensor(name, dtype) for name, dtype in inputs.items()},
        "outputs": {name: tensor(name, dtype) for name, dtype in outputs.items()},
        "method_name": "tensorflow/serving/predict",
    }
    assert answer.json() == {
        "model_spec": {"name": where.partition("/")[0], "signature_name": "", "version": str(version)},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }


# -- KServe's own --------------------------------------------------------------------------------------------------


async def test_all_models_are_listed(spoken: httpx.AsyncClient) -> None:
    names = ["flowers", "fork", "line", "messages", "pair", "passengers", "rents"]
    assert (await spoken.get("/v1/models")).json() == {"models": names}


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
async def test_a_program_hears_that_the_server_is_alive(spoken: httpx.AsyncClient, accept: str) -> None:
    assert (await spoken.get("/", headers={"accept": accept})).json()["status"] == "alive"


async def test_a_prediction_is_counted_under_its_address(published: Store) -> None:
    published.publish(line(pattern="tallied"))
    async with serving(published) as client:
        await asked(client, "tallied:predict", {"instances": [1, 2, 3]})
        counted = (await client.get("/metrics")).text
    assert 'route="/v1/models/{model}:predict"' in counted
    assert 'patterns_rows_total{pattern="tallied"} 3.0' in counted


async def test_an_unloaded_pattern_is_not_ready_whichever_version_is_asked(store: Store) -> None:
    store.publish(line())
    async with serving(store) as client:
        store.set_alias("line", "candidate", 1)
        await client.post("/v2/repository/models/line/unload")
        for place in ("", "/versions/1", "/labels/candidate"):
            answer = await client.get(f"/v1/models/line{place}")
            assert (answer.status_code, answer.json()["ready"]) == (503, False), place
