"""The counts of this process on their way into the database, and those of all processes on their way back."""

import asyncio
import logging
import os
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import numpy as np

from app.drift.records import CountRecords, Kept, summed
from app.drift.remembered import Remembered
from app.errors import AlreadyTold, NotRemembered, Overloaded, UnknownRequest
from app.settings import Settings
from app.telemetry.answer_log import AnswerLog, Logged
from app.telemetry.likeness import Likeness, Likenesses, OfPair
from app.telemetry.slots import SLOT_SECONDS, Slot, Slots
from app.telemetry.tally import TICK_SECONDS, Tallies, Tally
from models_store.arrays import Array
from models_store.errors import PatternServerError, StoreUnwritable
from models_store.storage.store import Store

log = logging.getLogger("patterns.drift")

FOLD_SECONDS = 600
# What could not be saved for so long is given up: it might come after its hour was folded.
GIVEN_UP_SECONDS = 3600
# What a process remembers where nothing can be kept: a day.
MOST_SLOTS = 86400 // SLOT_SECONDS + 1
# Of the requests that may be under way, one in so many may wait for the database.
WAITING_SHARE = 4


class Window(NamedTuple):
    """What a version was asked since a moment."""

    began: float
    """The moment, in seconds since 1970: that of the first slot that is in it, or the one that was asked for."""
    asked: int
    """All rows."""
    rows: int
    """Those that were counted."""
    counts: Array
    """The cells of its histograms, float64 (n_cells,), whole numbers."""


