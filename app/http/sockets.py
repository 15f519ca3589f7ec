"""Listening sockets that are passed to worker processes, but not inherited by the processes that those start.

A trainer that inherited them would keep the port open after its server has ended, and clients would wait in vain.
"""

import socket
from multiprocessing.reduction import DupFd
from typing import Any

# In each turn of its loop uvloop accepts one connection per listening socket, however many wait. With a single socket,
# new clients and health checks would wait for seconds while a crowd of others keeps the loop busy.
HOW_MANY = 16


class Listening(socket.socket):
    """A listening socket that stays uninheritable in the worker process which it is passed to."""

    @classmethod
    def at(cls, bound: socket.socket) -> list[socket.socket]:
        """Return copies of a bound socket that are not inheritable, and close it: uvicorn makes it inheritable."""
        with bound:
            return [cls(fileno=bound.dup().detach()) for _ in range(HOW_MANY)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.fileno()),)


def _received(passed: Any) -> Listening:
    listening = Listening(fileno=passed.detach())
    listening.set_inheritable(False)
    return listening
