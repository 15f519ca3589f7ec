"""A directory of published bundles. Renaming a finished directory into place is what publishes it.

<root>/<pattern>/<version>/{bundle.json, network.keras, history.json, evaluation.json, golden.json, MANIFEST.json}
<root>/<pattern>/unloaded         there while the pattern is not to be served
<root>/<pattern>/labels.json      {"labels": {"champion": 2}, "highest": 3}
<root>/.deleted/<pattern>         the highest version that a deleted pattern ever had
<root>/.identity                  32 hexadecimal digits that no other store has
<root>/.lock  <root>/.tmp-*  <root>/.quarantine/{<pattern>-<version>-*/, <pattern>-labels-*}
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models_store.bundle import Bundle, Description
from models_store.errors import (
    BundleDamaged,
    BundleUnreadable,
    ChampionMoved,
    ImportRefused,
    NoGoodVersion,
    PublishUnconfirmed,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.names import is_name
from models_store.networks.architecture import LoadNetwork
from models_store.storage import locks, manifest
from models_store.storage.aliases import CHAMPION, Aliases, AliasRecord, champion_of
from models_store.storage.disk import ASIDE, Disk, reading
from models_store.storage.packed import packed, unpacked
from models_store.storage.quarantine import Quarantine
from models_store.storage.root import Root
from models_store.storage.versions import Versions, is_own

log = logging.getLogger("patterns.store")

UNLOADED = "unloaded"
# A training may have taken hours; nobody waits for its answer.
PATIENCE_TO_PUBLISH = 600.0


@dataclass(frozen=True, eq=False)
class Release:
    """A bundle under the number that the store published it with."""

    version: int
    bundle: Bundle


@dataclass(frozen=True)
class InPlaceOf:
    """Promote a version on condition that this one is still the champion; None: that there is none."""

    champion: int | None

    def check(self, pattern: str, champion: int | None) -> None:
        """Raise ChampionMoved where another one is the champion."""
        if champion != self.champion:
            raise ChampionMoved(pattern, self.champion, champion)


Promoting = bool | InPlaceOf


class Contents(NamedTuple):
    """The versions of a pattern, oldest first, and its aliases, as one look at the disk found them."""

    versions: list[int]
    record: AliasRecord | None
    """None: the aliases are damaged."""
    is_unloaded: bool

    @property
    def aliases(self) -> dict[str, int]:
        """The version of each alias; none while they are damaged."""
        return self.record.aliases if self.record is not None else {}

    @property
    def champion(self) -> int | None:
        """The version that answers when none is named; None where there is no version."""
        return champion_of(self.aliases, self.versions) if self.versions else None


class Store:
    """The store at one root. Everything is on disk, so that all who open the root see the same bundles.

    In memory it keeps one thing, in `Root`: which entries it saw last, to notice that its disk is gone.
    """

    def __init__(self, root: Path, load_network: LoadNetwork, *, keep: int = 5, disk: Disk | None = None) -> None:
        """`keep`: how many of the newest versions of a pattern retention leaves alone."""
        self.root = root
        self.keep = keep
        self._load_network = load_network
        self._disk = disk or Disk()
        self._root = Root(root, self._disk)
        self._quarantine = Quarantine(root, self._disk)

    # -- reading: raises BundleUnreadable where the disk will not ------------------------------------------------------

    def patterns(self) -> list[str]:
        with reading():
            return sorted(name for name in self._root.names() if is_name(name) and is_own(self.root / name))

    def versions(self, pattern: str) -> list[int]:
        """Published versions, oldest first. Raises UnknownPattern."""
        with reading():
            if is_name(pattern) and is_own(self.root / pattern):
                return self._versions(pattern).found()
        raise UnknownPattern(self.patterns())

    def contents(self, pattern: str) -> Contents:
        """Return versions and aliases that belong together. Raises UnknownPattern."""
        with reading():
            if is_name(pattern) and is_own(self.root / pattern):
                return self._contents(pattern)
        raise UnknownPattern(self.patterns())

    def aliases(self, pattern: str) -> dict[str, int]:
        """The version of each alias; none while they are damaged."""
        with reading():
            return self._aliases(pattern).found() if is_name(pattern) else {}

    def has_damaged_aliases(self, pattern: str) -> bool:
        """True if nobody can tell from the disk which version is champion, until one is named again."""
        with reading():
            return is_name(pattern) and self._aliases(pattern).is_damaged()

    def is_unloaded(self, pattern: str) -> bool:
        """True if the pattern is not to be served, in any process, until `mark_loaded`."""
        with reading():
            return is_name(pattern) and os.path.lexists(self.root / pattern / UNLOADED)

    def champion(self, pattern: str) -> int:
        """The version that answers when none is named. Raises UnknownPattern, NoGoodVersion."""
        champion = self.contents(pattern).champion
        if champion is None:
            raise NoGoodVersion(pattern)
        return champion

    def load(self, pattern: str, version: int) -> Release:
        """Read a version and check hashes, weights and golden rows. Raises UnknownVersion, BundleDamaged."""
        return Release(version, Bundle.from_files(self._files(pattern, version), self._load_network))

    def describe(self, pattern: str, version: int) -> Description:
        """Recipe, card, history and test rows of a version, without its network. Raises as `load` does."""
        return Description.from_files(self._files(pattern, version))

    def packed(self, pattern: str, version: int) -> bytes:
        """Return a version as one zip file, once its files have passed every check of a load. Raises as `load` does."""
        files = self._files(pattern, version)
        Bundle.from_files(files, self._load_network)
        return packed(files, pattern, version)

    def version_of(self, pattern: str, job: str) -> int | None:
        """The version that a training published, if it did before it was lost."""
        with contextlib.suppress(UnknownPattern):
            for version in reversed(self.versions(pattern)):
                with contextlib.suppress(BundleDamaged):
                    if self.describe(pattern, version).card.lineage.job == job:
                        return version
        return None

    def outbox(self, job: str) -> Path | None:
        """Where a training is to publish instead of here, for `deliver`; None: here."""
        return None

    def deliver(self, pattern: str, job: str, *, promote: bool | None) -> int | None:
        """Return the version that a training published; None if it did not. Raises as publishing does.

        `promote`: whether it is to be the champion; None where its card says so, in place of the one that it names.
        """
        return self.version_of(pattern, job)

    def discard(self, job: str) -> None:
        """Forget what a training has published elsewhere and `deliver` has not taken: nothing, where there is none."""

    def fetch(self, pattern: str) -> None:
        """Do on the disk what has changed of the pattern elsewhere: nothing, where the disk is all there is."""

    @contextmanager
    def hold(self, pattern: str, version: int) -> Iterator[None]:
        """Keep retention, in this and all other processes, away from a version. Raises UnknownVersion."""
        directory = self._versions(pattern).directory(version)
        with contextlib.ExitStack() as held:
            with reading():
                try:
                    held.enter_context(locks.shared(directory))
                except (FileNotFoundError, NotADirectoryError):
                    raise UnknownVersion(pattern, self.versions(pattern)) from None
                if not directory.is_dir():  # removed while this waited for the lock
                    raise UnknownVersion(pattern, self.versions(pattern))
            yield

    def identity(self) -> str:
        """Return 32 hexadecimal digits that no other store has, wherever it is mounted."""
        return self._root.identity()

    def signature(self) -> dict[str, object]:
        """A value for each pattern that changes with its versions, its aliases, and whether it is unloaded."""
        found: dict[str, object] = {}
        for pattern in self.patterns():
            try:
                found[pattern] = self._contents(pattern)
            except FileNotFoundError:  # removed meanwhile
                continue
            except OSError as error:
                found[pattern] = error.errno
        return found

    # -- writing: raises StoreBusy, DiskFull or StoreUnwritable --------------------------------------------------------

    def publish(self, bundle: Bundle, *, promote: Promoting = True) -> int:
        """Write aside, read back and verify, rename, and only then acknowledge, with the number of the version.

        What a job has published already is not published again: that version is acknowledged.

        Raises ChampionMoved where the champion is not the one that it was to replace; nothing is published then.
        Raises ValueError for a pattern that may not be called so, NotFinite for golden rows without an answer,
        BundleDamaged for what was written and does not load; nothing is published then, nor where the disk refuses.
        Raises PublishUnconfirmed if the version is in place and the disk failed afterwards, at aliases or retention.
        """
        if not is_name(bundle.pattern):
            raise ValueError(f"{bundle.pattern!r} is not a pattern name")
        return self._publish(bundle.pattern, bundle.to_files(), promote=promote, job=bundle.card.lineage.job)

    def add_packed(self, content: bytes, *, promote: bool = True) -> tuple[str, int]:
        """Publish a packed version, from this store or another, as a new version. Return its pattern and number.

        It passes every check of a load first. Raises ImportRefused where it does not, and as `publish` does.
        """
        pattern, _, files = unpacked(content)
        try:
            bundle = Bundle.from_files(files, self._load_network)
        except BundleUnreadable:
            raise
        except BundleDamaged as error:
            raise ImportRefused(str(error)) from None
        if bundle.pattern != pattern or not is_name(pattern):
            raise ImportRefused("its pattern is not the one that it was packed as, or may not be called so")
        return pattern, self._publish(pattern, files, promote=promote)

    def _publish(self, pattern: str, files: dict[str, bytes], *, promote: Promoting, job: str | None = None) -> int:
        with self._root.changing(PATIENCE_TO_PUBLISH):
            # Of two trainers of one job the first has published it: its server stood still, and another took the job.
            if job is not None and (published := self.version_of(pattern, job)) is not None:
                return published
            if isinstance(promote, InPlaceOf):
                promote.check(pattern, self._champion(pattern))
            self._disk.check_space(self.root, sum(map(len, files.values())))
            version = self._versions(pattern).next_after(self._highest(pattern))
            files = {**files, manifest.NAME: manifest.manifest_of(pattern, version, files)}
            with self._disk.aside(self.root) as aside:
                self._disk.write_directory(aside, files)
                Bundle.from_files(manifest.read_verified(aside, pattern, version), self._load_network)
                self._disk.make_directory(self.root / pattern)
                # Each time: an earlier publish may have made the directory and failed here.
                self._disk.sync_directory(self.root)
                self._disk.rename(aside, self._versions(pattern).directory(version))
            try:
                self._acknowledge(pattern, version, promote is not False)
            except OSError as error:
                raise PublishUnconfirmed(pattern, version) from error
        log.info("published", extra={"pattern": pattern, "version": version})
        return version

    def promote_if_unaliased(self, pattern: str, version: int) -> None:
        """Finish a publish that was cut short after its rename; aliases written since then stay."""
        with self._root.changing():
            self._aliases(pattern).promote_late(version)

    def set_alias(self, pattern: str, alias: str, version: int) -> None:
        """Raises UnknownVersion, UnknownAlias if it is not a name, AliasesDamaged unless it is champion."""
        with self._root.changing():
            self._check_known(pattern, version)
            self._aliases(pattern).set(alias, version, self._highest(pattern))

    def remove_alias(self, pattern: str, alias: str) -> None:
        """Raises UnknownPattern, UnknownAlias, ChampionStays, AliasesDamaged."""
        with self._root.changing():
            self.versions(pattern)  # refused where there is no such pattern
            self._aliases(pattern).remove(alias, self._highest(pattern))

    def rollback(self, pattern: str) -> int:
        """Make the version before the champion the champion. Raises NothingToRollBack, AliasesDamaged."""
        with self._root.changing():
            version = self._aliases(pattern).before_champion(self.versions(pattern))
            self._aliases(pattern).set(CHAMPION, version, self._highest(pattern))
            return version

    def mark_unloaded(self, pattern: str) -> None:
        """Keep the pattern from being served; versions and aliases stay, and trainings go on publishing."""
        with self._root.changing():
            self.versions(pattern)  # refused where there is no such pattern
            if not self.is_unloaded(pattern):
                self._disk.replace_file(self.root, self.root / pattern / UNLOADED, b"")

    def mark_loaded(self, pattern: str) -> None:
        with self._root.changing():
            self.versions(pattern)
            if self.is_unloaded(pattern):
                self._disk.remove(self.root / pattern / UNLOADED)
                self._disk.sync_directory(self.root / pattern)

    def delete(self, pattern: str, version: int) -> None:
        """Raises UnknownVersion, VersionInUse while an alias points at the version, AliasesDamaged."""
        with self._root.changing():
            self._check_known(pattern, version)
            known = self._aliases(pattern).known()
            aliases = [alias for alias, pointed_at in known.items() if pointed_at == version]
            if aliases or version == self.champion(pattern):
                raise VersionInUse(pattern, version, aliases or [CHAMPION])
            # First the highest number is written down, so that this one is never given again.
            self._aliases(pattern).write(AliasRecord(known, self._highest(pattern)))
            self._versions(pattern).remove(version)

    def delete_pattern(self, pattern: str) -> None:
        """Delete all versions and aliases at once; whoever holds a version in memory may finish with it."""
        with self._root.changing():
            self.versions(pattern)  # refused where there is no such pattern
            self._remove_pattern(pattern)
        log.info("deleted", extra={"pattern": pattern})

    def recover(self) -> list[str]:
        """Sweep up what was left half written, and quarantine what does not verify: its names there. Idempotent."""
        with self._root.changing():
            for leftover in self.root.glob(f"{ASIDE}*"):
                self._disk.remove(leftover)
            everything = [(pattern, version) for pattern in self.patterns() for version in self._readable(pattern)]
            moved = [self._quarantine.take_if_damaged(pattern, version) for pattern, version in everything]
            for pattern in self.patterns():
                with contextlib.suppress(OSError):  # not empty, as it should be
                    (self.root / pattern).rmdir()
        return [name for name in moved if name is not None]

    def quarantine_damaged(self, pattern: str, version: int) -> None:
        """Quarantine the version if its files are not what was published; else it stays, whatever its network does."""
        with self._root.changing():
            if self._versions(pattern).directory(version).is_dir():
                self._quarantine.take_if_damaged(pattern, version)

    # -- parts of the above --------------------------------------------------------------------------------------------

    def _versions(self, pattern: str) -> Versions:
        return Versions(self.root, pattern, self._disk)

    def _remove_pattern(self, pattern: str) -> None:
        self._versions(pattern).remember_highest(self._highest(pattern))
        with self._disk.aside(self.root) as aside:
            self._disk.rename(self.root / pattern, aside)
            self._disk.sync_directory(self.root)

    def _aliases(self, pattern: str) -> Aliases:
        return Aliases(self.root, pattern, self._disk)

    def _contents(self, pattern: str) -> Contents:
        # Aliases first: a publish renames the version into place before it points the champion at it. So a version that
        # an alias points at is among those that are found afterwards.
        record = self._aliases(pattern).read()
        return Contents(self._versions(pattern).found(), record, self.is_unloaded(pattern))

    def _champion(self, pattern: str) -> int | None:
        """Return the champion; None where there is no version."""
        return self._contents(pattern).champion if is_own(self.root / pattern) else None

    def _check_known(self, pattern: str, version: int) -> None:
        if version not in (known := self.versions(pattern)):
            raise UnknownVersion(pattern, known)

    def _files(self, pattern: str, version: int) -> dict[str, bytes]:
        self._check_known(pattern, version)
        return manifest.read_verified(self._versions(pattern).directory(version), pattern, version)

    def _highest(self, pattern: str) -> int:
        """The highest version there ever was, also if it is gone by now."""
        existing = self._versions(pattern).published(self.versions(pattern)) if (self.root / pattern).is_dir() else []
        recorded = (self._aliases(pattern).read() or AliasRecord()).highest
        deleted = self._versions(pattern).remembered_highest()
        return max([0, *existing, *self._quarantine.versions(pattern), recorded, deleted])

    def _acknowledge(self, pattern: str, version: int, promote: bool) -> None:
        self._disk.sync_directory(self.root / pattern)
        aliases = self._aliases(pattern)
        was_damaged = aliases.is_damaged()
        aliases.record_published(version, promote=promote)
        if not was_damaged:  # damaged ones may have pointed at any version, and then none is retired
            self._versions(pattern).retire(self.keep, aliases.known().values())

    def _readable(self, pattern: str) -> list[int]:
        """The versions to look at in a recovery; none where the disk will not read them, so that it goes on."""
        try:
            if self.has_damaged_aliases(pattern):
                log.error("labels are damaged; the newest good version answers", extra={"pattern": pattern})
        except BundleUnreadable:
            log.exception("labels cannot be read", extra={"pattern": pattern})
        try:
            return self.versions(pattern)
        except BundleUnreadable:
            log.exception("unreadable", extra={"pattern": pattern})
            return []
