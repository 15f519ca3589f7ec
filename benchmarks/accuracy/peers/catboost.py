"""CatBoost with its defaults; categories are told to it as such."""

from typing import TYPE_CHECKING

from benchmarks.accuracy.peers import PANDAS, Answer, Inputs, Numbers

if TYPE_CHECKING:
    import pandas as pd

REQUIREMENTS = ("catboost==1.2.10", PANDAS)


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from catboost import CatBoostClassifier, CatBoostRegressor

    kind = CatBoostClassifier if n_labels else CatBoostRegressor
    model = kind(random_seed=seed, verbose=False, allow_writing_files=False, cat_features=inputs.code_places)
    model.fit(_frame(inputs), y)
    answer = model.predict_proba if n_labels else model.predict
    return lambda asked: answer(_frame(asked))


def _frame(inputs: Inputs) -> "pd.DataFrame":
    """Return the numbers and codes by place; it takes categories as whole numbers or texts alone."""
    import pandas as pd

    parts = (pd.DataFrame(inputs.numbers), pd.DataFrame(inputs.codes))
    return pd.concat(parts, axis=1, ignore_index=True)
