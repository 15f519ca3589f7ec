"""The shadow of a pattern: a version that gets a copy of live questions, and whose answers are compared and never sent.

question -> the champion's answer -> [ one in so many ] -> waits -> the shadow's answer -> counted

A live question asks the champion without naming a version. What waits has to wait: shadows may have a small share of a
core, and what comes when too much waits is dropped, and counted. A thread asks them, until they are known to be quick.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from app.telemetry.likeness import COPIED, DROPPED, FAILED, Likeness, Likenesses, OfPair
from models_store.arrays import Array
from models_store.calibration.ranks import exactly
from models_store.comparison.agreement import Agreement
from models_store.errors import NotComparable, PatternServerError
from models_store.storage.store import Release
from models_store.tables.table import Raw, Table, places_spread, take

log = logging.getLogger("patterns.shadow")

SHADOW = "shadow"
# Seconds from a copy to its comparison. By then its answer is out, and others have come to share the call: each call
# takes the GIL from the event loop, however few rows it is for.
PAUSE_SECONDS = 0.2
# What has lately taken no longer on a core is compared by the event loop. That keeps it for less time than a thread
# does, which takes the GIL from it a dozen times for each call.
MOST_ON_LOOP_NS = 500_000
# Of the time that passes, shadows may take this share on a core. What they have not taken is remembered up to a
# second's share, and what they have taken too much as long as it takes.
SHARE_OF_TIME = 0.01
MOST_CREDIT_NS = int(SHARE_OF_TIME * 1e9)
# Rows that are compared of one question, and at once; and multiplications, which take a few milliseconds.
MOST_OF_A_QUESTION, MOST_ROWS, MOST_WORK = 256, 1024, 4 << 20
# Values that wait: some megabytes. To keep so many characters of a text takes as much as a value.
MOST_WAITING, CHARACTERS_A_VALUE = 400_000, 8


@dataclass(frozen=True, eq=False)
class Pair:
    """A champion and its shadow, as long as neither changes."""

    champion: Release
    shadow: Release
    agreement: Agreement
    likeness: Likeness
    """What is counted of them."""

    @property
    def key(self) -> OfPair:
        return OfPair(self.champion.bundle.pattern, self.shadow.version, self.champion.version)

    @cached_property
    def most_rows(self) -> int:
        """Rows that are answered at once."""
        return max(1, min(MOST_ROWS, MOST_WORK // self.shadow.bundle.architecture.n_parameters))

    @cached_property
    def most_of_a_question(self) -> int:
        """Rows that are compared of one question."""
        return min(MOST_OF_A_QUESTION, self.most_rows)


class Batch:
    """Questions of one pair that wait for a call of the shadow, in the order in which they came.

    Numbers are copied into one stretch of memory, so that nothing else of a question is kept, and a call has nothing to
    join.
    """

    __slots__ = ("_answers", "_numbers", "_tables", "n_rows", "pair", "sizes", "values")

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.sizes: list[int] = []
        """Rows of each question."""
        self.n_rows = 0
        self.values = 0
        """How much they hold, in values."""
        self._numbers, self._answers = bytearray(), bytearray()
        self._tables: list[Table] = []

    def add(self, rows: Raw, answers: Array, values: int) -> None:
        """Add a question, and what the champion has answered, float64 (n_rows, n_answers)."""
        if isinstance(rows, Table):
            self._tables.append(rows)
        else:
            self._numbers += rows.tobytes()
        self._answers += answers.tobytes()
        self.sizes.append(len(rows))
        self.n_rows += len(rows)
        self.values += values

    @property
    def rows(self) -> Raw:
        return Table.joined(self._tables) if self._tables else self._array(self._numbers)

    @property
    def answers(self) -> Array:
        return self._array(self._answers)

    def _array(self, numbers: bytearray) -> Array:
        return np.frombuffer(numbers).reshape(self.n_rows, -1)


class Found(NamedTuple):
    """What came of some questions: sums over their rows, how many of them failed, and the first reason."""

    sums: Array
    failed: int
    why: str = ""


class Pace(NamedTuple):
    """How long the shadow of a pair has lately taken on a core."""

    values: int
    """Not rows: one with a long text takes as long as hundreds of others."""
    ns: int

    def of(self, values: int) -> float:
        """Return the nanoseconds that so many values take, as far as is known."""
        return self.ns * max(1.0, values / self.values)


class Live:
    """The live questions of one pattern, as long-lived as the app. Which pair they are for may change at any moment."""

    def __init__(self, copies: "Copies") -> None:
        self._copies = copies
        self.pair: Pair | None = None
        self.followed: tuple[Release | None, Release | None] = None, None
        """The champion and the shadow, also where they cannot be compared."""

    def note(self, champion: Release, rows: Sequence[Raw], answers: Sequence[Array]) -> None:
        """Take note of questions that are answered; one in so many is copied, counted off, so that none is by chance.

        `rows` are those of each question, as the champion's network was given them.
        """
        pair = self.pair
        if pair is None or pair.champion is not champion:  # another version has become the champion meanwhile
            return
        for place in pair.likeness.sampling.count_off(len(rows)):
            self._copies.add(pair, rows[place], answers[place])


class Shadows:
    """The shadows of all patterns; lives as long as the app."""

    def __init__(self, share: float, likenesses: Likenesses) -> None:
        """`share`: of the live questions, between 0 and 1."""
        self._share = exactly(share)
        self._likenesses = likenesses
        self._copies = Copies()
        self._live: dict[str, Live] = {}

    def live(self, pattern: str) -> Live:
        """Return the live questions of a pattern. Any thread may ask first."""
        return self._live.setdefault(pattern, Live(self._copies))

    def follow(self, pattern: str, champion: Release | None, shadow: Release | None) -> None:
        """Compare these two from now on, if there are two that can be compared; one thread calls it."""
        live = self.live(pattern)
        if live.followed != (champion, shadow):
            live.pair = None if champion is None or shadow is None else self._comparable(champion, shadow)
            live.followed = champion, shadow

    def pair(self, champion: Release, shadow: Release) -> Pair:
        """Return the pair that these two are. Raises NotComparable."""
        agreement = Agreement.between(champion.bundle, shadow.bundle)
        key = OfPair(champion.bundle.pattern, shadow.version, champion.version)
        return Pair(champion, shadow, agreement, self._likenesses.of(key, agreement.n_sums, self._share))

    def _comparable(self, champion: Release, shadow: Release) -> Pair | None:
        about = {"pattern": champion.bundle.pattern, "version": shadow.version, "champion": champion.version}
        try:
            pair = self.pair(champion, shadow)
        except NotComparable as error:
            log.warning("the shadow cannot be compared", extra={**about, "reason": str(error)})
            return None
        log.info("shadowing", extra=about)
        return pair

    def close(self) -> None:
        self._copies.close()


class Copies:
    """The questions that wait for their shadows, and the thread that answers them. Only the event loop changes it."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns, most_on_loop_ns: float = MOST_ON_LOOP_NS) -> None:
        self._clock = clock
        self._most_on_loop_ns = most_on_loop_ns
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")
        self._waiting: deque[Batch] = deque()
        self._values = 0
        self._is_busy = False
        self._is_closed = False
        self._credit_ns, self._credited_at = MOST_CREDIT_NS, clock()
        self._pace: WeakKeyDictionary[Pair, Pace] = WeakKeyDictionary()
        self._trouble: dict[Likeness, str] = {}

    def add(self, pair: Pair, rows: Raw, answers: Array) -> None:
        if len(rows) > pair.most_of_a_question:  # copies, so that the others are let go
            places = places_spread(len(rows), pair.most_of_a_question)
            rows, answers = take(rows, places), answers[places]
        values = _values(rows)
        if self._is_closed or self._values + values > MOST_WAITING:
            pair.likeness.note(DROPPED)
            return
        pair.likeness.note(COPIED)
        self._batch_for(pair, len(rows)).add(rows, answers, values)
        self._values += values
        if not self._is_busy:
            self._is_busy = True
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._next)

    def _next(self) -> None:
        """Compare what may be compared together, once shadows may take time again."""
        if self._is_closed:
            return
        self._credit()
        loop = asyncio.get_running_loop()
        if self._credit_ns <= 0:
            loop.call_later(PAUSE_SECONDS - self._credit_ns / SHARE_OF_TIME / 1e9, self._next)
            return
        batch = self._waiting.popleft()
        self._values -= batch.values
        pace = self._pace.get(batch.pair)
        is_quick = pace is not None and pace.of(batch.values) <= self._most_on_loop_ns
        work: asyncio.Future[tuple[Found, int]] = (
            loop.create_task(_timed_here(batch))
            if is_quick
            else loop.run_in_executor(self._thread, partial(_timed, batch))
        )
        work.add_done_callback(partial(self._settle, batch))

    def _credit(self) -> None:
        now = self._clock()
        earned = int((now - self._credited_at) * SHARE_OF_TIME)
        self._credit_ns, self._credited_at = min(MOST_CREDIT_NS, self._credit_ns + earned), now

    def _batch_for(self, pair: Pair, n_rows: int) -> Batch:
        """Return the batch that a question of so many rows may join: that of the last question, or a new one."""
        if self._waiting:
            last = self._waiting[-1]
            if last.pair is pair and last.n_rows + n_rows <= pair.most_rows:
                return last
        self._waiting.append(Batch(pair))
        return self._waiting[-1]

    def _settle(self, batch: Batch, work: "asyncio.Future[tuple[Found, int]]") -> None:
        if work.cancelled():
            return
        found, ns = _outcome(work, batch)
        self._credit_ns -= ns
        pair = batch.pair
        self._pace[pair] = Pace(batch.values, ns)
        pair.likeness.add(found.sums)
        if found.failed:
            pair.likeness.note(FAILED, found.failed)
            self._tell(pair, found.why)
        self._is_busy = bool(self._waiting) and not self._is_closed
        if self._is_busy:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._next)

    def _tell(self, pair: Pair, why: str) -> None:
        if self._trouble.get(pair.likeness) != why:
            self._trouble = {pair.likeness: why}
            about = {"pattern": pair.shadow.bundle.pattern, "version": pair.shadow.version, "reason": why}
            log.warning("the shadow cannot answer some questions", extra=about)

    def close(self) -> None:
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


