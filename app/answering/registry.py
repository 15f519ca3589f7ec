"""The bundles in memory. A new version is loaded and verified beside the old one, then swapped in at once.

A request keeps the release that it began with, and waits for no swap.
"""

import asyncio
import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Self

from app import errors
from app.answering.plan import WORK_OF_CHARACTER, Shape, few_rows
from app.answering.shadow import SHADOW, Live, Pair, Shadows
from app.formats.expected import Expected
from app.telemetry import metrics
from app.telemetry.likeness import Likenesses
from app.telemetry.statistics import Counters, Statistics
from app.telemetry.tally import Tallies, Tally
from models_store.arrays import Array
from models_store.errors import (
    BundleDamaged,
    BundleUnreadable,
    NoGoodVersion,
    PatternServerError,
    UnknownAlias,
    UnknownPattern,
    UnknownVersion,
)
from models_store.storage.aliases import CHAMPION
from models_store.storage.store import Contents, Release, Store
from models_store.tables.table import Raw, Table

log = logging.getLogger("patterns.served")

# Seconds between looks at the store: so long at most until a published version is loaded.
POLL_SECONDS = 0.25
# Versions beside the champions that stay in memory because they were asked for; of more, the least recently used goes.
MOST_PINNED = 32


@dataclass(frozen=True, eq=False)
class Served(Release):
    """A release in memory, with the facts that every request to it needs, found out once."""

    expected: Expected
    """The columns that a request must have."""
    shape: Shape
    few_rows: int
    """Rows up to which everything happens on the event loop."""
    has_labels: bool
    counters: Counters
    headers: Mapping[str, str]
    """What every answer says of its version."""
    tally: Tally | None = None
    """What it is asked, in histograms; None if that is not counted."""
    live: Live | None = None
    """What copies its questions to the shadow, if it is the champion; None for requests that name the version."""

    @classmethod
    def of(cls, release: Release, counters: Counters, tally: Tally | None = None, live: Live | None = None) -> Self:
        bundle = release.bundle
        expected, architecture = Expected.of(bundle.predictor.encoder, bundle.beside), bundle.architecture
        shape = Shape(
            len(bundle.inputs), architecture.n_outputs, architecture.n_parameters, is_table=bool(expected.typed)
        )
        return cls(
            release.version,
            bundle,
            expected,
            shape,
            few_rows(shape),
            has_labels=bundle.labels is not None,
            counters=counters,
            headers={"x-pattern-version": str(release.version)},
            tally=tally,
            live=live,
        )

    @property
    def takes_note(self) -> bool:
        return self.tally is not None or self.live is not None

    def note(self, asked: Raw, answers: Array, rows: Sequence[Raw], answers_of_each: Sequence[Array]) -> None:
        """Take note of questions that one call of the network has answered; the event loop calls it.

        `asked` are the rows of all, as they were before some were changed, and `answers` theirs; `rows` are those of
        each question, as the network was given them. Noting each by itself took 3 to 7 % of the requests a second.
        """
        if self.tally is not None:
            self.tally.note(asked, answers)
        if self.live is not None:
            self.live.note(self, rows, answers_of_each)

    def note_refused(self, asked: Raw) -> None:
        """Take note of rows that are refused because they are outside what training saw."""
        if self.tally is not None:
            self.tally.note(asked, None)

    def work(self, rows: Raw) -> int:
        """Return about how many multiplications the rows are."""
        work = len(rows) * self.shape.n_parameters
        if isinstance(rows, Table):
            texts = [rows.columns[column.name] for column in self.expected.typed if column.kind == "text"]
            work += WORK_OF_CHARACTER * sum(len(text) for column in texts for text in column if text is not None)
        return work


@dataclass(frozen=True, eq=False)
class Loaded:
    """A release, and the hold on its directory that keeps retention from deleting it."""

    release: Served
    named: Served
    """The same for requests that name it."""
    held: contextlib.ExitStack


@dataclass(frozen=True)
class Shelf:
    """The versions of one pattern at one moment. Replaced as a whole, so that no answer mixes facts of two moments."""

    pattern: str
    versions: tuple[int, ...] = ()
    aliases: dict[str, int] = field(default_factory=dict)
    champion: Loaded | None = None
    is_unloaded: bool = False
    """True from an unload request to the next load request: no version is served."""
    shadow: Loaded | None = None
    """The version with the label `shadow`; None without one, and where that is the champion or cannot be loaded."""

    @property
    def loaded(self) -> list[Loaded]:
        return [loaded for loaded in (self.champion, self.shadow) if loaded is not None]

    def check_loaded(self) -> None:
        if self.is_unloaded:
            raise errors.Unloaded(self.pattern)

    @property
    def release(self) -> Served:
        """The champion. Raises Unloaded, or NoGoodVersion where no version could be loaded."""
        self.check_loaded()
        if self.champion is None:
            raise NoGoodVersion(self.pattern)
        return self.champion.release


