"""The trainer process: one JSON line in is one training to do, JSON lines out say how it goes.

    in   {"id", "spec", "device", "root", "publish": false} | {…, "publish": true, "promote", "keep", "engine"}
         {"cancel": id}
         {"id", "spec", "device", "root", "folds_only": true}
    out  {"event": "ready"} · {"id", "event", …}: started, work, fold, epochs, evaluated, published, cross_validated,
         failed, cancelled

Started by the server or the command line with `python -m training.worker`; it ends when its stdin does, or its parent.
"""

import json
import os
import queue
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from app.processes.limits import half_of_memory, restrain
from models_store.errors import PatternServerError

if TYPE_CHECKING:
    import polars as pl

    from training.progress_lines import Telling
    from training.recipe.spec import PatternSpec


class Cancelled(Exception):
    """Somebody asked for this training to stop."""


@dataclass
class Inbox:
    """Requests in order; cancellations are seen at once, also while a training runs."""

    requests: "queue.SimpleQueue[dict[str, Any] | None]"
    cancelled: set[str]

    def read(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                message = json.loads(line)
                if "cancel" in message:
                    self.cancelled.add(message["cancel"])
                else:
                    self.requests.put(message)
        finally:
            # Also after a line that cannot be understood: whoever sent it must not be waited for.
            self.requests.put(None)


def main() -> None:
    # What libraries print must not get between the lines of the protocol.
    protocol = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    parent = int(os.environ.get("PATTERNS_TRAINER_PARENT", os.getppid()))
    restrain(parent, int(os.environ.get("PATTERNS_TRAINER_MEMORY_MB", "0")) << 20 or half_of_memory())
    inbox = Inbox(queue.SimpleQueue(), set())
    threading.Thread(target=inbox.read, args=(sys.stdin,), daemon=True).start()
    import_engine()
    say(protocol, event="ready")
    while (request := inbox.requests.get()) is not None:
        Training(request, inbox, protocol).run()


def import_engine() -> None:
    from models_store.networks.keras_network import (
        use_threads,  # deferred: the process must be restrained before this takes seconds
    )

    use_threads(max(1, (os.cpu_count() or 2) - 1))


def say(stream: IO[str], **message: object) -> None:
    stream.write(json.dumps(message, allow_nan=False) + "\n")
    stream.flush()


class Training:
    """One request, from its recipe to its last line."""

    def __init__(self, request: dict[str, Any], inbox: Inbox, protocol: IO[str]) -> None:
        self.id: str = request["id"]
        self._request = request
        self._inbox = inbox
        self._protocol = protocol

    def run(self) -> None:
        try:
            self._train_and_publish()
        except Cancelled:
            self._say("cancelled")
        except PatternServerError as error:
            self._fail(error.code, str(error))
        except MemoryError:
            self._fail("out_of_memory", "the training needs more memory than it may have")
        except Exception as error:  # noqa: BLE001  # a bug must end this job, with its trace in the log, and not the trainer
            sys.excepthook(type(error), error, error.__traceback__)
            self._fail("internal_error", f"the training stopped with {type(error).__name__}; the server's log has more")

    def _train_and_publish(self) -> None:
        from models_store.storage.checkpoints import Checkpoints  # deferred: `main` has imported the engine by now
        from training.progress_lines import Telling
        from training.recipe.spec import PatternSpec

        spec = PatternSpec.parse(self._request["spec"])
        self._say("started", epochs=spec.fit.epochs)
        if not self._request["publish"]:
            self._measure(spec, Telling(self._say, self._stop_if_cancelled, lambda _: None))
            return
        checkpoints = Checkpoints(Path(self._request["root"]))
        try:
            self._publish(spec, Telling(self._say, self._stop_if_cancelled, partial(checkpoints.write, self.id)))
        finally:
            # Whatever its end is, it is its own: only a process that is killed leaves its checkpoint.
            checkpoints.remove(self.id)

    def _measure(self, spec: "PatternSpec", telling: "Telling") -> None:
        from training.run import score_folds, train  # deferred: `main` has imported the engine by now

        if self._request.get("folds_only"):
            crossed = score_folds(spec, read_table=self._read_table, device=self._request["device"], progress=telling)
            self._say("cross_validated", result=crossed.model_dump(mode="json"))
            return
        bundle = train(spec, read_table=self._read_table, device=self._request["device"], progress=telling)
        self._say("evaluated", card=bundle.card.model_dump(mode="json"))

    def _publish(self, spec: "PatternSpec", telling: "Telling") -> None:
        from models_store.networks import engines  # deferred: `main` has imported the engine by now
        from models_store.storage.store import Store
        from training.run import train

        device = self._request["device"]
        # The engine that will serve verifies what is published; that it is missing is said before anything is trained.
        load = engines.loader(self._request["engine"], device)
        bundle = train(spec, read_table=self._read_table, device=device, progress=telling, job=self.id)
        self._say("evaluated", card=bundle.card.model_dump(mode="json"))
        self._stop_if_cancelled()
        store = Store(Path(self._request["root"]), load, keep=self._request["keep"])
        self._say("published", version=store.publish(bundle, promote=self._request["promote"]))

    def _read_table(self, dataset: str) -> "pl.DataFrame":
        from models_store.storage.datasets import Datasets  # deferred: reading tables is not for formulas
        from training.data.well_known import NAMES, well_known

        return well_known(dataset) if dataset in NAMES else Datasets(Path(self._request["root"])).frame(dataset)

    def _stop_if_cancelled(self) -> None:
        if self.id in self._inbox.cancelled:
            raise Cancelled

    def _fail(self, code: str, message: str) -> None:
        self._say("failed", code=code, message=message)

    def _say(self, event: str, **facts: object) -> None:
        say(self._protocol, id=self.id, event=event, **facts)


if __name__ == "__main__":
    main()
