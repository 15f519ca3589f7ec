"""The second fit of a recipe: on all rows, for as many epochs as the first fit found; its network is served.

first fit, on TRAIN rows      epoch 1 .. best so far .. last     scores of test rows
                                            |
second fit, on all rows       epoch 1 .. as far as that          what is served

Where a core is free for it, the second fit goes on beside the first, and otherwise after it: the same to the bit.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from queue import SimpleQueue
from typing import Self

from training.data.dataset import Dataset, Rows, joined
from training.fitting.fit import Extent
from training.fitting.learn import Learned, Runtime, learn
from training.fitting.progress import Curves, Progress, Weights
from training.recipe.data import FormulaData, TableData
from training.recipe.spec import PatternSpec

# Bytes of encoded rows up to which both fits are in memory at a time.
MOST_BESIDE = 1 << 27
# Seconds between two looks at whether a training was cancelled, while the second fit alone goes on.
LOOK_SECONDS = 0.1


class FirstFit(Progress):
    """Progress of all that comes before the second fit; passes it on, and counts its epochs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.epochs_per_report = progress.epochs_per_report
        self._before = 0
        self.done = 0
        """Epochs that are complete, those of folds included."""

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        self._progress.fold(number, of, figures)

    def work(self, done: int, of: int) -> None:
        self._before = self.done = done
        self._progress.work(done, of)

    def epochs(self, done: int, curves: Curves) -> None:
        self.done = self._before + done
        self._progress.epochs(done, curves)

    def pulse(self) -> None:
        self._progress.pulse()

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        self._progress.checkpoint(done, best_epoch, weights)


class Ended(Exception):
    """Nobody waits for the second fit any more."""


class SecondFit(Progress):
    """A fit in a thread of its own that goes as far as the best epoch so far of the first one, and waits for more.

    A context; when it is left, the fit has ended. It listens to itself: what there is to tell is told by the thread
    that waits for it.
    """

    def __init__(self, data: Dataset, rows: Rows, runtime: Runtime, told: FirstFit) -> None:
        """`data` are those of the first fit, and `rows` all rows; `told` is told how both go."""
        self._data = replace(data, train=rows, validation=None)
        self._runtime = replace(runtime, progress=self)
        self._told = told
        self._threads = ThreadPoolExecutor(1, "second-fit")
        self._fit: Future[Learned] | None = None
        self._best: SimpleQueue[int | None] = SimpleQueue()
        self._is_left = False
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_left = True
        self._best.put(None)
        self._threads.shutdown()

    def begin_beside(self, spec: PatternSpec, members: int, n_bytes: int) -> None:
        """Begin while the first fit goes on, if there are a core and memory for both. Their epochs count once then."""
        if self._runtime.has_core_beside and n_bytes <= MOST_BESIDE:
            self._fit = self._begun(spec, members)
            self._told.work(self._told.done, self._told.done + spec.fit.most_epochs)

    def reach(self, epoch: int) -> None:
        """Let a fit that goes on beside the first go on to this epoch, the best one so far."""
        if self._fit is not None:
            self._best.put(epoch)

    def learned(self, first: Learned) -> Learned:
        """Return the fit, which ends at the best epoch of the first. Raises what `learn` raises, and what is told."""
        self._best.put(first.history.best_epoch)
        self._best.put(None)
        fit = self._fit or self._begun(first.spec, first.architecture.members)
        before = self._told.done - self._done
        while wait([fit], LOOK_SECONDS).not_done:
            self._told.work(before + self._done, before + first.history.best_epoch)
            self._told.pulse()
        self._told.work(before + first.history.best_epoch, before + first.history.best_epoch)
        self._told.pulse()
        return fit.result()

    def epochs(self, done: int, curves: Curves) -> None:
        self._done = done
        self.pulse()

    def pulse(self) -> None:
        if self._is_left:
            raise Ended

    def _begun(self, spec: PatternSpec, members: int) -> Future[Learned]:
        """`spec` leaves nothing to be chosen by the number of rows, and the first fit has so many members."""
        same = spec.overridden({"network": {"members": members}})
        extent = Extent(self._reached(), len(self._data.train))
        return self._threads.submit(learn, same, self._data, self._runtime, extent)

    def _reached(self) -> Iterator[int]:
        while (epoch := self._best.get()) is not None:
            yield epoch
        self.pulse()


class Followed(FirstFit):
    """Progress of the first fit, which lets a second one follow."""

    def __init__(self, told: FirstFit, second: SecondFit) -> None:
        super().__init__(told)
        self._second = second

    def begins(self, spec: PatternSpec, members: int, n_bytes: int) -> None:
        self._second.begin_beside(spec, members, n_bytes)

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        self._second.reach(best_epoch)
        super().checkpoint(done, best_epoch, weights)


def rows_of(spec: PatternSpec, data: Dataset) -> Rows | None:
    """Return the rows of a second fit; None where there is to be none, or where it would have no more than the first.

    Test rows of a table or a region of their own are none of them. After a cross-validation the first fit has the
    validation rows already.
    """
    if not spec.split.refit:
        return None
    if isinstance(spec.data, TableData | FormulaData) and spec.data.test is not None:
        return data.fitted if data.validation and spec.cross_validate is None else None
    return joined(data.fitted, data.test)
