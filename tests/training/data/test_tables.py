"""Tables as data: what is an input, what is the target, which rows are which, and what cannot be learned from."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from models_store.encoding.rows import TableEncoder
from models_store.tables.left_out import left_out
from models_store.tables.spelling import Spelling
from models_store.tables.table import Table
from training.data import tables
from training.data.dataset import DataError, Dataset
from training.evaluation import report
from training.fitting.encoders import encoders
from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

N_ROWS = 60
ID = "0" * 32
NO_STOPPING: dict[str, Any] = {"fit": {"early_stopping": None}}


def frame(**columns: list[Any]) -> pl.DataFrame:
    """Sixty passengers, of whom the younger lived; with columns replaced or added."""
    rng = np.random.default_rng(3)
    age = rng.permutation(N_ROWS) / 2 + 10
    passengers = {
        "age": [None if place % 10 == 0 else float(value) for place, value in enumerate(age)],
        "deck": [["A", "B", "C"][place % 3] for place in range(N_ROWS)],
        "alone": [place % 2 == 0 for place in range(N_ROWS)],
        "survived": [int(value < 25) for value in age],
    }
    return pl.DataFrame({**passengers, **columns})


def spec(target: Any = "survived", **changes: Any) -> PatternSpec:
    data = {"kind": "table", "dataset": ID, "target": target, **changes.pop("data", {})}
    return PatternSpec.parse({"name": "passengers", "data": data, "split": {"validation": 0.2}, **changes})


def made(table: pl.DataFrame, recipe: PatternSpec) -> Dataset:
    assert isinstance(recipe.data, TableData)
    return tables.make(recipe, recipe.data, table)


def refused(table: pl.DataFrame, recipe: PatternSpec) -> str:
    with pytest.raises(DataError) as caught:
        made(table, recipe)
    return str(caught.value)


# -- columns -------------------------------------------------------------------------------------------------------


def test_columns_are_what_they_look_like() -> None:
    data = made(frame(), spec())
    assert dict(data.kinds) == {"age": "number", "deck": "category", "alone": "boolean"}
    assert data.outputs == ("survived",)


def test_the_recipe_knows_better() -> None:
    data = made(frame(), spec(data={"columns": {"alone": "drop", "age": "category"}}))
    assert dict(data.kinds) == {"age": "category", "deck": "category"}
    assert data.remarks == ("alone was left out: as the recipe says.",)


def test_a_column_of_a_type_that_cannot_be_learned_is_left_out_unless_it_is_the_target() -> None:
    table = frame().with_columns(left_out("shape", "list<int64>", N_ROWS))
    said = "of the type list<int64>, from which nothing can be learned"
    data = made(table, spec())
    assert dict(data.kinds) == {"age": "number", "deck": "category", "alone": "boolean"}
    assert data.remarks == (f"shape was left out: {said}.",)
    assert refused(table, spec("shape")) == f"data.target: shape is {said}"


def test_what_tells_nothing_is_left_out_with_a_word() -> None:
    data = made(frame(id=list(range(1, N_ROWS + 1)), ship=["Titanic"] * N_ROWS), spec())
    assert dict(data.kinds) == {"age": "number", "deck": "category", "alone": "boolean"}
    assert [remark.split(" was left out")[0] for remark in data.remarks] == ["id", "ship"]
    assert all("keep it with --column" in remark for remark in data.remarks)


def test_what_counts_up_by_one_is_learned_with_a_word() -> None:
    table = pl.DataFrame({"x": range(1, 201), "y": range(11, 211)})
    data = made(table, spec("y"))
    assert dict(data.kinds) == {"x": "number"}
    assert data.remarks == (
        "x counts up by one; if it only numbers the rows, leave it out: --column x=drop (data.columns: {x: drop}).",
    )


def test_the_target_is_not_judged_as_a_feature() -> None:
    data = made(frame(id=list(range(N_ROWS))), spec("id"))
    assert (data.outputs, data.remarks) == (("id",), ())


def test_rows_without_a_target_are_left_out_with_a_word() -> None:
    survived = [None if place < 6 else place % 2 for place in range(N_ROWS)]
    data = made(frame(survived=survived), spec())
    assert len(data.fitted) + len(data.test) == N_ROWS - 6
    assert data.remarks == ("6 rows without a survived were left out.",)


def test_dates_and_missing_values_may_be_written_as_the_recipe_says() -> None:
    days = [f"{place % 12 + 1}/{place % 11 + 1}/2020" for place in range(N_ROWS)]
    table = frame(born=days, deck=["?" if place % 3 else "A" for place in range(N_ROWS)])
    assert "day or month comes first is not clear" in refused(table, spec())
    data = made(table, spec(data={"dates": "month-first", "missing": ["?"]}))
    assert data.kinds["born"] == "date"
    assert data.spelling == Spelling(frozenset({"?"}), {"born": "month-first"})
    assert set(_column(data.fitted.inputs, "deck")) == {"A", None}
    encoder, _ = encoders(spec(), data, "binary_crossentropy")
    assert isinstance(encoder, TableEncoder)
    assert encoder.spelling == data.spelling


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Int16, pl.Float64, pl.Float32, pl.String], ids=str)
@pytest.mark.parametrize("word", ["-999", "-999.0", "-9.99e2"])
def test_a_number_may_mean_a_missing_value(dtype: Any, word: str) -> None:
    x = [-999 if place % 10 == 0 else place for place in range(N_ROWS)]
    table = pl.DataFrame({"x": x, "y": [2 * number for number in x]}).with_columns(pl.col("x").cast(dtype))
    data = made(table, spec("y", data={"missing": [word], "columns": {"x": "number"}}))
    column = report.input_columns(data, encoders(spec("y"), data, "mse")[0])[0]
    assert (column.missing > 0, column.minimum) == (True, 1.0)
    assert np.isnan(_column(data.train.inputs, "x")).sum() == column.missing


def test_a_target_that_means_a_missing_value_is_none() -> None:
    y = [-999 if place % 10 == 0 else place for place in range(N_ROWS)]
    data = made(frame(survived=y), spec(data={"missing": ["-999.0"], "task": "regression"}))
    assert data.remarks == ("6 rows without a survived were left out.",)
    assert data.train.targets.min() > 0


def test_an_infinite_value_is_refused_unless_it_means_a_missing_one() -> None:
    ages = [math.inf if place % 10 == 0 else place * 1.5 for place in range(N_ROWS)]
    assert "age: infinite, or too large for a number, in data row 1" in refused(frame(age=ages), spec())
    data = made(frame(age=ages), spec(data={"missing": ["inf"]}))
    assert np.isnan(_column(data.fitted.inputs, "age")).any()
    assert "age" not in made(frame(age=ages), spec(data={"columns": {"age": "drop"}})).kinds
    assert "survived: infinite" in refused(frame(survived=ages), spec())


def test_a_table_that_cannot_be_is_said_without_the_rule_that_ids_obey() -> None:
    with pytest.raises(RecipeError) as refused:
        spec(data={"dataset": "0123"})
    assert str(refused.value).startswith("data.dataset: give the id of a table that was uploaded")


def test_one_stray_cell_makes_no_category_in_silence() -> None:
    weights = [*map(str, range(N_ROWS - 1)), "12 kg"]
    table = frame(weight=weights)
    assert 'weight: 59 of 60 values are numbers, and "12 kg" in data row 60 is none' in refused(table, spec())
    assert made(table, spec(data={"missing": ["12 kg"], "columns": {"weight": "number"}})).kinds["weight"] == "number"
    assert made(table, spec(data={"columns": {"weight": "category"}})).kinds["weight"] == "category"
    assert "weight" not in made(table, spec(data={"columns": {"weight": "drop"}})).kinds


# -- the target ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "names", "kind"),
    [
        ([place % 2 for place in range(N_ROWS)], ("0", "1"), "number"),
        ([place % 3 + 1 for place in range(N_ROWS)], ("1", "2", "3"), "number"),
        ([place % 2 == 0 for place in range(N_ROWS)], ("false", "true"), "boolean"),
        ([["no way", "of course"][place % 2] for place in range(N_ROWS)], ("no way", "of course"), "text"),
    ],
    ids=["0 and 1", "codes", "booleans", "texts"],
)
def test_a_target_of_labels_makes_a_classification(values: list[Any], names: tuple[str, ...], kind: str) -> None:
    labels = made(frame(survived=values), spec()).labels
    assert labels is not None
    assert (labels.names, labels.kind) == (names, kind)


@pytest.mark.parametrize(
    "spelled",
    [
        ["1.1", "1.10", "2.0-beta"],
        ["1E3", "2E5", "A7"],
        ["1e400", "1e500", "A"],
        ["False", "True", "maybe"],
        ["1.0", "one"],
    ],
    ids=repr,
)
def test_labels_are_as_they_stand_in_the_data(spelled: list[str]) -> None:
    values = [f" {spelled[place % len(spelled)]}" for place in range(N_ROWS)]
    labels = made(frame(survived=values), spec()).labels
    assert labels is not None
    assert list(labels.names) == spelled


def test_numbers_as_texts_are_one_label_however_they_are_spelled() -> None:
    values = [["1", "1.0", "02", "2.50"][place % 4] for place in range(N_ROWS)]
    labels = made(frame(survived=values), spec()).labels
    assert labels is not None
    assert labels.names == ("02", "1", "2.5")


@pytest.mark.parametrize(
    "values",
    [
        [place / 7 for place in range(N_ROWS)],
        list(range(100, 100 + N_ROWS)),
        [place % 12 for place in range(N_ROWS)],
        [2 * (place % 3) for place in range(N_ROWS)],
    ],
    ids=["fractions", "many", "codes in few rows", "with gaps"],
)
def test_a_target_of_numbers_makes_a_regression(values: list[Any]) -> None:
    assert made(frame(survived=values), spec()).labels is None


def test_the_task_may_be_said() -> None:
    numbers = made(frame(), spec(data={"task": "regression"}))
    assert (numbers.labels, set(numbers.test.targets[:, 0])) == (None, {0.0, 1.0})
    years = frame(survived=[1900 + place % 4 for place in range(N_ROWS)])
    labels = made(years, spec(data={"task": "classification"})).labels
    assert labels is not None
    assert labels.names == ("1900", "1901", "1902", "1903")


def test_several_columns_of_numbers_are_learned_at_once() -> None:
    data = made(frame(), spec(["survived", "alone"], data={"columns": {"age": "number"}}))
    assert (data.outputs, data.labels, data.train.targets.shape[1]) == (("survived", "alone"), None, 2)


@pytest.mark.parametrize(
    ("columns", "changes", "words"),
    [
        (
            {},
            {"target": "lived"},
            "lived: there is no such column; did you mean survived? there are age, deck",
        ),
        ({}, {"data": {"columns": {"sex": "category"}}}, "sex: there is no such column"),
        ({}, {"outside": "formula"}, "outside: the target is labels, which no formula answers"),
        ({"survived": [1] * N_ROWS}, {}, "the same value in every row"),
        ({"survived": [2.5] * N_ROWS}, {"data": {"task": "regression"}}, "the same value in every row"),
        (
            {"survived": ["a"] * 30 + ["b"] * 29 + ["c"]},
            {},
            "survived stand in one row each: c; a label needs 2 rows",
        ),
        ({"survived": [None] * 55 + [0, 1, 0, 1, 0]}, {}, "only 5 rows have a value there"),
        ({}, {"target": ["survived", "deck"]}, "deck is no column of numbers"),
        ({}, {"data": {"columns": dict.fromkeys(("age", "deck", "alone"), "drop")}}, "no column is left"),
        ({}, {"split": {"test": 0.001}}, "split.test: 0.001 of 60 rows leaves a part without rows"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(columns: Any, changes: dict[str, Any], words: str) -> None:
    assert words in refused(frame(**columns), spec(changes.pop("target", "survived"), **changes))


# -- the split -----------------------------------------------------------------------------------------------------


def test_the_split_is_that_of_scikit_learn() -> None:
    table = frame(place=[float(place) ** 2 for place in range(N_ROWS)])
    data = made(table, spec(data={"seed": 42}, split={"validation": 0, "stratify": False}, **NO_STOPPING))
    expected = train_test_split(np.arange(N_ROWS), test_size=0.2, random_state=42)
    found = [np.sqrt(_column(rows.inputs, "place")).tolist() for rows in (data.train, data.test)]
    assert found == [places.tolist() for places in expected]


def test_each_part_has_its_share_of_each_label() -> None:
    data = made(frame(survived=[int(place < 12) for place in range(N_ROWS)]), spec())
    assert data.validation is not None
    shares = [rows.targets.mean() for rows in (data.train, data.validation, data.test)]
    assert shares == pytest.approx([0.2, 0.2, 0.2], abs=0.05)


def test_without_shuffling_the_last_rows_are_tested_on() -> None:
    table = frame(place=[float(place) ** 2 for place in range(N_ROWS)])
    data = made(table, spec(split={"shuffle": False, "validation": 0}, **NO_STOPPING))
    assert np.sqrt(_column(data.test.inputs, "place")).tolist() == list(range(48, 60))


@given(seed=st.integers(0, 2**32 - 1), strange=st.floats(-1e6, 1e6), deck=st.text(min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_encoders_learn_from_training_rows_alone(seed: int, strange: float, deck: str) -> None:
    """Whatever stands in the other rows, the encoders stay what they were."""
    recipe = spec(seed=seed)
    before = made(frame(), recipe)
    hidden = _places(before)
    changed = frame(
        age=[strange if place in hidden else age for place, age in enumerate(frame()["age"])],
        deck=[deck if place in hidden else letter for place, letter in enumerate(frame()["deck"])],
    )
    after = made(changed.select(frame().columns), recipe)
    learned = [encoders(recipe, data, "binary_crossentropy") for data in (before, after)]
    saved = [(encoder.to_dict(), decoder.to_dict()) for encoder, decoder in learned]
    assert saved[0] == saved[1]


def _places(data: Dataset) -> set[int]:
    """Rows of `frame` that are not training rows: no two passengers have the same age, or none."""
    trained = set(_column(data.train.inputs, "age")[~np.isnan(_column(data.train.inputs, "age"))])
    return {place for place, age in enumerate(frame()["age"]) if age is not None and age not in trained}


def _column(inputs: Any, name: str) -> Any:
    assert isinstance(inputs, Table)
    return inputs.columns[name]