class Watch:
    """The way between tallies and records, as long-lived as the app. `keep` runs as a task beside the routes."""

    def __init__(
        self,
        tallies: Tallies,
        likenesses: Likenesses,
        answer_log: AnswerLog | None,
        store: Store,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tallies = tallies
        self._likenesses = likenesses
        self._answer_log = answer_log
        self._store = store
        self._settings = settings
        self._clock = clock
        self._records = CountRecords(settings.jobs_url)
        self._writer = uuid.uuid4().hex
        self._is_open = False
        self._saving = asyncio.Lock()
        self._n_waiting = 0
        # A save that nobody waits for any more still writes: no other thread may do so meanwhile.
        self._writing = threading.Lock()
        self._folded_at = 0.0
        # As many as make it prune: processes before it may have ended with a few left over each.
        self._unpruned = settings.remembered_requests
        self._trouble = ""

    @property
    def is_kept(self) -> bool:
        """True if counts outlive the process, and those of all processes are added; not beside a read-only store."""
        return self._settings.database_url is not None or os.access(self._settings.store, os.W_OK)

    @property
    def max_rows(self) -> int:
        """The most rows that a body of outcomes may have, as one of questions."""
        return self._settings.max_rows

    @property
    def shadow_share(self) -> float:
        """The share of live questions that are copied to a shadow."""
        return self._settings.shadow_share

    async def keep(self) -> None:
        """Save what is counted, until cancelled, and once more then. Waits out faults of disk and database."""
        try:
            while True:
                await asyncio.sleep(TICK_SECONDS)
                await self._keep()
        finally:
            await self._keep()

    async def _keep(self) -> None:
        try:
            await self.save()
            self._trouble = ""
        except (PatternServerError, OSError) as error:
            if self._trouble != str(error):
                self._trouble = str(error)
                log.warning("what is asked is not saved for now", extra={"reason": str(error)})
        except Exception:  # the task must not end: nothing would be counted any more
            log.exception("bug")

    async def save(self) -> None:
        """Save what this process has counted, then what it has answered.

        Raises TrainingUnavailable, DiskFull and StoreUnwritable.
        """
        async with self._saving:
            # A few kilobytes, for which there may be room where answers have none.
            await self._save_counts()
            await self._save_answers()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until nobody else saves. Raises Overloaded where too many wait.

        Where the database does not answer, each waits for seconds, and has a place that predictions need.
        """
        if self._n_waiting >= max(1, self._settings.max_in_flight // WAITING_SHARE):
            raise Overloaded
        self._n_waiting += 1
        try:
            async with self._saving:
                yield
        finally:
            self._n_waiting -= 1

    async def _save_in_turn(self) -> None:
        async with self._turn():
            await self._save_counts()

    async def _save_counts(self) -> None:
        tallies, likenesses = self._tallies.tick(), self._likenesses.tick()
        asked, shadowed = _unsaved(tallies), _unsaved(likenesses)
        now = self._clock()
        is_time_to_fold = now - self._folded_at > FOLD_SECONDS
        if self.is_kept and (asked or shadowed or (is_time_to_fold and self._is_open)):
            kept = [[kept for kept, _ in unsaved] for unsaved in (asked, shadowed)]
            await asyncio.to_thread(self._save, kept[0], kept[1], now, fold=is_time_to_fold)
            for saved, slot in (*asked, *shadowed):
                slot.is_saved = bool(np.array_equal(slot.counts, saved.counts))
        for slots in (*tallies.values(), *likenesses.values()):
            _forget(slots, now, is_kept=self.is_kept)

    def _save(self, asked: list[Kept], shadowed: list[Kept], now: float, *, fold: bool) -> None:
        with self._writing:
            self._open()
            for counts, kept in ((self._records.asked, asked), (self._records.shadowed, shadowed)):
                if kept:
                    counts.save(kept)
            if fold:
                self._records.fold(now)
                self._folded_at = now

    async def windows(self, asked: Mapping[tuple[str, int], Tally], moments: Sequence[float]) -> list[list[Window]]:
        """Return for each of these moments the window of each version. Raises Overloaded, and what `save` raises."""
        await self._save_in_turn()
        if not self.is_kept:
            kept = [one for (pattern, version), tally in asked.items() for one in _remembered(tally, pattern, version)]
        else:
            kept = await asyncio.to_thread(self._since, min(moments))
        of_version: defaultdict[tuple[str, int], list[Kept]] = defaultdict(list)
        for one in kept:
            of_version[one.pattern, one.version].append(one)
        return [[_window(of_version[key], tally, moment) for key, tally in asked.items()] for moment in moments]

    async def window(self, pattern: str, version: int, tally: Tally, since: float) -> Window:
        """Return what all processes have counted of a version since a moment, in seconds since 1970.

        Others tell of it every TICK_SECONDS. Raises Overloaded, and what `save` raises.
        """
        await self._save_in_turn()
        if not self.is_kept:
            return _window(_remembered(tally, pattern, version), tally, since)
        return _window(await asyncio.to_thread(self._since, since, pattern, version), tally, since)

    def _since(self, moment: float, pattern: str | None = None, version: int | None = None) -> list[Kept]:
        self._open()
        return self._records.asked.since(moment, pattern=pattern, version=version)

    async def shadowed(self, pairs: Mapping[OfPair, Likeness], moments: Sequence[float]) -> list[list[Array]]:
        """Return for each of these moments what all processes have counted of each pair since then.

        It is laid out as the counts of a Likeness. Raises Overloaded, and what `save` raises.
        """
        await self._save_in_turn()
        if not self.is_kept:
            kept = [one for pair, likeness in pairs.items() for one in _remembered(likeness, *pair)]
        else:
            kept = await asyncio.to_thread(self._shadowed, min(moments), *([*pairs] if len(pairs) == 1 else []))
        return [[_total(kept, pair, likeness, moment) for pair, likeness in pairs.items()] for moment in moments]

    def _shadowed(self, moment: float, pair: OfPair | None = None) -> list[Kept]:
        self._open()
        return self._records.shadowed.since(moment, **(pair._asdict() if pair is not None else {}))

    async def add_outcomes(self, pattern: str, version: int, sums: Array) -> None:
        """Record how far answers were off, float64 (n,); it is durable then.

        Raises Overloaded, TrainingUnavailable, DiskFull and StoreUnwritable.
        """
        self._check_kept()
        async with self._turn():
            await asyncio.to_thread(self._add_outcomes, self._off(pattern, version, sums))

    def _add_outcomes(self, one: Kept) -> None:
        with self._writing:
            self._open()
            self._records.outcomes.add(one)

    def _off(self, pattern: str, version: int, sums: Array) -> Kept:
        began = int(self._clock()) // SLOT_SECONDS * SLOT_SECONDS
        return Kept(pattern, version, began, SLOT_SECONDS, self._writer, sums)

    def _check_kept(self) -> None:
        if not self.is_kept:
            raise StoreUnwritable("it is read-only")

    # -- outcomes by request id ------------------------------------------------------------------------------------

    async def _save_answers(self) -> None:
        """Record the answers that wait. They go on waiting, bounded, where that fails."""
        if self._answer_log is None or not (logged := self._answer_log.tick()):
            return
        if not self.is_kept:
            self._answer_log.given_up(logged)
            return
        await asyncio.to_thread(self._record_answers, logged)
        self._answer_log.saved(logged)

    def _record_answers(self, logged: list[Logged]) -> None:
        most = self._settings.remembered_requests
        with self._writing:
            self._open()
            self._records.answered.save(logged)
            self._unpruned += len(logged)
            # To find the oldest that stays takes a look at all: not every two seconds.
            if self._unpruned > most // 20:
                self._records.answered.prune(most)
                self._unpruned = 0

    async def remembered(self, pattern: str, request_id: str) -> Remembered:
        """Return what a request was answered.

        Raises NotRemembered, UnknownRequest, AlreadyTold, and what `add_outcomes` raises.
        """
        if self._answer_log is None:
            raise NotRemembered
        self._check_kept()
        async with self._turn():
            await self._save_answers()
        found = {one.pattern: one for one in await asyncio.to_thread(self._find, request_id)}
        if pattern not in found:
            raise UnknownRequest(pattern, sorted(found), self._settings.remembered_requests)
        if found[pattern].is_told:
            raise AlreadyTold
        return found[pattern]

    def _find(self, request_id: str) -> list[Remembered]:
        self._open()
        return self._records.answered.find(request_id)

    async def tell(self, request: Remembered, sums: Array) -> None:
        """Record how far the answers to a request were off, float64 (n,), once; it is durable then.

        Raises AlreadyTold, and what `add_outcomes` raises.
        """
        off = self._off(request.pattern, request.version, sums)
        async with self._turn():
            is_first = await asyncio.to_thread(self._tell, request, off)
        if not is_first:
            raise AlreadyTold

    def _tell(self, request: Remembered, off: Kept) -> bool:
        with self._writing:
            self._open()
            return self._records.tell(request, off)

    async def outcomes(self, since: float, pattern: str | None = None, version: int | None = None) -> list[Kept]:
        """Return what is known since a moment of how far answers were off: of one version, or of all."""
        if not self.is_kept:
            return []
        return await asyncio.to_thread(self._outcomes, since, pattern, version)

    def _outcomes(self, since: float, pattern: str | None, version: int | None) -> list[Kept]:
        self._open()
        return self._records.outcomes.since(since, pattern=pattern, version=version)

    def _open(self) -> None:
        if not self._is_open:
            self._records.open(self._store.identity())
            self._is_open = True

    def close(self) -> None:
        self._records.close()


Counted = TypeVar("Counted", bound=tuple[str, int] | OfPair)


def _unsaved(counted: Mapping[Counted, Slots]) -> list[tuple[Kept, Slot]]:
    """Return copies of the slots that are to be saved, each with its slot."""
    return [
        (_copy(slot, slots.writer, *key), slot)
        for key, slots in counted.items()
        for slot in slots.slots.values()
        if not slot.is_saved
    ]


def _copy(slot: Slot, writer: str, pattern: str, version: int, champion: int = 0) -> Kept:
    return Kept(pattern, version, slot.began, SLOT_SECONDS, writer, slot.counts.copy(), champion)


def _forget(slots: Slots, now: float, *, is_kept: bool) -> None:
    """Let go of slots that are over: those that are saved, and those that could not be saved for too long."""
    for began, slot in list(slots.slots.items()):
        age = now - began
        if age > SLOT_SECONDS and (slot.is_saved or (is_kept and age > GIVEN_UP_SECONDS)):
            del slots.slots[began]
    while len(slots.slots) > MOST_SLOTS:
        del slots.slots[min(slots.slots)]


def _remembered(slots: Slots, pattern: str, version: int, champion: int = 0) -> list[Kept]:
    return [_copy(slot, "", pattern, version, champion) for _, slot in sorted(slots.slots.items())]


def _total(kept: list[Kept], pair: OfPair, likeness: Likeness, moment: float) -> Array:
    within = [
        one
        for one in kept
        if (one.pattern, one.version, one.champion) == pair
        and one.began + one.seconds > moment
        and len(one.counts) == likeness.n
    ]
    return summed(within) if within else np.zeros(likeness.n)


def _window(kept: list[Kept], tally: Tally, since: float) -> Window:
    # Where stores share a bucket, a number may have been another version's for a moment.
    within = [one for one in kept if one.began + one.seconds > since and len(one.counts) == 2 + tally.n_cells]
    if not within:
        return Window(since, 0, 0, np.zeros(tally.n_cells))
    counts = summed(within)
    return Window(min(since, *(one.began for one in within)), int(counts[0]), int(counts[1]), counts[2:])
