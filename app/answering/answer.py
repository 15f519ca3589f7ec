"""What every dialect answers with: the bundles in memory, and one way from a body to its answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from app.answering.admission import MOST_BYTES_ON_LOOP, LargeBodies
from app.answering.batching import Batcher, answers_of
from app.answering.cost import LIGHTER, NUMBER_IN_ARRAY, NUMBER_IN_JSON
from app.answering.registry import Served
from app.errors import AnswerTooLarge, Draining, NotLoaded
from app.jobs.jobs import Jobs
from app.settings import Settings
from app.telemetry.statistics import Course, Statistics, Tally
from models_store.arrays import Array
from models_store.bundle import all_finite
from models_store.storage.store import Release, Store
from models_store.tables.table import Raw


class Asked(Protocol):
    """A body that has been read: raw rows, in the card's column order, and whatever its answer needs to know of it."""

    @property
    def rows(self) -> Raw: ...

    @property
    def is_light(self) -> bool:
        """Whether its answer is written as it is in memory, where that is numbers, and nothing is said beside them."""


# Of one answer: rows × outputs of the network, and where each label is written with how probable it is, labels.
MOST_NUMBERS, MOST_LABELS = 8_000_000, 1_000_000
Question = TypeVar("Question", bound=Asked)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Serving:
    """As long-lived as the app."""

    settings: Settings
    store: Store
    served: Served
    batcher: Batcher
    large_bodies: LargeBodies
    jobs: Jobs
    statistics: Statistics

    def check_ready(self) -> None:
        """Draining, NotLoaded."""
        check_ready(self.served, self.jobs)

    async def answered(
        self,
        release: Release,
        weight: int,
        read: Callable[[], Question],
        write: Callable[[Question, Array], Answer],
        most: int = MOST_NUMBERS,
    ) -> Answer:
        """Read, predict, write: by the event loop, and where there is much to read or write, away from it.

        `weight` is that of the body. AnswerTooLarge before anything is computed that has more than `most` numbers.
        """
        tally, course = self.statistics.of_release(release), Course(time.perf_counter_ns())
        try:
            if weight > MOST_BYTES_ON_LOOP:
                with self.large_bodies.place(weight):
                    work = partial(_at_once, release, course, read, write, most)
                    answer = await self._in_one_thread(course, tally, work)
            else:
                question = _checked(read(), release, most)
                course.read(len(question.rows))
                answer = await self._by_the_loop(release, course, question, write)
        except BaseException:
            tally.count_failure(course.began)
            raise
        tally.count_answer(course)
        return answer

    async def _in_one_thread(self, course: Course, tally: Tally, work: Callable[[], Answer]) -> Answer:
        """Its rows join nobody's: handing them to and fro would take longer than a call of their own."""
        try:
            return await self.batcher.in_thread(work)
        finally:
            if course.was_predicted:
                tally.count_alone(course)

    async def _by_the_loop(
        self, release: Release, course: Course, question: Question, write: Callable[[Question, Array], Answer]
    ) -> Answer:
        """A few bytes of a question may make many of an answer, which is then written in a thread."""
        bundle, n_rows = release.bundle, len(question.rows)
        is_array = question.is_light and bundle.labels is None
        to_write = n_rows * bundle.architecture.n_outputs * (NUMBER_IN_ARRAY if is_array else NUMBER_IN_JSON)
        to_hold = n_rows * max(len(bundle.inputs), bundle.architecture.n_outputs) * NUMBER_IN_ARRAY
        with self.large_bodies.place(max(to_write / LIGHTER, to_hold)):
            answers = await self.batcher.predict(release, question.rows)
            course.predicted()
            if max(to_write, to_hold) <= MOST_BYTES_ON_LOOP:
                return write(question, answers)
            return await self.batcher.in_time(self.large_bodies.written(write, question, answers))


def _at_once(
    release: Release,
    course: Course,
    read: Callable[[], Question],
    write: Callable[[Question, Array], Answer],
    most: int,
) -> Answer:
    course.in_thread()
    question = _checked(read(), release, most)
    course.read(len(question.rows))
    answers = answers_of(release, question.rows)
    course.predicted()
    return write(question, all_finite(answers))


def _checked(question: Question, release: Release, most: int) -> Question:
    if len(question.rows) * release.bundle.architecture.n_outputs > most:
        raise AnswerTooLarge(most)
    return question


def check_ready(served: Served, jobs: Jobs) -> None:
    """Draining, NotLoaded."""
    if jobs.is_draining:
        raise Draining
    if not served.is_ready:
        raise NotLoaded("the store")
