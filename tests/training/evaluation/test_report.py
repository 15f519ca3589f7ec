"""The parts of a card beside its scores: summaries of the columns, and test rows with their answers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.card import Column, Gap
from models_store.encoding.outputs import LabelDecoder, LabelKind, OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from tests.fakes import rows
from tests.table_fakes import PASSENGERS, split_table
from training.data.dataset import Dataset, Rows
from training.evaluation.baselines import beside
from training.evaluation.report import evaluated, evaluation, gaps, input_columns, output_columns
from training.recipe.spec import PatternSpec

SPEC = PatternSpec.parse(
    {"name": "table", "data": {"kind": "table", "dataset": "0" * 32, "target": "y", "columns": {"x": "number"}}}
)

# -- columns -------------------------------------------------------------------------------------------------------


def test_columns_of_every_kind_are_summed_up_from_training_rows() -> None:
    columns = {**PASSENGERS, "never": ("number", [None] * 8)}
    data, encoder = split_table({name: (kind, cells * 5) for name, (kind, cells) in columns.items()}, rows(*[1] * 40))
    assert input_columns(data, encoder) == [
        Column(name="age", kind="number", minimum=2.0, maximum=54.0, missing=4),
        Column(name="port", kind="category", values=["S", "C", "Q"], missing=4),
        Column(name="crew", kind="boolean", values=[False, True]),
        Column(name="boarded", kind="date", minimum="1912-04-10", maximum="1912-04-11"),
        Column(name="note", kind="text", values=["cabin", "class", "first", "third", "trip", "a"]),
        Column(name="never", kind="number", missing=32),
    ]


def test_columns_of_a_formula_have_ranges() -> None:
    train = Rows(rows(1, 5), rows(-2, 3))
    data = Dataset({"x": "number"}, ("y",), train, None, Rows(rows(100), rows(100)))
    assert input_columns(data, InputEncoder(("x",), 1, Scaler.identity(1))) == [Column(name="x", minimum=1, maximum=5)]
    assert output_columns(data, OutputDecoder(("y",), Scaler.identity(1))) == [Column(name="y", minimum=-2, maximum=3)]


@pytest.mark.parametrize(
    ("labels", "kind", "column"),
    [
        (("no", "yes"), "text", Column(name="y", kind="category", values=["no", "yes"])),
        (("1", "2", "3"), "number", Column(name="y", kind="number", values=[1.0, 2.0, 3.0])),
        (("false", "true"), "boolean", Column(name="y", kind="boolean", values=[False, True])),
    ],
)
def test_labels_are_listed_as_they_stood_in_the_data(labels: tuple[str, ...], kind: LabelKind, column: Column) -> None:
    data, _ = split_table({"x": ("number", [1.0] * 10)}, rows(*[0, 1] * 5), *labels)
    assert output_columns(data, LabelDecoder("y", labels, kind)) == [column]


# -- test rows -----------------------------------------------------------------------------------------------------


def test_gaps_of_labels_are_what_the_right_one_lacked() -> None:
    data, _ = split_table(
        {"x": ("number", [1.0, None] * 10), "on": ("boolean", [True] * 20)}, rows(*[0, 1] * 10), "no", "yes"
    )
    answers = np.array([[0.75, 0.25], [0.6, 0.4], [1.0, 0.0], [0.0, 1.0]])
    assert gaps(answers, data.test, data, LabelDecoder("y", ("no", "yes"))) == [
        Gap(inputs=[1.0, True], predicted=["no"], label=["no"], gap=[0.25]),
        Gap(inputs=[None, True], predicted=["no"], label=["yes"], gap=[0.6]),
        Gap(inputs=[1.0, True], predicted=["no"], label=["no"], gap=[0.0]),
        Gap(inputs=[None, True], predicted=["yes"], label=["yes"], gap=[0.0]),
    ]


def test_gaps_of_numbers_are_differences_and_long_texts_are_cut() -> None:
    data, _ = split_table({"text": ("text", ["word " * 1000] * 60)}, rows(*[5] * 60))
    found = gaps(np.full((12, 1), 7.0), data.test, data, OutputDecoder(("y",), Scaler.identity(1)))
    assert len(found) == 10
    assert (found[0].predicted, found[0].label, found[0].gap) == ([7.0], [5.0], [2.0])
    assert isinstance(found[0].inputs[0], str)
    assert (len(found[0].inputs[0]), found[0].inputs[0][-1]) == (200, "…")


def test_what_plots_are_drawn_from_is_kept_small() -> None:
    data, _ = split_table({"x": ("number", [1.0] * 20_000)}, rows(*[0, 1] * 10_000), "no", "yes")
    shown = evaluation(SPEC, np.full((4000, 2), [1 / 3, 2 / 3]), data.test, data)
    assert (len(shown.predicted), len(shown.labels)) == (2000, 2000)
    assert (shown.predicted[0], shown.labels[:2]) == ([0.333333, 0.666667], [[0.0], [1.0]])
    assert len(evaluation(SPEC, np.full((4000, 1000), 1e-3), data.test, data).predicted) == 100


@pytest.mark.parametrize("changes", [{"data": {"test": "1" * 32}}, {"split": {"time": "x"}}, {"split": {"group": "x"}}])
def test_of_test_rows_in_the_order_of_a_file_those_that_are_kept_are_drawn(changes: dict[str, Any]) -> None:
    ordered = SPEC.overridden(changes)
    assert evaluated(SPEC, 4000, 1) == slice(2000)
    places = evaluated(ordered, 4000, 1)
    assert not isinstance(places, slice)
    assert (len(places), 900 < (places < 2000).sum() < 1100, bool((np.diff(places) > 0).all())) == (2000, True, True)
    assert evaluated(ordered, 2000, 1) == slice(None)


def test_beside_the_answers_stand_those_of_others_to_the_same_rows() -> None:
    data, encoder = split_table({"x": ("number", [0.0, 1.0] * 50)}, rows(*[0, 5] * 50))
    test = replace(data.test, weights=np.arange(1.0, 21.0), groups=np.arange(20))
    found = evaluation(SPEC, np.zeros((20, 1)), test, data, beside(data, encoder, 0), np.full((20, 1), 0.5))
    assert set(found.baselines) == {"linear", "trees"}
    assert np.array(found.baselines["linear"]) == pytest.approx(data.test.targets)
    assert (found.spread[0], found.weights[:2], found.groups[:2]) == ([0.5], [1.0, 2.0], [0, 1])
