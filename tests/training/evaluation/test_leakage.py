"""Target leakage: a column that alone predicts the target is named, and one that only helps is not."""

from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.tables.table import Kind
from tests.table_fakes import split_table
from training.data.dataset import Dataset, Rows
from training.evaluation.leakage import FEWEST_ROWS, leaking_columns

SURVIVED = (np.arange(1000) * 7 % 10 < 4).astype(float)
MIXED = np.random.default_rng(0).permutation(1000).astype(float)


def leaking(columns: dict[str, tuple[Kind, list[Any]]], targets: Array, *labels: str) -> list[str]:
    return list(leaking_columns(split_table(columns, targets[:, None], *labels)[0], seed=0))


def test_the_target_in_other_words_leaks_as_text_and_as_number() -> None:
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", MIXED.tolist()),
        "alive": ("category", ["yes" if label else "no" for label in SURVIVED]),
        "score": ("number", (10 + SURVIVED).tolist()),
    }
    assert leaking(columns, SURVIVED, "0", "1") == ["alive", "score"]


def test_a_name_that_every_row_has_for_itself_does_not_leak() -> None:
    names: list[Any] = [f"{number}" for number in range(1000)]
    columns: dict[str, tuple[Kind, list[Any]]] = {"x": ("number", MIXED.tolist()), "name": ("category", names)}
    assert leaking(columns, SURVIVED, "0", "1") == []


@pytest.mark.parametrize(("noise", "expected"), [(0.0, ["x"]), (1.0, ["x"]), (50.0, [])])
def test_a_column_on_one_line_with_a_number_leaks_and_one_near_it_does_not(noise: float, expected: list[str]) -> None:
    target = 1e140 * (3 - 2 * MIXED + noise * np.random.default_rng(3).normal(size=1000))
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", MIXED.tolist()),
        "other": ("category", ["a", "b"] * 500),
    }
    assert leaking(columns, target) == expected


def test_a_column_of_which_most_values_are_missing_does_not_leak() -> None:
    sparse: list[Any] = [value if place % 3 == 0 else None for place, value in enumerate(MIXED.tolist())]
    columns: dict[str, tuple[Kind, list[Any]]] = {"x": ("number", sparse), "other": ("boolean", [True, False] * 500)}
    assert leaking(columns, MIXED) == []


def test_labels_that_are_nearly_always_the_same_are_given_away_by_nothing() -> None:
    rare = (np.arange(1000) % 500 == 0).astype(float)
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", MIXED.tolist()),
        "rare": ("boolean", [bool(label) for label in rare]),
    }
    assert leaking(columns, rare, "0", "1") == []


def test_the_only_column_of_a_table_and_the_inputs_of_a_formula_are_meant_to_predict() -> None:
    assert leaking({"x": ("number", MIXED.tolist())}, MIXED) == []
    rows = Rows(np.stack([MIXED, MIXED], axis=1), MIXED[:, None])
    formula = Dataset({"a": "number", "b": "number"}, ("y",), rows, None, rows)
    assert list(leaking_columns(formula, seed=0)) == []


@pytest.mark.parametrize(("n_rows", "expected"), [(5 * FEWEST_ROWS, ["x"]), (5 * FEWEST_ROWS - 5, [])])
def test_few_test_rows_may_be_predicted_by_chance(n_rows: int, expected: list[str]) -> None:
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", MIXED[:n_rows].tolist()),
        "other": ("boolean", [place % 2 == 0 for place in range(n_rows)]),
    }
    assert leaking(columns, MIXED[:n_rows]) == expected
