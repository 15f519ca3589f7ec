"""Batches: rows of requests that arrive in the same turn of the event loop share one call of their bundle's network."""

import asyncio
from time import perf_counter_ns
from typing import NamedTuple

import numpy as np

from app.answering.plan import MOST_REQUESTS_A_TURN, size_of_batch
from app.answering.registry import Served
from app.telemetry import metrics
from app.telemetry.statistics import Timeline
from models_store.arrays import Array
from models_store.bundle import all_finite
from models_store.errors import NotFinite
from models_store.tables.table import Raw, joined


class Waiting(NamedTuple):
    """The rows of a request, the future that gets their answers, and the timeline that their call is noted on."""

    rows: Raw
    asked: Raw
    """The rows as the request had them."""
    answers: "asyncio.Future[Array]"
    timeline: Timeline


class Batcher:
    """The waiting rows; lives as long as the app.

    A batch never mixes bundles. Each turn of the event loop answers one batch, that of the bundle that waits longest.
    """

    def __init__(self) -> None:
        self._waiting: dict[Served, list[Waiting]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def in_turn(self, release: Served, rows: Raw, asked: Raw, timeline: Timeline) -> "asyncio.Future[Array]":
        """Return the release's answers to raw rows, once their turn has come.

        They are float64 (n_rows, n_outputs), or a probability for each label. `asked` is `rows`, or what they were
        before they were changed. The future raises NotFinite, with the row's number in this request, and whatever the
        network raises.
        """
        loop = self._loop
        if loop is None or not loop.is_running():
            # Remembered, as it asks the system for the number of the process at each call.
            loop = self._loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer)
        waiting = Waiting(rows, asked, loop.create_future(), timeline)
        batch = self._waiting.get(release)
        if batch is None:
            self._waiting[release] = [waiting]
        else:
            batch.append(waiting)
        return waiting.answers

    def _answer(self) -> None:
        """Answer one batch. The rest follow in the next turns of the loop, which looks at its sockets in between."""
        release = next(iter(self._waiting))
        waiting = self._waiting.pop(release)
        size = 1
        if len(waiting) > 1:
            first = waiting[:MOST_REQUESTS_A_TURN]
            size = size_of_batch([len(one.rows) for one in first], [release.work(one.rows) for one in first])
            if waiting[size:]:
                self._waiting[release] = waiting[size:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        _answer_together(release, waiting[:size])


def _answer_together(release: Served, batch: list[Waiting]) -> None:
    batch = [waiting for waiting in batch if not waiting.answers.done()]  # the clients of the others have gone
    if not batch:
        return
    began = perf_counter_ns()
    try:
        rows = _joined([waiting.rows for waiting in batch])
        answers = answers_of(release, rows)
    except Exception as error:  # noqa: BLE001  # a failure of the network is that of every request in the batch
        for waiting in batch:
            waiting.answers.set_exception(error)
        return
    ns = perf_counter_ns() - began
    batch[0].timeline.calls = 1
    of_each = []
    start = 0
    for waiting in batch:
        waiting.timeline.network_ns = ns
        of_each.append(answers[start : start + len(waiting.rows)])
        start += len(waiting.rows)
    are_finite = bool(np.isfinite(answers).all())
    if not are_finite:
        batch, of_each = _finite(batch, of_each)
    for waiting, its_answers in zip(batch, of_each, strict=True):
        waiting.answers.set_result(its_answers)
    if batch and release.takes_note:
        are_as_asked = are_finite and all(waiting.asked is waiting.rows for waiting in batch)
        asked = rows if are_as_asked else _joined([waiting.asked for waiting in batch])
        release.note(
            asked, answers if are_finite else np.concatenate(of_each), [waiting.rows for waiting in batch], of_each
        )


def _joined(raws: list[Raw]) -> Raw:
    return raws[0] if len(raws) == 1 else joined(raws)


def _finite(batch: list[Waiting], answers: list[Array]) -> tuple[list[Waiting], list[Array]]:
    """Return the requests whose answers are finite, and these; the others fail with NotFinite."""
    finite = []
    for waiting, its_answers in zip(batch, answers, strict=True):
        try:
            finite.append((waiting, all_finite(its_answers)))
        except NotFinite as error:
            waiting.answers.set_exception(error)
    return [waiting for waiting, _ in finite], [its_answers for _, its_answers in finite]


def answers_of(release: Served, rows: Raw) -> Array:
    """Return the answers to raw rows, float64 (n_rows, n_outputs), by one call of the network, which metrics count.

    A row without a finite answer is not refused here: it holds NaN or infinity.
    """
    metrics.count_call(release.bundle.pattern, len(rows))
    return release.bundle.predictor.answers(rows)
