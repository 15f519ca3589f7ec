"""Disks that fail or end the process at their n-th operation, and one that knows what a power cut would lose."""

import errno
import resource
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from models_store.storage.disk import Disk

When = Literal["before", "halfway", "after"]


def fails(code: int) -> Callable[[], None]:
    """A strike: the operating system reports the error number `code`."""

    def strike() -> None:
        raise OSError(code, errno.errorcode[code])

    return strike


@contextmanager
def no_more_files() -> Iterator[None]:
    """Keep this process from opening any file or directory inside the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class HastyDisk(Disk):
    """A disk without fsync: what it wrote survives the death of the process, but not a power cut."""

    def write_new(self, path: Path, content: bytes) -> None:
        with path.open("xb") as file:
            file.write(content)

    def sync_directory(self, path: Path) -> None:
        assert path.is_dir()


class UnconfirmingDisk(HastyDisk):
    """A disk that fails where aliases are written, right after the rename that publishes."""

    def rename(self, source: Path, target: Path) -> None:
        if target.name == "labels.json":
            raise OSError(errno.EIO, "EIO")
        super().rename(source, target)


class PausingDisk(HastyDisk):
    """A disk that stops between the rename that publishes a version and the one that moves its champion there."""

    def __init__(self) -> None:
        self.has_paused = threading.Event()
        self.may_go_on = threading.Event()

    def rename(self, source: Path, target: Path) -> None:
        if target.name == "labels.json":
            self.has_paused.set()
            assert self.may_go_on.wait(20)
        super().rename(source, target)


class StrickenDisk(HastyDisk):
    """A disk that calls `strike` before, halfway through or after its n-th operation.

    Only writing and removing have a half: with `when="halfway"` nothing else is counted.
    """

    def __init__(self, strike_at: int, strike: Callable[[], None], when: When = "before") -> None:
        self._left = strike_at
        self._strike = strike
        self._when = when

    def check_space(self, directory: Path, size: int) -> None:
        self._do(partial(super().check_space, directory, size))

    def make_directory(self, path: Path) -> None:
        self._do(partial(super().make_directory, path))

    def write_new(self, path: Path, content: bytes) -> None:
        torn = content[: len(content) // 2]
        self._do(partial(super().write_new, path, content), partial(super().write_new, path, torn))

    def sync_directory(self, path: Path) -> None:
        self._do(partial(super().sync_directory, path))

    def rename(self, source: Path, target: Path) -> None:
        self._do(partial(super().rename, source, target))

    def remove(self, path: Path) -> None:
        files = sorted(path.iterdir()) if path.is_dir() else []
        self._do(partial(super().remove, path), lambda: deque(map(Path.unlink, files[: len(files) // 2])))

    def _do(self, whole: Callable[[], object], half: Callable[[], object] | None = None) -> None:
        if self._when == "halfway" and half is None:
            whole()
            return
        self._left -= 1
        if self._left != 0 or self._when == "after":
            whole()
        elif half is not None and self._when == "halfway":
            half()
        if self._left == 0:
            self._strike()


class LedgerDisk(StrickenDisk):
    """A disk that knows the names that a power cut may lose: their directory was not synced since."""

    def __init__(self, strike_at: int = 0) -> None:
        super().__init__(strike_at, fails(errno.EIO))
        self._volatile: set[Path] = set()

    def lost_in_a_power_cut(self) -> set[Path]:
        return {path for path in self._volatile if path.exists() and ".tmp-" not in str(path)}

    def make_directory(self, path: Path) -> None:
        made = set() if path.exists() else {path}
        super().make_directory(path)
        self._volatile |= made

    def write_new(self, path: Path, content: bytes) -> None:
        super().write_new(path, content)
        self._volatile.add(path)

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        inside = {path for path in self._volatile if path.is_relative_to(source)}
        self._volatile = self._volatile - inside | {target / path.relative_to(source) for path in inside} | {target}

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._volatile = {name for name in self._volatile if name.parent != path}
