"""What the C library does with memory that has been freed."""

import ctypes
from contextlib import suppress

# Names of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# The most that glibc takes for this; larger blocks are the system's.
LARGEST_KEPT = 32 << 20
MOST_KEPT = 64 << 20


def keep_freed() -> None:
    """Arrays of large bodies are made and freed all the time, and take several times as long to fault in anew, page by
    page, as to compute with. Does nothing with another C library.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
