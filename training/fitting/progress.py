"""What a fit tells while it runs."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from models_store.arrays import Array

Curve = Array
Curves = dict[str, Curve]
"""One value an epoch: `loss`, `metric`, and with validation rows `val_loss`, `val_metric`."""
Weights = list[NDArray[Any]]


class Progress:
    """Who is told how a training goes, and may raise to stop it. This one only wants the result."""

    def epochs(self, done: int, curves: Curves) -> None:
        """So many epochs of the served network are done; the curves since the last call."""

    def fold(self, number: int, of: int, figures: Mapping[str, float]) -> None:
        """A fold of a cross-validation is scored; numbered from 1."""

    def work(self, done: int, of: int) -> None:
        """So many epochs of folds are done, of all that there are to do at most, the served network's among them."""

    def pulse(self) -> None:
        """Work goes on that has nothing to tell."""

    def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
        """What there is so far, if the training should be cut off here."""
