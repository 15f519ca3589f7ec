"""What every dialect answers with: the bundles in memory, and one way from a body to its answer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.batching import Batcher
from app.errors import AnswerTooLarge, Draining, NotLoaded
from app.jobs import Jobs
from app.large_bodies import LargeBodies
from app.served import Served
from app.settings import Settings
from app.statistics import Statistics
from models_store.scaler import Array
from models_store.store import Release, Store
from models_store.table import Raw


class Asked(Protocol):
    """A body that has been read: raw rows, in the card's column order, and whatever its answer needs to know of it."""

    @property
    def rows(self) -> Raw: ...


# Of an answer in JSON.
BYTES_A_NUMBER = 24
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
        size: int,
        read: Callable[[], Question],
        write: Callable[[Question, Array], Answer],
        most: int = MOST_NUMBERS,
    ) -> Answer:
        """Read, predict, write. A body of many bytes is read, and its answer written, away from the event loop.

        AnswerTooLarge before anything is computed that has more than `most` numbers.
        """
        large = self.large_bodies
        tally, began = self.statistics.of_release(release), time.perf_counter_ns()
        try:
            with large.place(size):
                question = await large.computed(size, read)
                if len(question.rows) * release.bundle.architecture.n_outputs > most:
                    raise AnswerTooLarge(most)
                was_read = time.perf_counter_ns()
                answers = await self.batcher.predict(release, question.rows)
                was_predicted = time.perf_counter_ns()
                # A few bytes of a question may make many of an answer.
                answer = await large.computed(max(size, BYTES_A_NUMBER * answers.size), write, question, answers)
        except BaseException:
            tally.count_failure(began)
            raise
        tally.count_answer(began, was_read, was_predicted, len(question.rows))
        return answer


def check_ready(served: Served, jobs: Jobs) -> None:
    """Draining, NotLoaded."""
    if jobs.is_draining:
        raise Draining
    if not served.is_ready:
        raise NotLoaded("the store")
