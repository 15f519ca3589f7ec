"""Rows of requests that arrive in the same turn of the event loop join one call of their bundle's network."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from app import errors, metrics
from models_store.bundle import all_finite
from models_store.scaler import Array
from models_store.store import Release

# Up to here a call takes less time than handing it to a thread and back would.
MOST_ROWS_ON_LOOP = 256
# Rows × parameters: a few milliseconds.
MOST_WORK_ON_LOOP = 4 << 20

Waiting = list[tuple[Array, "asyncio.Future[Array]"]]


class Batcher:
    """As long-lived as the app; a batch lives for one turn of the loop and never mixes bundles."""

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._waiting: dict[Release, Waiting] = {}
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="predict")

    async def predict(self, release: Release, rows: Array) -> Array:
        """Raw rows to raw answers of the same release; NotFinite names the row of this request."""
        work = len(rows) * release.bundle.architecture.n_parameters
        if len(rows) > MOST_ROWS_ON_LOOP or work > MOST_WORK_ON_LOOP:
            return all_finite(await self._in_thread(release, rows))
        loop = asyncio.get_running_loop()
        if release not in self._waiting:
            self._waiting[release] = []
            loop.call_soon(self._answer, release)
        future: asyncio.Future[Array] = loop.create_future()
        self._waiting[release].append((rows, future))
        return all_finite(await future)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, release: Release, rows: Array) -> Array:
        call = asyncio.get_running_loop().run_in_executor(self._threads, _answers, release, rows)
        try:
            return await asyncio.wait_for(call, self._answer_seconds)
        except TimeoutError:
            raise errors.DeadlinePassed(self._answer_seconds) from None

    def _answer(self, release: Release) -> None:
        self._go_on(release, _batches(self._waiting.pop(release)))

    def _go_on(self, release: Release, batches: list[Waiting]) -> None:
        """One batch a turn of the loop, so that sockets are looked at in between."""
        _answer_together(release, batches[0])
        if batches[1:]:
            asyncio.get_running_loop().call_soon(self._go_on, release, batches[1:])


def _answer_together(release: Release, batch: Waiting) -> None:
    try:
        answers = _answers(release, np.concatenate([rows for rows, _ in batch]))
    except Exception as error:  # noqa: BLE001  # the network's own failure belongs to everybody who waits for it
        for _, future in batch:
            _settle(future, error)
        return
    ends = np.cumsum([len(rows) for rows, _ in batch])[:-1]
    for (_, future), part in zip(batch, np.split(answers, ends), strict=True):
        _settle(future, part)


def _batches(waiting: Waiting) -> list[Waiting]:
    """In order, each of at most MOST_ROWS_ON_LOOP rows, so that one turn of the loop stays short."""
    batches: list[Waiting] = [[]]
    size = 0
    for rows, future in waiting:
        if size + len(rows) > MOST_ROWS_ON_LOOP:
            batches.append([])
            size = 0
        batches[-1].append((rows, future))
        size += len(rows)
    return batches


def _answers(release: Release, rows: Array) -> Array:
    metrics.CALLS.labels(release.bundle.pattern).inc()
    metrics.ROWS.labels(release.bundle.pattern).inc(len(rows))
    return release.bundle.predictor.answers(rows)


def _settle(future: "asyncio.Future[Array]", outcome: Array | Exception) -> None:
    if future.done():  # its client has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
