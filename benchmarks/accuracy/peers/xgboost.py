"""XGBoost with its defaults; categories are told to it as such."""

from benchmarks.accuracy.peers import SCIKIT_LEARN, Answer, Inputs, Numbers

REQUIREMENTS = ("xgboost-cpu==3.2.0", SCIKIT_LEARN)


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from xgboost import XGBClassifier, XGBRegressor

    types = ["q"] * inputs.numbers.shape[1] + ["c"] * inputs.codes.shape[1]
    kind = XGBClassifier if n_labels else XGBRegressor
    model = kind(enable_categorical=True, feature_types=types, random_state=seed)
    model.fit(inputs.with_codes(), y)
    answer = model.predict_proba if n_labels else model.predict
    return lambda asked: answer(asked.with_codes())
