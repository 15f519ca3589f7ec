"""Admission of large bodies.

Parsing a large body holds the GIL for up to a second, so at most two run at once; up to eight wait, further ones get
503.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from app.errors import Overloaded

# A cost, so bytes of JSON. Up to here the work takes less time than handing it to a thread and back would.
MOST_BYTES_ON_LOOP = 1 << 15
AT_A_TIME = 2
# Requests. The last of eight waits about four seconds; a client that would wait longer had better come back.
MOST_WAITING = 8
Result = TypeVar("Result")


class Admission:
    """The places of large bodies, and the threads that write large answers. One for the app.

    Nothing else runs in these threads, so that no answer waits for a disk, a database or a network.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="body")
        self._under_way = 0

    @contextmanager
    def place(self, cost: float) -> Iterator[None]:
        """Take a place while a request of this cost is under way; a small one needs none.

        Raises Overloaded where all places are taken.
        """
        if cost <= MOST_BYTES_ON_LOOP:
            yield
            return
        if self._under_way >= AT_A_TIME + MOST_WAITING:
            raise Overloaded
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def write(self, write: Callable[..., Result], *parts: Any) -> Result:
        """Return `write(*parts)`, called in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, write, *parts)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
