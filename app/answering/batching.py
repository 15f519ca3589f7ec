"""Batches: rows of requests that arrive in the same turn of the event loop share one call of their bundle's network."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from app import errors
from app.telemetry import metrics
from app.telemetry.statistics import Counters, Statistics
from models_store.arrays import Array
from models_store.bundle import all_finite
from models_store.errors import NotFinite
from models_store.storage.store import Release
from models_store.tables.table import Raw, Table, joined

# Rows. A call of up to so many takes less time than handing it to a thread and back would.
MOST_ROWS_ON_LOOP = 1024
# More rows of numbers stay on the loop as well if they are at most so many numbers, 1 MiB of float64, and by the
# measured time of a row take at most so many nanoseconds: the loop took about as long to receive them.
MOST_NUMBERS_ON_LOOP = 1 << 17
MOST_NS_ON_LOOP = 1_000_000
# Requests. Each is some work beside its rows, and a turn of the loop should take 20 ms at most.
MOST_REQUESTS_A_TURN = 64
# Work is counted in multiplications, rows × parameters; so many take a few milliseconds.
MOST_WORK_ON_LOOP = 4 << 20
# Looking up the words of a text takes as long as so many multiplications for each character.
WORK_OF_CHARACTER = 64

Waiting = list[tuple[Raw, "asyncio.Future[Array]", int]]
"""Rows of a request, the future that gets its answers, and its work."""

Result = TypeVar("Result")


class Batcher:
    """The waiting rows and the threads of long calls; lives as long as the app.

    A batch never mixes bundles. Each turn of the event loop answers one batch, that of the bundle that waits longest.
    """

    def __init__(self, answer_seconds: float, statistics: Statistics | None = None) -> None:
        self._answer_seconds = answer_seconds
        self._statistics = statistics or Statistics()
        self._waiting: dict[Release, Waiting] = {}
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="predict")

    async def predict(self, release: Release, rows: Raw) -> Array:
        """Return the release's answers to raw rows: float64 (n_rows, n_outputs), or a probability for each label.

        Raises NotFinite, with the row's number in this request, and DeadlinePassed.
        """
        counters, began = self._statistics.of_release(release), time.perf_counter_ns()
        try:
            work = _work(release, rows)
            if _is_long(rows, work, counters):
                return await self._alone(release, rows, counters)
            return await self._in_turn(release, rows, work)
        finally:
            counters.count_prediction(began)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Return `work()`, called in a thread. Raises DeadlinePassed where it takes too long."""
        return await self.in_time(asyncio.get_running_loop().run_in_executor(self._threads, work))

    async def in_time(self, result: Awaitable[Result]) -> Result:
        """Return the awaited result. Raises DeadlinePassed after the seconds that an answer may take.

        Unlike `asyncio.wait_for` this needs no task around it: the protocol answers calls without one.
        """
        work = asyncio.ensure_future(result)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(self._answer_seconds, _settle_waiting, waiting)
        work.add_done_callback(lambda _: _settle_waiting(waiting))
        try:
            await waiting
        finally:
            timer.cancel()
            is_late = not work.done()
            if is_late:
                work.cancel()
            elif not work.cancelled():
                work.exception()  # seen, also where this call is cancelled and nobody asks for it
        if is_late:
            raise errors.DeadlinePassed(self._answer_seconds)
        return work.result()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _in_turn(self, release: Release, rows: Raw, work: int) -> "asyncio.Future[Array]":
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer)
        future: asyncio.Future[Array] = loop.create_future()
        self._waiting.setdefault(release, []).append((rows, future, work))
        return future

    async def _alone(self, release: Release, rows: Raw, counters: Counters) -> Array:
        answers, ns = await self.in_thread(partial(_timed, release, rows))
        counters.count_call(ns, len(rows), requests=1)
        return all_finite(answers)

    def _answer(self) -> None:
        """Answer one batch. The rest follow in the next turns of the loop, which looks at its sockets in between."""
        release = next(iter(self._waiting))
        waiting = self._waiting.pop(release)
        size = _size_of_batch(waiting)
        if waiting[size:]:
            self._waiting[release] = waiting[size:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        _answer_together(release, waiting[:size], self._statistics.of_release(release))


def _work(release: Release, rows: Raw) -> int:
    """Return about how many multiplications the rows are."""
    bundle = release.bundle
    work = len(rows) * bundle.architecture.n_parameters
    if isinstance(rows, Table):
        texts = [rows.columns[name] for name, kind in bundle.kinds.items() if kind == "text"]
        work += WORK_OF_CHARACTER * sum(len(text) for column in texts for text in column if text is not None)
    return work


def _is_long(rows: Raw, work: int, counters: Counters) -> bool:
    """True if the call would hold up the event loop, and so goes to a thread."""
    if len(rows) <= MOST_ROWS_ON_LOOP or isinstance(rows, Table):
        return len(rows) > MOST_ROWS_ON_LOOP or work > MOST_WORK_ON_LOOP
    return rows.size > MOST_NUMBERS_ON_LOOP or len(rows) * counters.ns_per_row > MOST_NS_ON_LOOP


def _answer_together(release: Release, batch: Waiting, counters: Counters) -> None:
    try:
        answers, ns = _timed(release, joined([rows for rows, _, _ in batch]))
    except Exception as error:  # noqa: BLE001  # a failure of the network is that of every request in the batch
        for _, future, _ in batch:
            _settle(future, error)
        return
    counters.count_call(ns, len(answers), requests=len(batch))
    is_finite = np.isfinite(answers).all()
    start = 0
    for rows, future, _ in batch:
        part = answers[start : start + len(rows)]
        start += len(rows)
        _settle(future, part if is_finite else _finite(part))


def _size_of_batch(waiting: Waiting) -> int:
    """Return the number of requests, from the first on, that are one short turn of the loop together; at least one."""
    n_rows = n_work = 0
    for place, (asked, _, work) in enumerate(waiting[:MOST_REQUESTS_A_TURN]):
        n_rows += len(asked)
        n_work += work
        if place and (n_rows > MOST_ROWS_ON_LOOP or n_work > MOST_WORK_ON_LOOP):
            return place
    return min(len(waiting), MOST_REQUESTS_A_TURN)


def _timed(release: Release, rows: Raw) -> tuple[Array, int]:
    """Return the answers and the nanoseconds that they took."""
    began = time.perf_counter_ns()
    answers = answers_of(release, rows)
    return answers, time.perf_counter_ns() - began


def answers_of(release: Release, rows: Raw) -> Array:
    """Return the answers to raw rows, float64 (n_rows, n_outputs), by one call of the network, which metrics count.

    A row without a finite answer is not refused here: it holds NaN or infinity.
    """
    calls, counted = metrics.of_pattern(release.bundle.pattern)
    calls.inc()
    counted.inc(len(rows))
    return release.bundle.predictor.answers(rows)


def _finite(answers: Array) -> Array | NotFinite:
    """Return the answers, or the error of the one request that has a row without a finite answer."""
    try:
        return all_finite(answers)
    except NotFinite as error:
        return error


def _settle_waiting(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


def _settle(future: "asyncio.Future[Array]", outcome: Array | Exception) -> None:
    if future.done():  # cancelled: its client has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
