"""What routes are given: the long-lived objects that `create_app` has put together.

They are `async` because FastAPI hands every other dependency to a thread.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, cast

from fastapi import Depends, Request

from app.batching import Batcher
from app.jobs import Jobs
from app.served import Served
from app.settings import Settings
from models_store.store import Store


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _served(request: Request) -> Served:
    return cast(Served, request.app.state.served)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _batcher(request: Request) -> Batcher:
    return cast(Batcher, request.app.state.batcher)


async def _jobs(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


async def _artist(request: Request) -> ThreadPoolExecutor:
    return cast(ThreadPoolExecutor, request.app.state.artist)


SettingsPart = Annotated[Settings, Depends(_settings)]
ServedPart = Annotated[Served, Depends(_served)]
StorePart = Annotated[Store, Depends(_store)]
BatcherPart = Annotated[Batcher, Depends(_batcher)]
JobsPart = Annotated[Jobs, Depends(_jobs)]
ArtistPart = Annotated[ThreadPoolExecutor, Depends(_artist)]
