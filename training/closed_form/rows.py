"""The rows that a closed form is looked for in: columns of numbers, a target, and how much each row counts."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from training.closed_form.terms import Columns


@dataclass(frozen=True, eq=False)
class Rows:
    """`columns` and `target` float64 (n_rows,)."""

    columns: Columns
    target: Array
    weights: Array | None = None
    """How much each row counts, above 0, float64 (n_rows,); None: all alike."""

    def take(self, places: NDArray[np.intp]) -> "Rows":
        weights = None if self.weights is None else self.weights[places]
        return Rows({name: values[places] for name, values in self.columns.items()}, self.target[places], weights)

    @property
    def n_effective(self) -> int:
        """The number of rows alike that would tell as much (Kish, 1965)."""
        if self.weights is None:
            return len(self.target)
        shares = self.weights / self.weights.max()
        return round(float(shares.sum() ** 2 / (shares**2).sum()))

    def drawn(self, most: int, seed: int) -> "Rows":
        """Return `most` rows at most that count alike, drawn by `seed`, those that count more the more often.

        Weighted sampling without replacement after Efraimidis and Spirakis, 2006.
        """
        rng = np.random.default_rng(seed)
        if self.weights is None:
            return self.take(rng.permutation(len(self.target))[:most])
        order = np.argsort(rng.exponential(size=len(self.target)) / self.weights)
        return replace(self.take(order[: min(most, self.n_effective)]), weights=None)

    @property
    def roots(self) -> Array:
        """Factors of errors, float64 (n_rows,), whose squares are the weights, 1 in the mean: for least squares."""
        if self.weights is None:
            return np.ones(len(self.target))
        return np.asarray(np.sqrt(self.weights / self.weights.mean()))

    @property
    def deviation(self) -> float:
        """The standard deviation of the target."""
        return self.size_of(self.target - np.average(self.target, weights=self.weights))

    def size_of(self, errors: Array) -> float:
        """Return the root mean square of one number a row."""
        return float(np.sqrt(np.average(errors**2, weights=self.weights)))
