"""What a recipe leaves to be chosen by the rows, chosen: so that two fits of one training have the same settings."""

from training.data.dataset import Dataset
from training.fitting.encoders import bins_of
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec


def chosen(spec: PatternSpec, data: Dataset) -> PatternSpec:
    """Return the recipe with every `auto` that depends on the number of training rows replaced by its value."""
    found: dict[str, object] = {"fit": {"batch_size": spec.fit.batch_rows(len(data.train))}}
    if isinstance(spec.data, TableData):
        bins = bins_of(spec.data, data.kinds, len(data.train))
        found["data"] = {"numbers": "piecewise", "bins": bins} if bins else {"numbers": "scaled"}
    return spec.overridden(found)
