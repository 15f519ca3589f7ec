"""The few disk operations that publishing is made of, each durable when it returns.

Tests replace this class by one that fails, or kills the process, at the n-th operation.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models_store.errors import BundleUnreadable, DiskFull, StoreUnwritable

# How the name of a half-written file or directory begins.
ASIDE = ".tmp-"
# Left free beside what is written, so that logs, job records and aliases still find room.
SPARE_BYTES = 16 << 20


class Disk:
    """Stateless. A failed fsync is never tried again: the kernel may have dropped the pages already."""

    def check_space(self, directory: Path, size: int) -> None:
        """Raise DiskFull if `size` more bytes would leave less than the spare room."""
        if shutil.disk_usage(directory).free < size + SPARE_BYTES:
            raise DiskFull

    def make_root(self, root: Path) -> None:
        self.make_directory(root)
        self.sync_directory(root.parent)

    @contextmanager
    def aside(self, root: Path) -> Iterator[Path]:
        """Yield a new name to write under before the rename; whatever still has it afterwards is removed."""
        aside = root / f"{ASIDE}{uuid.uuid4().hex}"
        try:
            yield aside
        finally:
            if aside.exists():
                with suppress(OSError):
                    self.remove(aside)

    def replace_file(self, root: Path, path: Path, content: bytes) -> None:
        """Write a file whole or not at all: aside in `root`, which is on the same disk, then renamed to `path`."""
        with self.aside(root) as aside:
            self.write_new(aside, content)
            self.rename(aside, path)
        self.sync_directory(path.parent)

    def write_directory(self, directory: Path, files: dict[str, bytes]) -> None:
        """Make a directory that holds these files, by their names."""
        self.make_directory(directory)
        for name, content in files.items():
            self.write_new(directory / name, content)
        self.sync_directory(directory)

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
def writing() -> Iterator[None]:
    """Turn the operating system's error of a failed write into DiskFull or StoreUnwritable."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull from error
        raise StoreUnwritable(reason_of(error)) from error


@contextmanager
def reading() -> Iterator[None]:
    """Turn the operating system's error of a failed read into BundleUnreadable."""
    try:
        yield
    except OSError as error:
        raise BundleUnreadable(f"the store cannot be read ({reason_of(error)})") from error


def reason_of(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "unknown reason"
