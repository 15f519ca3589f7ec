"""The few disk operations that publishing is made of, each durable when it returns.

Tests replace this class by one that fails, or kills the process, at the n-th operation.
"""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models_store.errors import BundleUnreadable, DiskFull, StoreBusy, StoreUnwritable

# What in a root is held while something is written, and how the name of what is half written begins.
LOCK, ASIDE = ".lock", ".tmp-"
# Beside what is written, so that logs, job records and labels still find room.
SPARE_BYTES = 16 << 20
# Far longer than a change of the store takes, and no longer than somebody waits for an answer.
PATIENCE_SECONDS = 10.0
LOOK_SECONDS = 0.02


class Disk:
    """Stateless. An fsync that fails is never tried again: the kernel may have dropped the pages already."""

    def check_space(self, directory: Path, size: int) -> None:
        if shutil.disk_usage(directory).free < size + SPARE_BYTES:
            raise DiskFull

    def make_root(self, root: Path) -> None:
        self.make_directory(root)
        self.sync_directory(root.parent)

    @contextmanager
    def aside(self, root: Path) -> Iterator[Path]:
        """A name to write under before the rename; whatever is still there under it afterwards is swept away."""
        aside = root / f"{ASIDE}{uuid.uuid4().hex}"
        try:
            yield aside
        finally:
            if aside.exists():
                with suppress(OSError):
                    self.remove(aside)

    def make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)

    def write_new(self, path: Path, content: bytes) -> None:
        """Create `path`, which must not exist, with this content."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def sync_directory(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Readers see the old name or the new one, never half; `target` may be a file, which is then replaced."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def exclusively(path: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Hold the lock file at `path`; StoreBusy if another holds it for so many seconds. It ends with the process."""
    with writing():
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, patience)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreBusy(patience) from None
            time.sleep(LOOK_SECONDS)


@contextmanager
def writing() -> Iterator[None]:
    """What the operating system says of a failed write, in the words of the store."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull from error
        raise StoreUnwritable(_reason(error)) from error


@contextmanager
def reading() -> Iterator[None]:
    """Likewise of a failed read."""
    try:
        yield
    except OSError as error:
        raise BundleUnreadable(f"the store cannot be read ({_reason(error)})") from error


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "unknown reason"
