"""LightGBM with its defaults; categories are told to it as such."""

from benchmarks.accuracy.peers import SCIKIT_LEARN, Answer, Inputs, Numbers

REQUIREMENTS = ("lightgbm==4.7.0", SCIKIT_LEARN)


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from lightgbm import LGBMClassifier, LGBMRegressor

    model = (LGBMClassifier if n_labels else LGBMRegressor)(random_state=seed, verbose=-1)
    model.fit(inputs.with_codes(), y, categorical_feature=inputs.code_places or "auto")
    answer = model.predict_proba if n_labels else model.predict
    return lambda asked: answer(asked.with_codes())
