"""The baseline of trees: it finds what bends, in raw columns of every kind, and its work is bounded."""

from typing import Any

import numpy as np

from models_store.tables.table import Kind, Table
from tests.table_fakes import score_of_numbers, split_table
from training.evaluation import trees
from training.evaluation.baselines import baselines, beside

RNG = np.random.default_rng(0)
BEND = RNG.uniform(-3, 3, 500)


def test_what_bends_is_found_by_trees_alone_even_if_the_network_has_pieces() -> None:
    data, encoder = split_table({"x": ("number", BEND.tolist())}, (BEND**2)[:, None])
    assert encoder.n_inputs > 1
    figures = baselines(data, beside(data, encoder, seed=0), score_of_numbers(0.5)).figures
    assert figures["trees"] < 0.2 < 0.9 * figures["mean"] < figures["linear"]


def test_the_same_seed_grows_the_same_trees() -> None:
    data, encoder = split_table({"x": ("number", BEND.tolist())}, (BEND**2 + RNG.normal(0, 1, 500))[:, None])
    assert isinstance(data.test.inputs, Table)
    first, again = (trees.answers(encoder, data.train, data.test.inputs, n_labels=0, seed=7) for _ in range(2))
    assert (first.shape, first.dtype.name) == ((100, 1), "float64")
    assert first.tolist() == again.tolist()


def test_a_category_that_training_did_not_see_counts_as_missing() -> None:
    ports: list[Any] = [["S", "C", None][place % 3] for place in range(400)] + ["unseen", None] * 50
    columns: dict[str, tuple[Kind, list[Any]]] = {"port": ("category", ports)}
    targets = np.array([{"S": 1.0, "C": 2.0}.get(port, 3.0) for port in ports])[:, None]
    data, encoder = split_table(columns, targets)
    assert isinstance(data.test.inputs, Table)
    answers = trees.answers(encoder, data.train, data.test.inputs, n_labels=0, seed=0)
    np.testing.assert_allclose(answers, 3, atol=0.1)


def test_of_more_columns_than_can_be_afforded_trees_get_those_that_vary_with_the_target() -> None:
    n_columns = trees.MOST_COLUMNS + 50
    columns: dict[str, tuple[Kind, list[Any]]] = {
        f"x{place}": ("number", RNG.normal(size=500).tolist()) for place in range(n_columns)
    }
    columns["told"] = ("number", BEND.tolist())
    data, encoder = split_table(columns, np.sign(BEND)[:, None])
    assert isinstance(data.test.inputs, Table)
    answers = trees.answers(encoder, data.train, data.test.inputs, n_labels=0, seed=0)
    assert (np.sign(answers) == data.test.targets).mean() > 0.9
