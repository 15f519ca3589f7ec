"""Intervals and sets of labels over the protocols that have a place for them: OIP over HTTP and gRPC, and MLflow."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.protos import open_inference_pb2 as pb
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import in_json, infer, outputs_in
from tests.app.grpc.calls import OIP, Caller, calling, typed
from tests.app.over_http import CSV, fork
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line, sure
from tests.table_fakes import flowers

pytestmark = pytest.mark.anyio

X = in_json("x", "FP32", [1.0, 20.0], [2, 1])
FLOWER = [in_json("length", "FP32", [1.5], [1, 1]), in_json("width", "FP32", [0.25], [1, 1])]
NOT_SURE = [{"row": 1, "columns": ["x"], "guaranteed": False}]


@pytest.fixture(scope="module")
async def caller(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    """`line`, `fork` and `flowers` with calibrations, and `bare` without one."""
    store = Store(tmp_path_factory.mktemp("levels") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), fork(), flowers()):
        store.publish(sure(bundle))
    store.publish(line(2, "bare"))
    async with calling(store, max_rows=1000, log_level="warning", default="line") as caller:
        yield caller


@pytest.fixture
def client(caller: Caller) -> httpx.AsyncClient:
    return caller.http


# -- the Open Inference Protocol -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.9, "0.9"])
async def test_intervals_are_outputs_beside_their_own(client: httpx.AsyncClient, level: float | str) -> None:
    answer = await infer(client, "line", [X], parameters={"interval": level})
    assert outputs_in(answer) == {"y": [2.0, 40.0], "y_lower": [-16.0, 22.0], "y_upper": [20.0, 58.0]}
    assert json.loads(answer.json()["parameters"]["outside"]) == NOT_SURE
    assert {output["datatype"] for output in answer.json()["outputs"]} == {"FP32"}
    binary = await infer(client, "line", [X], parameters={"interval": level, "binary_data_output": True})
    assert outputs_in(binary) == outputs_in(answer)
    one = await infer(client, "line", [X], parameters={"interval": level}, outputs=[{"name": "y_upper"}])
    assert outputs_in(one) == {"y_upper": [20.0, 58.0]}


async def test_several_outputs_hold_jointly_on_request(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "fork", [X], parameters={"interval": 0.9, "joint": True})
    found = outputs_in(answer)
    assert [found[name][0] for name in found] == [1.0, -1.0, -18.0, 20.0, -20.0, 18.0]
    assert [*found] == ["up", "down", "up_lower", "up_upper", "down_lower", "down_upper"]


async def test_a_set_is_a_text_of_json(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "flowers", FLOWER, parameters={"confidence": 0.9})
    assert outputs_in(answer) == {"species": ["virginica"], "species_set": ['["virginica","versicolor"]']}


async def test_over_grpc_they_are_the_same(caller: Caller) -> None:
    request = typed("line", [("x", "FP32", [2], [1.0, 20.0])])
    request.parameters["interval"].double_param = 0.9
    assert await caller.infer(request) == {"y": [2.0, 40.0], "y_lower": [-16.0, 22.0], "y_upper": [20.0, 58.0]}
    response = await caller.ask(f"/{OIP}/ModelInfer", request, pb.ModelInferResponse)
    assert json.loads(response.parameters["outside"].string_param) == NOT_SURE
    request = typed("flowers", [("length", "FP32", [1], [1.5]), ("width", "FP32", [1], [0.25])])
    request.parameters["confidence"].string_param = "0.9"
    assert (await caller.infer(request))["species_set"] == ['["virginica","versicolor"]']


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        ("line", {"interval": 1.5}, "interval: expected how often it is to hold, above 0 and below 1, such as 0.9"),
        ("line", {"interval": True}, "interval: expected how often it is to hold"),
        ("line", {"interval": [0.9]}, "interval: expected how often it is to hold"),
        ("line", {"confidence": 0.9}, "confidence: this pattern answers numbers; ask for interval=0.9"),
        ("line", {"interval": 0.99}, "a level of 0.99 takes 99 calibration rows, and this version has 19"),
        ("bare", {"interval": 0.9}, "this version has no calibration, because an earlier release trained it"),
    ],
)
async def test_what_cannot_be_had_is_refused(
    client: httpx.AsyncClient, model: str, parameters: dict[str, Any], words: str
) -> None:
    answer = await infer(client, model, [X], parameters=parameters)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/v2/models/line/infer", "/v1/models/line:predict"])
async def test_where_an_address_has_no_place_for_a_level_it_is_refused(client: httpx.AsyncClient, path: str) -> None:
    body = {"inputs": [X]} if "infer" in path else {"instances": [[1.0]]}
    answer = await client.post(f"{path}?interval=0.9", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("interval: not in this address; POST /predict/{pattern} and /invocations")


# -- MLflow ------------------------------------------------------------------------------------------------------------

ENDS = [{"y": 2.0, "y_lower": -16.0, "y_upper": 20.0}]


async def asked(client: httpx.AsyncClient, body: dict[str, Any], query: str = "") -> httpx.Response:
    return await client.post(f"/invocations{query}", json=body)


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("", {"params": {"interval": 0.9}}),
        ("", {"parameters": {"interval": "0.9", "temperature": 1}}),
        ("?interval=0.9", {}),
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        {"instances": [[1.0]]},
        {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}},
        {"dataframe_records": [{"x": 1.0}]},
        {"inputs": {"x": [1.0]}},
    ],
)
async def test_mlflow_has_them_beside_its_predictions(
    client: httpx.AsyncClient, query: str, more: dict[str, Any], form: dict[str, Any]
) -> None:
    answer = await asked(client, {**form, **more}, query)
    assert (answer.status_code, answer.json()) == (200, {"predictions": ENDS})
    assert "x-pattern-outside" not in answer.headers


async def test_mlflow_has_sets_and_says_where_nothing_is_guaranteed(client: httpx.AsyncClient) -> None:
    body = {"dataframe_records": [{"length": 1.5, "width": 0.25}], "params": {"confidence": 0.9}}
    answer = await asked(client, body, "?pattern=flowers")
    assert answer.json() == {"predictions": [{"species": "virginica", "species_set": ["virginica", "versicolor"]}]}
    far = await asked(client, {"instances": [[1], [20]], "params": {"interval": 0.9}})
    assert json.loads(far.headers["x-pattern-outside"]) == NOT_SURE
    text = await client.post(
        "/invocations?interval=0.9", content="x\n1\n", headers={"content-type": CSV, "accept": CSV}
    )
    assert text.text.splitlines()[-1] == "2.0,-16.0,20.0"


@pytest.mark.parametrize(
    ("query", "params", "words"),
    [
        ("", {"interval": 2}, "interval: expected how often it is to hold"),
        ("?pattern=flowers", {"interval": 0.9}, "interval: this pattern answers labels"),
        ("?pattern=bare", {"interval": 0.9}, "no calibration"),
        ("?interval=0.99", {}, "takes 99 calibration rows"),
    ],
)
async def test_mlflow_is_refused_what_cannot_be_had(
    client: httpx.AsyncClient, query: str, params: dict[str, Any], words: str
) -> None:
    names = {"length": 1.5, "width": 0.25} if "flowers" in query else {"x": 1.0}
    answer = await asked(client, {"dataframe_records": [names], "params": params}, query)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")
    assert words in answer.json()["message"]
