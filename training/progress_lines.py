"""The progress of a training, told as events of the trainer's protocol."""

import threading
import time
from collections.abc import Callable, Mapping

from models_store.card import Trial
from models_store.storage.checkpoints import Checkpoint
from training.fitting.progress import Curves, Progress, Weights
from training.messages import Epoch, EpochsDone, FoldScored, TrainingEvent, TrialEnded, TrialEpochs, WorkDone

# A training that is done in less leaves nothing worth keeping.
CHECKPOINT_SECONDS = 5.0
# Between two events that say how many epochs of the folds are done.
WORK_SECONDS = 0.25


class LineProgress(Progress):
    """Tells every epoch, and keeps the best weights on disk; `stop` raises when the training is to end."""

    def __init__(
        self,
        training: str,
        tell: Callable[[TrainingEvent], None],
        stop: Callable[[], None],
        keep: Callable[[Checkpoint], None],
    ) -> None:
        self._training = training
        self._tell = tell
        self._stop = stop
        self._keep = keep
        self._kept_at = time.monotonic()
        self._before = 0
        self._of: int | None = None
        self._work_told_at = 0.0
        self._trial_told_at = time.monotonic()
        # Folds are fitted by several threads; two events must not share a line.
        self._lock = threading.Lock()

    def epochs(self, done: int, curves: Curves) -> None:
        first = done - len(curves["loss"]) + 1
        epochs = tuple(_epoch(first + place, curves, place) for place in range(len(curves["loss"])))
        self._tell(EpochsDone(id=self._training, epochs=epochs, before=self._before, of=self._of))
        self._stop()

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        with self._lock:
            self._tell(FoldScored(id=self._training, fold=number, folds=of, figures=dict(figures)))
        self._stop()

    def work(self, done: int, of: int) -> None:
        self._before, self._of = done, of
        with self._lock:
            if time.monotonic() - self._work_told_at > WORK_SECONDS:
                self._tell(WorkDone(id=self._training, done=done, of=of))
                self._work_told_at = time.monotonic()

    def trial(self, trial: Trial, best: int | None, of: int) -> None:
        """A trial of a search has ended; `best` is the number of the best so far, of `of` that are to be run."""
        self._tell(TrialEnded(id=self._training, trial=trial, best=best, of=of))

    def trial_epochs(self, number: int, done: int, curves: Curves) -> None:
        """`done` epochs of trial `number` are complete."""
        with self._lock:
            if time.monotonic() - self._trial_told_at > WORK_SECONDS:
                self._tell(TrialEpochs(id=self._training, number=number, epoch=_epoch(done, curves, -1)))
                self._trial_told_at = time.monotonic()

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        if time.monotonic() - self._kept_at > CHECKPOINT_SECONDS:
            self._keep(Checkpoint(done, best_epoch, weights()))
            self._kept_at = time.monotonic()

    def pulse(self) -> None:
        self._stop()


def _epoch(number: int, curves: Curves, place: int) -> Epoch:
    def value(name: str) -> float | None:
        return float(curves[name][place]) if name in curves else None

    return Epoch(
        epoch=number,
        loss=float(curves["loss"][place]),
        val_loss=value("val_loss"),
        metric=value("metric"),
        val_metric=value("val_metric"),
    )
