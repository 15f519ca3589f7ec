"""The way from a body to its answer, the same for every dialect: read the rows, predict them, write the answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from app.answering.admission import MOST_BYTES_ON_LOOP, Admission
from app.answering.batching import Batcher, answers_of
from app.answering.cost import ANSWER_DISCOUNT, COST_OF_ARRAY_NUMBER, COST_OF_JSON_NUMBER
from app.answering.registry import Registry
from app.errors import AnswerTooLarge, Draining, NotLoaded
from app.jobs.jobs import Jobs
from app.settings import Settings
from app.telemetry.statistics import Counters, Statistics, Timeline
from models_store.arrays import Array
from models_store.bundle import all_finite
from models_store.storage.store import Release, Store
from models_store.tables.table import Raw


class Question(Protocol):
    """A body that has been read: raw rows in the card's column order, and what its answer needs to know of it."""

    @property
    def rows(self) -> Raw: ...

    @property
    def is_light(self) -> bool:
        """True if the answer is a plain numeric array with no per-row text, and so cheap to serialise."""


# Numbers in one answer: rows × outputs of the network. In float64 they take 64 MB.
MOST_NUMBERS = 8_000_000
# The same where each label is written beside its probability.
MOST_LABELS_ANSWERED = 1_000_000
Asked = TypeVar("Asked", bound=Question)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Answering:
    """The parts that a dialect's handler works with, and the way to an answer. Lives as long as the app."""

    settings: Settings
    store: Store
    registry: Registry
    batcher: Batcher
    admission: Admission
    jobs: Jobs
    statistics: Statistics

    def check_ready(self) -> None:
        """Raise Draining or NotLoaded unless the server is ready."""
        check_ready(self.registry, self.jobs)

    async def answer(
        self,
        release: Release,
        cost: int,
        read: Callable[[], Asked],
        write: Callable[[Asked, Array], Answer],
        most: int = MOST_NUMBERS,
    ) -> Answer:
        """Return what `write` makes of the question that `read` reads and of its answers, float64 (n_rows, n_outputs).

        `cost` is that of reading the body. What costs much to read or to write leaves the event loop, so both may be
        called in a thread. Raises AnswerTooLarge, before anything is computed, where the answer would hold more than
        `most` numbers; Overloaded, DeadlinePassed and NotFinite; and whatever `read` raises.
        """
        counters, timeline = self.statistics.of_release(release), Timeline(time.perf_counter_ns())
        try:
            if cost > MOST_BYTES_ON_LOOP:
                with self.admission.place(cost):
                    work = partial(_answer_in_thread, release, timeline, read, write, most)
                    answer = await self._in_one_thread(timeline, counters, work)
            else:
                question = _checked(read(), release, most)
                timeline.mark_read(len(question.rows))
                answer = await self._on_loop(release, timeline, question, write)
        except BaseException:
            counters.count_failure(timeline.began)
            raise
        counters.count_answer(timeline)
        return answer

    async def _in_one_thread(self, timeline: Timeline, counters: Counters, work: Callable[[], Answer]) -> Answer:
        """Answer in a thread from beginning to end.

        Many rows join no batch: handing them to the event loop and back would take longer than a call of their own.
        """
        try:
            return await self.batcher.in_thread(work)
        finally:
            if timeline.predicted_at:
                counters.count_alone(timeline)

    async def _on_loop(
        self, release: Release, timeline: Timeline, question: Asked, write: Callable[[Asked, Array], Answer]
    ) -> Answer:
        """Predict in the next batch. A few bytes may ask for a large answer, which is then written in a thread."""
        bundle, n_rows = release.bundle, len(question.rows)
        is_array = question.is_light and bundle.labels is None
        cost_of_number = COST_OF_ARRAY_NUMBER if is_array else COST_OF_JSON_NUMBER
        cost_to_write = n_rows * bundle.architecture.n_outputs * cost_of_number
        cost_in_memory = n_rows * max(len(bundle.inputs), bundle.architecture.n_outputs) * COST_OF_ARRAY_NUMBER
        with self.admission.place(max(cost_to_write / ANSWER_DISCOUNT, cost_in_memory)):
            answers = await self.batcher.predict(release, question.rows)
            timeline.mark_predicted()
            if max(cost_to_write, cost_in_memory) <= MOST_BYTES_ON_LOOP:
                return write(question, answers)
            return await self.batcher.in_time(self.admission.write(write, question, answers))


def _answer_in_thread(
    release: Release,
    timeline: Timeline,
    read: Callable[[], Asked],
    write: Callable[[Asked, Array], Answer],
    most: int,
) -> Answer:
    timeline.mark_thread()
    question = _checked(read(), release, most)
    timeline.mark_read(len(question.rows))
    answers = answers_of(release, question.rows)
    timeline.mark_predicted()
    return write(question, all_finite(answers))


def _checked(question: Asked, release: Release, most: int) -> Asked:
    if len(question.rows) * release.bundle.architecture.n_outputs > most:
        raise AnswerTooLarge(most)
    return question


def check_ready(registry: Registry, jobs: Jobs) -> None:
    """Raise Draining where the server is about to stop, NotLoaded where it has not looked at the store yet."""
    if jobs.is_draining:
        raise Draining
    if not registry.is_ready:
        raise NotLoaded("the store")
