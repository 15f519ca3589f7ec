"""What routes are given: the long-lived objects that `create_app` has put together."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.batching import Batcher
from app.jobs import Jobs
from app.served import Served
from app.settings import Settings
from models_store.store import Store


def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


def _served(request: Request) -> Served:
    return cast(Served, request.app.state.served)


def _store(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def _batcher(request: Request) -> Batcher:
    return cast(Batcher, request.app.state.batcher)


def _jobs(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


SettingsPart = Annotated[Settings, Depends(_settings)]
ServedPart = Annotated[Served, Depends(_served)]
StorePart = Annotated[Store, Depends(_store)]
BatcherPart = Annotated[Batcher, Depends(_batcher)]
JobsPart = Annotated[Jobs, Depends(_jobs)]
