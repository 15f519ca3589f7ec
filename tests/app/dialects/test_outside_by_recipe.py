"""What a recipe says of rows outside what training saw holds in every protocol, unless a request says otherwise."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest

from app.protos import open_inference_pb2 as pb
from models_store.card import Way
from models_store.storage.store import Store
from tests.app.grpc.calls import OIP, Caller, calling, outputs_in, typed
from tests.app.over_http import CSV, refusal, serving
from tests.fakes import closed_form, line, sure

pytestmark = pytest.mark.anyio

REFUSED = "ask POST /predict/reject, since the recipe refuses them, with"
WAYS: tuple[Way, ...] = ("warn", "clip", "reject", "formula")


@pytest.fixture
def stocked(store: Store) -> Store:
    """`warn`, `clip`, `reject` and `formula`: `line` with x from 0 to 16, whose recipes say so; `bare` says nothing."""
    for way in WAYS:
        bundle = sure(line(2, way))
        card = bundle.card.model_copy(update={"closed_forms": {"y": closed_form()}, "outside": way})
        store.publish(replace(bundle, card=card))
    store.publish(line(2, "bare"))
    return store


@pytest.fixture
async def client(stocked: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(stocked) as client:
        yield client


@pytest.fixture
async def caller(stocked: Store) -> AsyncIterator[Caller]:
    async with calling(stocked) as caller:
        yield caller


def named(answer: httpx.Response) -> Any:
    return json.loads(answer.headers["x-pattern-outside"])


PROTOCOLS: list[tuple[str, Any, Any]] = [
    ("/predict/{}", {"inputs": [1, 20]}, lambda said: said["outputs"]),
    ("/v1/models/{}:predict", {"instances": [[1], [20]]}, lambda said: said["predictions"]),
    (
        "/v2/models/{}/infer",
        {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1, 20]}]},
        lambda said: said["outputs"][0]["data"],
    ),
    (
        "/invocations?pattern={}",
        {"dataframe_split": {"columns": ["x"], "data": [[1], [20]]}},
        lambda said: said["predictions"],
    ),
]


def flat(found: list[Any]) -> list[float]:
    while isinstance(found[0], list):
        found = [value for row in found for value in row]
    return [next(iter(value.values())) if isinstance(value, dict) else value for value in found]


@pytest.mark.parametrize(("path", "body", "outputs_of"), PROTOCOLS)
@pytest.mark.parametrize(
    ("way", "outputs", "answered"),
    [
        ("warn", [2.0, 40.0], {}),
        ("clip", [2.0, 32.0], {"answered": "clip"}),
        ("formula", [2.0, 41.0], {"answered": "formula"}),
    ],
)
async def test_a_recipes_way_is_that_of_every_protocol(
    client: httpx.AsyncClient, path: str, body: Any, outputs_of: Any, way: str, outputs: list[float], answered: Any
) -> None:
    answer = await client.post(path.format(way), json=body)
    assert answer.status_code == 200, answer.text
    assert flat(outputs_of(answer.json())) == outputs
    expected = [{"row": 1, "columns": ["x"], **answered}]
    assert (answer.json()["outside"] if path.startswith("/predict") else named(answer)) == expected


@pytest.mark.parametrize(("path", "body", "_outputs_of"), PROTOCOLS)
async def test_a_recipe_refuses_in_every_protocol(
    client: httpx.AsyncClient, path: str, body: Any, _outputs_of: Any
) -> None:
    answer = await client.post(path.format("reject"), json=body)
    assert answer.status_code in (400, 422)
    asked_there = path.startswith("/predict")
    ways = "ask with outside=warn, clip or formula" if asked_there else f"{REFUSED} outside=warn, clip or formula"
    found = "row 1 is outside what training saw in x; the card has the ranges; leave such rows out, or"
    assert f"{found} {ways}" in answer.text


async def test_a_recipe_refuses_over_grpc(caller: Caller) -> None:
    request = typed("reject", [("x", "FP32", [2], [1.0, 20.0])])
    code, details = await caller.refused(f"/{OIP}/ModelInfer", request)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert f"{REFUSED} outside=warn, clip or formula" in details


@pytest.mark.parametrize(
    ("way", "outputs", "answered"),
    [("warn", [2.0, 40.0], {}), ("clip", [2.0, 32.0], {"answered": "clip"})],
)
async def test_a_recipes_way_is_that_of_grpc_which_names_rows_twice(
    caller: Caller, way: str, outputs: list[float], answered: dict[str, str]
) -> None:
    request = typed(way, [("x", "FP32", [2], [1.0, 20.0])])
    call = caller.channel.unary_unary(f"/{OIP}/ModelInfer")(request.SerializeToString())
    response = pb.ModelInferResponse.FromString(await call)
    assert outputs_in(response) == {"y": outputs}
    expected = [{"row": 1, "columns": ["x"], **answered}]
    assert json.loads(response.parameters["outside"].string_param) == expected
    metadata = dict(await call.trailing_metadata())
    assert (json.loads(metadata["x-pattern-outside"]), metadata["x-pattern-outside-rows"]) == (expected, "1")


async def test_a_request_has_precedence(client: httpx.AsyncClient) -> None:
    asked = {"inputs": [20]}
    for way, outputs in (("warn", [40.0]), ("clip", [32.0]), ("formula", [41.0])):
        assert (await client.post(f"/predict/reject?outside={way}", json=asked)).json()["outputs"] == outputs
    assert "outside" not in (await client.post("/predict/reject?outside=false", json=asked)).json()
    assert refusal(await client.post("/predict/warn?outside=reject", json=asked)) == (422, "outside")


async def test_true_is_what_the_recipe_says_or_warn(client: httpx.AsyncClient) -> None:
    answers = [
        (await client.post(f"/predict/{name}?outside=true", json={"inputs": [20]})).json() for name in ("clip", "bare")
    ]
    assert [answer["outside"][0].get("answered") for answer in answers] == ["clip", None]


async def test_rows_inside_have_no_remark(client: httpx.AsyncClient) -> None:
    assert "outside" not in (await client.post("/predict/clip", json={"inputs": [1]})).json()
    assert (
        "x-pattern-outside"
        not in (await client.post("/predict/clip", content=b"x\n1\n", headers={"content-type": CSV})).headers
    )


async def test_an_interval_is_around_the_networks_answer(client: httpx.AsyncClient) -> None:
    answer = (await client.post("/predict/formula?interval=0.9", json={"inputs": [20]})).json()
    assert answer["outputs"] == [40.0]
    assert answer["outside"] == [{"row": 0, "columns": ["x"], "guaranteed": False}]
    body = PROTOCOLS[2][1] | {"parameters": {"interval": 0.9}}
    assert (await client.post("/v2/models/formula/infer", json=body)).json()["outputs"][0]["data"] == [2.0, 40.0]


async def test_a_recipe_that_refuses_offers_no_formula_beside_an_interval(client: httpx.AsyncClient) -> None:
    body = PROTOCOLS[2][1] | {"parameters": {"interval": 0.9}}
    answer = await client.post("/v2/models/reject/infer", json=body)
    assert f"{REFUSED} outside=warn or clip" in answer.text
