"""Which rows of a table count how much, and which are test rows: weights, groups, times, and a table of its own."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.errors import TableError
from models_store.tables.table import Table
from training.data import tables
from training.data.dataset import DataError, Dataset, Rows
from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

N_ROWS = 120
ID, OTHER = "0" * 32, "1" * 32


def visits(**columns: Any) -> pl.DataFrame:
    """Visits of 12 patients on 120 days, with a dose, a weight, and how they felt."""
    places = np.arange(N_ROWS)
    dose = np.random.default_rng(0).permutation(N_ROWS) / 4
    made = {
        "dose": dose,
        "patient": [f"p{place % 12}" for place in places],
        "day": [f"2024-{1 + place // 28:02}-{1 + place % 28:02}" for place in places],
        "w": 0.5 + places % 3,
        "felt": 3 * dose + 1,
    }
    return pl.DataFrame(made | columns)


def spec(target: str = "felt", split: Any = None, **data: Any) -> PatternSpec:
    table = {"kind": "table", "dataset": ID, "target": target, **data}
    return PatternSpec.parse({"name": "visits", "data": table, "split": {"validation": 0.2, **(split or {})}})


def made(recipe: PatternSpec, table: pl.DataFrame, test: pl.DataFrame | None = None) -> Dataset:
    assert isinstance(recipe.data, TableData)
    return tables.make(recipe, recipe.data, table, test)


def refused(recipe: PatternSpec, table: pl.DataFrame, test: pl.DataFrame | None = None) -> str:
    with pytest.raises((DataError, TableError)) as caught:
        made(recipe, table, test)
    return str(caught.value)


def cells(rows: Rows | None, name: str) -> list[Any]:
    assert rows is not None and isinstance(rows.inputs, Table)
    found: list[Any] = rows.inputs.columns[name].tolist()
    return found


# -- weights -------------------------------------------------------------------------------------------------------


def test_a_weight_is_no_input_and_each_part_has_its_own() -> None:
    data = made(spec(weight="w"), visits())
    assert list(data.kinds) == ["dose", "patient", "day"]
    assert data.remarks == ("Rows count by their w in the loss, the scores and the baselines.",)
    parts = [rows for rows in (data.train, data.validation, data.test) if rows is not None]
    assert len(parts) == 3
    by_dose = dict(zip(visits()["dose"], visits()["w"] / visits()["w"].mean(), strict=True))
    for rows in parts:
        assert rows.weights is not None
        np.testing.assert_allclose(rows.weights, [by_dose[dose] for dose in cells(rows, "dose")])


def test_weights_have_no_unit_and_any_size() -> None:
    one = made(spec(weight="w"), visits())
    for factor in (1e-300, 1e300):
        other = made(spec(weight="w"), visits(w=visits()["w"] * factor))
        assert one.train.weights is not None and other.train.weights is not None
        np.testing.assert_allclose(other.train.weights, one.train.weights)
    assert made(spec(), visits()).train.weights is None


@pytest.mark.parametrize(("wrong", "found"), [(0.0, "0"), (-2.5, "-2.5"), (None, "no value")])
def test_a_weight_that_is_none_is_refused_with_its_row(wrong: float | None, found: str) -> None:
    weights = [1.0] * 40 + [wrong] + [1.0] * 78 + [wrong]
    assert refused(spec(weight="w"), visits(w=weights)) == (
        f"data.weight: w has {found} in data row 41; a weight is a number above 0, and 2 row(s) have none: mend them, "
        "or take them out"
    )
    # A row without a target is not learned, whatever its weight.
    felt = [None if place in (40, 119) else float(place) for place in range(N_ROWS)]
    assert len(made(spec(weight="w"), visits(w=weights, felt=felt)).fitted) == 94


def test_a_weight_must_be_a_column_of_numbers_of_its_own() -> None:
    said = "column patient, data row 1: expected a number; a weight is a number above 0"
    assert refused(spec(weight="patient"), visits()) == f"data.weight: {said}"
    numbered = visits(patient=2.0)
    assert refused(spec(weight="patient", test=OTHER), numbered, visits()) == f"data.test: {said}"
    assert refused(spec(weight="weigth"), visits(weight=1.0)).startswith("weigth: there is no such column;")
    with pytest.raises(RecipeError, match=r"^data\.weight: names the target"):
        spec(weight="felt")


# -- groups and times ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["felt", "well"])
def test_no_group_is_in_two_parts_and_it_is_no_input_unless_it_is_named(target: str) -> None:
    table = visits(well=[place % 3 == 0 for place in range(N_ROWS)])
    data = made(spec(target, {"group": "patient"}), table)
    assert "patient" not in data.kinds
    remark = "patient was left out: it names the groups that the split keeps together; keep it with "
    assert remark + "--column patient=category." in data.remarks
    kept = made(spec(target, {"group": "patient"}, columns={"patient": "category"}), table)
    assert kept.kinds["patient"] == "category"
    parts = [{*cells(rows, "patient")} for rows in (kept.train, kept.validation, kept.test)]
    assert (sum(map(len, parts)), len(set.union(*parts))) == (12, 12)
    assert all(parts)


@pytest.mark.parametrize(
    "groups",
    [
        pl.Series([datetime.timedelta(hours=place % 12) for place in range(N_ROWS)]),
        pl.Series([datetime.date(2024, 1, 1 + place % 12) for place in range(N_ROWS)]),
        pl.Series([datetime.time(place % 12) for place in range(N_ROWS)]),
        pl.Series([place % 12 for place in range(N_ROWS)], dtype=pl.UInt8),
        pl.Series([f" {place % 12}" if place % 5 else f"{place % 12} " for place in range(N_ROWS)]),
    ],
    ids=["durations", "dates", "times", "bytes", "spaces"],
)
def test_groups_may_be_named_by_values_of_any_kind(groups: pl.Series) -> None:
    data = made(spec(split={"group": "g"}, columns={"g": "category"}), visits(g=groups))
    parts = [{*cells(rows, "g")} for rows in (data.train, data.validation, data.test)]
    assert (sum(map(len, parts)), len(set.union(*parts))) == (12, 12)


def test_the_last_rows_are_the_test_rows_and_those_before_them_are_watched() -> None:
    shuffled = visits().sample(fraction=1.0, shuffle=True, seed=3)
    data = made(spec(split={"time": "day"}), shuffled)
    days = [cells(rows, "day") for rows in (data.train, data.validation, data.test)]
    assert [len(part) for part in days] == [77, 19, 24]
    assert max(days[0]) < min(days[1]) and max(days[1]) < min(days[2])
    assert data.kinds["day"] == "date"


@pytest.mark.parametrize(
    ("written", "cells_of"),
    [
        ("%d.%m.%y", lambda place: f"{1 + place % 28:02}.{1 + place // 28:02}.24"),
        ("%Y%m%d", lambda place: 20240101 + 100 * (place // 28) + place % 28),
        ("%H%M", lambda place: f"{place // 60:02}{place % 60:02}"),
    ],
)
def test_rows_may_be_split_by_a_time_that_is_left_out_and_has_a_format(
    written: str, cells_of: Callable[[int], Any]
) -> None:
    order = np.random.default_rng(1).permutation(N_ROWS)
    table = visits(day=[cells_of(place) for place in order.tolist()], dose=order.astype(float))
    recipe = spec(split={"time": "day"}, columns={"day": "drop"}, date_format={"day": written})
    data = made(recipe, table)
    assert "day" not in data.kinds and "day" in data.left_out
    assert sorted(cells(data.test, "dose")) == list(range(96, 120))
    wrong = table.with_columns(day=pl.lit("much"))
    assert refused(recipe, wrong).startswith("column day, data row 1: expected a ")
    # Where nothing is made of the column, its cells may be anything.
    assert len(made(spec(columns={"day": "drop"}, date_format={"day": written}), wrong).fitted) == 96


@pytest.mark.parametrize("kind", ["category", "text", "number", "time"])
def test_a_format_of_a_column_that_is_to_be_no_date_is_refused(kind: str) -> None:
    with pytest.raises(RecipeError) as refusal:
        spec(columns={"day": kind}, date_format={"day": "%d.%m.%y"})
    assert str(refusal.value) == (
        f"data.date_format: day is to be a {kind}, and %d.%m.%y is the format of a date; take out one of the two "
        "(columns, date_format)"
    )


@pytest.mark.parametrize(
    ("split", "column", "said"),
    [
        ({"group": "patient"}, "patient", "split.group: patient has no value in data row 8; rows are split"),
        ({"time": "day"}, "day", "split.time: day has no value in data row 8; rows are split"),
    ],
)
def test_a_row_that_cannot_be_split_is_refused(split: Any, column: str, said: str) -> None:
    values = visits()[column].to_list()
    values[7] = None
    assert refused(spec(split=split), visits(**{column: values})).startswith(said)


def test_rows_are_ordered_only_by_what_has_an_order() -> None:
    assert refused(spec(split={"time": "patient"}), visits()).startswith(
        "split.time: patient is of kind category, which has no order; it must be a date, a number, a time or a duration"
    )


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"split": {"group": "patient", "time": "day"}}, "split: group and time: rows are split by one of them"),
        ({"split": {"group": "felt"}}, "split.group: names the target or the weight"),
        (
            {"split": {"time": "day"}, "cross_validate": {"repeats": 2}},
            "cross_validate.repeats: folds by time are always the same ones",
        ),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(recipe: Any, said: str) -> None:
    with pytest.raises(RecipeError) as refused:
        PatternSpec.parse({"name": "visits", "data": {"kind": "table", "dataset": ID, "target": "felt"}, **recipe})
    assert str(refused.value).startswith(said)


def test_rows_of_formulas_are_not_split_by_columns() -> None:
    data = {"kind": "formula", "inputs": {"x": {"distribution": "normal"}}, "outputs": {"y": "x"}, "rows": 100}
    with pytest.raises(RecipeError, match=r"split\.group: names a column of a table"):
        PatternSpec.parse({"name": "line", "data": data, "split": {"group": "x"}})


# -- a table of test rows ------------------------------------------------------------------------------------------


def test_test_rows_of_their_own_are_all_that_is_tested_on_and_none_of_them_is_learned() -> None:
    own = visits(dose=np.arange(N_ROWS) + 1000.0, extra="x").select("extra", "w", "felt", "day", "patient", "dose")
    data = made(spec(test=OTHER, weight="w"), visits(), own)
    assert cells(data.test, "dose") == own["dose"].to_list()
    assert len(data.fitted) == N_ROWS
    assert data.test.weights is not None
    assert data.test.targets[:, 0].tolist() == own["felt"].to_list()


def test_a_test_table_is_read_as_the_training_table_was() -> None:
    table = visits(
        dose=["?", *map(str, range(1, N_ROWS))], day=[f"{1 + place % 28}/01/2024" for place in range(N_ROWS)]
    )
    own = visits(dose=["?", "7", *["1"] * 118], day=["02/01/2024"] * N_ROWS)
    data = made(spec(test=OTHER, missing=["?"]), table, own)
    assert dict(data.kinds)["day"] == "date"
    assert np.isnan(cells(data.test, "dose")[0]) and cells(data.test, "dose")[1] == 7.0
    assert cells(data.test, "day")[0] == 19724.0


def test_test_rows_without_a_target_are_left_out_and_labels_are_those_of_the_training_table() -> None:
    table = visits(well=["yes", "no"] * 60)
    own = visits(well=["no", None, "yes"] * 40)
    data = made(spec("well", test=OTHER), table, own)
    assert data.test.targets[:, 0].tolist() == [0.0, 1.0] * 40
    unknown = visits(well=["no", "perhaps", "yes"] * 40)
    assert refused(spec("well", test=OTHER), table, unknown) == (
        "data.test: 1 label(s) of well are none of the training table: perhaps; take these rows out"
    )
    numbered = made(spec("well", test=OTHER), visits(well=[1, 2] * 60), visits(well=[2.0, 1.0] * 60))
    assert numbered.test.targets[:2, 0].tolist() == [1.0, 0.0]


LABELS = ["1.10", "2b", "true", "3"] * 30


@pytest.mark.parametrize(
    ("own", "numbers"),
    [
        (["1.10", "3"] * 60, [0.0, 2.0]),
        ([1.1, 3.0] * 60, [0.0, 2.0]),
        ([3] * 120, [2.0, 2.0]),
        ([True] * 120, [3.0, 3.0]),
        ([None, 1.1] * 60, [0.0, 0.0]),
    ],
)
def test_labels_are_those_of_the_training_table_whatever_stands_in_the_test_table(own: Any, numbers: Any) -> None:
    data = made(spec("felt", test=OTHER), visits(felt=LABELS), visits(felt=own))
    assert data.labels is not None
    assert data.labels.names == ("1.10", "2b", "3", "true")
    assert data.test.targets[:2, 0].tolist() == numbers


def test_labels_of_numbers_stay_numbers_beside_texts_of_a_test_table() -> None:
    numbers = pl.Series(["1.10", "2"] * 60, dtype=pl.Categorical)
    data = made(spec("felt", test=OTHER), visits(felt=numbers), visits(felt=["1.1", "1.10", "2", None] * 30))
    assert data.labels is not None
    assert (data.labels.names, data.test.targets[:3, 0].tolist()) == (("1.1", "2"), [0.0, 0.0, 1.0])
    assert refused(spec("felt", test=OTHER), visits(felt=numbers), visits(felt=["1.10", "x"] * 60)) == (
        "data.test: 1 label(s) of felt are none of the training table: x; take these rows out"
    )


def test_a_text_or_a_number_that_is_no_label_of_the_training_table_is_refused() -> None:
    unknown = "data.test: 1 label(s) of felt are none of the training table: "
    for own in (["1.1", "2b"] * 60, [1.1, 4.0] * 60):
        assert refused(spec("felt", test=OTHER), visits(felt=LABELS), visits(felt=own)).startswith(unknown)
    twice = visits(felt=["1.10", "1.1", "x"] * 40)
    assert refused(spec("felt", test=OTHER), twice, visits(felt=[1.1] * 120)) == (
        "data.test: felt is a column of numbers there, and 1.1 may be the label 1.1 or 1.10; write both tables in a "
        "format with types, such as Parquet, where the labels are texts"
    )


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            # As a reader leaves a column of lists.
            visits().with_columns(dose=pl.lit(None, dtype=pl.Enum(["list<element: int64>"]))),
            "data.test: dose is of the type list<element: int64>, which is not read",
        ),
        (visits().drop("dose"), "data.test: the table lacks 1 column(s) of the training table: dose"),
        (visits().drop("felt", "w"), "data.test: the table lacks 2 column(s) of the training table: felt, w"),
        (visits(dose=["much"] * N_ROWS), "data.test: column dose, data row 1: expected a number"),
        (visits(felt=[None] * N_ROWS), "data.test: no row has a value of felt, which it is tested by"),
        (visits(w=0.0), "data.test: w has 0 in data row 1; a weight is"),
    ],
)
def test_a_test_table_that_does_not_fit_is_refused(own: pl.DataFrame, said: str) -> None:
    assert refused(spec(test=OTHER, weight="w"), visits(), own).startswith(said)


def test_with_test_rows_of_their_own_no_share_is_needed() -> None:
    assert len(made(spec(test=OTHER, split={"test": 0}), visits(), visits()).fitted) == N_ROWS
    with pytest.raises(RecipeError, match=r"split\.test: must be above 0"):
        spec(split={"test": 0})
    with pytest.raises(RecipeError, match="test: is the table that is learned"):
        spec(test=ID)
