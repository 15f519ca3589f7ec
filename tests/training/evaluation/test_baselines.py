"""Baselines: each figure is that of a model by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.card import Baselines
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.tables.table import Kind
from tests.fakes import rows
from tests.table_fakes import score_of_labels, score_of_numbers, split_table
from training.data.dataset import Dataset, Rows
from training.evaluation import baselines as whole
from training.evaluation import linear, trees
from training.evaluation.baselines import baselines, beside, differences_to

RNG = np.random.default_rng(0)
BEND = RNG.uniform(-3, 3, 500)


def found(data: Dataset, encoder: TableEncoder, network: float = 0.5) -> Baselines:
    score = score_of_labels(network) if data.labels else score_of_numbers(network)
    return baselines(data, beside(data, encoder, seed=0), score)


# -- formulas ------------------------------------------------------------------------------------------------------


def test_of_a_formula_there_are_the_mean_and_a_straight_line() -> None:
    inputs = np.stack([BEND, BEND[::-1]], axis=1)
    outputs = (3 * BEND - BEND[::-1] + 5)[:, None] + RNG.normal(0, 0.5, (500, 1))
    train, test = Rows(inputs[:400], outputs[:400]), Rows(inputs[400:], outputs[400:])
    data = Dataset({"x1": "number", "x2": "number"}, ("y",), train, None, test)
    encoder = InputEncoder(("x1", "x2"), 1, Scaler.standard(inputs))
    design = np.column_stack([np.ones(500), inputs])
    weights = np.linalg.lstsq(design[:400], outputs[:400], rcond=None)[0]
    assert baselines(data, beside(data, encoder, seed=0), score_of_numbers(0.5)).figures == {
        "mean": pytest.approx(np.sqrt(((outputs[:400].mean() - outputs[400:]) ** 2).mean())),
        "linear": pytest.approx(np.sqrt(((design[400:] @ weights - outputs[400:]) ** 2).mean())),
        "network": 0.5,
    }


def test_a_straight_line_that_is_exact_is_called_so() -> None:
    data = Dataset({"x": "number"}, ("y",), Rows(rows(1, 2, 3), rows(11, 12, 13)), None, Rows(rows(150), rows(160)))
    others = beside(data, InputEncoder(("x",), 1, Scaler.identity(1)), 0)
    assert baselines(data, others, score_of_numbers(0.0709)).verdict == (
        "A straight line is exact here; the network comes within RMSE 0.0709 of it."
    )


def test_a_straight_line_through_the_largest_numbers_overflows_nowhere() -> None:
    train, test = Rows(1e300 * rows(1, 2, 4), rows(11, 12, 14)), Rows(1e300 * rows(3), rows(13))
    data = Dataset({"x": "number"}, ("y",), train, None, test)
    others = beside(data, InputEncoder(("x",), 1, Scaler.identity(1)), 0)
    figures = baselines(data, others, score_of_numbers(0.1)).figures
    assert figures["linear"] == pytest.approx(0, abs=1e-12)


def test_the_network_is_compared_with_each_on_the_same_rows() -> None:
    data, encoder = split_table({"x": ("number", BEND.tolist())}, (BEND**2 + RNG.normal(0, 0.1, 500))[:, None])
    others = beside(data, encoder, seed=0)
    found = differences_to(others, data.test.targets + RNG.normal(0, 1, (100, 1)), data, seed=0)
    figures = baselines(data, others, score_of_numbers(0.5)).figures
    assert {name: one.second for name, one in found.items()} == pytest.approx(
        {name: figures[name] for name in ("linear", "trees")}
    )
    assert (found["linear"].better, found["trees"].better) == ("first", "second")
    told = baselines(data, others, score_of_numbers(1.0), found, spread=0.25)
    assert (told.differences, told.spread) == (found, 0.25)
    assert told.verdict.startswith("Gradient-boosted trees do better here")
    assert "On the same rows, its RMSE less that of gradient-boosted trees is 0." in told.verdict
    assert told.verdict.endswith("On a row, its members differ by 0.25.")


# -- tables --------------------------------------------------------------------------------------------------------


def test_categories_booleans_and_dates_are_told_by_both() -> None:
    places = RNG.integers(0, 3, 500)
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "port": ("category", [["S", "C", None][place] for place in places]),
        "crew": ("boolean", [bool(place % 2) for place in places]),
        "day": ("date", [f"2024-01-{1 + place:02}" for place in places]),
    }
    data, encoder = split_table(columns, places[:, None].astype(float), "a", "b", "c")
    assert found(data, encoder, 0.9).figures == {
        "majority": pytest.approx(max(np.bincount(places[400:])[np.bincount(places[:400]).argmax()] / 100, 0)),
        "linear": 1.0,
        "trees": 1.0,
        "network": 0.9,
    }


def test_words_are_told_by_both() -> None:
    rng = np.random.default_rng(1)
    said = rng.integers(0, 2, 300)
    noise = [" ".join(f"word{number}" for number in rng.integers(0, 500, 20)) for _ in said]
    texts: list[Any] = [f"{'good' if good else 'bad'} {rest}" for good, rest in zip(said, noise, strict=True)]
    data, encoder = split_table({"text": ("text", texts)}, said[:, None].astype(float), "bad", "good")
    figures = found(data, encoder).figures
    assert encoder.n_inputs > trees.MOST_COLUMNS
    assert min(figures["linear"], figures["trees"]) > 0.9


def test_figures_of_several_outputs_are_over_all_of_them() -> None:
    outputs = np.stack([BEND, 100 * BEND], axis=1)
    data, encoder = split_table({"x": ("number", BEND.tolist())}, outputs)
    mean = data.train.targets.mean(axis=0)
    figures = found(data, encoder).figures
    assert figures["mean"] == pytest.approx(np.sqrt(((data.test.targets - mean) ** 2).mean()))
    assert figures["linear"] == pytest.approx(0, abs=1e-9)
    assert 0 < figures["trees"] < 5


def test_a_large_table_is_learned_from_some_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MOST_ROWS", 50)
    monkeypatch.setattr(linear, "BLOCK", 8)
    data, encoder = split_table({"x": ("number", BEND.tolist())}, (BEND + RNG.normal(0, 1, 500))[:, None])
    first, again = found(data, encoder), found(data, encoder)
    assert first == again
    assert 0.7 < first.figures["linear"] < 1.3


def test_a_table_of_hardly_anything_has_baselines_all_the_same() -> None:
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "nothing": ("number", [None] * 10),
        "rare": ("category", [f"only {number}" for number in range(10)]),
        "empty": ("text", [None] * 9 + ["new words"]),
        "huge": ("number", [1e100, -1e100] * 5),
    }
    data, encoder = split_table(columns, rows(*[0, 1] * 5), "a", "b")
    assert set(found(data, encoder).figures) == {"majority", "linear", "trees", "network"}


def test_where_training_rows_have_one_label_only_there_is_nothing_to_learn() -> None:
    data, encoder = split_table({"x": ("number", list(range(10)))}, rows(*[0] * 8, 1, 1), "a", "b")
    assert found(data, encoder, 0.5).figures == {"majority": 0.0, "network": 0.5}


def test_of_very_many_labels_no_trees_are_grown() -> None:
    names = [str(number) for number in range(trees.MOST_LABELS + 1)]
    numbers = np.arange(505) % len(names)
    data, encoder = split_table({"x": ("number", numbers.tolist())}, numbers[:, None].astype(float), *names)
    assert set(found(data, encoder).figures) == {"majority", "linear", "network"}


@pytest.mark.parametrize("labels", [(), ("low", "high")])
def test_rows_count_by_their_weights_in_every_baseline(labels: tuple[str, ...]) -> None:
    rng = np.random.default_rng(1)
    bend = rng.uniform(-3, 3, 500)
    # Rows of little weight say the contrary of the others, and are as many.
    is_heavy = np.arange(500) % 2 == 0
    said = np.where(is_heavy, 1, -1) * bend
    targets = (said > 0).astype(float)[:, None] if labels else (10 + said)[:, None]
    data, encoder = split_table({"x": ("number", bend.tolist())}, targets, *labels)
    heavy = is_heavy[:400], is_heavy[400:]
    weights = [np.where(rows, 2 - 1e-3, 1e-3) for rows in heavy]
    weighted = replace(data, train=replace(data.train, weights=weights[0]), test=replace(data.test, weights=weights[1]))
    alone = replace(data, train=data.train.take(heavy[0]), test=data.test.take(heavy[1]))
    figures, expected = found(weighted, encoder).figures, found(alone, encoder).figures
    assert figures.keys() == expected.keys()
    for name, figure in expected.items():
        assert figures[name] == pytest.approx(figure, abs=0.1), name
    assert found(data, encoder).figures["linear"] != pytest.approx(figures["linear"], abs=0.2)
