"""The progress of a fit: the curves of its epochs, and the listener that is told of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from models_store.arrays import Array
from training.recipe.spec import PatternSpec

Curve = Array
Curves = dict[str, Curve]
"""float64 (n_epochs,) each: `loss`, `metric`, and with validation rows `val_loss`, `val_metric`."""
Weights = list[NDArray[Any]]


@dataclass(frozen=True, eq=False)
class History:
    """Mean training loss and metric of each epoch, and those of the validation rows after it."""

    curves: Curves
    best_epoch: int
    """The epoch, from 1, whose weights were kept."""
    stopped_early: bool

    @property
    def loss(self) -> Curve:
        return self.curves["loss"]

    @property
    def val_loss(self) -> Curve | None:
        return self.curves.get("val_loss")

    def to_dict(self) -> dict[str, list[float]]:
        return {name: curve.tolist() for name, curve in self.curves.items()}


class Progress:
    """A listener to one training. Any method may raise, which ends the training; this class ignores all it is told."""

    epochs_per_report: int | None = None
    """The most epochs between two reports; None: about a quarter of a second."""

    def epochs(self, done: int, curves: Curves) -> None:
        """`done` epochs of the served network are complete; `curves` are those since the last call."""

    def begins(self, spec: PatternSpec, members: int, n_bytes: int) -> None:
        """The only fit of a recipe begins: nothing is open in `spec`, and its rows are encoded, in `n_bytes` bytes."""

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        """Fold `number`, from 1, of a cross-validation is scored."""

    def work(self, done: int, of: int) -> None:
        """`done` epochs of folds are complete; `of` is the most there can be, those of the served network included."""

    def pulse(self) -> None:
        """Work goes on, and there is nothing to report yet."""

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        """A chunk of epochs is complete; `weights()` copies the best weights so far, for a training that is cut off."""


class Quiet(Progress):
    """Progress of a fit that nobody follows; it can be ended where the other one can."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def epochs(self, done: int, curves: Curves) -> None:
        self._progress.pulse()

    def pulse(self) -> None:
        self._progress.pulse()
