"""The long-lived objects of the app, put together by `create_app`; routes get them by app/routes/dependencies.py."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI
from starlette.routing import Route

from app.answering.admission import Admission
from app.answering.batching import Batcher
from app.answering.challengers import Challengers
from app.answering.registry import Registry
from app.drift.watch import Watch
from app.following import Following
from app.http.dispatch import Dialects
from app.jobs.jobs import Jobs
from app.processes.table_reader import ReadsTables
from app.settings import Settings
from app.telemetry.answer_log import AnswerLog
from app.telemetry.statistics import Statistics
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store


@dataclass(frozen=True)
class Parts:
    """The value of `app.state.parts`, as long-lived as the app."""

    settings: Settings
    store: Store
    registry: Registry
    challengers: Challengers
    datasets: Datasets
    following: Following | None
    """What follows the bucket, where there is one."""
    reader: ReadsTables
    statistics: Statistics
    answer_log: AnswerLog | None
    """What remembers answers by the request's id; None where none are remembered."""
    watch: Watch
    batcher: Batcher
    admission: Admission
    artist: ThreadPoolExecutor
    """Draws plots."""
    exporter: ThreadPoolExecutor
    """Writes exports, and tries each with its runtime."""
    librarian: ThreadPoolExecutor
    """Reads and writes the uploaded tables."""
    jobs: Jobs
    dialects: Dialects
    routes: Sequence[Route]
    """The routes of FastAPI, those of the documentation among them."""

    def close(self) -> None:
        self.admission.close()
        self.librarian.shutdown(wait=False, cancel_futures=True)
        self.exporter.shutdown(wait=False, cancel_futures=True)
        self.artist.shutdown(wait=False, cancel_futures=True)
        self.registry.close()
        self.jobs.close()
        self.watch.close()


def parts_of(app: FastAPI) -> Parts:
    return cast(Parts, app.state.parts)
