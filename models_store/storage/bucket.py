"""A bucket that several stores keep their versions in: immutable files, and a record for each pattern that names them.

patterns/<pattern>.json            which versions there are, the labels, the highest version ever; replaced as a whole
versions/<pattern>/<sha256>        a file of versions, the manifest among them, under the hash of its content
datasets/<id>/{table.parquet, dataset.json}     an uploaded table; the second is written last
datasets/<id>/deleted              there once it is deleted
identity                           32 hexadecimal digits that no other bucket has

Files are written first, and the record then, on condition that nobody has changed it meanwhile. So of two that publish
at the same time one is first, and the other takes the next number; and what was never finished is named by no record.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import MemoryStore, S3Store, from_url

from models_store.errors import BucketUnavailable, BundleDamaged
from models_store.names import is_name
from models_store.storage import manifest

if TYPE_CHECKING:
    from obstore.store import ClientConfig

FORMAT = 1
# Others are a moment earlier again and again only where very many publish at once.
MOST_ATTEMPTS = 50
# What no record names is a file of a version that was deleted, or that is being published at this moment.
UNNAMED_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Entry:
    """A version in a record: the hash of its manifest, and the job that trained it."""

    manifest: str
    job: str | None


@dataclass(frozen=True)
class Record:
    """What a bucket says of a pattern; one without versions was deleted."""

    versions: dict[int, Entry] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    highest: int = 0
    is_unloaded: bool = False
    change: str = ""
    """Tells the last change from all others."""

    def to_bytes(self, pattern: str) -> bytes:
        versions = {str(number): {"manifest": one.manifest, "job": one.job} for number, one in self.versions.items()}
        kept = {"format": FORMAT, "pattern": pattern, "versions": versions, "labels": self.aliases}
        return manifest.sealed({**kept, "highest": self.highest, "unloaded": self.is_unloaded, "change": self.change})

    @classmethod
    def from_bytes(cls, pattern: str, written: bytes) -> Self:
        """Raises BundleDamaged for anything but what `to_bytes` made for this pattern."""
        try:
            saved: dict[str, Any] = json.loads(written)
            versions = {int(number): Entry(one["manifest"], one["job"]) for number, one in saved["versions"].items()}
            record = cls(versions, saved["labels"], saved["highest"], saved["unloaded"], saved["change"])
            is_whole = written == record.to_bytes(pattern)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            is_whole = False
        if not is_whole:
            raise BundleDamaged(f"the record of {pattern} in the bucket was damaged, or another release wrote it")
        return record

    def version_of(self, job: str | None) -> int | None:
        """Return the version that a job has published."""
        return next((number for number, one in self.versions.items() if job is not None and one.job == job), None)


class Bucket:
    """A prefix of a bucket. Stateless; every call raises BucketUnavailable where the bucket does not answer."""

    def __init__(self, objects: S3Store | MemoryStore) -> None:
        self._objects = objects

    @classmethod
    def at(cls, url: str) -> Self:
        """Open `s3://bucket/prefix`, with the credentials, region and endpoint of the AWS_* variables."""
        client: ClientConfig = {"connect_timeout": "3s", "timeout": "30s"}
        if os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"):  # else options given here switch it off
            client["allow_http"] = True
        objects = from_url(
            url, client_options=client, retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=5)}
        )
        assert isinstance(objects, S3Store)  # the settings take no other address
        return cls(objects)

    # -- records -------------------------------------------------------------------------------------------------------

    def tags(self) -> dict[str, str]:
        """Return a tag for each pattern that changes with its record."""
        with _answering():
            found = [one for batch in obstore.list(self._objects, "patterns/") for one in batch]
        names = {one["path"].rpartition("/")[2].removesuffix(".json"): str(one["e_tag"]) for one in found}
        return {name: tag for name, tag in names.items() if is_name(name)}

    def record(self, pattern: str) -> tuple[Record, str | None]:
        """Return the record of a pattern and its tag; an empty one and None where there is none yet."""
        with _answering():
            try:
                found = obstore.get(self._objects, f"patterns/{pattern}.json")
                return Record.from_bytes(pattern, bytes(found.bytes())), found.meta["e_tag"]
            except FileNotFoundError:
                return Record(), None

    def change(self, pattern: str, changed: Callable[[Record], Record]) -> Record:
        """Replace the record of a pattern by what `changed` makes of it, and return that; raises what it raises.

        `changed` is called again with the newest record whenever another process was a moment earlier.
        """
        change = uuid.uuid4().hex
        for _ in range(MOST_ATTEMPTS):
            before, tag = self.record(pattern)
            if before.change == change:  # it was written, and only the answer was lost
                return before
            after = replace(changed(before), change=change)
            if self._write(pattern, after, tag):
                return after
        raise BucketUnavailable("its record is changed by others all the time")

    def _write(self, pattern: str, record: Record, tag: str | None) -> bool:
        """Write a record; False if it is no longer what had the tag."""
        with _answering():
            try:
                obstore.put(
                    self._objects,
                    f"patterns/{pattern}.json",
                    record.to_bytes(pattern),
                    mode="create" if tag is None else {"e_tag": tag},
                    use_multipart=False,
                )
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    # -- files of versions ---------------------------------------------------------------------------------------------

    def put_files(self, pattern: str, contents: list[bytes]) -> None:
        """Write files, each whole or not at all, in this order."""
        for content in contents:
            self._put(f"versions/{pattern}/{_sha256(content)}", content)

    def files(self, pattern: str, manifest_sha256: str) -> dict[str, bytes]:
        """Return the files of a version by their names, the manifest among them. Raises DamagedObject."""
        written = self._file(pattern, manifest.NAME, manifest_sha256)
        listed = manifest.hashes(written)
        files = {name: self._file(pattern, name, sha256) for name, sha256 in listed.items()}
        return {manifest.NAME: written, **files}

    def _file(self, pattern: str, name: str, sha256: str) -> bytes:
        content = self._get(f"versions/{pattern}/{sha256}")
        if content is None or _sha256(content) != sha256:
            raise DamagedObject(name, content)
        return content

    def sweep(self, pattern: str, unnamed_for: timedelta = UNNAMED_FOR) -> None:
        """Remove files that no version has, once they have lain there for so long.

        None where the record or a manifest is damaged: which files it names is not known.
        """
        try:
            named = self._named(pattern)
        except BundleDamaged:
            return
        with _answering():
            found = [one for batch in obstore.list(self._objects, f"versions/{pattern}/") for one in batch]
            old = datetime.now(UTC) - unnamed_for
            for path in [one["path"] for one in found if one["last_modified"] < old]:
                if path.rpartition("/")[2] in named:
                    continue
                # Looked at again: the same content may be published anew at this moment.
                with suppress(FileNotFoundError):
                    if obstore.head(self._objects, path)["last_modified"] < old:
                        obstore.delete(self._objects, path)

    def _named(self, pattern: str) -> set[str]:
        """Return the hashes of the files of all versions, manifests too. Raises BundleDamaged."""
        named: set[str] = set()
        for entry in self.record(pattern)[0].versions.values():
            written = self._file(pattern, manifest.NAME, entry.manifest)
            named |= {entry.manifest, *manifest.hashes(written).values()}
        return named

    # -- the rest ------------------------------------------------------------------------------------------------------

    def identity(self, proposed: str) -> str:
        """Return what tells this bucket from others: what was proposed first.

        Raises BucketUnavailable where the bucket overwrites what it was told not to: two would publish one number.
        """
        with _answering():
            for _ in range(2):
                try:
                    obstore.put(self._objects, "identity", proposed.encode(), mode="create", use_multipart=False)
                except (AlreadyExistsError, PreconditionError):
                    return bytes(obstore.get(self._objects, "identity").bytes()).decode()
        raise BucketUnavailable("it knows no conditional writes (If-None-Match), which several servers need")

    def datasets(self) -> dict[str, bool]:
        """Return the uploaded tables; True for those that were deleted."""
        with _answering():
            paths = [one["path"].split("/") for batch in obstore.list(self._objects, "datasets/") for one in batch]
        whole = {path[-2]: False for path in paths if path[-1] == "dataset.json"}
        return {**whole, **{path[-2]: True for path in paths if path[-1] == "deleted"}}

    def put_dataset(self, dataset: str, table: Path, facts: Path) -> None:
        with _answering():
            obstore.put(self._objects, f"datasets/{dataset}/{table.name}", table)
            obstore.put(self._objects, f"datasets/{dataset}/{facts.name}", facts, use_multipart=False)
            obstore.delete(self._objects, f"datasets/{dataset}/deleted")

    def get_dataset(self, dataset: str, table: Path, facts: Path) -> None:
        """Write table and facts to these new files. Raises FileNotFoundError where there is no such table."""
        with _answering():
            for path in (facts, table):
                with path.open("xb") as file:
                    for chunk in obstore.get(self._objects, f"datasets/{dataset}/{path.name}").stream():
                        file.write(chunk)
                    os.fsync(file.fileno())

    def delete_dataset(self, dataset: str) -> None:
        with _answering():
            obstore.put(self._objects, f"datasets/{dataset}/deleted", b"", use_multipart=False)
            for name in ("dataset.json", "table.parquet"):
                obstore.delete(self._objects, f"datasets/{dataset}/{name}")

    def _put(self, path: str, content: bytes) -> None:
        with _answering():
            obstore.put(self._objects, path, content, use_multipart=False)

    def _get(self, path: str) -> bytes | None:
        with _answering():
            try:
                return bytes(obstore.get(self._objects, path).bytes())
            except FileNotFoundError:
                return None


class DamagedObject(BundleDamaged):
    """An object of a version that is missing (no content), or is not what its name says."""

    def __init__(self, name: str, content: bytes | None) -> None:
        super().__init__(f"{name} in the bucket {'is missing' if content is None else 'is not what was published'}")
        self.content = content


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise BucketUnavailable(type(error).__name__) from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
