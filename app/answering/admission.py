"""A large body holds the interpreter for a second, in whatever thread: few are worked on at a time."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from app.errors import Overloaded

# Up to here it takes less time than handing it to a thread and back would.
MOST_BYTES_ON_LOOP = 1 << 15
AT_A_TIME = 2
# Seconds, as a rule; whoever would wait longer had better come back.
MOST_WAITING = 8
Result = TypeVar("Result")


class LargeBodies:
    """One for the app; its threads write answers and nothing else: nobody waits here for disk, database or network."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="body")
        self._under_way = 0

    @contextmanager
    def place(self, weight: float) -> Iterator[None]:
        """For as long as a request of this weight is under way. Overloaded if there are enough heavy ones."""
        if weight <= MOST_BYTES_ON_LOOP:
            yield
            return
        if self._under_way >= AT_A_TIME + MOST_WAITING:
            raise Overloaded
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def written(self, write: Callable[..., Result], *parts: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, write, *parts)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
