"""Servers and models in the Open Inference Protocol: metadata, statistics that count, loading and unloading."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import in_json, infer, outputs_in, publish_all, refusal
from tests.app.over_http import an_app, client_of, outputs_of, pair, serving
from tests.app.over_http import refusal as native_refusal
from tests.fakes import LinearNetwork, line
from tests.table_fakes import passengers

pytestmark = pytest.mark.anyio

X = [in_json("x", "FP32", [3.0])]


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- the server ----------------------------------------------------------------------------------------------------


async def test_the_server_says_what_it_is_and_can(client: httpx.AsyncClient) -> None:
    assert await get(client, "/v2") == {
        "name": "pattern-server",
        "version": "0.1.0",
        "extensions": [
            "binary_tensor_data",
            "classification",
            "model_configuration",
            "model_repository",
            "parameters",
            "statistics",
        ],
    }
    assert await get(client, "/v2/health/live") == {"live": True}
    assert await get(client, "/v2/health/ready") == {"ready": True, "live": True}
    assert await get(client, "/v2/models") == {"models": ["line"]}


async def test_it_is_not_ready_before_it_has_looked_and_while_it_stops(published: Store) -> None:
    app = an_app(published)
    async with client_of(app) as client:
        assert refusal(await client.get("/v2/health/ready")) == 503
        assert refusal(await client.get("/v2/models/line/ready")) == 503
        assert (await get(client, "/v2/health/live")) == {"live": True}
        await app.state.parts.registry.refresh()
        assert (await client.get("/v2/health/ready")).status_code == 200
        app.state.parts.jobs.drain()
        assert refusal(await client.get("/v2/health/ready")) == 503


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/", 404),
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/Nothing", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("GET", "/v2/models/nothing/stats", 404),
        ("GET", "/v2/models/line/versions/2", 404),
        ("GET", "/v2/models/line/versions/0/ready", 404),
        ("GET", "/v2/models/line/versions/-1/config", 404),
        ("GET", "/v2/models/line/versions/" + "9" * 5000 + "/stats", 404),
        ("GET", "/v2/models/line/infer", 405),
        ("POST", "/v2", 405),
        ("DELETE", "/v2/models/line", 405),
        ("PUT", "/v2/repository/index", 405),
        ("POST", "/v2/repository/models/nothing/load", 404),
        ("POST", "/v2/repository/models/nothing/unload", 404),
    ],
)
async def test_errors_have_the_protocols_shape(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert refusal(answer) == status
    assert ("allow" in answer.headers) == (status == 405)


# -- models --------------------------------------------------------------------------------------------------------


async def test_a_model_says_its_tensors(published: Store) -> None:
    published.publish(pair())
    published.publish(passengers())
    async with serving(published) as client:
        described = await get(client, "/v2/models/pair")
        assert described == {
            "name": "pair",
            "versions": ["1"],
            "platform": "keras",
            "inputs": [{"name": name, "datatype": "FP32", "shape": [-1, 1]} for name in ("x1", "x2")],
            "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, 1]} for name in ("y1", "y2")],
        }
        assert await get(client, "/v2/models/pair/versions/1") == described
        table = await get(client, "/v2/models/passengers")
        datatypes = {tensor["name"]: tensor["datatype"] for tensor in table["inputs"]}
        assert datatypes == {"age": "FP32", "port": "BYTES", "crew": "BOOL", "boarded": "BYTES", "note": "BYTES"}
        assert table["outputs"] == [{"name": "survived", "datatype": "BYTES", "shape": [-1, 1]}]


async def test_a_model_says_its_configuration_as_triton_would(published: Store) -> None:
    published.publish(passengers())
    async with serving(published, max_rows=500) as client:
        config = await get(client, "/v2/models/passengers/config")
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("passengers", "keras", 500)
    assert config["input"][1] == {
        "name": "port",
        "data_type": "TYPE_STRING",
        "dims": [1],
        "format": "FORMAT_NONE",
        "optional": True,
    }
    assert [given["optional"] for given in config["input"]] == [True, True, False, False, False]
    assert config["output"] == [{"name": "survived", "data_type": "TYPE_STRING", "dims": [1], "label_filename": ""}]


@pytest.mark.parametrize(
    ("engine", "platform", "backend"), [("keras", "keras", "keras"), ("onnx", "onnxruntime_onnx", "onnxruntime")]
)
async def test_the_platform_is_the_engine_that_answers(
    published: Store, engine: str, platform: str, backend: str
) -> None:
    async with serving(published, engine=engine) as client:
        assert (await get(client, "/v2/models/line"))["platform"] == platform
        config = await get(client, "/v2/models/line/config")
    assert (config["platform"], config["backend"]) == (platform, backend)


async def test_a_version_is_ready_if_it_answers(published: Store) -> None:
    published.publish(line(3))
    async with serving(published) as client:
        for path in ("line", "line/versions/1", "line/versions/2"):
            assert await get(client, f"/v2/models/{path}/ready") == {"name": "line", "ready": True}
        assert (await get(client, "/v2/models/line"))["versions"] == ["1", "2"]


# -- statistics ----------------------------------------------------------------------------------------------------


async def test_statistics_count_rows_requests_and_calls(client: httpx.AsyncClient) -> None:
    two_rows = infer(client, "line", [in_json("x", "FP32", [1, 2])])
    await asyncio.gather(infer(client, "line", X), two_rows)  # in one turn of the loop: one call
    await outputs_of(client, [5])
    await infer(client, "line", [in_json("x", "BYTES", ["no number"])])
    (counted,) = (await get(client, "/v2/models/line/stats"))["model_stats"]
    stages = counted["inference_stats"]
    assert (counted["name"], counted["version"], counted["inference_count"]) == ("line", "1", 4)
    assert counted["execution_count"] == 2
    assert counted["last_inference"] > 1_600_000_000_000
    assert {name: stage["count"] for name, stage in stages.items()} == {
        "success": 3,
        "fail": 1,
        "queue": 3,
        "compute_input": 3,
        "compute_infer": 3,
        "compute_output": 3,
        "cache_hit": 0,
        "cache_miss": 0,
    }
    parts = [stages[name]["ns"] for name in ("queue", "compute_input", "compute_infer", "compute_output")]
    assert min(parts) > 0
    assert sum(parts) <= stages["success"]["ns"]
    assert stages["fail"]["ns"] > 0


async def test_many_rows_are_counted_as_well(client: httpx.AsyncClient) -> None:
    await infer(client, "line", [in_json("x", "FP32", [1.0] * 1000)])
    (counted,) = (await get(client, "/v2/models/line/stats"))["model_stats"]
    assert (counted["inference_count"], counted["execution_count"]) == (1000, 1)


async def test_a_call_whose_answer_is_refused_has_been_made(client: httpx.AsyncClient) -> None:
    for n_rows in (1, 20_000):
        assert (await client.post("/predict/line", json={"inputs": [1e300] * n_rows})).status_code == 422
    (counted,) = (await get(client, "/v2/models/line/stats"))["model_stats"]
    stages = {name: stage["count"] for name, stage in counted["inference_stats"].items()}
    assert (counted["inference_count"], counted["execution_count"]) == (0, 2)
    assert (stages["success"], stages["fail"], stages["queue"], stages["compute_infer"]) == (0, 2, 0, 0)


async def test_statistics_are_of_each_version(published: Store) -> None:
    published.publish(line(3))
    published.publish(pair())
    async with serving(published) as client:
        await infer(client, "line/versions/1", X)
        counted = (await get(client, "/v2/models/stats"))["model_stats"]
        assert [(one["name"], one["version"], one["inference_count"]) for one in counted] == [
            ("line", "1", 1),
            ("line", "2", 0),
            ("pair", "1", 0),
        ]
        (pinned,) = (await get(client, "/v2/models/line/versions/1/stats"))["model_stats"]
        assert pinned == counted[0]


# -- the repository ------------------------------------------------------------------------------------------------


async def post(
    client: httpx.AsyncClient, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    return await client.post(f"/v2/repository/{path}", content=content, headers=headers)


def entry(state: str, reason: str = "", version: str = "1", name: str = "line") -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"ready": false}', b'{"ready": true}'])
async def test_the_index_lists_every_version(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await post(client, "index", content)
    assert (answer.status_code, answer.json()) == (200, [entry("READY")])


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"ready": 1}'])
async def test_an_index_that_makes_no_sense_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    assert refusal(await post(client, "index", content)) == 400


async def test_what_is_unloaded_is_not_served_by_any_address(client: httpx.AsyncClient, store: Store) -> None:
    unload = b'{"parameters": {"unload_dependents": false}}'
    assert (await post(client, "models/line/unload", unload)).json() == {"name": "line", "unload": True}
    for path in ("line", "line/versions/1"):
        assert refusal(await infer(client, path, X)) == 503
        assert refusal(await client.get(f"/v2/models/{path}/ready")) == 503
    for query in ("", "?version=1", "?label=champion"):
        assert native_refusal(await client.post(f"/predict/line{query}", json={"inputs": [1]})) == (503, "unloaded")
    assert (await post(client, "index")).json() == [entry("UNAVAILABLE", "unloaded")]
    assert (await post(client, "index", b'{"ready": true}')).json() == []
    assert await get(client, "/v2/models") == {"models": []}
    assert (await get(client, "/readyz"))["without_good_version"] == []
    assert (await get(client, "/patterns"))["patterns"][0]["champion"] is None
    assert (store.versions("line"), store.champion("line")) == ([1], 1)


async def test_what_is_loaded_again_is_served_again(client: httpx.AsyncClient) -> None:
    await post(client, "models/line/unload")
    assert (await post(client, "models/line/unload")).status_code == 200
    assert (await post(client, "models/line/load", b"{}")).json() == {"name": "line", "load": True}
    assert outputs_in(await infer(client, "line", X)) == {"y": [6.0]}
    assert (await post(client, "models/line/load")).status_code == 200


async def test_a_training_of_what_is_unloaded_loses_nothing(client: httpx.AsyncClient, store: Store) -> None:
    await post(client, "models/line/unload")
    assert store.publish(line(3)) == 2
    assert refusal(await infer(client, "line", X)) == 503
    await post(client, "models/line/load")
    assert outputs_in(await infer(client, "line", X)) == {"y": [9.0]}
    assert outputs_in(await infer(client, "line/versions/1", X)) == {"y": [6.0]}


async def test_other_processes_and_a_restart_agree(app: FastAPI, client: httpx.AsyncClient, store: Store) -> None:
    other = create_app(Settings(_env_file=None, store=store.root, trainer_warm=False), LinearNetwork.from_bytes)
    await other.state.parts.registry.refresh()
    async with client_of(other) as elsewhere:
        assert (await infer(elsewhere, "line", X)).status_code == 200
        await post(client, "models/line/unload")
        await other.state.parts.registry.refresh()
        assert refusal(await infer(elsewhere, "line", X)) == 503
    async with serving(store) as restarted:
        assert refusal(await infer(restarted, "line", X)) == 503
        assert (await post(restarted, "models/line/load")).status_code == 200
    await app.state.parts.registry.refresh()
    assert (await infer(client, "line", X)).status_code == 200


async def test_loading_finds_what_nobody_has_seen_yet(client: httpx.AsyncClient, store: Store) -> None:
    store.publish(pair())
    assert (await post(client, "models/pair/load")).status_code == 200
    assert (await client.get("/v2/models/pair/ready")).status_code == 200


@pytest.mark.parametrize("content", [b'{"parameters": {"config": "{}"}}', b"[]", b"{"])
async def test_a_load_with_something_of_its_own_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    assert refusal(await post(client, "models/line/load", content)) == 400


async def test_what_cannot_be_served_is_said_so(published: Store) -> None:
    network = published.root / "line" / "1" / "network.keras"
    published.publish(line(3))
    network.write_bytes(b"damaged")
    async with serving(published) as client:
        await infer(client, "line/versions/1", X)
        await post(client, "models/line/load")  # looks at the store again
        states = {one["version"]: one["state"] for one in (await post(client, "index")).json()}
        assert states["2"] == "READY"
        assert states.get("1", "UNAVAILABLE") == "UNAVAILABLE"


# -- keys ----------------------------------------------------------------------------------------------------------


async def test_who_may_do_what(published: Store) -> None:
    async with serving(published, admin_key="the-admin-key", predict_key="the-predict-key") as client:
        admin = {"authorization": "Bearer the-admin-key"}
        predictor = {"authorization": "Bearer the-predict-key"}
        for path in ("models/line/load", "models/line/unload"):
            assert refusal(await post(client, path)) == 401
            assert refusal(await post(client, path, headers=predictor)) == 403
            assert refusal(await post(client, path, headers={"origin": "http://elsewhere.example", **admin})) == 403
            assert (await post(client, path, headers=admin)).status_code == 200
        await post(client, "models/line/load", headers=admin)
        assert refusal(await infer(client, "line", X)) == 401
        assert (await infer(client, "line", X, headers=predictor)).status_code == 200
        assert refusal(await post(client, "index")) == 401
        assert (await post(client, "index", headers=predictor)).status_code == 200
        for path in ("", "/health/live", "/health/ready", "/models", "/models/line", "/models/stats"):
            assert (await client.get(f"/v2{path}")).status_code == 200


# -- the document --------------------------------------------------------------------------------------------------


async def test_every_example_in_the_document_works(store: Store) -> None:
    publish_all(store)
    async with serving(store) as client:
        paths = (await get(client, "/openapi.json"))["paths"]
        for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
            examples = paths[path]["post"]["requestBody"]["content"]["application/json"]["examples"]
            assert list(examples) == (await get(client, "/v2/models"))["models"]
            for model, example in examples.items():
                answer = await client.post(path.format(model=model, version=1), json=example["value"])
                assert answer.status_code == 200, answer.text
