"""The composition root: settings become the long-lived objects (`Parts`), and those an ASGI app.

Nothing happens at import, and no engine is imported before a bundle is loaded.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version
from types import FrameType
from typing import Any, cast

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app import envelopes, openapi
from app.answering.admission import Admission
from app.answering.answer import Answering
from app.answering.batching import Batcher
from app.answering.challengers import Challengers
from app.answering.engine import network_loader
from app.answering.registry import Registry
from app.answering.shadow import Shadows
from app.dialects.native.predict import PREDICT_DIALECT
from app.dialects.oip.addresses import OIP_DIALECT
from app.dialects.scoring.addresses import SCORING_DIALECT, vertex_dialects
from app.dialects.tensorflow_serving.addresses import V1_DIALECT
from app.drift.watch import Watch
from app.following import Following
from app.http.dispatch import Dialects, Dispatch
from app.http.edge import Edge
from app.jobs.jobs import Jobs
from app.jobs.records import Records
from app.parts import Parts, parts_of
from app.processes import memory
from app.processes.table_reader import Reader
from app.processes.trainer import Trainer, check_ray
from app.processes.workers import place
from app.routes import datasets, drift, exports, health, models, outcomes, page, train
from app.settings import Settings
from app.telemetry import logs
from app.telemetry.answer_log import AnswerLog
from app.telemetry.likeness import Likenesses
from app.telemetry.statistics import Statistics
from app.telemetry.tally import Tallies
from models_store.errors import PatternServerError
from models_store.networks.architecture import LoadNetwork
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store

log = logging.getLogger("patterns")

# Between the end of the time to finish requests and the end of the process, whatever its threads wait for.
LAST_SECONDS = 4
ROUTERS = [routes.router for routes in (train, datasets, models, drift, outcomes, exports, health, page)]
DESCRIPTION = "Trains small Keras networks on patterns in numbers and serves them: raw values in, raw values out."


class PatternServer(FastAPI):
    """FastAPI, and in front of all its layers the edge and the dialects."""

    front: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self.front(scope, receive, send)


def create_app(settings: Settings | None = None, load_network: LoadNetwork | None = None) -> FastAPI:
    """`load_network` is the seam for another engine; by default that of the settings, on their device."""
    settings = settings or Settings()
    app = PatternServer(
        title="Pattern Server",
        version=version("pattern-server"),
        description=DESCRIPTION,
        lifespan=_lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts = _parts(settings, load_network or network_loader(settings), _included(app))
    dispatch = Dispatch(parts.dialects, _answering(parts))
    app.front = Edge(partial(FastAPI.__call__, app), dispatch, parts.dialects, settings)
    envelopes.install(app)
    openapi.install(app)
    return app


def _included(app: FastAPI) -> list[Route]:
    """Include all routes of the native API in the app, and return them with those of the documentation."""
    for router in ROUTERS:
        app.include_router(router)
    native = [route for router in ROUTERS for route in router.routes]
    return [route for route in (*native, *app.routes) if isinstance(route, Route)]


def _parts(settings: Settings, load_network: LoadNetwork, routes: list[Route]) -> Parts:
    store, datasets, following = _stores(settings, load_network)
    statistics, tallies, likenesses = Statistics(), Tallies(are_on=settings.drift), Likenesses()
    answer_log = AnswerLog() if settings.remembered_requests else None
    records = Records(settings.jobs_url, settings.train_queue)
    return Parts(
        settings=settings,
        store=store,
        registry=Registry(store, statistics, tallies, Shadows(settings.shadow_share, likenesses)),
        challengers=Challengers(store),
        datasets=datasets,
        following=following,
        reader=Reader(settings.store, settings.max_dataset_mb, settings.log_level),
        statistics=statistics,
        answer_log=answer_log,
        watch=Watch(tallies, likenesses, answer_log, store, settings),
        batcher=Batcher(),
        admission=Admission(settings.answer_seconds),
        # Threads of their own: many plots or tables, or a slow disk, must not take those that everybody else needs.
        artist=ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw"),
        exporter=ThreadPoolExecutor(max_workers=1, thread_name_prefix="export"),
        librarian=ThreadPoolExecutor(max_workers=2, thread_name_prefix="tables"),
        jobs=Jobs(records, store, _trainer(settings), settings, datasets=datasets),
        dialects=Dialects([PREDICT_DIALECT, OIP_DIALECT, V1_DIALECT, SCORING_DIALECT, *vertex_dialects(settings)]),
        routes=routes,
    )


def _stores(settings: Settings, load_network: LoadNetwork) -> tuple[Store, Datasets, Following | None]:
    """Return the store and its tables, and what keeps them up with their bucket, if they have one."""
    if settings.store_url is None:
        return Store(settings.store, load_network, keep=settings.keep_versions), Datasets(settings.store), None
    from models_store.storage.bucket import Bucket  # deferred: without a bucket, obstore need not be installed
    from models_store.storage.shared_store import SharedDatasets, SharedStore  # deferred: likewise

    bucket = Bucket.at(settings.store_url)
    store = SharedStore(settings.store, load_network, bucket, keep=settings.keep_versions)
    datasets = SharedDatasets(settings.store, bucket)
    return store, datasets, Following([store, datasets])


def _trainer(settings: Settings) -> Trainer:
    """Raises RayUnavailable where a cluster is wanted that could not be reached from here."""
    if settings.trains:
        check_ray(settings.ray)
    return Trainer(settings.trainer_memory_mb, settings.ray)


def _answering(parts: Parts) -> Answering:
    return Answering(
        settings=parts.settings,
        store=parts.store,
        registry=parts.registry,
        batcher=parts.batcher,
        admission=parts.admission,
        jobs=parts.jobs,
        statistics=parts.statistics,
        answer_log=parts.answer_log,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Serving starts at once; bundles arrive as they are loaded. Ends when what is under way has been answered."""
    parts = parts_of(app)
    settings = parts.settings
    logs.configure(settings.log_level)
    memory.keep_freed()
    if not place.is_first:
        await parts.registry.catch_up()
        await asyncio.to_thread(place.wait_for_turn)
    works = (
        asyncio.to_thread(_recover, parts.store),
        parts.registry.watch(on_loaded=place.turns.tell_loaded),
        parts.jobs.lead(),
        parts.watch.keep(),
    )
    tasks = [asyncio.create_task(work) for work in works]
    if parts.following is not None:
        tasks.append(asyncio.create_task(parts.following.follow()))
    try:
        front = cast(PatternServer, app).front
        async with _grpc(_answering(parts), front) as drain_grpc:
            with _draining_on_signals(parts.jobs, settings.drain_seconds, drain_grpc):
                # What the protocol gets of it: see app/http/limits.py.
                yield {"settings": settings, "edge": front}
    finally:
        parts.jobs.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        parts.close()


