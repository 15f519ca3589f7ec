"""Alive, ready, and the page for people."""

import re

import httpx
import pytest
from fastapi import FastAPI

from models_store.storage.store import Store
from tests.app.over_http import an_app, client_of, message, outputs_of, refusal, serving

pytestmark = pytest.mark.anyio


async def test_alive_before_anything_is_loaded_ready_only_then(published: Store) -> None:
    async with client_of(app := an_app(published)) as client:
        assert (await client.get("/livez")).json() == {"live": True}
        answer = await client.get("/readyz")
        assert refusal(answer) == (503, "not_loaded")
        assert message(answer) == "the store is not loaded yet; try again in a moment"
        await app.state.served.refresh()
        assert (await client.get("/readyz")).json() == {
            "ready": True,
            "patterns": ["line"],
            "without_good_version": [],
            "unloaded": [],
        }


async def test_a_store_that_does_not_exist_yet_is_ready_and_empty(store: Store) -> None:
    async with serving(store) as client:
        assert (await client.get("/readyz")).json() == {
            "ready": True,
            "patterns": [],
            "without_good_version": [],
            "unloaded": [],
        }
        assert (await client.get("/patterns")).json() == {"patterns": []}
        assert refusal(await client.post("/predict/line", json={"inputs": [1]})) == (404, "unknown_pattern")


async def test_told_to_stop_it_is_not_ready_but_alive_and_answers_what_still_comes(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    app.state.jobs.is_draining = True
    assert refusal(await client.get("/readyz")) == (503, "draining")
    assert (await client.get("/livez")).json() == {"live": True}
    assert await outputs_of(client, [1]) == [2.0]


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
async def test_programs_get_a_word_at_the_root(shared: httpx.AsyncClient, accept: str) -> None:
    answer = await shared.get("/", headers={"accept": accept})
    assert answer.json() == {"status": "alive", "name": "pattern-server", "docs": "/docs", "patterns": "/patterns"}


async def test_people_get_a_page_at_the_root(shared: httpx.AsyncClient) -> None:
    answer = await shared.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.lower().startswith("<!doctype html>")


async def test_everything_that_the_page_refers_to_is_there(shared: httpx.AsyncClient) -> None:
    page = (await shared.get("/", headers={"accept": "text/html"})).text
    for path in re.findall(r'(?:src|href)="(/[^"#]*)"', page):
        assert (await shared.get(path)).status_code == 200, path


async def test_the_page_has_every_part_that_its_script_asks_for(shared: httpx.AsyncClient) -> None:
    page = (await shared.get("/", headers={"accept": "text/html"})).text
    script = (await shared.get("/page/page.js")).text
    parts = re.findall(r' id="([^"]+)"', page)
    assert len(parts) == len(set(parts))
    assert set(re.findall(r'byId\("([^"]+)"\)', script)) <= set(parts)


async def test_the_page_makes_markup_of_nothing_that_it_is_told(shared: httpx.AsyncClient) -> None:
    script = (await shared.get("/page/page.js")).text
    assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|document\\.write", script)


@pytest.mark.parametrize(
    "path", ["/page/..%2fmain.py", "/page/%2e%2e/main.py", "/page/../main.py", "/page//etc/passwd"]
)
async def test_the_page_is_all_that_is_served_from_the_disk(shared: httpx.AsyncClient, path: str) -> None:
    assert refusal(await shared.get(path)) == (404, "not_found")
