"""How alike a shadow and the champion answer, counted in this process: see app/answering/shadow.py."""

import time
from collections.abc import Callable
from fractions import Fraction
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


class SystematicSampling:
    """Picks a share of the questions: the n-th picked is number ceil(n / share), and none is by chance."""

    __slots__ = ("_of", "_part", "seen")

    def __init__(self, share: Fraction) -> None:
        self._part, self._of = share.as_integer_ratio()
        self.seen = 0
        """The number of questions until now."""

    def count_off(self, n: int) -> list[int]:
        """Count the next n questions, and return the places of those that are picked, from 0 to n - 1."""
        before, self.seen = self.seen, self.seen + n
        numbers = range(before * self._part // self._of + 1, self.seen * self._part // self._of + 1)
        return [-(-number * self._of // self._part) - 1 - before for number in numbers]


class Likeness(Slots):
    """The counts of one pair: live questions, those copied, dropped and failed, and the sums over rows compared."""

    def __init__(self, n_sums: int, share: Fraction, clock: Callable[[], float] = time.time) -> None:
        """`share`: of the questions, those that are to be copied."""
        super().__init__(N_BEFORE + n_sums, clock)
        self.n = N_BEFORE + n_sums
        self.sampling = SystematicSampling(share)
        self._seen = 0
        self._noted = [0] * N_BEFORE

    def note(self, what: int, questions: int = 1) -> None:
        """Count questions that were copied, dropped or failed. The slot gets them later."""
        self._noted[what] += questions

    def add(self, sums: Array) -> None:
        self.under_way()[N_BEFORE:] += sums

    def tick(self) -> None:
        seen = self.sampling.seen
        self._noted[QUESTIONS] = seen - self._seen
        if any(self._noted):
            self.under_way()[:N_BEFORE] += self._noted
        self._seen, self._noted = seen, [0] * N_BEFORE


class Likenesses:
    """The likenesses of all pairs. One for the app: each worker process counts for itself."""

    def __init__(self) -> None:
        self._shelved: Shelved[OfPair, Likeness] = Shelved()

    def of(self, pair: OfPair, n_sums: int, share: Fraction) -> Likeness:
        """Return the likeness of a pair, of whose questions a share is copied. Any thread may ask."""
        return self._shelved.of(pair, lambda: Likeness(n_sums, share))

    def tick(self) -> dict[OfPair, Likeness]:
        """Return those that have slots to save; call it from the event loop."""
        return self._shelved.tick()
