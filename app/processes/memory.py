"""A setting of glibc's allocator: freed memory stays with the process."""

import ctypes
from contextlib import suppress

# Names of glibc's <malloc.h>.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Bytes. The highest threshold that glibc accepts; larger blocks go back to the system.
LARGEST_KEPT = 32 << 20
MOST_KEPT = 64 << 20


def keep_freed() -> None:
    """Keep freed memory for the next array. Does nothing with another C library.

    The arrays of large bodies come and go all the time. To fault in fresh pages for them takes several times as long
    as to compute with them.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
