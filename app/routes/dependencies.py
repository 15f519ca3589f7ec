"""What routes are given: the long-lived objects that `create_app` has put together.

They are `async` because FastAPI hands every other dependency to a thread.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, cast

from fastapi import Depends, Request

from app.answering.registry import Registry
from app.jobs.jobs import Jobs
from app.processes.table_reader import ReadsTables
from app.settings import Settings
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def _served(request: Request) -> Registry:
    return cast(Registry, request.app.state.served)


async def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


async def _jobs(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


async def _datasets(request: Request) -> Datasets:
    return cast(Datasets, request.app.state.datasets)


async def _reader(request: Request) -> ReadsTables:
    return cast(ReadsTables, request.app.state.reader)


async def _librarian(request: Request) -> ThreadPoolExecutor:
    return cast(ThreadPoolExecutor, request.app.state.librarian)


async def _artist(request: Request) -> ThreadPoolExecutor:
    return cast(ThreadPoolExecutor, request.app.state.artist)


SettingsPart = Annotated[Settings, Depends(_settings)]
ServedPart = Annotated[Registry, Depends(_served)]
StorePart = Annotated[Store, Depends(_store)]
JobsPart = Annotated[Jobs, Depends(_jobs)]
DatasetsPart = Annotated[Datasets, Depends(_datasets)]
ReaderPart = Annotated[ReadsTables, Depends(_reader)]
LibrarianPart = Annotated[ThreadPoolExecutor, Depends(_librarian)]
ArtistPart = Annotated[ThreadPoolExecutor, Depends(_artist)]
