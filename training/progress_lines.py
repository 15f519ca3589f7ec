"""What a training tells while it runs, as lines of the trainer's protocol."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from models_store.storage.checkpoints import Checkpoint
from training.fitting.progress import Curves, Progress, Weights

# A training that is done in less leaves nothing worth keeping.
CHECKPOINT_SECONDS = 5.0
# Between two lines that say how much of the folds is done.
WORK_SECONDS = 0.25


class Telling(Progress):
    """Says every epoch, keeps the best weights on disk; `stop` raises when somebody wants the training to end."""

    def __init__(self, say: Callable[..., None], stop: Callable[[], None], keep: Callable[[Checkpoint], None]) -> None:
        self._say = say
        self._stop = stop
        self._keep = keep
        self._kept_at = time.monotonic()
        self._work: dict[str, int] = {}
        self._work_told_at = 0.0
        # Folds are fitted by several threads, and a line must not get into another.
        self._lock = threading.Lock()

    def epochs(self, done: int, curves: Curves) -> None:
        names = ("loss", "val_loss", "metric", "val_metric")
        first = done - len(curves["loss"]) + 1
        self._say(
            "epochs",
            epochs=[
                {"epoch": first + place, **{name: _value(curves, name, place) for name in names}}
                for place in range(len(curves["loss"]))
            ],
            **self._work,
        )
        self._stop()

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        with self._lock:
            self._say("fold", fold=number, folds=of, **figures)
        self._stop()

    def work(self, done: int, of: int) -> None:
        self._work = {"before": done, "of": of}
        with self._lock:
            if time.monotonic() - self._work_told_at > WORK_SECONDS:
                self._say("work", done=done, of=of)
                self._work_told_at = time.monotonic()

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        if time.monotonic() - self._kept_at > CHECKPOINT_SECONDS:
            self._keep(Checkpoint(done, best_epoch, weights()))
            self._kept_at = time.monotonic()

    def pulse(self) -> None:
        self._stop()


def _value(curves: Curves, name: str, place: int) -> Any:
    return float(curves[name][place]) if name in curves else None
