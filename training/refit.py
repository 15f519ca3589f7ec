"""The second fit of a recipe: on all rows, for as many epochs as the first fit found; its network is served.

first fit, on TRAIN rows -> epochs, scores of test rows        second fit, on all rows -> what is served
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from training.data.dataset import Dataset, Rows, joined
from training.fitting.fit import Extent
from training.fitting.learn import Learned, Runtime, learn
from training.fitting.progress import Curves, Progress, Weights
from training.recipe.data import FormulaData, TableData
from training.recipe.spec import PatternSpec


class FirstFit(Progress):
    """Progress of all that comes before the second fit; passes it on, and counts its epochs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before = 0
        self.done = 0
        """Epochs that are complete, those of folds included."""

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        self._progress.fold(number, of, figures)

    def work(self, done: int, of: int) -> None:
        self._before = done
        self._progress.work(done, of)

    def epochs(self, done: int, curves: Curves) -> None:
        self.done = self._before + done
        self._progress.epochs(done, curves)

    def pulse(self) -> None:
        self._progress.pulse()

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        self._progress.checkpoint(done, best_epoch, weights)


class SecondFit(Progress):
    """Progress of the second fit; its epochs are work, because the curves on the card are those of the first."""

    def __init__(self, progress: Progress, before: int, planned: int) -> None:
        self._progress = progress
        self._before = before
        self._of = before + planned

    def epochs(self, done: int, curves: Curves) -> None:
        self._progress.work(self._before + done, self._of)
        # Work is only told of; a pulse is where a training that was cancelled ends.
        self._progress.pulse()

    def pulse(self) -> None:
        self._progress.pulse()


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


def refit(spec: PatternSpec, data: Dataset, rows: Rows, first: Learned, runtime: Runtime) -> Learned:
    """Fit the recipe's network to `rows`, for the epochs of the first fit; `spec` leaves nothing to be chosen by size.

    Raises what `learn` raises.
    """
    same = spec.overridden({"network": {"members": first.architecture.members}})
    extent = Extent(first.history.best_epoch, len(rows))
    return learn(same, replace(data, train=rows, validation=None), runtime, extent)
