"""The list of a version's files with size and SHA-256, and a hash of itself: one flipped bit anywhere is found."""

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from models_store.errors import BundleDamaged, BundleUnreadable

NAME = "MANIFEST.json"
FORMAT = 1
LARGEST_FILE = 1 << 30
LARGEST_MANIFEST = 1 << 20


def manifest_of(pattern: str, version: int, files: dict[str, bytes]) -> bytes:
    listed = {name: {"size": len(content), "sha256": _sha256(content)} for name, content in sorted(files.items())}
    return sealed({"format": FORMAT, "pattern": pattern, "version": version, "files": listed})


def read_verified(directory: Path, pattern: str, version: int) -> dict[str, bytes]:
    """All files of a version; BundleDamaged says which is missing, extra or changed."""
    try:
        present = sorted(entry.name for entry in directory.iterdir())
        files = _listed(directory, pattern, version)
        if sorted([*files, NAME]) != present:
            raise BundleDamaged("a file is missing or was added")
        return {name: _checked(directory / name, *facts) for name, facts in files.items()}
    except FileNotFoundError as error:
        raise BundleDamaged("a file is missing") from error
    except OSError as error:
        raise BundleUnreadable("a file cannot be read") from error


def _listed(directory: Path, pattern: str, version: int) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of each file."""
    try:
        written = read_regular(directory / NAME, LARGEST_MANIFEST)
        if written is None:
            raise BundleDamaged("the manifest is no regular file, or too large")
        manifest = json.loads(written)
        if written != sealed({key: value for key, value in manifest.items() if key != "sha256"}):
            raise BundleDamaged("the manifest was changed")
        if (manifest["format"], manifest["pattern"], manifest["version"]) != (FORMAT, pattern, version):
            raise BundleDamaged("the manifest is of another format or belongs to another version")
        return {name: (int(facts["size"]), str(facts["sha256"])) for name, facts in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise BundleDamaged("the manifest cannot be read") from error


def _checked(path: Path, size: int, sha256: str) -> bytes:
    content = read_regular(path, min(size, LARGEST_FILE))
    if content is None or len(content) != size:
        raise BundleDamaged(f"{path.name} does not have the size it was published with")
    if _sha256(content) != sha256:
        raise BundleDamaged(f"{path.name} was changed after it was published")
    return content


def read_regular(path: Path, most: int) -> bytes | None:
    """None for what a store never wrote: links, pipes that would be waited for, directories, more than `most` bytes."""
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
