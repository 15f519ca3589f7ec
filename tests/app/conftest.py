"""The app in this process, inside its lifespan, on a store with a fake network."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from models_store.store import Store
from tests.fakes import LinearNetwork, line


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(store: Store) -> Settings:
    return Settings(_env_file=None, store=store.root, trainer_warm=False)


@pytest.fixture
def published(store: Store) -> Store:
    """A store with y = 2x as version 1 of `line`."""
    store.publish(line())
    return store


@pytest.fixture
async def app(settings: Settings, published: Store) -> AsyncIterator[FastAPI]:
    app = create_app(settings, LinearNetwork.from_bytes)
    async with app.router.lifespan_context(app):
        await app.state.served.refresh()
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        yield client
