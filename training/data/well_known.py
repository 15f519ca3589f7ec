"""Well-known tables by name: iris ships with scikit-learn, the others are downloaded by Keras' own loaders.

name -> DataFrame with the columns that people know, the target last
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from training.data.dataset import DataError
from training.recipe.data import WellKnown

if TYPE_CHECKING:
    import polars as pl

BOSTON = ("crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "b", "lstat", "medv")
CALIFORNIA = (
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
    "median_house_value",
)
# Keras' word numbers begin here; those below are padding, start and unknown.
FIRST_WORD = 3
NAMES: tuple[str, ...] = get_args(WellKnown)

Load = Callable[[], "pl.DataFrame"]


def well_known(name: str, loaders: Mapping[str, Load] | None = None) -> "pl.DataFrame":
    """Read a well-known table, its target the last column. Raises DataError if it cannot be downloaded."""
    try:
        return (loaders or LOADERS)[name]()
    except Exception as error:
        # Keras raises a bare Exception with these words where a download failed.
        if "URL fetch failure" not in str(error):
            raise
        raise DataError(
            f"data.dataset: {name} is downloaded when it is first used, and that failed; this machine needs a network"
        ) from error


def iris() -> "pl.DataFrame":
    from sklearn.datasets import load_iris  # deferred: only this needs it

    found: Any = load_iris()
    names = [name.removesuffix(" (cm)").replace(" ", "_") for name in found.feature_names]
    return _frame([*names, "species"], found.data, found.target_names[found.target])


def boston_housing() -> "pl.DataFrame":
    return _all_rows(_datasets().boston_housing.load_data(), BOSTON)


def california_housing() -> "pl.DataFrame":
    return _all_rows(_datasets().california_housing.load_data(version="large"), CALIFORNIA)


def imdb_reviews() -> "pl.DataFrame":
    """Return reviews as texts of lower-case words, made from Keras' word numbers."""
    import polars as pl  # deferred: importing it is not needed by formulas

    imdb = _datasets().imdb
    words = {number + FIRST_WORD: word for word, number in imdb.get_word_index().items()}
    parts = imdb.load_data()
    reviews = [review for part in parts for review in part[0]]
    # Padding, start and unknown have no word.
    texts = [" ".join(words[number] for number in map(int, review) if number in words) for review in reviews]
    labels = np.concatenate([part[1] for part in parts])
    return pl.DataFrame({"review": texts, "sentiment": np.where(labels == 1, "positive", "negative")})


def _datasets() -> Any:
    from models_store.networks.keras_network import keras  # deferred: imports TensorFlow, which a training has anyway

    return keras.datasets


def _all_rows(parts: Any, names: tuple[str, ...]) -> "pl.DataFrame":
    """Join the loader's train and test rows: a recipe makes its own split."""
    inputs = np.concatenate([part[0] for part in parts]).astype(np.float64)
    target = np.concatenate([part[1] for part in parts]).astype(np.float64).reshape(-1)
    return _frame(names, inputs, target)


def _frame(names: Any, inputs: Any, target: Any) -> "pl.DataFrame":
    import polars as pl  # deferred: importing it is not needed by formulas

    *columns, last = names
    return pl.DataFrame({**{name: inputs[:, place] for place, name in enumerate(columns)}, last: target})


LOADERS: dict[str, Load] = {
    "iris": iris,
    "boston-housing": boston_housing,
    "california-housing": california_housing,
    "imdb-reviews": imdb_reviews,
}
