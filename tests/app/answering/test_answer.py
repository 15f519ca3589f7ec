"""The way from a body to its answer: read, predict, write, in a thread or by the event loop, and all of it counted."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from app.answering.admission import Admission
from app.answering.answer import Answering
from app.answering.batching import Batcher
from app.answering.plan import AT_A_TIME, MOST_BYTES_ON_LOOP, MOST_WAITING
from app.answering.registry import Registry, Served
from app.errors import AnswerTooLarge, Draining, NotLoaded, Overloaded
from app.jobs.jobs import Jobs
from app.jobs.records import Records
from app.processes.trainer import Trainer
from app.settings import Settings
from app.telemetry.statistics import Statistics
from models_store.arrays import Array
from models_store.errors import NotFinite
from models_store.storage.store import Store
from tests.app.answering.asking import Asked, served
from tests.fakes import line, rows

pytestmark = pytest.mark.anyio

LARGE = MOST_BYTES_ON_LOOP + 1


@pytest.fixture
def doubled() -> Served:
    """y = 2x."""
    return served(line())


@pytest.fixture
def answering(store: Store) -> Iterator[Answering]:
    settings = Settings(_env_file=None, store=store.root)
    statistics = Statistics()
    jobs = Jobs(Records(settings.jobs_url, settings.train_queue), store, Trainer(0), settings)
    admission = Admission(settings.answer_seconds)
    yield Answering(settings, store, Registry(store), Batcher(), admission, jobs, statistics)
    admission.close()
    jobs.close()


class Dialect:
    """Reads the rows that it is given, and writes answers as a list; with a note of the threads that called it."""

    def __init__(self, *values: float, is_light: bool = False) -> None:
        self._question = Asked(rows(*values), is_light=is_light)
        self.threads: list[str] = []

    def read(self) -> Asked:
        self._note()
        return self._question

    def write(self, _question: Asked, answers: Array) -> list[list[float]]:
        self._note()
        written: list[list[float]] = answers.tolist()
        return written

    def _note(self) -> None:
        self.threads.append(threading.current_thread().name.partition("_")[0])


async def test_a_small_body_is_read_and_written_by_the_event_loop(answering: Answering, doubled: Served) -> None:
    dialect = Dialect(1, 2)
    assert await answering.answer("", doubled, 0, dialect.read, dialect.write) == [[2.0], [4.0]]
    assert dialect.threads == [threading.current_thread().name] * 2


async def test_a_large_body_is_read_and_written_in_one_thread(answering: Answering, doubled: Served) -> None:
    dialect = Dialect(1, 2)
    assert await answering.answer("", doubled, LARGE, dialect.read, dialect.write) == [[2.0], [4.0]]
    assert dialect.threads == ["predict"] * 2


@pytest.mark.parametrize(("is_light", "thread"), [(False, "body"), (True, "MainThread")])
async def test_a_large_answer_to_a_small_body_is_written_in_a_thread_unless_it_is_light(
    answering: Answering, doubled: Served, is_light: bool, thread: str
) -> None:
    dialect = Dialect(*range(5000), is_light=is_light)
    answers = await answering.answer("", doubled, 0, dialect.read, dialect.write)
    assert answers == [[2.0 * x] for x in range(5000)]
    assert dialect.threads == ["MainThread", thread]


@pytest.mark.parametrize("cost", [0, LARGE])
async def test_too_large_an_answer_is_refused_before_it_is_computed(
    answering: Answering, doubled: Served, cost: int
) -> None:
    dialect = Dialect(1, 2, 3)
    with pytest.raises(AnswerTooLarge):
        await answering.answer("", doubled, cost, dialect.read, dialect.write, most=2)
    assert len(dialect.threads) == 1
    counters = doubled.counters
    assert (counters.calls, counters.failed, counters.answered) == (0, 1, 0)


@pytest.mark.parametrize("cost", [0, LARGE])
async def test_what_is_answered_is_counted_the_same_wherever_it_is_done(
    answering: Answering, doubled: Served, cost: int
) -> None:
    dialect = Dialect(1, 2, 3)
    await answering.answer("", doubled, cost, dialect.read, dialect.write)
    counters = doubled.counters
    assert (counters.rows, counters.calls, counters.answered) == (3, 1, 1)
    stages = counters.to_oip()["inference_stats"]
    parts = sum(stages[name]["ns"] for name in ("compute_input", "queue", "compute_infer", "compute_output"))
    assert 0 < parts == stages["success"]["ns"]


@pytest.mark.parametrize("cost", [0, LARGE])
async def test_a_row_without_a_finite_answer_is_refused_and_its_call_counted(
    answering: Answering, doubled: Served, cost: int
) -> None:
    dialect = Dialect(1, np.inf)
    with pytest.raises(NotFinite):
        await answering.answer("", doubled, cost, dialect.read, dialect.write)
    counters = doubled.counters
    assert (counters.calls, counters.failed, counters.answered) == (1, 1, 0)


async def test_where_all_places_are_taken_only_large_bodies_are_refused(answering: Answering, doubled: Served) -> None:
    dialect = Dialect(1)
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(answering.admission.place(LARGE))
        with pytest.raises(Overloaded):
            await answering.answer("", doubled, LARGE, dialect.read, dialect.write)
        assert dialect.threads == []
        assert await answering.answer("", doubled, 0, dialect.read, dialect.write) == [[2.0]]


async def test_it_is_ready_from_the_first_look_at_the_store_until_it_drains(
    answering: Answering, doubled: Served
) -> None:
    with pytest.raises(NotLoaded):
        answering.check_ready()
    await answering.registry.refresh()
    answering.check_ready()
    answering.jobs.is_draining = True
    with pytest.raises(Draining):
        answering.check_ready()