def _values(rows: Raw) -> int:
    """Return how much rows hold, in values."""
    if not isinstance(rows, Table):
        return rows.size
    texts = [column for column in rows.columns.values() if column.dtype == object]
    characters = sum(len(text) for column in texts for text in column if isinstance(text, str))
    return len(rows) * len(rows.columns) + characters // CHARACTERS_A_VALUE


def _outcome(work: "asyncio.Future[tuple[Found, int]]", batch: Batch) -> tuple[Found, int]:
    """Return what was found, and its nanoseconds; whatever the shadow's network fails with, nobody waits for it.

    The name of the fault tells of no question, as its message may.
    """
    fault = work.exception()
    if fault is None:
        return work.result()
    return Found(np.zeros(batch.pair.agreement.n_sums), len(batch.sizes), type(fault).__name__), MOST_CREDIT_NS


async def _timed_here(batch: Batch) -> tuple[Found, int]:
    """Do on the event loop what the thread does."""
    return _timed(batch)


# -- in the thread, or on the event loop -------------------------------------------------------------------------------


def _timed(batch: Batch) -> tuple[Found, int]:
    """Return what came of the questions, and the nanoseconds that it took on a core."""
    began = time.thread_time_ns()
    found = _compared(batch)
    return found, time.thread_time_ns() - began


