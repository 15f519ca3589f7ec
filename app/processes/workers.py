"""Worker processes of `patterns serve --workers N`, and the supervisor that replaces the ones that die or hang.

The supervisor is uvicorn's, with its waits bounded: uvicorn waits for a worker's answer, or its end, however long that
takes, and hears no signal meanwhile.
"""

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import RawValue
from socket import socket
from typing import Any, cast

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.processes.limits import end_with

log = logging.getLogger("uvicorn.error")

# Importing TensorFlow holds the interpreter for seconds; that is no hang.
HUNG_SECONDS = 120
# From the end of the drain until a worker that is still there is killed. A worker ends itself within LAST_SECONDS.
GRACE_SECONDS = 4.5
# Between two looks of a worker whether its turn has come.
TURN_SECONDS = 0.05


class Turns:
    """The order in which workers take connections, known to all processes of the server.

    The first worker takes them at once, and says itself when it is ready. All others wait until it is, and until they
    have loaded the store: once the server has said that it is ready, nobody may refuse what he has not loaded yet.
    """

    def __init__(self) -> None:
        # Not a lock, which a worker that is killed could keep.
        self._is_first_loaded: Any = RawValue("b", 0)

    @property
    def is_first_loaded(self) -> bool:
        return bool(self._is_first_loaded.value)

    def tell_loaded(self) -> None:
        """Let the others take connections, now that the first worker has loaded the store."""
        self._is_first_loaded.value = 1


@dataclass
class Place:
    """The place of this process among the workers; a server of one process is the first."""

    turns: Turns
    is_first: bool = True

    def wait_for_turn(self) -> None:
        while not (self.is_first or self.turns.is_first_loaded):
            time.sleep(TURN_SECONDS)


place = Place(Turns())


class Worker(Process):
    """One process that serves. Its parent knows at once when it has died, and never waits for its answer."""

    def __init__(self, config: Config, sockets: list[socket], turns: Turns, *, is_first: bool) -> None:
        super().__init__(config, sockets)
        self.is_first = is_first
        self._turns = turns
        self._parent = os.getpid()
        self._asked_at: float | None = None

    def start(self) -> None:
        super().start()
        # With the other end open here as well, the death of the worker would not end the pipe.
        self.child_conn.close()

    def target(self, sockets: list[socket] | None = None) -> None:
        """Serve, in the new process; end with the supervisor."""
        place.turns, place.is_first = self._turns, self.is_first
        end_with(self._parent, signal.SIGTERM)
        super().target(sockets)

    def is_well(self) -> bool:
        """True unless the process has ended, or has owed an answer for HUNG_SECONDS. Returns at once."""
        if not self.process.is_alive():
            return False
        try:
            if self._asked_at is not None and self.parent_conn.poll(0):
                self.parent_conn.recv()
                self._asked_at = None
            if self._asked_at is None:
                self.parent_conn.send(b"ping")
                self._asked_at = time.monotonic()
        except (OSError, EOFError):
            return False
        return time.monotonic() - self._asked_at < HUNG_SECONDS


class Supervisor(Multiprocess):
    """One for the server: it starts the workers, replaces those that die or hang, and stops them all."""

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._workers: list[Worker] = []
        self._turns = Turns()
        # Heard also while a worker is waited for; uvicorn hears it between two rounds.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.should_exit.set())

    def init_processes(self) -> None:
        self._workers = [self._started(is_first=number == 0) for number in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Replace each worker that has ended or hangs. Returns at once."""
        for number, worker in enumerate(self._workers):
            if self.should_exit.is_set() or worker.is_well():
                continue
            worker.kill()
            worker.join()
            if worker.exitcode == STARTUP_FAILURE:
                # It would fail the same way every time.
                log.error("a worker cannot start", extra={"pid": worker.pid})
                self.should_exit.set()
                return
            log.info("a worker has ended and is replaced", extra={"pid": worker.pid, "status": worker.exitcode})
            # The first may have ended before it had loaded: then another has to be the first.
            self._workers[number] = self._started(is_first=worker.is_first and not self._turns.is_first_loaded)

    def terminate_all(self) -> None:
        """Ask all workers to stop. The sockets are closed first: nobody would answer who connects from now on."""
        for listening in self.sockets:
            listening.close()
        # Who still waits for its turn would wait for ever, and not hear that it is to stop.
        self._turns.tell_loaded()
        for worker in self._workers:
            worker.terminate()

    def join_all(self) -> None:
        self._end(self._workers)

    def restart_all(self) -> None:
        """Replace each worker once its successor is ready; on SIGHUP. A signal to stop ends it."""
        for number, worker in enumerate(self._workers):
            successor = self._started()
            if not successor.wait_until_ready(HUNG_SECONDS, self.should_exit):
                log.error("a new worker is not ready; the old ones stay", extra={"pid": successor.pid})
                successor.kill()
                successor.join()
                return
            self._workers[number] = successor
            self._retire(worker)

    def handle_ttin(self) -> None:
        self.processes_num += 1
        self._workers.append(self._started())

    def handle_ttou(self) -> None:
        if self.processes_num > 1:
            self.processes_num -= 1
            self._retire(self._workers.pop())

    def _started(self, *, is_first: bool = False) -> Worker:
        worker = Worker(self.config, self.sockets, self._turns, is_first=is_first)
        worker.start()
        return worker

    def _retire(self, worker: Worker) -> None:
        worker.terminate()
        self._end([worker])

    def _end(self, workers: Sequence[Worker]) -> None:
        """Wait until workers that were asked to stop have ended; kill those that do not in time."""
        until = time.monotonic() + (self.config.timeout_graceful_shutdown or 0) + GRACE_SECONDS
        left = {worker.process.sentinel: worker for worker in workers}
        while left and (seconds := until - time.monotonic()) > 0:
            for ended in wait(list(left), seconds):
                del left[cast(int, ended)]
        for worker in left.values():
            log.error("a worker did not stop in time and is killed", extra={"pid": worker.pid})
            worker.process.kill()
        for worker in workers:
            worker.join()
