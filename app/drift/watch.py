"""The counts of this process on their way into the database, and those of all processes on their way back."""

import asyncio
import logging
import os
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.drift.records import CountRecords, Kept, summed
from app.settings import Settings
from app.telemetry.tally import SLOT_SECONDS, TICK_SECONDS, Slot, Tallies, Tally
from models_store.arrays import Array
from models_store.errors import PatternServerError, StoreUnwritable
from models_store.storage.store import Store

log = logging.getLogger("patterns.drift")

FOLD_SECONDS = 600
# What could not be saved for so long is given up: it might come after its hour was folded.
GIVEN_UP_SECONDS = 3600
# What a process remembers where nothing can be kept: a day.
MOST_SLOTS = 86400 // SLOT_SECONDS + 1


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
        self, tallies: Tallies, store: Store, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        self._tallies = tallies
        self._store = store
        self._settings = settings
        self._clock = clock
        self._records = CountRecords(settings.jobs_url)
        self._writer = uuid.uuid4().hex
        self._is_open = False
        self._saving = asyncio.Lock()
        # A save that nobody waits for any more still writes: no other thread may do so meanwhile.
        self._writing = threading.Lock()
        self._folded_at = 0.0
        self._trouble = ""

    @property
    def is_kept(self) -> bool:
        """True if counts outlive the process, and those of all processes are added; not beside a read-only store."""
        return self._settings.database_url is not None or os.access(self._settings.store, os.W_OK)

    @property
    def max_rows(self) -> int:
        """The most rows that a body of outcomes may have, as one of questions."""
        return self._settings.max_rows

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
        """Save what this process has counted. Raises TrainingUnavailable, DiskFull and StoreUnwritable."""
        async with self._saving:
            tallies = self._tallies.tick()
            now = self._clock()
            unsaved = [
                (Kept(*key, slot.began, SLOT_SECONDS, tally.writer, slot.counts.copy()), slot)
                for key, tally in tallies.items()
                for slot in tally.slots.values()
                if not slot.is_saved
            ]
            is_time_to_fold = now - self._folded_at > FOLD_SECONDS
            if self.is_kept and (unsaved or (is_time_to_fold and self._is_open)):
                await asyncio.to_thread(self._save, [kept for kept, _ in unsaved], now, fold=is_time_to_fold)
                for kept, slot in unsaved:
                    slot.is_saved = bool(np.array_equal(slot.counts, kept.counts))
            for tally in tallies.values():
                _forget(tally, now, is_kept=self.is_kept)

    def _save(self, kept: list[Kept], now: float, *, fold: bool) -> None:
        with self._writing:
            self._open()
            if kept:
                self._records.asked.save(kept)
            if fold:
                self._records.fold(now)
                self._folded_at = now

    async def windows(self, asked: Mapping[tuple[str, int], Tally], moments: Sequence[float]) -> list[list[Window]]:
        """Return for each of these moments the window of each version. Raises what `save` raises."""
        await self.save()
        if not self.is_kept:
            kept = [one for (pattern, version), tally in asked.items() for one in _remembered(tally, pattern, version)]
        else:
            kept = await asyncio.to_thread(self._since, min(moments), None, None)
        of_version: defaultdict[tuple[str, int], list[Kept]] = defaultdict(list)
        for one in kept:
            of_version[one.pattern, one.version].append(one)
        return [[_window(of_version[key], tally, moment) for key, tally in asked.items()] for moment in moments]

    async def window(self, pattern: str, version: int, tally: Tally, since: float) -> Window:
        """Return what all processes have counted of a version since a moment, in seconds since 1970.

        Others tell of it every TICK_SECONDS. Raises what `save` raises.
        """
        await self.save()
        if not self.is_kept:
            return _window(_remembered(tally, pattern, version), tally, since)
        return _window(await asyncio.to_thread(self._since, since, pattern, version), tally, since)

    def _since(self, moment: float, pattern: str | None, version: int | None) -> list[Kept]:
        self._open()
        return self._records.asked.since(moment, pattern, version)

    async def add_outcomes(self, pattern: str, version: int, sums: Array) -> None:
        """Record how far answers were off, float64 (n,); it is durable then.

        Raises TrainingUnavailable, DiskFull and StoreUnwritable.
        """
        if not self.is_kept:
            raise StoreUnwritable("it is read-only")
        began = int(self._clock()) // SLOT_SECONDS * SLOT_SECONDS
        one = Kept(pattern, version, began, SLOT_SECONDS, self._writer, sums)
        async with self._saving:
            await asyncio.to_thread(self._add_outcomes, one)

    def _add_outcomes(self, one: Kept) -> None:
        with self._writing:
            self._open()
            self._records.outcomes.add(one)

    async def outcomes(self, since: float, pattern: str | None = None, version: int | None = None) -> list[Kept]:
        """Return what is known since a moment of how far answers were off: of one version, or of all."""
        if not self.is_kept:
            return []
        return await asyncio.to_thread(self._outcomes, since, pattern, version)

    def _outcomes(self, since: float, pattern: str | None, version: int | None) -> list[Kept]:
        self._open()
        return self._records.outcomes.since(since, pattern, version)

    def _open(self) -> None:
        if not self._is_open:
            self._records.open(self._store.identity())
            self._is_open = True

    def close(self) -> None:
        self._records.close()


def _forget(tally: Tally, now: float, *, is_kept: bool) -> None:
    """Let go of slots that are over: those that are saved, and those that could not be saved for too long."""
    for began, slot in list(tally.slots.items()):
        age = now - began
        if age > SLOT_SECONDS and (slot.is_saved or (is_kept and age > GIVEN_UP_SECONDS)):
            del tally.slots[began]
    while len(tally.slots) > MOST_SLOTS:
        del tally.slots[min(tally.slots)]


def _remembered(tally: Tally, pattern: str, version: int) -> list[Kept]:
    slots: Mapping[int, Slot] = tally.slots
    return [Kept(pattern, version, began, SLOT_SECONDS, "", slot.counts) for began, slot in sorted(slots.items())]


def _window(kept: list[Kept], tally: Tally, since: float) -> Window:
    # Where stores share a bucket, a number may have been another version's for a moment.
    within = [one for one in kept if one.began + one.seconds > since and len(one.counts) == 2 + tally.n_cells]
    if not within:
        return Window(since, 0, 0, np.zeros(tally.n_cells))
    counts = summed(within)
    return Window(min(since, *(one.began for one in within)), int(counts[0]), int(counts[1]), counts[2:])
