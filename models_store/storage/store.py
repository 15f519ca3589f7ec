"""A directory of published bundles. Renaming a finished directory into place is what publishes it.

<root>/<pattern>/<version>/{bundle.json, network.keras, history.json, evaluation.json, golden.json, MANIFEST.json}
<root>/<pattern>/unloaded         there while somebody wants the pattern not to be served
<root>/<pattern>/labels.json      {"labels": {"champion": 2}, "highest": 3}
<root>/.deleted/<pattern>         the highest version that a deleted pattern ever had
<root>/.lock  <root>/.tmp-*  <root>/.quarantine/{<pattern>-<version>-*/, <pattern>-labels-*}
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models_store.bundle import Bundle, Description
from models_store.errors import (
    BundleDamaged,
    BundleUnreadable,
    ChampionStays,
    LabelsDamaged,
    NoGoodVersion,
    NothingToRollBack,
    PublishUnconfirmed,
    StoreUnwritable,
    UnknownLabel,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.networks.architecture import LoadNetwork
from models_store.storage import manifest
from models_store.storage.disk import ASIDE, LOCK, PATIENCE_SECONDS, Disk, exclusively, reading, writing

log = logging.getLogger("patterns.store")

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
RESERVED = frozenset({"stats", "docs"})
CHAMPION = "champion"
LABELS, UNLOADED = "labels.json", "unloaded"
IDENTITY, QUARANTINE, DELETED = ".identity", ".quarantine", ".deleted"
VERSION = re.compile(r"[1-9][0-9]{0,8}")
LARGEST_VERSION = 999_999_999
# A training may have taken hours; nobody waits for its answer.
PATIENCE_TO_PUBLISH = 600.0
# Each has a name of at most 63 letters, so that their file stays far below what is read of it.
MOST_LABELS, LARGEST_LABELS = 1000, 1 << 20


def is_name(text: str) -> bool:
    """What a pattern or a label may be called."""
    return NAME.fullmatch(text) is not None and text not in RESERVED


@dataclass(frozen=True, eq=False)
class Release:
    """A bundle under the number that the store published it with."""

    version: int
    bundle: Bundle


@dataclass(frozen=True)
class Labels:
    """Where each label points, and the highest version there ever was, so that a number is never used twice."""

    labels: dict[str, int] = field(default_factory=dict)
    highest: int = 0


def _is_own(entry: Path) -> bool:
    """A directory that is really there; through a link the store would act on somebody else's."""
    return entry.is_dir() and not entry.is_symlink()


def _is_stray(directory: Path) -> bool:
    """A directory that was never published, because a manifest comes with whatever is."""
    return directory.is_dir() and not os.path.lexists(directory / manifest.NAME)


