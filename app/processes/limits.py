"""Limits that a helper process puts on itself, so that the server beside it stays well."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Bytes.
LARGEST_FILE = 4 << 30
# Added to a process' own badness, 0 to 1000: the higher, the earlier it is killed when memory runs out.
OOM_SCORE = 500
NICE = 5


def restrain(parent: int, n_bytes: int) -> None:
    """End with the process `parent`, yield to it, take at most `n_bytes` of memory, and be killed before it."""
    end_with(parent, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _limit(resource.RLIMIT_DATA, n_bytes)


def end_with(parent: int, number: signal.Signals) -> None:
    """Have the system send this process a signal when the process `parent` ends, or exit if it has ended already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
        # The parent may have died before the line above; then this process has another one by now.
        if os.getppid() != parent:
            sys.exit("the server that started this process is gone")


def half_of_memory() -> int:
    """Return bytes; no limit where there is a GPU, whose driver reserves far more than it uses."""
    return resource.RLIM_INFINITY if Path("/dev/nvidiactl").exists() else installed_memory() // 2


def installed_memory() -> int:
    """Return the bytes of this machine or, in a container, those that it may use."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        installed = min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return installed


def _limit(kind: int, wanted: int) -> None:
    """Set a limit, soft and hard. One that is lower already stays."""
    hard = resource.getrlimit(kind)[1]
    known = [limit for limit in (hard, wanted) if limit != resource.RLIM_INFINITY]
    most = min(known, default=resource.RLIM_INFINITY)
    resource.setrlimit(kind, (most, most))
