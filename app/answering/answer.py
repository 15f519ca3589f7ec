"""The way from a body to its answer, the same for every dialect: read the rows, predict them, write the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Protocol, TypeVar

from app.answering.admission import Admission
from app.answering.batching import Batcher, answers_of
from app.answering.plan import MOST_NUMBERS, plan_of, reads_on_loop
from app.answering.registry import Registry, Served
from app.errors import AnswerTooLarge, Draining, NotLoaded, Unprocessable
from app.jobs.jobs import Jobs
from app.settings import Settings
from app.telemetry.answer_log import AnswerLog
from app.telemetry.statistics import Statistics, Timeline
from models_store.arrays import Array
from models_store.bundle import all_finite
from models_store.storage.store import Store
from models_store.tables.table import Raw


class Question(Protocol):
    """A body that has been read: raw rows in the card's column order, and what its answer needs to know of it."""

    @property
    def rows(self) -> Raw: ...

    @property
    def asked(self) -> Raw:
        """The rows as the body had them; `rows`, but where those have been changed."""

    @property
    def is_light(self) -> bool:
        """True if the answer is a plain numeric array with no per-row text, and so cheap to serialise."""


class RowsOutside(Unprocessable):
    """A question that is refused because rows of it are outside what training saw; it tells which."""

    def __init__(self, message: str, rows: Raw) -> None:
        super().__init__("outside", message)
        self.rows = rows


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
    answer_log: AnswerLog | None = None
    """What remembers answers by the request's id; None where none are remembered."""

    def check_ready(self) -> None:
        """Raise Draining or NotLoaded unless the server is ready."""
        check_ready(self.registry, self.jobs)

    @property
    def is_ready(self) -> bool:
        return self.registry.is_ready and not self.jobs.is_draining

    async def answer(
        self,
        request_id: str,
        release: Served,
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
        timeline = Timeline(perf_counter_ns())
        try:
            if reads_on_loop(cost):
                question = read()
                n_rows = timeline.rows = _checked(question, release, most)
                timeline.read_at = perf_counter_ns()
                if n_rows <= release.few_rows:
                    answers = await self.batcher.in_turn(release, question.rows, question.asked, timeline)
                    timeline.predicted_at = perf_counter_ns()
                    answer = write(question, answers)
                else:
                    answers, answer = await self._planned(release, timeline, question, write)
            else:
                with self.admission.place(cost):
                    work = partial(_answer_in_thread, release, timeline, read, write, most)
                    question, answers, answer = await self.admission.predict(work)
                release.note(question.asked, answers, [question.rows], [answers])
        except BaseException as error:
            release.counters.count_failure(timeline)
            if isinstance(error, RowsOutside):
                release.note_refused(error.rows)
            raise
        release.counters.count_answer(timeline)
        if self.answer_log is not None:
            self.answer_log.note(request_id, release.bundle, release.version, answers)
        return answer

    async def _planned(
        self, release: Served, timeline: Timeline, question: Asked, write: Callable[[Asked, Array], Answer]
    ) -> tuple[Array, Answer]:
        """Predict rows that may be many, and write an answer that may be large: a few bytes may ask for it.

        Return the answers as numbers, and as they are written.
        """
        work, is_array = release.work(question.rows), question.is_light and not release.has_labels
        plan = plan_of(release.shape, timeline.rows, work, release.counters.ns_per_row, is_array=is_array)
        with self.admission.place(plan.cost):
            if plan.predicts_on_loop:
                answers = await self.batcher.in_turn(release, question.rows, question.asked, timeline)
            else:
                answers = all_finite(await self.admission.predict(partial(_timed, release, question.rows, timeline)))
                release.note(question.asked, answers, [question.rows], [answers])
            timeline.predicted_at = perf_counter_ns()
            if plan.writes_on_loop:
                return answers, write(question, answers)
            return answers, await self.admission.write(partial(write, question, answers))


def _answer_in_thread(
    release: Served,
    timeline: Timeline,
    read: Callable[[], Asked],
    write: Callable[[Asked, Array], Answer],
    most: int,
) -> tuple[Asked, Array, Answer]:
    """Answer in a thread from beginning to end: return the question, the answers, and what is written of them.

    Many rows join no batch: handing them to the event loop and back would take longer than a call of their own.
    """
    timeline.waited = perf_counter_ns() - timeline.began
    question = read()
    timeline.rows = _checked(question, release, most)
    timeline.read_at = perf_counter_ns()
    answers = all_finite(_timed(release, question.rows, timeline))
    timeline.predicted_at = perf_counter_ns()
    return question, answers, write(question, answers)


def _checked(question: Question, release: Served, most: int) -> int:
    """Return the number of rows. Raises AnswerTooLarge."""
    n_rows = len(question.rows)
    if n_rows * release.shape.n_outputs > most:
        raise AnswerTooLarge(most)
    return n_rows


def _timed(release: Served, rows: Raw, timeline: Timeline) -> Array:
    """Return the answers to rows by a call of their own, which the timeline counts."""
    began = perf_counter_ns()
    answers = answers_of(release, rows)
    timeline.network_ns, timeline.calls = perf_counter_ns() - began, 1
    return answers


def check_ready(registry: Registry, jobs: Jobs) -> None:
    """Raise Draining where the server is about to stop, NotLoaded where it has not looked at the store yet."""
    if jobs.is_draining:
        raise Draining
    if not registry.is_ready:
        raise NotLoaded("the store")
