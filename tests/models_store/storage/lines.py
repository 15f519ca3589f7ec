"""Lines to publish, told apart by their slopes, and damage to do to them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from models_store.storage.store import Release, Store
from tests.fakes import line, rows


def publish(store: Store, *slopes: float, promote: bool = True) -> None:
    for slope in slopes:
        store.publish(line(slope), promote=promote)


def slope(release: Release) -> float:
    """The number that tells one line from another."""
    return release.bundle.predict(rows(1)).item()


def damage(store: Store, version: int) -> None:
    (store.root / "line" / str(version) / "golden.json").write_bytes(b"scratched")


def hidden(store: Store) -> list[str]:
    """Entries of the root beside patterns and the lock."""
    return sorted(path.name for path in store.root.iterdir() if path.name.startswith(".") and path.name != ".lock")


# What may lie in the place of a small file that a store wrote.
NO_FILES: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "directory": Path.mkdir,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "huge": lambda path: path.write_bytes(bytes((1 << 20) + 1)),
}
