"""A store that shares a bucket with others: what one publishes or changes, all have in a moment.

The directory is what is served, whether the bucket answers or not. Each change is made in the bucket first, in one
step, and then on the disk, in the same way as changes of others arrive there.

<root>/.outbox/<job>/      a store for what a training has published, until the bucket has it
<root>/.bucket             the identity of the bucket
<root>/.pull.lock          held by the process that does here what the bucket says
"""

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from models_store.bundle import Description
from models_store.errors import (
    BucketUnavailable,
    BundleDamaged,
    BundleUnreadable,
    ChampionStays,
    NothingToRollBack,
    PatternServerError,
    StoreUnwritable,
    UnknownAlias,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.names import LARGEST_VERSION, is_name
from models_store.networks.architecture import LoadNetwork
from models_store.storage import locks, manifest
from models_store.storage.aliases import CHAMPION, MOST_ALIASES, AliasRecord, champion_of
from models_store.storage.bucket import Bucket, DamagedObject, Entry, Record
from models_store.storage.datasets import FACTS, ID, TABLE, Datasets
from models_store.storage.disk import Disk, writing
from models_store.storage.quarantine import Quarantine
from models_store.storage.store import PATIENCE_TO_PUBLISH, UNLOADED, InPlaceOf, Promoting, Store

log = logging.getLogger("patterns.bucket")

OUTBOX, IDENTITY, PULL_LOCK = ".outbox", ".bucket", ".pull.lock"
# Seconds until a damaged object is looked at again, and between two sweeps of files that no version has.
AGAIN_SECONDS, SWEEP_SECONDS = 60.0, 3600.0
# No job that somebody waits for has finished training so long ago.
OUTBOX_SECONDS = 7 * 86400.0


class SharedStore(Store):
    """A store at one root, and its bucket. Writing raises BucketUnavailable too; `pull` is called every second."""

    def __init__(
        self, root: Path, load_network: LoadNetwork, bucket: Bucket, *, keep: int = 5, disk: Disk | None = None
    ) -> None:
        super().__init__(root, load_network, keep=keep, disk=disk)
        self._bucket = bucket
        # The tags of the records that the disk agrees with, and the versions that it had then.
        self._pulled: dict[str, tuple[str | None, list[int]]] = {}
        # When a damaged version was last looked at, by the hash of its manifest; and a damaged record, by its pattern.
        self._damaged: dict[str, float] = {}
        self._swept = time.monotonic()

    # -- following the bucket ------------------------------------------------------------------------------------------

    def pull(self) -> None:
        """Do on the disk what has changed in the bucket, and give the bucket the patterns that it lacks.

        Raises BucketUnavailable, and StoreBusy, DiskFull or StoreUnwritable.
        """
        tags = self._bucket.tags()
        troubles: list[PatternServerError] = []
        for pattern in sorted({*tags, *self.patterns()}):
            try:
                self._pull(pattern, tags.get(pattern))
            except BucketUnavailable:
                raise
            except PatternServerError as error:  # a fault of one pattern must not keep the others from being pulled
                troubles.append(error)
        if troubles:
            raise troubles[0]
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            for pattern in tags:
                self._bucket.sweep(pattern)

    def _pull(self, pattern: str, tag: str | None) -> None:
        if tag is None:
            self._give(pattern)
        elif self._pulled.get(pattern) != (tag, self._here(pattern)):
            self.fetch(pattern)

    def fetch(self, pattern: str) -> None:
        """Do on the disk what has changed of this pattern in the bucket. Raises as `pull` does."""
        with writing():
            self.root.mkdir(parents=True, exist_ok=True)
        # One process at a time, from reading a record on: an older one must not be applied after a newer one.
        with locks.exclusively(self.root / PULL_LOCK, PATIENCE_TO_PUBLISH):
            try:
                record, tag = self._bucket.record(pattern)
            except BundleDamaged as error:
                if self._damaged.get(pattern) is None:
                    log.error("a pattern stays as it is", extra={"pattern": pattern, "reason": str(error)})
                self._damaged[pattern] = time.monotonic()
                return
            self._damaged.pop(pattern, None)
            if tag is not None:
                is_done = self._follow(pattern, record)
                self._pulled[pattern] = (tag if is_done else None, self._here(pattern))

    def _follow(self, pattern: str, record: Record) -> bool:
        """Do on the disk what the record says; False if something is left to do."""
        for version in self._unknown(pattern, record):
            try:
                record = self._give_version(pattern, version)
            except BundleUnreadable:
                raise
            except BundleDamaged:  # out of the way of the bucket's own
                with self._root.changing():
                    Quarantine(self.root, self._disk).take_if_damaged(pattern, version)
        fetched = {
            version: files
            for version, entry in record.versions.items()
            if self._manifest_of(pattern, version) != entry.manifest
            and (files := self._verified(pattern, version, entry)) is not None
        }
        with self._root.changing(PATIENCE_TO_PUBLISH):
            return self._apply(pattern, record, fetched)

    def _verified(self, pattern: str, version: int, entry: Entry) -> dict[str, bytes] | None:
        """Return the files of a version; None if they are damaged, which is looked at again in a minute."""
        if time.monotonic() - self._damaged.get(entry.manifest, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return None
        try:
            files = self._bucket.files(pattern, entry.manifest)
            if manifest.verified(files)[:2] != (pattern, version):
                raise BundleDamaged(f"{manifest.NAME} in the bucket belongs to another version")
        except BundleDamaged as error:
            if self._bucket.record(pattern)[0].versions.get(version) != entry:
                return None  # deleted meanwhile, and its files with it
            self._keep_damaged(f"{pattern}-{version}-object", error)
            is_new = entry.manifest not in self._damaged
            self._damaged[entry.manifest] = time.monotonic()
            log.log(
                logging.ERROR if is_new else logging.DEBUG,
                "quarantined",
                extra={"pattern": pattern, "version": version, "reason": str(error)},
            )
            return None
        self._damaged.pop(entry.manifest, None)
        return files

    def _keep_damaged(self, name: str, error: BundleDamaged) -> None:
        if any(self.root.glob(f".quarantine/{name}-*")):  # found before, and looked at again
            return
        content = error.content if isinstance(error, DamagedObject) else None
        with self._root.changing():
            Quarantine(self.root, self._disk).keep_file(self.root / name, name, content or b"", str(error))

    def _apply(self, pattern: str, record: Record, fetched: dict[int, dict[str, bytes]]) -> bool:
        """Change the directory of a pattern to what the record says; False if something is left to do."""
        if not record.versions:
            if pattern in self.patterns():
                self._remove_pattern(pattern)
            return True
        for version, files in sorted(fetched.items()):
            self._place(pattern, version, files)
        if not (present := self._here(pattern)):
            return False
        aliases = self._aliases(pattern)
        if aliases.read() != (wanted := AliasRecord(record.aliases, record.highest)):
            aliases.write(wanted)
        self._mark(pattern, record)
        for version in present:
            if version not in record.versions and version <= record.highest:
                self._versions(pattern).remove(version)
        return record.versions.keys() <= set(present)

    def _place(self, pattern: str, version: int, files: dict[str, bytes]) -> None:
        """Make a version's directory, instead of another one of this number."""
        directory = self._versions(pattern).directory(version)
        with self._disk.aside(self.root) as aside, self._disk.aside(self.root) as replaced:
            self._disk.check_space(self.root, sum(map(len, files.values())))
            self._disk.write_directory(aside, files)
            self._disk.make_directory(self.root / pattern)
            self._disk.sync_directory(self.root)
            if directory.exists():
                self._disk.rename(directory, replaced)
            self._disk.rename(aside, directory)
            self._disk.sync_directory(directory.parent)
        log.info("pulled", extra={"pattern": pattern, "version": version})

    def _mark(self, pattern: str, record: Record) -> None:
        if record.is_unloaded != self.is_unloaded(pattern):
            if record.is_unloaded:
                self._disk.replace_file(self.root, self.root / pattern / UNLOADED, b"")
            else:
                self._disk.remove(self.root / pattern / UNLOADED)

    # -- giving to the bucket ------------------------------------------------------------------------------------------

    def _unknown(self, pattern: str, record: Record) -> list[int]:
        """Versions that the bucket has never had: a command has published them here, or before there was a bucket."""
        return [
            version
            for version in self._here(pattern)
            if (mine := self._manifest_of(pattern, version)) is not None
            and (version > record.highest or mine != record.versions.get(version, Entry(mine, None)).manifest)
        ]

    def _here(self, pattern: str) -> list[int]:
        try:
            return self.versions(pattern)
        except UnknownPattern:
            return []

    def _give(self, pattern: str) -> None:
        """Write the record of a pattern that the bucket does not have, with all that is here of it."""
        known = self.contents(pattern)
        entries = {}
        for version in known.versions:
            with suppress(BundleDamaged):
                files = self._files(pattern, version)
                written = manifest.manifest_of(pattern, version, files)
                self._bucket.put_files(pattern, [*files.values(), written])
                entries[version] = Entry(sha256(written).hexdigest(), _job_of(files))
        if entries:
            mine = Record(entries, known.aliases, self._highest(pattern), known.is_unloaded)
            self._bucket.change(pattern, lambda found: found if found.highest else mine)

    def _give_version(self, pattern: str, version: int) -> Record:
        """Publish in the bucket what is a version only here, under the next number there if its own is taken."""
        files = self._files(pattern, version)
        return self._published(pattern, files, promote=self.champion(pattern) == version, job=_job_of(files))

    def _manifest_of(self, pattern: str, version: int) -> str | None:
        """The hash of the manifest of a version here; None where there is none."""
        try:
            written = manifest.read_regular(
                self._versions(pattern).directory(version) / manifest.NAME, manifest.LARGEST_MANIFEST
            )
        except OSError:
            return None
        return None if written is None else sha256(written).hexdigest()

    # -- publishing ----------------------------------------------------------------------------------------------------

    def outbox(self, job: str) -> Path:
        return self.root / OUTBOX / job

    def deliver(self, pattern: str, job: str, *, promote: bool | None) -> int | None:
        """Publish what a training has left in its outbox; return its version, also if it was published before."""
        waiting = Store(self.outbox(job), self._load_network, disk=self._disk)
        version = None
        if waiting.root.is_dir():
            waiting.recover()
            for found in waiting.versions(pattern) if pattern in waiting.patterns() else []:
                files = waiting._files(pattern, found)
                wanted = _as_its_card_says(files) if promote is None else promote
                version = self._publish(pattern, files, promote=wanted, job=job)
            with writing():
                self._disk.remove(waiting.root)
        return version or self._bucket.record(pattern)[0].version_of(job)

    def discard(self, job: str) -> None:
        if self.outbox(job).is_dir():
            with writing():
                self._disk.remove(self.outbox(job))

    def version_of(self, pattern: str, job: str) -> int | None:
        return self._bucket.record(pattern)[0].version_of(job)

    def recover(self) -> list[str]:
        """As every store; and forget what trainings left that another server has taken up, once it is old."""
        moved = super().recover()
        for left in (self.root / OUTBOX).glob("*"):
            if time.time() - left.stat().st_mtime > OUTBOX_SECONDS:
                self._disk.remove(left)
        return moved

    def _publish(self, pattern: str, files: dict[str, bytes], *, promote: Promoting, job: str | None = None) -> int:
        record = self._published(pattern, files, promote=promote, job=job)
        self._fetch_soon(pattern)
        return record.version_of(job) or record.highest

    def _published(self, pattern: str, files: dict[str, bytes], *, promote: Promoting, job: str | None) -> Record:
        self._bucket.put_files(pattern, list(files.values()))

        def published(before: Record) -> Record:
            if before.version_of(job) is not None:
                return before
            if isinstance(promote, InPlaceOf):
                promote.check(pattern, _champion_of(before))
            version = before.highest + 1
            if version > LARGEST_VERSION:
                raise StoreUnwritable(f"the version numbers of {pattern} are used up")
            written = manifest.manifest_of(pattern, version, files)
            self._bucket.put_files(pattern, [written])
            versions = {**before.versions, version: Entry(sha256(written).hexdigest(), job)}
            is_champion = promote is not False or CHAMPION not in before.aliases
            aliases = {**before.aliases, **({CHAMPION: version} if is_champion else {})}
            kept = {*sorted(versions)[-self.keep :], *aliases.values()}
            versions = {number: entry for number, entry in versions.items() if number in kept}
            return replace(before, versions=versions, aliases=aliases, highest=version)

        return self._bucket.change(pattern, published)

    # -- changing ------------------------------------------------------------------------------------------------------

    def promote_if_unaliased(self, pattern: str, version: int) -> None:
        """Do nothing: version and labels were published in one step."""

    def set_alias(self, pattern: str, alias: str, version: int) -> None:
        def pointed(before: Record) -> Record:
            if not is_name(alias):
                raise UnknownAlias(pattern, before.aliases)
            if version not in before.versions:
                raise UnknownVersion(pattern, before.versions)
            if alias not in before.aliases and len(before.aliases) >= MOST_ALIASES:
                raise StoreUnwritable(f"{pattern} has {MOST_ALIASES} labels, which is the most")
            return replace(before, aliases={**before.aliases, alias: version})

        self._change(pattern, pointed)

    def remove_alias(self, pattern: str, alias: str) -> None:
        def removed(before: Record) -> Record:
            if alias == CHAMPION:
                raise ChampionStays(pattern)
            if alias not in before.aliases:
                raise UnknownAlias(pattern, before.aliases)
            return replace(before, aliases={name: at for name, at in before.aliases.items() if name != alias})

        self._change(pattern, removed)

    def rollback(self, pattern: str) -> int:
        def rolled_back(before: Record) -> Record:
            champion = champion_of(before.aliases, sorted(before.versions))
            earlier = [version for version in before.versions if version < champion]
            if not earlier:
                raise NothingToRollBack(pattern, champion)
            return replace(before, aliases={**before.aliases, CHAMPION: max(earlier)})

        return self._change(pattern, rolled_back).aliases[CHAMPION]

    def mark_unloaded(self, pattern: str) -> None:
        self._change(pattern, lambda before: replace(before, is_unloaded=True))

    def mark_loaded(self, pattern: str) -> None:
        self._change(pattern, lambda before: replace(before, is_unloaded=False))

    def delete(self, pattern: str, version: int) -> None:
        def deleted(before: Record) -> Record:
            if version not in before.versions:
                raise UnknownVersion(pattern, before.versions)
            aliases = [alias for alias, pointed_at in before.aliases.items() if pointed_at == version]
            if aliases or version == champion_of(before.aliases, sorted(before.versions)):
                raise VersionInUse(pattern, version, aliases or [CHAMPION])
            left = {number: entry for number, entry in before.versions.items() if number != version}
            return replace(before, versions=left)

        self._change(pattern, deleted)

    def delete_pattern(self, pattern: str) -> None:
        self._change(pattern, lambda before: Record(highest=before.highest))
        log.info("deleted", extra={"pattern": pattern})

    def _change(self, pattern: str, changed: Callable[[Record], Record]) -> Record:
        def known(before: Record) -> Record:
            if not before.versions:
                raise UnknownPattern(self.patterns())
            return changed(before)

        if not is_name(pattern):
            raise UnknownPattern(self.patterns())
        record = self._bucket.change(pattern, known)
        self._fetch_soon(pattern)
        return record

    def _fetch_soon(self, pattern: str) -> None:
        """Fetch at once what was changed in the bucket; if that is away by now, the next `pull` does it."""
        try:
            self.fetch(pattern)
        except BucketUnavailable as error:
            log.warning("not pulled yet", extra={"pattern": pattern, "reason": str(error)})

    # -- identity ------------------------------------------------------------------------------------------------------

    def identity(self) -> str:
        """Return the 32 hexadecimal digits of the bucket: all who share it see the same trainings."""
        mine = super().identity()
        path = self.root / IDENTITY
        try:
            found = self._bucket.identity(mine)
        except BucketUnavailable:
            if path.is_file() and re.fullmatch(r"[0-9a-f]{32}", known := path.read_text()):
                return known
            raise
        if not path.is_file() or path.read_text() != found:
            with self._root.changing():
                self._disk.replace_file(self.root, path, found.encode())
        return found


class SharedDatasets(Datasets):
    """The uploaded tables of a store, and of its bucket. `pull` is called every second."""

    def __init__(self, root: Path, bucket: Bucket, disk: Disk | None = None) -> None:
        super().__init__(root, disk)
        self._bucket = bucket

    def pull(self) -> None:
        """Fetch tables that were uploaded elsewhere, and delete those that were deleted there; give what is here."""
        found = self._bucket.datasets()
        for dataset, is_deleted in found.items():
            if is_deleted and dataset in self.ids():
                super().delete(dataset)
            elif not is_deleted:
                self._fetch(dataset)
        for dataset in set(self.ids()) - found.keys():
            self.share(dataset)

    def share(self, dataset: str) -> None:
        """Give a table to the bucket. Raises BucketUnavailable."""
        directory = self._directory / dataset
        self._bucket.put_dataset(dataset, directory / TABLE, directory / FACTS)

    def delete(self, dataset: str) -> None:
        self._check_known(dataset)
        self._bucket.delete_dataset(dataset)
        super().delete(dataset)

    def _check_known(self, dataset: str) -> None:
        """Raises BucketUnavailable where only the bucket could tell."""
        self._fetch(dataset)
        super()._check_known(dataset)

    def _fetch(self, dataset: str) -> None:
        """Fetch a table that is not here, if the bucket has it; each reading checks that it is whole."""
        if not ID.fullmatch(dataset) or (self._directory / dataset).is_dir():
            return
        with suppress(FileNotFoundError), self._disk.aside(self.root) as aside:
            with writing():
                self._disk.make_directory(aside)
            self._bucket.get_dataset(dataset, aside / TABLE, aside / FACTS)
            with self._writing():
                self._disk.sync_directory(aside)
                self._disk.make_directory(self._directory)
                if not (self._directory / dataset).exists():
                    self._disk.rename(aside, self._directory / dataset)
                self._disk.sync_directory(self._directory)


def _champion_of(record: Record) -> int | None:
    """Return the champion; None where there is no version."""
    return champion_of(record.aliases, sorted(record.versions)) if record.versions else None


def _as_its_card_says(files: dict[str, bytes]) -> Promoting:
    """Return whether a version is to be promoted: only in place of the one that it was compared with."""
    promotion = Description.from_files(files).card.promotion
    return InPlaceOf(promotion.champion) if promotion is not None and promotion.promoted else False


def _job_of(files: dict[str, bytes]) -> str | None:
    return Description.from_files(files).card.lineage.job
