"""The version directories of a pattern: which there are, the next number, and removing old ones.

<root>/<pattern>/<version>/
<root>/.deleted/<pattern>       the highest version that a deleted pattern ever had
"""

import os
from collections.abc import Container, Iterable
from pathlib import Path

from models_store.errors import StoreUnwritable
from models_store.names import LARGEST_VERSION, VERSION
from models_store.storage import locks, manifest
from models_store.storage.disk import Disk
from models_store.storage.quarantine import is_stray

DELETED = ".deleted"


def is_own(entry: Path) -> bool:
    """True for a directory of the store itself; through a link the store would act on somebody else's."""
    return entry.is_dir() and not entry.is_symlink()


class Versions:
    """The versions of one pattern, on disk. Stateless; changed under the lock of the store."""

    def __init__(self, root: Path, pattern: str, disk: Disk) -> None:
        self._root = root
        self._pattern = pattern
        self._disk = disk

    def directory(self, version: int) -> Path:
        return self._root / self._pattern / str(version)

    def found(self) -> list[int]:
        """Directories that are called like versions, oldest first. Raises FileNotFoundError without the pattern."""
        entries = [entry for entry in (self._root / self._pattern).iterdir() if VERSION.fullmatch(entry.name)]
        return sorted(int(entry.name) for entry in entries if is_own(entry))

    def published(self, found: Iterable[int]) -> list[int]:
        """Those of the found ones that are no stray directories."""
        return [version for version in found if not is_stray(self.directory(version))]

    # -- numbers -------------------------------------------------------------------------------------------------------

    def next_after(self, highest: int) -> int:
        """The first number above `highest` that is nobody's name. Raises StoreUnwritable if there is none left."""
        version = highest + 1
        while os.path.lexists(self.directory(version)):
            version += 1
        if version > LARGEST_VERSION:
            raise StoreUnwritable(f"the version numbers of {self._pattern} are used up")
        return version

    def remember_highest(self, highest: int) -> None:
        """Write down the highest version before the pattern is deleted: a client may have pinned its number."""
        self._disk.make_directory(self._root / DELETED)
        self._disk.sync_directory(self._root)
        self._disk.replace_file(self._root, self._root / DELETED / self._pattern, str(highest).encode())

    def remembered_highest(self) -> int:
        """The highest version of an earlier pattern of this name, which was deleted; 0 if there was none."""
        try:
            written = manifest.read_regular(self._root / DELETED / self._pattern, most=9) or b""
        except (FileNotFoundError, NotADirectoryError):
            return 0
        return int(written) if VERSION.fullmatch(written.decode("ascii", "replace")) else 0

    # -- going --------------------------------------------------------------------------------------------------------

    def retire(self, keep: int, pointed_at: Container[int]) -> None:
        """Remove all but the newest `keep` versions, those that an alias points at, and those that are held."""
        for version in self.published(self.found())[:-keep]:
            if version not in pointed_at:
                with locks.unheld(self.directory(version)) as is_free:
                    if is_free:
                        self.remove(version)

    def remove(self, version: int) -> None:
        """Rename it away first: a version is there whole or not at all."""
        with self._disk.aside(self._root) as aside:
            self._disk.rename(self.directory(version), aside)
            self._disk.sync_directory(self._root / self._pattern)
