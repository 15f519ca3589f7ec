"""The root directory of a store: the lock for changes in it, its identity, and whether its disk is still there."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models_store.errors import BundleUnreadable
from models_store.names import is_name
from models_store.storage import locks, manifest
from models_store.storage.disk import Disk, reading, writing
from models_store.storage.locks import LOCK, PATIENCE_SECONDS
from models_store.storage.quarantine import QUARANTINE
from models_store.storage.versions import DELETED

IDENTITY = ".identity"


class Root:
    """A root directory. Its one state is which entries it had last, by which it notices that its disk is gone."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._seen: set[str] = set()

    def names(self) -> set[str]:
        """Entries that belong to the store. Raises FileNotFoundError if none of the last ones is left."""
        seen = self._seen  # before looking: another thread may see more meanwhile
        entries = {entry.name for entry in self._path.iterdir()} if self._path.is_dir() else set()
        names = {name for name in entries if is_name(name) or name in (LOCK, IDENTITY, QUARANTINE, DELETED)}
        if seen and not seen & names:  # its disk is not mounted, say
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._seen = names
        return names

    @contextmanager
    def changing(self, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Hold the lock of the store, after making its root if there is none. Raises StoreBusy after `patience` s."""
        with writing():
            if not self.names() and not self._path.is_dir():
                self._disk.make_root(self._path)
        with locks.exclusively(self._path / LOCK, patience), writing():
            yield

    def identity(self) -> str:
        """Return 32 hexadecimal digits that no other store has, wherever it is mounted; made once."""
        path = self._path / IDENTITY
        with reading():
            if not os.path.lexists(path):
                with self.changing():
                    if not os.path.lexists(path):
                        self._disk.replace_file(self._path, path, uuid.uuid4().hex.encode())
            written = manifest.read_regular(path, most=32)
        if written is None or not re.fullmatch(rb"[0-9a-f]{32}", written):
            raise BundleUnreadable(f"{IDENTITY} of the store does not hold 32 hexadecimal digits; restore or delete it")
        return written.decode()
