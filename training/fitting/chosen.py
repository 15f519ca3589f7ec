"""What a recipe leaves to be chosen by the rows, chosen: so that two fits of one training have the same settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from models_store.tables.table import Kind, Table
from training.data.dataset import Dataset
from training.fitting.encoders import bins_of, columns_with_means, pairs_of
from training.fitting.texts import has_many_words, terms_of, weighting_of
from training.recipe.data import TableData
from training.recipe.fit import MANY_CATEGORIES, Adam, Shown
from training.recipe.spec import PatternSpec

SETTLED = (
    *("data.numbers", "data.bins", "data.pairs", "data.weighting", "data.terms"),
    *("scaling.targets", "network.dropout", "network.members"),
    *("fit.loss", "fit.optimizer.learning_rate", "fit.optimizer.beta_1", "fit.optimizer.beta_2"),
    *("fit.epochs", "fit.batch_size", "fit.averaged_epochs"),
)
LAYERS = "network.layers"
# What needs no word: targets are learned as they are, by the usual loss of numbers or labels, and there are no texts.
USUAL = {
    *(("scaling.targets", "none"), ("scaling.targets", "auto"), ("fit.loss", "auto")),
    *(("data.weighting", "auto"), ("data.terms", "auto")),
}


def chosen(spec: PatternSpec, data: Dataset) -> PatternSpec:
    """Return the recipe with every `auto` replaced by what the training rows show.

    Pairs of columns stay open, and so does what is learned of the targets, and by which loss: a fit tries that.
    """
    rows, optimizer = shown(spec, data), spec.fit.optimizer
    settled_as = optimizer.settled(rows) if isinstance(optimizer, Adam) else optimizer
    layers = [{**layer.model_dump(), "units": layer.units_for(rows)} for layer in spec.network.layers]
    found: dict[str, object] = {
        "network": {"layers": layers, "dropout": spec.network.dropout_for(rows)},
        "fit": {
            "batch_size": spec.fit.batch_rows(rows.n_rows),
            "epochs": spec.fit.epochs_for(rows),
            "averaged_epochs": spec.fit.averaged_for(rows),
            "optimizer": settled_as.model_dump(),
        },
    }
    if isinstance(spec.data, TableData):
        bins = bins_of(spec, spec.data, data)
        numbers = {"numbers": "piecewise", "bins": bins} if bins else {"numbers": "scaled"}
        texts = {}
        if "text" in data.kinds.values():
            texts = {"weighting": weighting_of(spec.data, data), "terms": terms_of(spec.data, data)}
        found["data"] = {**numbers, "categories": _categories(spec.data, data), **texts}
    return spec.overridden(found)


def _categories(recipe: TableData, data: Dataset) -> str:
    """Return how categories are encoded, also of more rows; auto where some columns have many and others few."""
    assert isinstance(data.train.inputs, Table)
    names = {name for name, kind in data.kinds.items() if kind == "category"}
    with_means = columns_with_means(recipe, data.kinds, data.train.inputs)
    if not with_means:
        return "one-hot"
    return "target-means" if len(with_means) == len(names) else recipe.categories


def shown(spec: PatternSpec, data: Dataset) -> Shown:
    has_many_values = any(_has_many_values(name, kind, data) for name, kind in data.kinds.items())
    has_many = isinstance(spec.data, TableData) and has_many_words(spec.data, data)
    return Shown(len(data.train), data.labels is not None, has_many, has_many_values)


def _has_many_values(column: str, kind: Kind, data: Dataset) -> bool:
    if kind != "category":
        return kind == "text"
    assert isinstance(data.train.inputs, Table)
    return len(set(data.train.inputs.columns[column])) > MANY_CATEGORIES


def with_pairs(spec: PatternSpec, data: Dataset) -> PatternSpec:
    """Return the recipe with the pairs of columns that the training rows show. Raises what `pairs_of` raises."""
    if not isinstance(spec.data, TableData):
        return spec
    return spec.overridden({"data": {"pairs": [list(pair) for pair in pairs_of(spec, data)]}})


def settled(spec: PatternSpec, used: PatternSpec, members: int) -> dict[str, int | float | str]:
    """Return what the recipe left open, by field, as it was settled; `used` is the recipe of the fit."""
    settled_as = dict(_fields(used.to_json()))
    open_fields = [field for field, value in _fields(spec.to_json()) if value == "auto" and _is_settled(field)]
    settled_as["network.members"] = members
    settled_as["data.pairs"] = ", ".join(map(" × ".join, settled_as.get("data.pairs", ()))) or "none"
    return {field: settled_as[field] for field in open_fields if (field, settled_as[field]) not in USUAL}


def _is_settled(field: str) -> bool:
    return field in SETTLED or field.startswith(LAYERS)


def _fields(part: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{before}{name}.")
        elif before + name == LAYERS:
            yield from _fields({str(place): layer for place, layer in enumerate(value)}, f"{LAYERS}.")
        else:
            yield f"{before}{name}", value
