"""Parameters that routes share: the long-lived objects (`registry: RegistryPart`), and which version is asked."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, TypeVar

from fastapi import Depends, Query, Request

from app.answering.challengers import Challengers
from app.answering.registry import Registry
from app.drift.watch import Watch
from app.errors import Unprocessable
from app.following import Following
from app.jobs.jobs import Jobs
from app.parts import Parts, parts_of
from app.processes.table_reader import ReadsTables
from models_store.names import LARGEST_VERSION
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store

Part = TypeVar("Part")


def _part(choose: Callable[[Parts], Part]) -> Callable[[Request], Awaitable[Part]]:
    async def chosen(request: Request) -> Part:  # async: FastAPI hands every other dependency to a thread
        return choose(parts_of(request.app))

    return chosen


RegistryPart = Annotated[Registry, Depends(_part(lambda parts: parts.registry))]
ChallengersPart = Annotated[Challengers, Depends(_part(lambda parts: parts.challengers))]
StorePart = Annotated[Store, Depends(_part(lambda parts: parts.store))]
WatchPart = Annotated[Watch, Depends(_part(lambda parts: parts.watch))]
JobsPart = Annotated[Jobs, Depends(_part(lambda parts: parts.jobs))]
DatasetsPart = Annotated[Datasets, Depends(_part(lambda parts: parts.datasets))]
FollowingPart = Annotated[Following | None, Depends(_part(lambda parts: parts.following))]
ReaderPart = Annotated[ReadsTables, Depends(_part(lambda parts: parts.reader))]
LibrarianPart = Annotated[ThreadPoolExecutor, Depends(_part(lambda parts: parts.librarian))]
ExporterPart = Annotated[ThreadPoolExecutor, Depends(_part(lambda parts: parts.exporter))]
ArtistPart = Annotated[ThreadPoolExecutor, Depends(_part(lambda parts: parts.artist))]

VersionAsked = Annotated[int | None, Query(ge=1, le=LARGEST_VERSION, description="without it the champion")]
LabelAsked = Annotated[str | None, Query(description="a label, instead of a version")]


def check_one_named(version: int | None, label: str | None) -> None:
    """Raise Unprocessable where a request names both a version and a label."""
    if version is not None and label is not None:
        raise Unprocessable("bad_parameter", "give a version or a label, not both")
