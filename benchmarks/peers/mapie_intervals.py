"""MAPIE's regressors around a network that is fitted already: coverage and mean width, in an environment of its own.

argument: a folder of cases, npz with calibration and test rows, their answers and targets -> JSON on standard output
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

REQUIREMENTS = ("mapie==1.6.0",)
SCORES = ("absolute", "gamma", "residual_normalized")


def main() -> None:
    from mapie.regression import SplitConformalRegressor  # deferred: it is in the environment of this script alone
    from sklearn.base import BaseEstimator, RegressorMixin

    class Network(RegressorMixin, BaseEstimator):
        """Answers rows whose first column is the answer."""

        def fit(self, _x: object, _y: object) -> "Network":
            return self

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x[:, 0]

        def __sklearn_is_fitted__(self) -> bool:
            return True

    def measured(case: dict[str, np.ndarray], score: str) -> list[list[float]]:
        network = Network().fit(None, None)
        levels = case["levels"].tolist()
        around = SplitConformalRegressor(network, confidence_level=levels, conformity_score=score, prefit=True)
        around.conformalize(np.column_stack([case["answers"], case["x"]]), case["y"])
        _, ends = around.predict_interval(np.column_stack([case["test_answers"], case["test_x"]]))
        held = (ends[:, 0] <= case["test_y"][:, None]) & (case["test_y"][:, None] <= ends[:, 1])
        return [held.mean(axis=0).tolist(), (ends[:, 1] - ends[:, 0]).mean(axis=0).tolist()]

    warnings.simplefilter("ignore")
    found: dict[str, list[list[list[float]]]] = {score: [] for score in SCORES}
    for path in sorted(Path(sys.argv[1]).glob("*.npz")):
        case = dict(np.load(path))
        for score in SCORES:
            try:
                found[score].append(measured(case, score))
            except ValueError:  # some of its scores take answers and targets above 0 alone
                continue
    print(json.dumps(found))


if __name__ == "__main__":
    main()
