"""Listening sockets that worker processes are given, and that no process of theirs inherits.

A trainer that had them would listen on when its server has ended, and clients would wait for nobody.
"""

import socket
from multiprocessing.reduction import DupFd
from typing import Any

# Of each listening socket uvloop takes one connection in a turn of its loop, however many wait. With a single one, new
# clients and health checks would wait for seconds beside a crowd of others that keep the loop busy.
HOW_MANY = 16


class Listening(socket.socket):
    """What a spawned process is given is inheritable there, unless somebody says otherwise."""

    @classmethod
    def at(cls, bound: socket.socket) -> list[socket.socket]:
        """Closes `bound`, which is inheritable as uvicorn makes it."""
        with bound:
            return [cls(fileno=bound.dup().detach()) for _ in range(HOW_MANY)]

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.fileno()),)


def _received(passed: Any) -> Listening:
    listening = Listening(fileno=passed.detach())
    listening.set_inheritable(False)
    return listening
