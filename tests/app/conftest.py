"""The app in this process, inside its lifespan, on a store with a fake network."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from models_store.storage.store import Store
from tests.app.over_http import fork, pair, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line
from tests.table_fakes import flowers, messages, passengers, rents


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Empty, and in no hurry to survive a power cut."""
    return Store(tmp_path / "store", LinearNetwork.from_bytes, disk=HastyDisk())


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
        await app.state.parts.registry.refresh()
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        yield client


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client for tests that change nothing: `line` is y = 2x, `pair` has two inputs, `fork` two outputs."""
    store = Store(tmp_path_factory.mktemp("shared") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), pair(), fork()):
        store.publish(bundle)
    async with serving(store, max_rows=1000, max_body_mb=1, log_level="warning") as client:
        yield client


@pytest.fixture(scope="module")
async def spoken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client for tests of other protocols that change nothing; `line` has y = 2x, 20x (the champion) and 200x."""
    store = Store(tmp_path_factory.mktemp("spoken") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), pair(), fork(), passengers(), flowers(), messages(), rents()):
        store.publish(bundle)
    store.publish(line(20))
    store.publish(line(200), promote=False)
    store.set_alias("line", "candidate", 3)
    vertex = {"health_route": "/v1/endpoints/7", "predict_route": "/v1/endpoints/7:predict"}
    async with serving(store, max_rows=1000, max_body_mb=1, log_level="warning", default="pair", **vertex) as client:
        yield client
