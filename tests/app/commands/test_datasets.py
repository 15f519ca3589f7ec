"""`patterns train --csv`: a file becomes a data set and a recipe, and what cannot be meant is said at once."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import cli
from app.commands import datasets, show, train
from app.commands.datasets import Asked, AskedRows
from app.commands.store import open_datasets
from app.jobs.promotion import AskedPromotion
from models_store.names import RESERVED, is_name
from models_store.storage.store import Store
from models_store.tables.csv_dialect import CsvDialect
from tests.fakes import LinearNetwork
from tests.table_fakes import passengers
from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.promotion import Promotion
from training.recipe.spec import PatternSpec, catalogue

ROWS = "size,colour,price\n" + "".join(f"{size},{'rg'[size % 2]},{size * 1.5}\n" for size in (3, 1, 4, 15, 9, 2, 6))


@pytest.fixture
def fruit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table beside a store of its own."""
    monkeypatch.setenv("PATTERNS_STORE", str(tmp_path / "store"))
    path = tmp_path / "Fruit (2024).csv"
    path.write_text(ROWS)
    return path


def test_a_csv_and_a_target_make_a_recipe(fruit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = datasets.recipe_for(Asked(fruit, ["price"], columns=["size=category"], task="regression", folds=3), None)
    assert isinstance(spec.data, TableData)
    assert (spec.name, spec.data.target, spec.data.task) == ("fruit-2024", ("price",), "regression")
    assert spec.data.columns == {"size": "category"}
    assert spec.cross_validate is not None
    assert (spec.cross_validate.folds, spec.network.members, spec.fit.batch_size) == (3, "auto", "auto")
    shown = capsys.readouterr().err
    assert "7 rows, data set" in shown
    assert "price (target)" in shown
    # The same file again is the same data set.
    again = datasets.recipe_for(Asked(fruit, ["price"], name="other"), None)
    assert isinstance(again.data, TableData)
    assert (again.name, again.data.dataset) == ("other", spec.data.dataset)


def test_how_versions_are_served_and_promoted_is_written_into_the_recipe(
    fruit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[PatternSpec] = []

    def train_all(specs: list[PatternSpec], _: AskedPromotion) -> int:
        asked.extend(specs)
        return 0

    monkeypatch.setattr(train, "train_all", train_all)
    rule = ["--promotion", "if-better", "--promotion-tolerance", "0.02"]
    for options in ([], ["--outside", "clip", *rule], ["--promotion", "never"]):
        ran = CliRunner().invoke(cli, ["train", "--csv", str(fruit), "--target", "price", *options])
        assert ran.exit_code == 0
    assert [(spec.outside, spec.promotion) for spec in asked] == [
        (None, None),
        ("clip", Promotion(when="if-better", tolerance=0.02)),
        (None, Promotion(when="never")),
    ]


def test_weights_groups_and_a_table_of_test_rows_are_in_the_recipe(
    fruit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test.csv").write_text("price,size,colour,extra\n1,2,r,x\n")
    rows = AskedRows(weight="size", test=tmp_path / "test.csv", group="colour")
    spec = datasets.recipe_for(Asked(fruit, ["price"], rows=rows), None)
    assert isinstance(spec.data, TableData)
    assert (spec.data.weight, spec.split.group, spec.split.time) == ("size", "colour", None)
    assert spec.data.test in open_datasets().ids() and spec.data.test != spec.data.dataset
    shown = capsys.readouterr().err
    assert "size (weight)" in shown and "colour (group)" in shown
    later = datasets.recipe_for(Asked(fruit, ["price"], rows=AskedRows(time="size")), None)
    assert (later.split.time, later.split.test) == ("size", 0.2)


@pytest.mark.parametrize(
    ("target", "data", "is_refused"),
    [
        ("colour", {}, True),
        ("price", {"columns": {"price": "category"}}, True),
        ("price", {"task": "classification"}, True),
        ("price", {}, False),
        ("size", {"task": "regression"}, False),
    ],
)
def test_no_formula_is_to_answer_rows_outside_where_the_target_is_labels(
    fruit: Path, target: str, data: dict[str, Any], is_refused: bool
) -> None:
    recipe = {"name": "mine", "data": {"kind": "table", "dataset": "iris", "target": target}, "outside": "formula"}
    base = PatternSpec.parse(recipe)
    asked = Asked(fruit, [], columns=[f"{name}={kind}" for name, kind in data.get("columns", {}).items()])
    asked = replace(asked, task=data.get("task"))
    if not is_refused:
        assert datasets.recipe_for(asked, base).outside == "formula"
        return
    with pytest.raises(RecipeError, match="outside: the target is labels, which no formula answers"):
        datasets.recipe_for(asked, base)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (AskedRows(weight="wieght"), "data.weight: the table has no such column; "),
        (AskedRows(group="color"), "split.group: the table has no such column; did you mean colour"),
        (AskedRows(time="day"), "split.time: the table has no such column; "),
        (AskedRows(group="size", time="colour"), "split: group and time: rows are split by one of them"),
        (AskedRows(test=Path("test.csv")), "data.test: this table lacks the target that rows are tested by; "),
        (AskedRows(test=Path("gone.csv")), "gone.csv: no such file"),
    ],
)
def test_what_rows_are_split_or_counted_by_must_be_there(
    fruit: Path, monkeypatch: pytest.MonkeyPatch, rows: AskedRows, said: str
) -> None:
    monkeypatch.chdir(fruit.parent)
    Path("test.csv").write_text("size,colour\n1,r\n")
    with pytest.raises(RecipeError) as refused:
        datasets.recipe_for(Asked(fruit, ["price"], rows=rows), None)
    assert str(refused.value).startswith(said)


def test_a_recipe_of_ones_own_keeps_what_it_says(fruit: Path) -> None:
    data = {"kind": "table", "dataset": "iris", "target": "price", "columns": {"colour": "drop"}}
    base = PatternSpec.parse({"name": "mine", "data": data, "network": {"layers": []}, "fit": {"epochs": 7}})
    spec = datasets.recipe_for(Asked(fruit, []), base)
    assert isinstance(spec.data, TableData)
    assert (spec.name, spec.data.target, spec.fit.epochs) == ("mine", ("price",), 7)
    assert (spec.data.columns, spec.network.layers) == ({"colour": "drop"}, ())
    assert spec.data.dataset != "iris"


@pytest.mark.parametrize(
    ("asked", "base", "words"),
    [
        ({"target": []}, None, "--target: name the column"),
        ({"target": ["price"], "columns": ["size"]}, None, "--column: write NAME=KIND"),
        (
            {"target": ["price"], "columns": ["size=zip"]},
            None,
            "--column: zip is no kind; there are number",
        ),
        ({"target": ["price"], "task": "clustering"}, None, "data.task: Input should be 'auto'"),
        ({"target": ["price"], "name": "Fruit"}, None, "name: must be a lower-case letter"),
        ({"target": ["price"], "path": "fruit.csv.xz"}, None, "fruit.csv.xz: a table is a file that ends with .csv"),
        ({"target": ["price"], "path": "fruit.parquet.gz"}, None, "may have .gz or .zst behind it"),
        ({"target": ["prize"]}, None, "data.target: the table has no such column; did you mean price? there are size"),
        ({"target": ["price,size"]}, None, "a list names several columns (--target a --target b)"),
        ({"target": ["price"], "path": "none.csv"}, None, "none.csv: no such file"),
        ({"target": ["price"]}, "add-ten", "add-ten: its recipe is for a formula"),
    ],
)
def test_what_cannot_be_meant_is_said(fruit: Path, asked: dict[str, Any], base: str | None, words: str) -> None:
    path = fruit.with_name(asked.pop("path")) if "path" in asked else fruit
    with pytest.raises(RecipeError) as refused:
        datasets.recipe_for(Asked(path, **asked), catalogue()[base] if base else None)
    assert words in str(refused.value)


def test_what_each_column_was_taken_for_is_shown_as_it_is_learned(
    fruit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{n};{n % 12 + 1}/{n % 9 + 1}/2020;{n},5;{'ab?'[n % 3]}\n" for n in range(40))
    fruit.write_text(f"size;day;price;ripe\n{rows}")
    said = Asked(fruit, ["ripe"], dialect=CsvDialect(decimal=","))
    with pytest.raises(RecipeError, match="day: looks like dates"):
        datasets.recipe_for(said, None)
    with pytest.raises(RecipeError, match="price: looks like numbers with decimal commas"):
        datasets.recipe_for(Asked(fruit, ["ripe"], dates="day-first"), None)
    capsys.readouterr()
    spec = datasets.recipe_for(replace(said, dates="day-first", missing=["?"]), None)
    assert isinstance(spec.data, TableData)
    assert (spec.data.dates, spec.data.missing) == ("day-first", ("?",))
    shown = capsys.readouterr().err
    assert "40 rows, semicolons between fields" in shown
    assert "2 labels" in shown


@given(st.text(min_size=1, max_size=80).filter(lambda name: "/" not in name and name not in (".", "..")))
def test_any_file_has_a_name_for_its_pattern(name: str) -> None:
    made = datasets.name_of(Path(f"{name}.csv"))
    assert is_name(made) or made in RESERVED


def test_a_pattern_is_listed_with_the_name_of_its_table(fruit: Path) -> None:
    stored = datasets.add(fruit)
    bundle = passengers()
    recipe = {**bundle.recipe, "data": {**bundle.recipe["data"], "dataset": stored.id}}
    Store(fruit.parent / "store", LinearNetwork.from_bytes).publish(replace(bundle, recipe=recipe))
    assert [row["table"] for row in show.summaries()] == [fruit.name]
    listed = CliRunner().invoke(cli, ["list"]).output
    assert "survived of" in listed
    assert stored.id[:8] not in listed
    open_datasets().delete(stored.id)
    listed = CliRunner().invoke(cli, ["list"]).output
    assert "survived" in listed
    assert stored.id[:8] not in listed


def test_stored_tables_are_listed_and_deleted(fruit: Path) -> None:
    stored = datasets.add(fruit)
    runner = CliRunner()
    assert stored.id in runner.invoke(cli, ["datasets"]).output
    assert json.loads(runner.invoke(cli, ["datasets", "--json"]).output)[0]["rows"] == 7
    assert runner.invoke(cli, ["datasets", "--delete", stored.id]).exit_code == 0
    assert json.loads(runner.invoke(cli, ["datasets", "--json"]).output) == []
