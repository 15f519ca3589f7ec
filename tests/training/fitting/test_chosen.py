"""What a recipe for a table leaves open is chosen by its rows: once, for all fits of a training."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.tables.table import Table
from training.data import tables
from training.data.dataset import DataError, Dataset, joined
from training.fitting.chosen import chosen, settled, with_pairs
from training.fitting.encoders import columns_with_means
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

RNG = np.random.default_rng(0)
PLANE = pl.DataFrame({"x": RNG.uniform(-1, 1, 600), "y": RNG.uniform(-1, 1, 600), "z": RNG.normal(size=600)})
PLANE = PLANE.with_columns((pl.col("x") * pl.col("y") + 0.1 * pl.col("z")).alias("t"))


def spec(**changes: Any) -> PatternSpec:
    data = {"kind": "table", "dataset": "0" * 32, "target": "t", **changes.pop("data", {})}
    return PatternSpec.parse({"name": "some", "data": data, **changes})


def made(recipe: PatternSpec, frame: pl.DataFrame = PLANE) -> Dataset:
    assert isinstance(recipe.data, TableData)
    return tables.make(recipe, recipe.data, frame)


def found(frame: pl.DataFrame = PLANE, **changes: Any) -> dict[str, int | float | str]:
    recipe = spec(**changes)
    data = made(recipe, frame)
    return settled(recipe, with_pairs(chosen(recipe, data), data), members=8)


def test_numbers_of_few_rows() -> None:
    assert found() == {
        "data.numbers": "piecewise",
        "data.bins": 4,
        "data.pairs": "x × y",
        "network.layers.0.units": 64,
        "network.dropout": 0.0,
        "network.members": 8,
        "fit.optimizer.learning_rate": 0.003,
        "fit.optimizer.beta_1": 0.9,
        "fit.optimizer.beta_2": 0.999,
        "fit.epochs": 60,
        "fit.batch_size": 16,
        "fit.averaged_epochs": 0.0,
    }


def test_labels_have_fewer_epochs_and_pieces_dropout_and_averages() -> None:
    labels = found(PLANE.with_columns(pl.col("t") > 0))
    assert (labels["fit.epochs"], labels["network.dropout"], labels["fit.averaged_epochs"]) == (30, 0.1, 2.0)
    assert labels["data.bins"] == 4


def test_many_labels_have_more_pieces_and_no_averages() -> None:
    labels = found(pl.concat([PLANE.with_columns(pl.col("t") > 0)] * 22))
    assert (labels["data.bins"], labels["fit.averaged_epochs"]) == (32, 0.0)


def test_labels_of_a_network_of_one_are_learned_as_in_earlier_releases() -> None:
    recipe = spec(network={"members": 1})
    used = chosen(recipe, made(recipe, PLANE.with_columns(pl.col("t") > 0)))
    assert isinstance(used.data, TableData)
    assert (used.data.bins, used.fit.averaged_epochs, used.fit.calibration) == (7, 0.0, "none")


def texts_of(n_words: int, *, are_labels: bool = True, **data: Any) -> dict[str, int | float | str]:
    """Return what is chosen of texts of so many words, each in several rows."""
    said = [" ".join(f"w{(place * 20 + nth) % n_words}" for nth in range(20)) for place in range(600)]
    frame = PLANE.with_columns(pl.Series("said", said), pl.col("t") > 0 if are_labels else pl.col("t"))
    return found(frame, data={"columns": {"said": "text"}, **data})


def settings_of_texts(n_words: int, *, are_labels: bool = True, **data: Any) -> list[int | float | str]:
    """Return epochs, dropout, learning rate and averaged epochs."""
    texts = texts_of(n_words, are_labels=are_labels, **data)
    names = ("fit.epochs", "network.dropout", "fit.optimizer.learning_rate", "fit.averaged_epochs")
    return [texts[name] for name in names]


def test_texts_of_many_words_have_few_epochs_of_small_steps() -> None:
    assert settings_of_texts(2100) == [4, 0.3, 0.001, 0.0]
    assert settings_of_texts(2100, are_labels=False) == [6, 0.3, 0.001, 0.0]


def test_texts_of_few_words_are_learned_as_tables_without_texts_are() -> None:
    assert settings_of_texts(1900) == [30, 0.1, 0.003, 2.0]
    assert settings_of_texts(2100, words=1900) == [30, 0.1, 0.003, 2.0]


def test_pairs_are_counted_of_texts_of_many_words_that_labels_weight() -> None:
    assert texts_of(2100)["data.terms"] == "words-and-pairs"
    assert texts_of(1900)["data.terms"] == "words"
    assert texts_of(2100, weighting="tf-idf")["data.terms"] == "words"
    assert "data.terms" not in texts_of(1900, terms="words-and-pairs")
    assert not {"data.terms", "data.weighting"} & found().keys()


def test_texts_beside_a_target_of_numbers_are_words_that_are_there_or_not() -> None:
    texts = texts_of(2100, are_labels=False)
    assert (texts["data.weighting"], texts["data.terms"]) == ("multi-hot", "words")


FIRST_UNITS_AND_BETAS = ("network.layers.0.units", "fit.optimizer.beta_1", "fit.optimizer.beta_2")


def test_many_rows_have_fewer_epochs_fewer_first_units_and_shorter_means() -> None:
    many = found(pl.concat([PLANE] * 22))
    assert many["fit.epochs"] == 30
    assert [many[name] for name in FIRST_UNITS_AND_BETAS] == [32, 0.8, 0.99]


def places(n_places: int) -> pl.Series:
    return pl.Series("place", [f"place {row % n_places}" for row in range(13_200)])


def test_so_have_those_with_few_categories() -> None:
    many = found(pl.concat([PLANE] * 22).with_columns(places(30)))
    assert [many[name] for name in FIRST_UNITS_AND_BETAS] == [32, 0.8, 0.99]


@pytest.mark.parametrize("change", [places(31), pl.col("t") > 0], ids=["categories", "labels"])
def test_many_rows_with_many_categories_or_labels_have_all_units(change: pl.Expr | pl.Series) -> None:
    many = found(pl.concat([PLANE] * 22).with_columns(change))
    assert [many[name] for name in FIRST_UNITS_AND_BETAS] == [64, 0.9, 0.999]


def categories(*n_values: int, repeats: int = 1) -> tuple[TableData, TableData, Dataset]:
    """The data of a recipe of columns with so many values as it is given and as it is chosen; and its rows."""
    shops = [pl.Series(f"shop{n}", [f"shop {place % n}" for place in range(600)]) for n in n_values]
    recipe = spec()
    data = made(recipe, pl.concat([PLANE.with_columns(shops)] * repeats))
    used = chosen(recipe, data)
    assert isinstance(recipe.data, TableData)
    assert isinstance(used.data, TableData)
    return recipe.data, used.data, data


def test_categories_are_encoded_alike_in_both_fits() -> None:
    """Of 270 values, fewer than 257 stand twice among the training rows, and all among all rows."""
    recipe, used, data = categories(270)
    rows = joined(data.fitted, data.test).inputs
    assert isinstance(rows, Table)
    assert columns_with_means(recipe, data.kinds, rows) == ["shop270"]
    assert columns_with_means(used, data.kinds, rows) == []


@pytest.mark.parametrize(
    ("n_values", "settled_as"), [((100,), "one-hot"), ((300,), "target-means"), ((100, 300), "auto")]
)
def test_categories_stay_open_where_some_columns_have_many(n_values: tuple[int, ...], settled_as: str) -> None:
    assert categories(*n_values, repeats=3)[1].categories == settled_as


def test_what_the_recipe_says_itself_stays() -> None:
    said = found(
        data={"numbers": "scaled", "pairs": [], "bins": 5},
        network={"members": 3, "dropout": 0.5, "layers": [{"units": 5}]},
        fit={
            "epochs": 7,
            "batch_size": 32,
            "optimizer": {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.5},
            "averaged_epochs": 1,
        },
    )
    assert said == {}


def test_a_pair_is_looked_for_where_numbers_are_piecewise() -> None:
    assert found(data={"numbers": "scaled"})["data.pairs"] == "none"


def test_a_recipe_may_name_its_pairs() -> None:
    recipe = spec(data={"pairs": [["x", "z"], ["y", "z"]]})
    used = with_pairs(chosen(recipe, made(recipe)), made(recipe))
    assert isinstance(used.data, TableData)
    assert used.data.pairs == (("x", "z"), ("y", "z"))


@pytest.mark.parametrize("pair", [["x", "t"], ["x", "other"]])
def test_a_pair_is_of_inputs_that_are_numbers(pair: list[str]) -> None:
    recipe = spec(data={"pairs": [pair]})
    with pytest.raises(DataError, match=r"data\.pairs: .* is no column of numbers among the inputs"):
        with_pairs(recipe, made(recipe))
