"""Reading a large body holds the interpreter for a second, in whatever thread: few are worked on at a time."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from app.errors import Overloaded

# Up to here it takes less time than handing it to a thread and back would.
MOST_BYTES_ON_LOOP = 1 << 15
AT_A_TIME = 2
# Seconds, at the worst; whoever would wait longer had better come back.
MOST_WAITING = 8
Result = TypeVar("Result")


class LargeBodies:
    """One for the app; its threads do nothing else, so nobody waits here for a disk or a database."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="body")
        self._under_way = 0

    @contextmanager
    def place(self, size: int) -> Iterator[None]:
        """For as long as a request with a body of `size` bytes is under way. Overloaded if there are enough of them."""
        if size <= MOST_BYTES_ON_LOOP:
            yield
            return
        if self._under_way >= AT_A_TIME + MOST_WAITING:
            raise Overloaded
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def computed(self, size: float, work: Callable[..., Result], *parts: Any) -> Result:
        """Here and now for a small body, in a thread for a large one."""
        if size <= MOST_BYTES_ON_LOOP:
            return work(*parts)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *parts)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
