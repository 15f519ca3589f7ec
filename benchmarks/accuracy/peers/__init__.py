"""Peers: learners of tables as their packages bring them, untuned; a file for each, and an environment of its own.

A peer's file has REQUIREMENTS and `fit(inputs, y, n_labels, seed)`, which returns what answers rows: numbers (n_rows,),
or where there are labels their probabilities (n_rows, n_labels).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

PEERS: Mapping[str, str] = {
    "hgb": "HGB",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "catboost": "CatBoost",
    "realmlp": "RealMLP-TD",
    "tabm": "TabM",
}
# Releases that work together; PyTorch is pinned because another one learns other weights.
SCIKIT_LEARN, PANDAS = "scikit-learn==1.9.1", "pandas==3.1.1"
PYTABKIT = ("pytabkit==1.7.3", "torch==2.13.0", SCIKIT_LEARN, PANDAS)
Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """Numbers (n_rows, n_numbers), NaN where missing, and numbered categories (n_rows, n_categories), -1 likewise."""

    numbers: Numbers
    codes: Codes

    def take(self, rows: NDArray[np.intp]) -> "Inputs":
        return Inputs(self.numbers[rows], self.codes[rows])

    def with_codes(self) -> Numbers:
        """Return numbers and codes side by side, NaN where missing; the codes come last."""
        return np.hstack([self.numbers, np.where(self.codes < 0, np.nan, self.codes)])

    @property
    def code_places(self) -> list[int]:
        """The columns of codes in `with_codes`."""
        return list(range(self.numbers.shape[1], self.numbers.shape[1] + self.codes.shape[1]))


Answer = Callable[[Inputs], Numbers]


class Fit(Protocol):
    def __call__(self, inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
        """Learn the rows; y are numbers, or where n_labels is not 0 the numbers of labels."""
