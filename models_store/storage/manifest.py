"""The list of a version's files with size and SHA-256, and a hash of itself: one flipped bit anywhere is found.

MANIFEST.json      {"format": 1, "pattern": "line", "version": 7, "files": {...}, "sha256": "..."}
"""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models_store.errors import BundleDamaged, BundleUnreadable
from models_store.storage.disk import reason_of
from models_store.wording import shortened, shortened_name

NAME = "MANIFEST.json"
FORMAT = 1
LARGEST_FILE = 1 << 30
LARGEST_MANIFEST = 1 << 20


def manifest_of(pattern: str, version: int, files: dict[str, bytes]) -> bytes:
    listed = {name: {"size": len(content), "sha256": _sha256(content)} for name, content in sorted(files.items())}
    return sealed({"format": FORMAT, "pattern": pattern, "version": version, "files": listed})


def read_verified(directory: Path, pattern: str, version: int) -> dict[str, bytes]:
    """Read all files of a version. Raises BundleDamaged with the one that is missing, extra or changed.

    Raises BundleUnreadable where the operating system will not read one.
    """
    with _reading("the directory of the version"):
        present = {entry.name for entry in directory.iterdir()}
    with _reading(NAME):
        files = _listed(directory, pattern, version)
    _check_present({*files, NAME}, present)
    return {name: _checked(directory / name, *facts) for name, facts in files.items()}


def verified(files: dict[str, bytes]) -> tuple[str, int, dict[str, bytes]]:
    """Return pattern, version and files, of which the manifest is one, without it.

    Raises BundleDamaged with the one that is missing, extra or changed.
    """
    if NAME not in files:
        raise BundleDamaged(f"missing: {NAME}")
    manifest = _parsed(files[NAME])
    with _misread():
        _check_format(manifest)
        pattern, version = str(manifest["pattern"]), int(manifest["version"])
        facts = _facts(manifest)
    _check_present({*facts, NAME}, set(files))
    return pattern, version, {name: _as_listed(name, files[name], *facts[name]) for name in facts}


def hashes(written: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file that a manifest lists. Raises BundleDamaged."""
    manifest = _parsed(written)
    with _misread():
        _check_format(manifest)
        return {name: sha256 for name, (_, sha256) in _facts(manifest).items()}


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BundleDamaged(f"missing: {name}") from error
    except OSError as error:
        raise BundleUnreadable(f"{name} cannot be read ({reason_of(error)})") from error


def _check_present(expected: set[str], present: set[str]) -> None:
    if missing := expected - present:
        raise BundleDamaged(f"missing: {_names(missing)}")
    if added := present - expected:
        raise BundleDamaged(f"added after the version was published: {_names(added)}")


def _names(files: set[str]) -> str:
    return shortened(map(shortened_name, sorted(files)))


def _listed(directory: Path, pattern: str, version: int) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of each file."""
    written = read_regular(directory / NAME, LARGEST_MANIFEST)
    if written is None:
        raise BundleDamaged(f"{NAME} is no regular file, or larger than {LARGEST_MANIFEST} bytes")
    manifest = _parsed(written)
    with _misread():
        if (manifest["format"], manifest["pattern"], manifest["version"]) != (FORMAT, pattern, version):
            raise BundleDamaged(f"{NAME} is of another format or belongs to another version")
        return _facts(manifest)


def _parsed(written: bytes) -> dict[str, Any]:
    with _misread():
        manifest: dict[str, Any] = json.loads(written)
        if written != sealed({key: value for key, value in manifest.items() if key != "sha256"}):
            raise BundleDamaged(f"{NAME} was changed after it was published")
        return manifest


def _facts(manifest: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {name: (int(facts["size"]), str(facts["sha256"])) for name, facts in manifest["files"].items()}


@contextmanager
def _misread() -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BundleDamaged(f"{NAME} does not hold what a manifest holds") from error


def _check_format(manifest: dict[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        found = shortened_name(repr(manifest["format"]))
        raise BundleDamaged(f"{NAME} is of format {found}, and only {FORMAT} is read here; another release wrote it")


def _checked(path: Path, size: int, sha256: str) -> bytes:
    with _reading(path.name):
        content = read_regular(path, min(size, LARGEST_FILE))
    return _as_listed(path.name, content, size, sha256)


def _as_listed(name: str, content: bytes | None, size: int, sha256: str) -> bytes:
    if content is None or len(content) != size:
        raise BundleDamaged(f"{shortened_name(name)} does not have the size it was published with")
    if _sha256(content) != sha256:
        raise BundleDamaged(f"{shortened_name(name)} was changed after it was published")
    return content


def read_regular(path: Path, most: int) -> bytes | None:
    """The content of a file; None for what a store never wrote: links, pipes, directories, more than `most` bytes.

    Nothing is waited for, as opening a pipe would be.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            return None
        raise
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(facts.st_size)
    finally:
        os.close(descriptor)


def sealed(manifest: dict[str, Any]) -> bytes:
    """Canonical bytes that end with the hash of all before it."""
    body = json.dumps(manifest, sort_keys=True).encode()
    return json.dumps({**manifest, "sha256": _sha256(body)}, sort_keys=True).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
