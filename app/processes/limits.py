"""What a process lets itself be denied that works for a server: training, or reading what somebody uploaded."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
LARGEST_FILE = 4 << 30


def restrain(parent: int, n_bytes: int) -> None:
    """The server comes first: end with it, run after it, and be the one that is killed when memory runs out."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # It may have died before the line above; then another process is the parent by now.
        if os.getppid() != parent:
            sys.exit("the server that started this process is gone")
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _limit(resource.RLIMIT_DATA, n_bytes)


def half_of_memory() -> int:
    """In bytes; no limit where there is a GPU, whose driver reserves far more than it uses."""
    return resource.RLIM_INFINITY if Path("/dev/nvidiactl").exists() else installed_memory() // 2


def installed_memory() -> int:
    """In bytes."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # in a container, what it was given
        installed = min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return installed


def _limit(kind: int, wanted: int) -> None:
    """As wanted, or as low as somebody has set it already."""
    hard = resource.getrlimit(kind)[1]
    known = [limit for limit in (hard, wanted) if limit != resource.RLIM_INFINITY]
    most = min(known, default=resource.RLIM_INFINITY)
    resource.setrlimit(kind, (most, most))