def _compared(batch: Batch) -> Found:
    """Compare the answers to questions of one pair. If the shadow refuses them together, each is asked by itself."""
    pair, rows, answers = batch.pair, batch.rows, batch.answers
    with suppress(PatternServerError):
        return _of_one_call(pair, rows, answers, batch.sizes)
    ends = np.cumsum(batch.sizes)
    places = [slice(end - size, end) for end, size in zip(ends, batch.sizes, strict=True)]
    each = [_of_one(pair, take(rows, place), answers[place]) for place in places]
    sums: Array = np.sum([found.sums for found in each], axis=0)
    return Found(sums, sum(found.failed for found in each), next((found.why for found in each if found.why), ""))


def _of_one(pair: Pair, rows: Raw, answers: Array) -> Found:
    try:
        return _of_one_call(pair, rows, answers, [len(rows)])
    except PatternServerError as error:
        return Found(np.zeros(pair.agreement.n_sums), 1, error.code)


def _of_one_call(pair: Pair, rows: Raw, answers: Array, sizes: list[int]) -> Found:
    others = pair.shadow.bundle.predictor.answers(pair.agreement.rows(rows))
    failed = 0
    if not np.isfinite(others).all():
        failed = sum(not np.isfinite(part).all() for part in np.split(others, np.cumsum(sizes)[:-1]))
    return Found(pair.agreement.sums(answers, others), failed, "not_finite" if failed else "")
