"""The places of large requests, the threads that do long work, and the deadline of an answer."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from app.answering.plan import AT_A_TIME, is_refused, reads_on_loop
from app.errors import DeadlinePassed, Overloaded

Result = TypeVar("Result")


class Admission:
    """The owner of all threads that answer. One for the app.

    Nothing else runs in these threads, so that no answer waits for a disk, a database or a network.
    """

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        self._predicting = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="predict")
        self._writing = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="body")
        self._under_way = 0

    @contextmanager
    def place(self, cost: float) -> Iterator[None]:
        """Take a place while a request of this cost is under way; a small one needs none.

        Raises Overloaded where all places are taken.
        """
        if is_refused(cost, self._under_way):
            raise Overloaded
        taken = 0 if reads_on_loop(cost) else 1
        self._under_way += taken
        try:
            yield
        finally:
            self._under_way -= taken

    async def predict(self, work: Callable[[], Result]) -> Result:
        """Return `work()`, called in a thread. Raises DeadlinePassed where it takes too long."""
        return await self._in_time(asyncio.get_running_loop().run_in_executor(self._predicting, work))

    async def write(self, work: Callable[[], Result]) -> Result:
        """Return `work()`, called in a thread. Raises DeadlinePassed where it takes too long."""
        return await self._in_time(asyncio.get_running_loop().run_in_executor(self._writing, work))

    async def _in_time(self, work: "asyncio.Future[Result]") -> Result:
        """Return the result of the work. Raises DeadlinePassed after the seconds that an answer may take.

        Unlike `asyncio.wait_for` this needs no task around it: the protocol answers calls without one.
        """
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.get_running_loop().call_later(self._answer_seconds, partial(_end, waiting))
        work.add_done_callback(lambda _: _end(waiting))
        try:
            await waiting
        finally:
            timer.cancel()
            is_late = not work.done()
            if is_late:
                work.cancel()
            elif not work.cancelled():
                work.exception()  # seen, also where this call is cancelled and nobody asks for it
        if is_late:
            raise DeadlinePassed(self._answer_seconds)
        return work.result()

    def close(self) -> None:
        for threads in (self._predicting, self._writing):
            threads.shutdown(wait=False, cancel_futures=True)


def _end(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
