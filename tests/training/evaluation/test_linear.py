"""The linear baseline: exact where the target is linear, whatever the columns, and bounded in memory."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.tables.table import Kind, Table
from tests.table_fakes import score_of_numbers, split_table
from training.evaluation import linear, trees
from training.evaluation.baselines import baselines, beside

RNG = np.random.default_rng(0)
BEND = RNG.uniform(-3, 3, 500)


def test_what_is_linear_is_found_by_the_linear_model_though_columns_repeat_and_values_are_missing() -> None:
    known = RNG.permutation(np.repeat([0.0, 1.0], 250))
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", BEND.tolist()),
        "again": ("number", (2 * BEND + 1).tolist()),
        "same": ("number", [7.0] * 500),
        "maybe": ("number", [1.0 if value else None for value in known]),
    }
    data, encoder = split_table(columns, (3 * BEND + 10 * known)[:, None])
    figures = baselines(data, beside(data, encoder, seed=0), score_of_numbers(0.5)).figures
    assert list(figures) == ["mean", "linear", "trees", "network"]
    assert figures["linear"] == pytest.approx(0, abs=1e-9)
    assert figures["mean"] > 10 * figures["trees"] > 0


def test_answers_are_those_of_least_squares_in_raw_units() -> None:
    targets = np.stack([3 * BEND, 1000 - BEND], axis=1)
    data, encoder = split_table({"x": ("number", BEND.tolist())}, targets)
    assert isinstance(data.test.inputs, Table)
    answers = linear.answers(encoder, data.train, data.test.inputs, n_labels=0, seed=0)
    assert (answers.shape, answers.dtype.name) == ((100, 2), "float64")
    np.testing.assert_allclose(answers, data.test.targets)


def test_labels_are_answered_by_their_probabilities() -> None:
    data, encoder = split_table({"x": ("number", BEND.tolist())}, (BEND > 0)[:, None].astype(float), "no", "yes")
    assert isinstance(data.test.inputs, Table)
    answers = linear.answers(encoder, data.train, data.test.inputs, n_labels=2, seed=0)
    assert answers.sum(axis=1) == pytest.approx(1)
    assert (answers.argmax(axis=1) == data.test.targets[:, 0]).mean() > 0.95


def test_a_label_that_no_training_row_has_is_given_no_probability() -> None:
    targets = (BEND > 0)[:, None].astype(float) * 2
    data, encoder = split_table({"x": ("number", BEND.tolist())}, targets, "no", "never", "yes")
    assert isinstance(data.test.inputs, Table)
    for model in (linear, trees):
        answers = model.answers(encoder, data.train, data.test.inputs, n_labels=3, seed=0)
        assert (answers.shape, set(answers[:, 1])) == ((len(data.test), 3), {0.0})


def test_what_stands_in_for_missing_values_stands_in_for_them_in_the_baseline_as_well() -> None:
    data, encoder = split_table({"x": ("number", BEND.tolist())}, BEND[:, None])
    assert isinstance(data.train.inputs, Table)
    filling = replace(encoder, fills={"x": 1.5})
    assert linear.straightened(filling, data.train.inputs).fills == {"x": 1.5}


def test_words_are_held_as_sparse_rows_and_numbers_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[Any] = [" ".join(f"word{number}" for number in RNG.integers(0, 500, 5)) for _ in range(100)]
    columns: dict[str, tuple[Kind, list[Any]]] = {"text": ("text", texts)}
    data, encoder = split_table(columns, np.arange(100.0)[:, None])
    assert isinstance(data.train.inputs, Table)
    words = linear.straightened(encoder, data.train.inputs)
    assert linear.is_sparse(words)
    whole = linear.encoded(words, data.train.inputs).toarray()
    monkeypatch.setattr(linear, "BLOCK", 1)
    np.testing.assert_array_equal(linear.encoded(words, data.train.inputs).toarray(), whole)
    numbers, encoder = split_table({"x": ("number", BEND.tolist())}, BEND[:, None])
    assert isinstance(numbers.train.inputs, Table)
    assert not linear.is_sparse(linear.straightened(encoder, numbers.train.inputs))
