"""The directory that keeps damaged versions and damaged alias files, each with the reason beside it.

<root>/.quarantine/<pattern>-<version>-<8 hexadecimal digits>      a version
<root>/.quarantine/<pattern>-labels-<8 hexadecimal digits>         a labels.json
<root>/.quarantine/<either of them>.reason.txt
"""

import logging
import os
import re
import uuid
from pathlib import Path

from models_store.errors import BundleDamaged, BundleUnreadable
from models_store.names import VERSION
from models_store.storage import manifest
from models_store.storage.disk import Disk

log = logging.getLogger("patterns.store")

QUARANTINE = ".quarantine"


def is_stray(directory: Path) -> bool:
    """True for a directory that was never published: whatever is published has a manifest."""
    return directory.is_dir() and not os.path.lexists(directory / manifest.NAME)


class Quarantine:
    """The quarantine of a store. Stateless; changed under the lock of the store."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self._root = root
        self._directory = root / QUARANTINE
        self._disk = disk

    def versions(self, pattern: str) -> list[int]:
        """Versions of the pattern that were moved here, without stray directories: those were no versions."""
        reason = re.compile(rf"({pattern}-({VERSION.pattern})-[0-9a-f]+)\.reason\.txt")
        found = [reason.fullmatch(path.name) for path in self._directory.glob("*.reason.txt")]
        return [int(match[2]) for match in found if match and not is_stray(self._directory / match[1])]

    def take_if_damaged(self, pattern: str, version: int) -> str | None:
        """Move a version here if its files are not what was published; its name here, or None if it stays."""
        directory = self._root / pattern / str(version)
        try:
            manifest.read_verified(directory, pattern, version)
        except BundleUnreadable:  # which says nothing about what is on the disk
            log.exception("unreadable", extra={"pattern": pattern, "version": version})
        except BundleDamaged as error:
            reason = str(error)
            name = self._begin(f"{pattern}-{version}", reason)
            self._disk.sync_directory(self._directory)
            self._disk.rename(directory, self._directory / name)
            self._disk.sync_directory(directory.parent)
            log.error("quarantined", extra={"pattern": pattern, "version": version, "reason": reason})
            return name
        return None

    def keep_file(self, path: Path, name: str, content: bytes | None, reason: str) -> str:
        """Keep a damaged file under a name that begins with `name`, and return that name.

        A copy of its `content`: the file itself stays until it is replaced, so that there always is one. Without
        content it is no file that could be copied, such as a link or a pipe, and is moved.
        """
        kept = self._begin(name, reason)
        if content is not None:
            self._disk.write_new(self._directory / kept, content)
        self._disk.sync_directory(self._directory)
        if content is None:
            self._disk.rename(path, self._directory / kept)
        return kept

    def _begin(self, name: str, reason: str) -> str:
        """Write the reason first: nothing lies here without one."""
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        self._disk.make_directory(self._directory)
        self._disk.write_new(self._directory / f"{unique}.reason.txt", reason.encode())
        return unique
