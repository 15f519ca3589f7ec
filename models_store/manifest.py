"""The list of a version's files with size and SHA-256, and a hash of itself: one flipped bit anywhere is found."""

import hashlib
import json
from pathlib import Path
from typing import Any

from models_store.errors import BundleDamaged, BundleUnreadable

NAME = "MANIFEST.json"
FORMAT = 1
LARGEST_FILE = 1 << 30


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
        return {name: _checked(directory / name, facts) for name, facts in files.items()}
    except FileNotFoundError as error:
        raise BundleDamaged("a file is missing") from error
    except OSError as error:
        raise BundleUnreadable("a file cannot be read") from error


def _listed(directory: Path, pattern: str, version: int) -> dict[str, Any]:
    try:
        if (directory / NAME).is_symlink() or not (directory / NAME).is_file():
            raise BundleDamaged("the manifest is missing or no regular file")
        written = (directory / NAME).read_bytes()
        manifest = json.loads(written)
        if written != sealed({key: value for key, value in manifest.items() if key != "sha256"}):
            raise BundleDamaged("the manifest was changed")
        if (manifest["format"], manifest["pattern"], manifest["version"]) != (FORMAT, pattern, version):
            raise BundleDamaged("the manifest is of another format or belongs to another version")
        listed: dict[str, Any] = manifest["files"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleDamaged("the manifest cannot be read") from error
    return listed


def _checked(path: Path, facts: dict[str, Any]) -> bytes:
    if path.is_symlink() or not path.is_file() or path.stat().st_size != facts["size"] or facts["size"] > LARGEST_FILE:
        raise BundleDamaged(f"{path.name} does not have the size it was published with")
    content = path.read_bytes()
    if _sha256(content) != facts["sha256"]:
        raise BundleDamaged(f"{path.name} was changed after it was published")
    return content


def sealed(manifest: dict[str, Any]) -> bytes:
    """Canonical bytes that end with the hash of all before it."""
    body = json.dumps(manifest, sort_keys=True).encode()
    return json.dumps({**manifest, "sha256": _sha256(body)}, sort_keys=True).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