@asynccontextmanager
async def _grpc(answering: Answering, front: Edge) -> AsyncIterator[Callable[[], None]]:
    """Serve gRPC too, if it has a port; yield what lets it drain."""
    if answering.settings.grpc_port is None:
        yield lambda: None
        return
    from app.grpc.server import serving  # deferred: without a port, gRPC need not be installed

    async with serving(answering, front) as drain:
        yield drain


def _recover(store: Store) -> None:
    try:
        store.recover()
    except (PatternServerError, OSError) as error:
        log.warning("the store is served as it is", extra={"reason": str(error)})


@contextmanager
def _draining_on_signals(jobs: Jobs, seconds: int, drain_grpc: Callable[[], None]) -> Iterator[None]:
    """Drain from the signal on: not ready, no new trainings, and event streams end, so that nobody waits for them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def drain(number: int, frame: FrameType | None) -> None:
        jobs.drain()
        drain_grpc()
        _leave_in(seconds + LAST_SECONDS)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, drain)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_in(seconds: int) -> None:
    """End the process in any case: Python would wait for ever for threads that hang in a disk or a database."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        # By now everybody has an answer; at most the last turn's lines of the log are lost.
        os._exit(0)

    signal.signal(signal.SIGALRM, leave)
    signal.alarm(seconds)