class Pins:
    """The versions beside the champions that were asked for last. Safe to share between threads.

    Requests get them in the event loop, while the thread that follows the store lets them go.
    """

    def __init__(self) -> None:
        self._loaded: OrderedDict[tuple[str, int], Loaded] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, int]) -> Loaded | None:
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
            return self._loaded.get(key)

    def add(self, key: tuple[str, int], loaded: Loaded) -> None:
        """Add a version, and let the least recently used one go where there are too many."""
        with self._lock:
            self._loaded[key] = loaded
            while len(self._loaded) > MOST_PINNED:
                self._loaded.popitem(last=False)[1].held.close()

    def keep(self, pattern: str, versions: Container[int]) -> None:
        """Let all other versions of the pattern go."""
        with self._lock:
            for key in [key for key in self._loaded if key[0] == pattern and key[1] not in versions]:
                self._loaded.pop(key).held.close()

    def close(self) -> None:
        with self._lock:
            for loaded in self._loaded.values():
                loaded.held.close()


class Registry:
    """The shelves of all patterns. One for the app.

    `release` answers from memory; `refresh` looks at the disk, in a thread of its own.
    """

    def __init__(
        self,
        store: Store,
        statistics: Statistics | None = None,
        tallies: Tallies | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        self._store = store
        self._statistics = statistics or Statistics()
        self._tallies = tallies or Tallies()
        self._shadows = shadows or Shadows(0.0, Likenesses())
        # None: seen on the disk, but not loaded yet.
        self._shelves: dict[str, Shelf | None] = {}
        self._pins = Pins()
        self._refused: dict[tuple[str, int], str] = {}
        # Patterns to look at again even if nothing changes: the disk could not read one of their versions.
        self._unreadable: set[str] = set()
        self._signature: dict[str, object] = {}
        # The newest version of each pattern that `follow` has looked for.
        self._followed: dict[str, int] = {}
        # The last fault that was logged of the store, of each pattern and of each version.
        self._troubles: dict[object, str] = {}
        self._refreshing = asyncio.Lock()
        # A thread of its own, so that it never queues behind work that waits for a disk or a database. One is enough:
        # `_refreshing` lets one look at a time.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="follow")
        self._has_looked = False
        self.is_ready = False

    # -- asking ----------------------------------------------------------------------------------------------------

    @property
    def patterns(self) -> list[str]:
        return sorted(self._shelves)

    @property
    def shelves(self) -> list[Shelf]:
        """The shelves of all patterns that have been looked at, at one moment, by name."""
        return [shelf for _, shelf in sorted(self._shelves.items()) if shelf is not None]

    @property
    def empty(self) -> list[str]:
        """The patterns of which no version can be served, though they are not unloaded."""
        return sorted(
            name
            for name, shelf in self._shelves.items()
            if shelf is None or (shelf.champion is None and not shelf.is_unloaded)
        )

    def refused(self, pattern: str, version: int) -> str:
        """Return the reason why a version is not served; empty if it is, or if its damage has not been found yet."""
        return self._refused.get((pattern, version), "")

    def shelf(self, pattern: str) -> Shelf:
        """Return the pattern's shelf. Raises UnknownPattern, or NotLoaded before the first look has come to it."""
        shelf = self._shelves.get(pattern)
        if shelf is not None:
            return shelf
        if pattern in self._shelves:
            raise errors.NotLoaded(f"pattern {pattern}")
        if not self._has_looked:
            raise errors.NotLoaded("the store")
        raise UnknownPattern(self.patterns)

    def champion(self, pattern: str) -> Served:
        return self.shelf(pattern).release

    async def release(self, pattern: str, version: int | None = None, alias: str | None = None) -> Served:
        """Return the champion, or the version or alias that is given. Other versions are loaded at the first request.

        Raises UnknownPattern, UnknownVersion, UnknownAlias, NotLoaded, Unloaded, NoGoodVersion and BundleDamaged.
        """
        shelf = self.shelf(pattern)
        shelf.check_loaded()
        if alias is not None and alias != CHAMPION and version is None:
            if alias not in shelf.aliases:
                raise UnknownAlias(pattern, shelf.aliases)
            version = shelf.aliases[alias]
        if version is None:
            return shelf.release
        loaded = next((loaded for loaded in shelf.loaded if loaded.release.version == version), None)
        if loaded is not None:
            return loaded.named
        if version not in shelf.versions:
            raise UnknownVersion(pattern, shelf.versions)
        return await self._pin(pattern, version)

    def pair(self, pattern: str) -> Pair:
        """Return the champion and its shadow.

        Raises as `champion` does; and NoShadow, BundleDamaged, NotLoaded and NotComparable.
        """
        shelf = self.shelf(pattern)
        champion, version = shelf.release, shelf.aliases.get(SHADOW)
        if version is None or version == champion.version:
            raise errors.NoShadow(pattern, champion.version, version)
        if shelf.shadow is None:
            reason = self.refused(pattern, version)
            raise BundleDamaged(reason) if reason else errors.NotLoaded(f"version {version} of {pattern}")
        return self._shadows.pair(champion, shelf.shadow.release)

    @property
    def pairs(self) -> list[Pair]:
        """The champions whose questions are copied to a shadow at this moment, and these shadows."""
        live = [shelf.champion.release.live for shelf in self.shelves if shelf.champion is not None]
        return [one.pair for one in live if one is not None and one.pair is not None]

    # -- keeping up ------------------------------------------------------------------------------------------------

    async def watch(self, on_loaded: Callable[[], None]) -> None:
        """Follow the store, which any process may publish into, until cancelled; tell each time that it is loaded."""
        while True:
            if await self.catch_up():
                on_loaded()
            await asyncio.sleep(POLL_SECONDS)

    async def follow(self, pattern: str, published: int) -> None:
        """Look at the store again, unless a call for this version of the pattern, or for a later one, has done so.

        That the version is on the shelf is not enough: a look during the publish may have seen its directory together
        with the champion before it.
        """
        if published <= self._followed.get(pattern, 0):
            return
        with contextlib.suppress(PatternServerError):  # then it is fetched a moment later
            await asyncio.to_thread(self._store.fetch, pattern)
        if await self.catch_up() and pattern not in self._unreadable:
            self._followed[pattern] = published

    async def catch_up(self) -> bool:
        """Refresh if the store can be read; if not, the bundles in memory stay, and `watch` looks again in a moment."""
        try:
            await self.refresh()
        except Exception as error:
            if self._is_news("the store", error):
                log.exception("the store cannot be read")
            return False
        self._troubles.pop("the store", None)
        return True

    async def refresh(self) -> None:
        """Serve what the store holds now. Raises what reading the store raises."""
        async with self._refreshing:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._follow)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        for loaded in [loaded for shelf in self.shelves for loaded in shelf.loaded]:
            loaded.held.close()
        self._pins.close()
        self._shadows.close()

    def _follow(self) -> None:
        signature = self._store.signature()
        for pattern in self._shelves.keys() - signature.keys():
            self._replace(pattern, None)
        # Listed before they are loaded, so that an early request gets "not loaded yet" and not "unknown pattern".
        self._shelves = {**dict.fromkeys(signature), **self._shelves}
        self._has_looked = True
        for pattern, changed in signature.items():
            shelf = self._shelves.get(pattern)
            if shelf is None or pattern in self._unreadable or self._signature.get(pattern) != changed:
                self._unreadable.discard(pattern)
                try:
                    self._replace(pattern, self._look(pattern))
                    self._troubles.pop((pattern,), None)
                except Exception as error:  # a fault of one pattern must not keep the others from being followed
                    if self._is_news((pattern,), error):
                        log.exception("cannot be followed", extra={"pattern": pattern})
                    self._unreadable.add(pattern)
        self._signature = signature
        if not self.is_ready:
            self.is_ready = True
            log.info("ready", extra={"patterns": len(self.patterns)})

    def _is_news(self, about: object, trouble: Exception) -> bool:
        """True if the fault is not the last one logged about this. Without it, every look would log the same fault."""
        before, self._troubles[about] = self._troubles.get(about), repr(trouble)
        return before != self._troubles[about]

    def _look(self, pattern: str) -> Shelf | None:
        try:
            seen = self._store.contents(pattern)
            champion = None if seen.is_unloaded else self._best(pattern, seen)
            shadow = None if champion is None else self._shadow(pattern, seen, champion)
            # Damage that was found just now may have cost a version.
            left = self._store.versions(pattern)
        except UnknownPattern:
            return None
        versions = tuple(version for version in seen.versions if version in left)
        return Shelf(pattern, versions, seen.aliases, champion, seen.is_unloaded, shadow)

    def _replace(self, pattern: str, shelf: Shelf | None) -> None:
        before = self._shelves.get(pattern) or Shelf(pattern)
        self._shelves = {name: kept for name, kept in self._shelves.items() if name != pattern} | (
            {pattern: shelf} if shelf is not None else {}
        )
        after = shelf or Shelf(pattern)
        champion, shadow = (None if each is None else each.release for each in (after.champion, after.shadow))
        self._shadows.follow(pattern, champion, shadow)
        for loaded in before.loaded:
            if not any(loaded is kept for kept in after.loaded):
                loaded.held.close()
        if after.champion is not None and before.champion is not after.champion:
            metrics.SERVED.labels(pattern).set(after.champion.release.version)
            log.info("serving", extra={"pattern": pattern, "version": after.champion.release.version})
        if before.champion is not None and after.champion is None:
            metrics.SERVED.labels(pattern).set(0)
        self._pins.keep(pattern, () if after.is_unloaded else after.versions)

    def _best(self, pattern: str, seen: Contents) -> Loaded | None:
        """Load the champion, or the nearest version before it that verifies; None if there is none."""
        current = (self._shelves.get(pattern) or Shelf(pattern)).champion
        champion = seen.champion
        if champion is None:
            return None
        if current is not None and current.release.version in seen.versions and seen.record is None:
            # Which version is champion cannot be read now; the last look read it.
            log.error("labels are damaged; the champion stays", extra={"pattern": pattern})
            return current
        candidates = [version for version in reversed(seen.versions) if version <= champion]
        for version in candidates:
            if (loaded := self._loaded(pattern, version)) is not None:
                return loaded
        return None

    def _shadow(self, pattern: str, seen: Contents, champion: Loaded) -> Loaded | None:
        current = (self._shelves.get(pattern) or Shelf(pattern)).shadow
        if seen.record is None:  # which version it is cannot be read now, as for the champion
            return current
        version = seen.aliases.get(SHADOW)
        if version is None or version == champion.release.version:
            return None
        return self._loaded(pattern, version)

    def _loaded(self, pattern: str, version: int) -> Loaded | None:
        """Return a version of the shelf as it is loaded, or load it now; None where it cannot be."""
        shelf = self._shelves.get(pattern) or Shelf(pattern)
        for loaded in shelf.loaded:
            if loaded.release.version == version:
                return loaded
        if (pattern, version) not in self._refused:
            with contextlib.suppress(PatternServerError):
                return self._load(pattern, version)
        return None

    async def _pin(self, pattern: str, version: int) -> Served:
        key = (pattern, version)
        if key in self._refused:
            raise BundleDamaged(self._refused[key])
        if (pinned := self._pins.get(key)) is not None:
            return pinned.named
        async with self._refreshing:
            self.shelf(pattern).check_loaded()  # it may have been unloaded while this waited
            if (pinned := self._pins.get(key)) is None:
                loop = asyncio.get_running_loop()
                pinned = await loop.run_in_executor(self._thread, self._load, pattern, version)
                self._pins.add(key, pinned)
            return pinned.named

    def _load(self, pattern: str, version: int) -> Loaded:
        with contextlib.ExitStack() as held:
            try:
                held.enter_context(self._store.hold(pattern, version))
                release = self._store.load(pattern, version)
                self._troubles.pop((pattern, version), None)
            except BundleDamaged as error:
                self._refuse(pattern, version, error)
                raise
            counters, tally = self._statistics.of(pattern, version), self._tallies.of(version, release.bundle)
            named = Served.of(release, counters, tally)
            return Loaded(replace(named, live=self._shadows.live(pattern)), named, held.pop_all())

    def _refuse(self, pattern: str, version: int, error: BundleDamaged) -> None:
        if self._is_news((pattern, version), error):
            log.error("refused", extra={"pattern": pattern, "version": version, "reason": str(error)})
        if isinstance(error, BundleUnreadable):
            self._unreadable.add(pattern)
            return
        self._refused[pattern, version] = str(error)
        with contextlib.suppress(PatternServerError):
            self._store.quarantine_damaged(pattern, version)
