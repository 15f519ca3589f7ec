"""scikit-learn's HistGradientBoosting, with its defaults. Categories beyond its limit are encoded by their target."""

from benchmarks.accuracy.peers import SCIKIT_LEARN, Answer, Inputs, Numbers

REQUIREMENTS = (SCIKIT_LEARN,)
MOST_CATEGORIES = 254  # of its bins, one of which is for missing values


def fit(inputs: Inputs, y: Numbers, n_labels: int, seed: int) -> Answer:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import TargetEncoder

    few = [place for place, size in zip(inputs.code_places, _sizes(inputs), strict=True) if size <= MOST_CATEGORIES]
    many = [place for place in inputs.code_places if place not in few]
    kind = HistGradientBoostingClassifier if n_labels else HistGradientBoostingRegressor
    encoder = TargetEncoder(target_type=_target_type(n_labels), random_state=seed)
    first = [place for place in range(inputs.with_codes().shape[1]) if place not in many]
    encoded = ColumnTransformer([("kept", "passthrough", first), ("many", encoder, many)])
    model = make_pipeline(encoded, kind(categorical_features=[first.index(place) for place in few], random_state=seed))
    model.fit(inputs.with_codes(), y)
    answer = model.predict_proba if n_labels else model.predict
    return lambda asked: answer(asked.with_codes())


def _sizes(inputs: Inputs) -> list[int]:
    return [len(set(column)) for column in inputs.codes.T.tolist()]


def _target_type(n_labels: int) -> str:
    return "continuous" if not n_labels else "binary" if n_labels == 2 else "multiclass"
