"""The answers of this process to the last requests, on their way into the database: see app/drift/watch.py.

Outcomes that come later can then name a request in place of its rows. Answers are remembered, questions are not.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from app.telemetry import metrics
from models_store.arrays import Array
from models_store.bundle import Bundle

# Between two ticks, which are two seconds apart. A row in SQL takes about 10 µs, so these take 1 % of a core.
MOST_REQUESTS = 2000
# The numbers that wait: 8 MB.
MOST_NUMBERS = 1_000_000
# Numbers or labels in the answers to one request: 8 kB in the database.
MOST_OF_A_REQUEST = 1000


class Logged(NamedTuple):
    """The answers to one request."""

    request_id: str
    bundle: Bundle
    version: int
    answered: float
    """Seconds since 1970."""
    answers: Array
    """The network's, float64 (n_rows, n_answers)."""


class AnswerLog:
    """What waits to be saved, bounded. Only the event loop calls it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._waiting: list[Logged] = []
        self._n_numbers = 0
        self._left_out: Counter[str] = Counter()

    def note(self, request_id: str, bundle: Bundle, version: int, answers: Array) -> None:
        """Take note of the answers to a request, unless they are too many, or too many wait."""
        n = answers.size if bundle.labels is None else len(answers)
        if n > MOST_OF_A_REQUEST or len(self._waiting) >= MOST_REQUESTS or self._n_numbers >= MOST_NUMBERS:
            self._left_out[bundle.pattern] += 1
            return
        self._n_numbers += answers.size
        self._waiting.append(Logged(request_id, bundle, version, self._clock(), answers))

    def tick(self) -> list[Logged]:
        """Tell the metrics what was left out, and return what waits, the oldest first."""
        for pattern, n in self._left_out.items():
            metrics.count_not_remembered(pattern, n)
        self._left_out.clear()
        return self._waiting.copy()

    def saved(self, logged: list[Logged]) -> None:
        """Let go of what `tick` returned, which is in the database now."""
        self._let_go(logged)
        for pattern, n in Counter(one.bundle.pattern for one in logged).items():
            metrics.count_remembered(pattern, n)

    def given_up(self, logged: list[Logged]) -> None:
        """Let go of what `tick` returned, which nothing can be kept of."""
        self._left_out.update(one.bundle.pattern for one in logged)
        self._let_go(logged)

    def _let_go(self, logged: list[Logged]) -> None:
        del self._waiting[: len(logged)]
        self._n_numbers -= sum(one.answers.size for one in logged)
