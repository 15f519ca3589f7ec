"""Locks on files and directories (flock). The system releases a lock when its holder ends, however it ends.

exclusively   one holder of a lock file; others wait for it, but not for ever
FileLock      one holder of a lock file, from `acquire` to `release`; nobody waits
shared        any number of holders of a directory
unheld        one holder of a directory that nobody else holds; nobody waits
"""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models_store.errors import StoreBusy
from models_store.storage.disk import writing

# The lock file of a store, held while something in it is changed.
LOCK = ".lock"
# Far longer than a change of the store takes, and no longer than somebody waits for an answer.
PATIENCE_SECONDS = 10.0
LOOK_SECONDS = 0.02


@contextmanager
def exclusively(path: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock file at `path`. Raises StoreBusy if another holds it for `patience` seconds."""
    with writing():
        descriptor = _lock_file(path)
    try:
        _wait_for(descriptor, patience)
        yield
    finally:
        os.close(descriptor)


class FileLock:
    """A lock file that one process holds at a time, for as long as it likes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock, or return False if another holds it. Raises OSError if the file cannot be opened."""
        if self._descriptor is None:
            descriptor = _lock_file(self._path)
            if not _take(descriptor):
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def place(self) -> str:
        """Name the lock: two who see the same place keep each other out, whatever becomes of either.

        A file on one kernel: not every network file system passes locks on to other machines. Raises OSError.
        """
        descriptor = _lock_file(self._path)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return f"{_kernel()}:{found.st_dev}:{found.st_ino}"

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Hold a directory beside others who hold it; waits for one who has it `unheld`. Raises OSError."""
    descriptor = _directory(directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unheld(directory: Path) -> Iterator[bool]:
    """Yield True if nobody holds the directory, and keep others from taking hold of it meanwhile; False otherwise."""
    descriptor = _directory(directory)
    try:
        yield _take(descriptor)
    finally:
        os.close(descriptor)


def _lock_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _kernel() -> str:
    """Return what tells a running kernel from all others; containers on it share it, and it changes at a reboot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # no Linux
        return platform.node()


def _directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _wait_for(descriptor: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not _take(descriptor):
        if time.monotonic() >= deadline:
            raise StoreBusy(patience)
        time.sleep(LOOK_SECONDS)


def _take(descriptor: int) -> bool:
    """Lock what is open, or return False if another has locked it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
