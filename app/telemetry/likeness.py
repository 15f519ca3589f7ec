"""How alike a shadow and the champion answer, counted in this process: see app/answering/shadow.py."""

import time
from collections.abc import Callable
from typing import NamedTuple

from app.telemetry.slots import Shelved, Slots
from models_store.arrays import Array

# What is counted, before the sums of an Agreement over the rows that were compared.
QUESTIONS, COPIED, DROPPED, FAILED, N_BEFORE = 0, 1, 2, 3, 4


class OfPair(NamedTuple):
    """The versions that are compared."""

    pattern: str
    version: int
    """The shadow."""
    champion: int


class Likeness(Slots):
    """The counts of one pair: live questions, those copied, dropped and failed, and the sums over rows compared."""

    def __init__(self, n_sums: int, clock: Callable[[], float] = time.time) -> None:
        super().__init__(N_BEFORE + n_sums, clock)
        self.n = N_BEFORE + n_sums
        self._questions = 0

    def note_question(self) -> None:
        """Count a live question. It is on the path of every answer, so the slot gets it later."""
        self._questions += 1

    def note(self, what: int, questions: int = 1) -> None:
        """Count questions that were copied, dropped or failed."""
        self.under_way()[what] += questions

    def add(self, sums: Array) -> None:
        self.under_way()[N_BEFORE:] += sums

    def tick(self) -> None:
        if self._questions:
            self.under_way()[QUESTIONS] += self._questions
            self._questions = 0


class Likenesses:
    """The likenesses of all pairs. One for the app: each worker process counts for itself."""

    def __init__(self) -> None:
        self._shelved: Shelved[OfPair, Likeness] = Shelved()

    def of(self, pair: OfPair, n_sums: int) -> Likeness:
        """Return the likeness of a pair. Any thread may ask."""
        return self._shelved.of(pair, lambda: Likeness(n_sums))

    def tick(self) -> dict[OfPair, Likeness]:
        """Return those that have slots to save; call it from the event loop."""
        return self._shelved.tick()
