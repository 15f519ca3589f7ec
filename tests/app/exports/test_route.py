"""GET /patterns/{pattern}/export: a file that was tried, or the reason why there is none."""

import re
from collections.abc import AsyncIterator
from importlib.resources import files

import httpx
import pytest

from models_store.exports.names import ALL
from models_store.exports.sample import Sample
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.app.over_http import an_app, client_of, message, refusal
from tests.disks import HastyDisk
from tests.exported import spelled

pytestmark = pytest.mark.anyio
ADDRESS = "/patterns/drawn/export"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with two versions of a pattern, the first of them champion."""
    store = Store(tmp_path_factory.mktemp("exporting"), OnnxNetwork.from_bytes, disk=HastyDisk())
    for promote in (True, False):
        store.publish(spelled(), promote=promote)
    app = an_app(store, OnnxNetwork.from_bytes, predict_key="the-key")
    headers = {"authorization": "Bearer the-key"}
    async with app.router.lifespan_context(app), client_of(app) as client:
        client.headers.update(headers)
        await app.state.parts.registry.refresh()
        yield client


async def test_the_champion_is_exported_and_says_how_exact_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get(ADDRESS, params={"to": "python"})
    assert (answer.status_code, answer.headers["x-pattern-version"]) == (200, "1")
    assert answer.headers["content-disposition"] == 'attachment; filename="drawn-1.py"'
    assert answer.headers["content-type"].startswith("text/x-python")
    assert float(answer.headers["x-export-difference"]) <= 1e-5 <= float(answer.headers["x-export-tolerance"]) == 1e-4
    assert int(answer.headers["x-export-rows"]) == len(Sample.of(spelled()))
    assert answer.text.startswith("# The pattern drawn, version 1, as Pattern Server exported it.\n")
    assert "differ by at most 0.0001" in answer.text


async def test_another_version_is_exported(client: httpx.AsyncClient) -> None:
    answer = await client.get(ADDRESS, params={"to": "python", "version": "2"})
    assert answer.headers["content-disposition"] == 'attachment; filename="drawn-2.py"'
    assert (await client.get(ADDRESS, params={"to": "python", "label": "champion"})).text.count("version 1,") == 1


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "bad_parameter"),
        ({"to": "cobol"}, 422, "unknown_target"),
        ({"to": "python", "version": "3"}, 404, "unknown_version"),
        ({"to": "python", "version": "0"}, 422, "bad_parameter"),
        ({"to": "python", "label": "nothing"}, 404, "unknown_label"),
        ({"to": "python", "version": "1", "label": "champion"}, 422, "bad_parameter"),
    ],
)
async def test_what_there_is_not_is_refused(
    client: httpx.AsyncClient, query: dict[str, str], status: int, code: str
) -> None:
    assert refusal(await client.get(ADDRESS, params=query)) == (status, code)


async def test_the_refusal_of_a_target_lists_those_that_there_are(client: httpx.AsyncClient) -> None:
    answer = await client.get(ADDRESS, params={"to": "cobol"})
    assert message(answer) == f"there is no such export; there are {', '.join(ALL)}"


async def test_an_export_needs_the_key_of_predictions(client: httpx.AsyncClient) -> None:
    answer = await client.get(ADDRESS, params={"to": "python"}, headers={"authorization": ""})
    assert refusal(answer) == (401, "key_missing")


async def test_an_unloaded_pattern_is_not_exported(client: httpx.AsyncClient) -> None:
    await client.post("/v2/repository/models/drawn/unload")
    try:
        assert refusal(await client.get(ADDRESS, params={"to": "python"})) == (503, "unloaded")
    finally:
        await client.post("/v2/repository/models/drawn/load")
    assert (await client.get(ADDRESS, params={"to": "python"})).status_code == 200


async def test_a_damaged_version_is_not_exported(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store(tmp_path_factory.mktemp("damaged"), OnnxNetwork.from_bytes, disk=HastyDisk())
    for promote in (True, False):
        store.publish(spelled(), promote=promote)
    weights = store.root / "drawn" / "2" / "network.keras"
    weights.write_bytes(weights.read_bytes()[:-1])
    app = an_app(store, OnnxNetwork.from_bytes)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await app.state.parts.registry.refresh()
        answer = await client.get(ADDRESS, params={"to": "python", "version": "2"})
    assert refusal(answer) in {(503, "bundle_damaged"), (404, "unknown_version")}


def test_the_page_offers_every_target() -> None:
    page = (files("app.page") / "index.html").read_text("utf-8")
    _, _, after = page.partition('id="export-to"')
    assert sorted(re.findall('<option value="([^"]+)"', after.partition("</select>")[0])) == sorted(ALL)