class Store:
    """Stateless but for its root, and that it notices when that is gone: all who open a root see the same bundles."""

    def __init__(self, root: Path, load_network: LoadNetwork, *, keep: int = 5, disk: Disk | None = None) -> None:
        self.root = root
        self.keep = keep
        self._load_network = load_network
        self._disk = disk or Disk()
        self._seen: set[str] = set()

    # -- reading: BundleUnreadable where the disk will not -----------------------------------------------------------

    def patterns(self) -> list[str]:
        with reading():
            return sorted(name for name in self._names() if is_name(name) and _is_own(self.root / name))

    def versions(self, pattern: str) -> list[int]:
        """Published versions, oldest first."""
        with reading():
            if is_name(pattern) and _is_own(self.root / pattern):
                return self._found(pattern)
        raise UnknownPattern(self.patterns())

    def labels(self, pattern: str) -> dict[str, int]:
        """Where labels point; nowhere while they are damaged."""
        with reading():
            return (self._read_labels(pattern) or Labels()).labels if is_name(pattern) else {}

    def has_damaged_labels(self, pattern: str) -> bool:
        """Nobody can tell from the disk which version is champion, until one is named again."""
        with reading():
            return is_name(pattern) and self._read_labels(pattern) is None

    def is_unloaded(self, pattern: str) -> bool:
        """Somebody wants the pattern not to be served, in any process, until they say otherwise."""
        with reading():
            return is_name(pattern) and os.path.lexists(self.root / pattern / UNLOADED)

    def champion(self, pattern: str) -> int:
        """The version that answers when none is named: the labelled one, or if that is gone the nearest before it."""
        versions = self.versions(pattern)
        labelled = self.labels(pattern).get(CHAMPION)
        before = [version for version in versions if labelled is None or version <= labelled]
        if not versions:
            raise NoGoodVersion(pattern)
        return max(before) if before else max(versions)

    def load(self, pattern: str, version: int) -> Release:
        """Hashes, weights and golden rows are checked; BundleDamaged says what did not hold."""
        return Release(version, Bundle.from_files(self._files(pattern, version), self._load_network))

    def describe(self, pattern: str, version: int) -> Description:
        """Recipe, card, history and test rows of a version, without its network."""
        return Description.from_files(self._files(pattern, version))

    def version_of(self, pattern: str, job: str) -> int | None:
        """The version that a training published, if it did before it was lost."""
        with contextlib.suppress(UnknownPattern):
            for version in reversed(self.versions(pattern)):
                with contextlib.suppress(BundleDamaged):
                    if self.describe(pattern, version).card.lineage.job == job:
                        return version
        return None

    @contextmanager
    def hold(self, pattern: str, version: int) -> Iterator[None]:
        """While held, by this or any other process, retention leaves the version alone."""
        with reading():
            try:
                descriptor = os.open(self._directory(pattern, version), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                raise UnknownVersion(pattern, self.versions(pattern)) from None
        try:
            with reading():
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if not self._directory(pattern, version).is_dir():  # removed while this waited for the lock
                    raise UnknownVersion(pattern, self.versions(pattern))
            yield
        finally:
            os.close(descriptor)

    def identity(self) -> str:
        """A name for this store that no other has, wherever it is mounted: 32 hexadecimal digits, made once."""
        path = self.root / IDENTITY
        with reading():
            if not os.path.lexists(path):
                with self._writing():
                    if not os.path.lexists(path):
                        self._replace_file(path, uuid.uuid4().hex.encode())
            written = manifest.read_regular(path, most=32)
        if written is None or not re.fullmatch(rb"[0-9a-f]{32}", written):
            raise BundleUnreadable(f"{IDENTITY} of the store does not hold 32 hexadecimal digits; restore or delete it")
        return written.decode()

    def signature(self) -> dict[str, object]:
        """Of each pattern, something that differs whenever its versions or labels do, or it is unloaded or loaded."""
        found: dict[str, object] = {}
        for pattern in self.patterns():
            try:
                found[pattern] = (self._found(pattern), self._read_labels(pattern), self.is_unloaded(pattern))
            except FileNotFoundError:  # removed meanwhile
                continue
            except OSError as error:
                found[pattern] = error.errno
        return found

    # -- writing ---------------------------------------------------------------------------------------------------

    def publish(self, bundle: Bundle, *, promote: bool = True) -> int:
        """Write aside, verify, rename, and only then acknowledge, with the version's number."""
        if not is_name(bundle.pattern):
            raise ValueError(f"{bundle.pattern!r} is not a pattern name")
        files = bundle.to_files()
        with self._writing(PATIENCE_TO_PUBLISH):
            self._disk.check_space(self.root, sum(map(len, files.values())))
            parent = self.root / bundle.pattern
            version = self._next(bundle.pattern)
            files[manifest.NAME] = manifest.manifest_of(bundle.pattern, version, files)
            with self._disk.aside(self.root) as aside:
                self._write_files(aside, files)
                read_back = manifest.read_verified(aside, bundle.pattern, version)
                Bundle.from_files(read_back, self._load_network)
                self._disk.make_directory(parent)
                # Each time: an earlier publish may have made the directory and failed here.
                self._disk.sync_directory(self.root)
                self._disk.rename(aside, parent / str(version))
            try:
                self._acknowledge(bundle.pattern, version, promote)
            except OSError as error:
                raise PublishUnconfirmed(bundle.pattern, version) from error
        log.info("published", extra={"pattern": bundle.pattern, "version": version})
        return version

    def promote_if_unlabelled(self, pattern: str, version: int) -> None:
        """What a publish that was cut short after its rename did not come to; labels written since then stay."""
        with self._writing():
            labels = self._read_labels(pattern)
            if labels is not None and labels.highest < version:
                self._write_labels(pattern, Labels({**labels.labels, CHAMPION: version}, version))

    def set_label(self, pattern: str, label: str, version: int) -> None:
        with self._writing():
            if version not in self.versions(pattern):
                raise UnknownVersion(pattern, self.versions(pattern))
            self._relabel(pattern, label, version)

    def remove_label(self, pattern: str, label: str) -> None:
        with self._writing():
            self.versions(pattern)  # refused where there is no such pattern
            known = self._known_labels(pattern)
            if label == CHAMPION:
                raise ChampionStays(pattern)
            if label not in known:
                raise UnknownLabel(pattern, known)
            left = {name: version for name, version in known.items() if name != label}
            self._write_labels(pattern, Labels(left, self._highest(pattern)))

    def rollback(self, pattern: str) -> int:
        """Champion becomes the version before it."""
        with self._writing():
            champion = self.champion(pattern)
            self._known_labels(pattern)  # refused while nobody knows what there is to go back from
            before = [version for version in self.versions(pattern) if version < champion]
            if not before:
                raise NothingToRollBack(pattern, champion)
            self._relabel(pattern, CHAMPION, max(before))
            return max(before)

    def mark_unloaded(self, pattern: str) -> None:
        """Versions and labels stay, and trainings go on publishing: what is marked is only not served."""
        with self._writing():
            self.versions(pattern)  # refused where there is no such pattern
            if not self.is_unloaded(pattern):
                self._replace_file(self.root / pattern / UNLOADED, b"")

    def mark_loaded(self, pattern: str) -> None:
        with self._writing():
            self.versions(pattern)
            if self.is_unloaded(pattern):
                self._disk.remove(self.root / pattern / UNLOADED)
                self._disk.sync_directory(self.root / pattern)

    def delete(self, pattern: str, version: int) -> None:
        with self._writing():
            if version not in self.versions(pattern):
                raise UnknownVersion(pattern, self.versions(pattern))
            known = self._known_labels(pattern)
            labels = [label for label, labelled in known.items() if labelled == version]
            if labels or version == self.champion(pattern):
                raise VersionInUse(pattern, version, labels or [CHAMPION])
            # First the highest number is written down, so that this one is never given again.
            self._write_labels(pattern, Labels(known, self._highest(pattern)))
            self._remove(pattern, version)

    def delete_pattern(self, pattern: str) -> None:
        """All of its versions and labels, at once; whoever holds a version in memory may finish with it."""
        with self._writing():
            self.versions(pattern)  # refused where there is no such pattern
            # First the highest number is written down, so that none is ever given again: a client may have pinned it.
            self._disk.make_directory(self.root / DELETED)
            self._disk.sync_directory(self.root)
            self._replace_file(self.root / DELETED / pattern, str(self._highest(pattern)).encode())
            with self._disk.aside(self.root) as aside:
                self._disk.rename(self.root / pattern, aside)
                self._disk.sync_directory(self.root)
        log.info("deleted", extra={"pattern": pattern})

    def recover(self) -> list[str]:
        """Idempotent, at every start: sweep what was left half written, quarantine what does not verify."""
        with self._writing():
            for leftover in self.root.glob(f"{ASIDE}*"):
                self._disk.remove(leftover)
            everything = [(pattern, version) for pattern in self.patterns() for version in self._readable(pattern)]
            moved = [self._quarantine_if_damaged(pattern, version) for pattern, version in everything]
            for pattern in self.patterns():
                with contextlib.suppress(OSError):  # not empty, as it should be
                    (self.root / pattern).rmdir()
        return [name for name in moved if name is not None]

    def quarantine_damaged(self, pattern: str, version: int) -> None:
        """Move the version aside if its files are not what was published; a network that answers otherwise may stay."""
        with self._writing():
            if self._directory(pattern, version).is_dir():
                self._quarantine_if_damaged(pattern, version)

    # -- parts of the above, all under the lock -------------------------------------------------------------------

    @contextmanager
    def _writing(self, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        with writing():
            if not self._names() and not self.root.is_dir():
                self._disk.make_root(self.root)
        with exclusively(self.root / LOCK, patience), writing():
            yield

    def _names(self) -> set[str]:
        """What is there of the store. FileNotFoundError if nothing is left of it: its disk is not mounted, say."""
        entries = {entry.name for entry in self.root.iterdir()} if self.root.is_dir() else set()
        names = {name for name in entries if is_name(name) or name in (LOCK, IDENTITY, QUARANTINE, DELETED)}
        if self._seen and not self._seen & names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._seen = names
        return names

    def _found(self, pattern: str) -> list[int]:
        entries = [entry for entry in (self.root / pattern).iterdir() if VERSION.fullmatch(entry.name)]
        return sorted(int(entry.name) for entry in entries if _is_own(entry))

    def _readable(self, pattern: str) -> list[int]:
        """Versions to look at in a recovery; what the disk will not read keeps nobody from looking at the rest."""
        try:
            if self.has_damaged_labels(pattern):
                log.error("labels are damaged; the newest good version answers", extra={"pattern": pattern})
        except BundleUnreadable:
            log.exception("labels cannot be read", extra={"pattern": pattern})
        try:
            return self.versions(pattern)
        except BundleUnreadable:
            log.exception("unreadable", extra={"pattern": pattern})
            return []

    def _files(self, pattern: str, version: int) -> dict[str, bytes]:
        if version not in self.versions(pattern):
            raise UnknownVersion(pattern, self.versions(pattern))
        return manifest.read_verified(self._directory(pattern, version), pattern, version)

    def _directory(self, pattern: str, version: int) -> Path:
        return self.root / pattern / str(version)

    def _next(self, pattern: str) -> int:
        """A number that no version ever had, and that nothing else has for a name."""
        version = self._highest(pattern) + 1
        while os.path.lexists(self._directory(pattern, version)):
            version += 1
        if version > LARGEST_VERSION:
            raise StoreUnwritable(f"the version numbers of {pattern} are used up")
        return version

    def _highest(self, pattern: str) -> int:
        """The highest version there ever was, also if it is gone by now; stray directories were none."""
        existing = self._published(pattern, self.versions(pattern)) if (self.root / pattern).is_dir() else []
        name = re.compile(rf"({pattern}-({VERSION.pattern})-[0-9a-f]+)\.reason\.txt")
        found = [name.fullmatch(path.name) for path in (self.root / QUARANTINE).glob("*.reason.txt")]
        set_aside = [int(match[2]) for match in found if match and not _is_stray(self.root / QUARANTINE / match[1])]
        labelled = (self._read_labels(pattern) or Labels()).highest
        return max([0, *existing, *set_aside, labelled, self._highest_deleted(pattern)])

    def _highest_deleted(self, pattern: str) -> int:
        """Of an earlier pattern of this name, which was deleted as a whole."""
        try:
            written = manifest.read_regular(self.root / DELETED / pattern, most=9) or b""
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return int(written) if VERSION.fullmatch(written.decode("ascii", "replace")) else 0

    def _published(self, pattern: str, found: list[int]) -> list[int]:
        return [version for version in found if not _is_stray(self._directory(pattern, version))]

    def _write_files(self, directory: Path, files: dict[str, bytes]) -> None:
        self._disk.make_directory(directory)
        for name, content in files.items():
            self._disk.write_new(directory / name, content)
        self._disk.sync_directory(directory)

    def _acknowledge(self, pattern: str, version: int, promote: bool) -> None:
        self._disk.sync_directory(self.root / pattern)
        labels = self._read_labels(pattern)
        if labels is None:
            # They may have pointed at any version, so that none is retired; only a promotion says more than they did.
            if promote:
                self._write_labels(pattern, Labels({CHAMPION: version}, version))
            return
        champion = {CHAMPION: version} if promote or CHAMPION not in labels.labels else {}
        self._write_labels(pattern, Labels({**labels.labels, **champion}, version))
        self._retire(pattern)

    def _read_labels(self, pattern: str) -> Labels | None:
        """None if they are damaged; an error of the operating system passes through, and says nothing about them."""
        try:
            written = manifest.read_regular(self.root / pattern / LABELS, LARGEST_LABELS)
            if written is None:
                return None
            saved: dict[str, Any] = json.loads(written)
            if written != manifest.sealed({"labels": saved["labels"], "highest": saved["highest"]}):
                raise ValueError("the seal is broken")
            labels = {str(label): int(version) for label, version in saved["labels"].items()}
            highest = int(saved["highest"])
            if not all(0 <= version <= LARGEST_VERSION for version in (highest, *labels.values())):
                raise ValueError("a version has a number that none can have")
            return Labels(labels, highest)
        except (FileNotFoundError, NotADirectoryError):
            return Labels()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None

    def _relabel(self, pattern: str, label: str, version: int) -> None:
        if not is_name(label):
            raise UnknownLabel(pattern, self.labels(pattern))
        known = {} if label == CHAMPION and self.has_damaged_labels(pattern) else self._known_labels(pattern)
        if label not in known and len(known) >= MOST_LABELS:
            raise StoreUnwritable(f"{pattern} has {MOST_LABELS} labels, which is the most")
        self._write_labels(pattern, Labels({**known, label: version}, self._highest(pattern)))

    def _known_labels(self, pattern: str) -> dict[str, int]:
        labels = self._read_labels(pattern)
        if labels is None:
            raise LabelsDamaged(pattern)
        return labels.labels

    def _write_labels(self, pattern: str, labels: Labels) -> None:
        if self._read_labels(pattern) is None:
            self._keep_damaged_labels(pattern)
        self._replace_file(self.root / pattern / LABELS, manifest.sealed(vars(labels)))

    def _keep_damaged_labels(self, pattern: str) -> None:
        """A copy for whoever can still read them; the file stays until it is replaced, so that there always is one.

        What is no file that could be copied is moved instead.
        """
        quarantine, name = self.root / QUARANTINE, f"{pattern}-labels-{uuid.uuid4().hex[:8]}"
        damaged = self.root / pattern / LABELS
        written = manifest.read_regular(damaged, LARGEST_LABELS)
        reason = (
            b"the labels are no regular file, or too large" if written is None else b"the seal of the labels is broken"
        )
        self._disk.make_directory(quarantine)
        self._disk.write_new(quarantine / f"{name}.reason.txt", reason)
        if written is not None:
            self._disk.write_new(quarantine / name, written)
        self._disk.sync_directory(quarantine)
        if written is None:
            self._disk.rename(damaged, quarantine / name)
        log.error("damaged labels are replaced", extra={"pattern": pattern, "kept": name})

    def _replace_file(self, path: Path, content: bytes) -> None:
        with self._disk.aside(self.root) as aside:
            self._disk.write_new(aside, content)
            self._disk.rename(aside, path)
        self._disk.sync_directory(path.parent)

    def _retire(self, pattern: str) -> None:
        """Keep the newest `keep`, whatever a label points at, and whatever some process has loaded."""
        labelled = set(self._known_labels(pattern).values())
        for version in self._published(pattern, self._found(pattern))[: -self.keep]:
            if version not in labelled:
                with self._unheld(pattern, version) as is_free:
                    if is_free:
                        self._remove(pattern, version)

    @contextmanager
    def _unheld(self, pattern: str, version: int) -> Iterator[bool]:
        """False if some process holds it; else nobody can take hold of it until it is gone."""
        descriptor = os.open(self._directory(pattern, version), os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            yield False
            return
        try:
            yield True
        finally:
            os.close(descriptor)

    def _remove(self, pattern: str, version: int) -> None:
        """Renamed away first: a version is there whole or not at all."""
        with self._disk.aside(self.root) as aside:
            self._disk.rename(self._directory(pattern, version), aside)
            self._disk.sync_directory(self.root / pattern)

    def _quarantine_if_damaged(self, pattern: str, version: int) -> str | None:
        try:
            manifest.read_verified(self._directory(pattern, version), pattern, version)
        except BundleUnreadable:
            log.exception("unreadable", extra={"pattern": pattern, "version": version})
        except BundleDamaged as error:
            return self._quarantine(pattern, version, str(error))
        return None

    def _quarantine(self, pattern: str, version: int, reason: str) -> str:
        name = f"{pattern}-{version}-{uuid.uuid4().hex[:8]}"
        quarantine = self.root / QUARANTINE
        self._disk.make_directory(quarantine)
        self._disk.write_new(quarantine / f"{name}.reason.txt", reason.encode())
        self._disk.sync_directory(quarantine)
        self._disk.rename(self._directory(pattern, version), quarantine / name)
        self._disk.sync_directory(self.root / pattern)
        log.error("quarantined", extra={"pattern": pattern, "version": version, "reason": reason})
        return name
