"""A store that an earlier version of this server wrote: what it answered then, it answers now.

`tests/stores/format_1` was made over HTTP by version 0.1.0: numbers, a float64 network, a table with texts, dates,
categories and missing values, labels, an unloaded pattern, an uploaded table, and jobs that succeeded and failed.
`format_1.json` holds what that server answered.
"""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from models_store.networks.architecture import Engine
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.anyio

KEPT = Path(__file__).parents[1] / "stores" / "format_1"
THEN: dict[str, Any] = json.loads(KEPT.with_suffix(".json").read_text("utf-8"))
# Another processor adds up float32 products in another order.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: a server writes its locks and its records into its store."""
    return Path(shutil.copytree(KEPT, tmp_path_factory.mktemp("kept") / "store"))


@pytest.fixture(scope="module", params=["onnx", pytest.param("keras", marks=pytest.mark.keras)])
async def client(request: pytest.FixtureRequest, root: Path) -> AsyncIterator[httpx.AsyncClient]:
    engine: Engine = request.param
    app = create_app(Settings(_env_file=None, store=root, trainer_warm=False, log_level="warning", engine=engine))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client,
    ):
        await ready(app, client)
        yield client


async def ready(app: FastAPI, client: httpx.AsyncClient) -> None:
    await app.state.parts.registry.refresh()
    assert (await client.get("/readyz")).status_code == 200


def test_every_version_that_was_kept_is_good(root: Path) -> None:
    store = Store(root, OnnxNetwork.from_bytes)
    loaded = {(name, version) for name in store.patterns() for version in store.versions(name)}
    assert loaded == {("area", 1), ("area", 2), ("area", 3), ("exact", 1), ("kinds", 1), ("lost", 1), ("rents", 1)}
    assert store.recover() == []
    for name, version in loaded:
        store.load(name, version)
        assert PatternSpec.parse(store.describe(name, version).recipe).name == name


@pytest.mark.parametrize("asked", THEN["answers"], ids=[asked["path"] for asked in THEN["answers"]])
async def test_a_question_has_the_answer_that_it_had(client: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    answer = await client.post(asked["path"], json=asked["body"])
    said = answer.json()
    if "error" in said:
        del said["error"]["request_id"]
    assert (answer.status_code, shape(said)) == (asked["status"], shape(asked["answer"]))
    assert numbers(said) == pytest.approx(numbers(asked["answer"]), rel=TOLERANCE, abs=TOLERANCE)


@pytest.mark.parametrize("path", THEN["documents"])
async def test_a_document_says_what_it_said(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).json() == THEN["documents"][path]


def shape(document: Any) -> Any:
    """The document with 0 for each fractional number."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(value) for value in document]
    return 0 if isinstance(document, float) else document


def numbers(document: Any) -> list[float]:
    """Its fractional numbers, in order."""
    if isinstance(document, dict):
        return [number for value in document.values() for number in numbers(value)]
    if isinstance(document, list):
        return [number for value in document for number in numbers(value)]
    return [document] if isinstance(document, float) else []
