"""The networks of pytabkit, whose defaults were tuned on tables of others. They take no missing numbers."""

from typing import Any

import numpy as np

from benchmarks.accuracy.peers import Answer, Inputs, Numbers


def fit_network(regressor: Any, classifier: Any, inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    """Fit the one or the other; medians stand in for missing numbers, beside a flag where training rows had some."""
    import pandas as pd

    has_missing = np.isnan(inputs.numbers).any(axis=0)
    medians = np.nanmedian(inputs.numbers, axis=0)
    sizes = inputs.codes.max(axis=0, initial=-1) + 1

    def frame(asked: Inputs) -> pd.DataFrame:
        missing = np.isnan(asked.numbers)
        columns = np.hstack([np.where(missing, medians, asked.numbers), missing[:, has_missing]]).astype(np.float32)
        made = pd.DataFrame(columns).add_prefix("n")
        for place, codes in enumerate(asked.codes.T):
            made[f"c{place}"] = pd.Categorical.from_codes(codes, list(range(sizes[place])))
        return made

    model = (classifier if n_labels else regressor)(random_state=seed, device="cpu", verbosity=0)
    categories = [f"c{place}" for place in range(len(sizes))]
    model.fit(frame(inputs), y.astype(np.int64) if n_labels else y, cat_col_names=categories)
    answer = model.predict_proba if n_labels else model.predict
    return lambda asked: np.asarray(answer(frame(asked)), np.float64)
