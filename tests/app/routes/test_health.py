"""Alive, ready, and what is said of a server that is told to stop."""

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
        await app.state.parts.registry.refresh()
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
    app.state.parts.jobs.drain()
    assert refusal(await client.get("/readyz")) == (503, "draining")
    assert (await client.get("/livez")).json() == {"live": True}
    assert await outputs_of(client, [1]) == [2.0]
