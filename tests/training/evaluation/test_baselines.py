"""What needs no network: each figure is that of a model by hand, and the verdict names what the figures say."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Array
from models_store.card import Baselines, LabelScore, Score
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.tables.table import Kind, Table
from tests.fakes import rows
from tests.table_fakes import a_column, encoder_of
from training.data.dataset import Dataset, Labels, Rows
from training.evaluation import baselines as whole
from training.evaluation import linear, trees
from training.evaluation.baselines import baselines
from training.evaluation.verdict import Contest, Metric

RNG = np.random.default_rng(0)
BEND = RNG.uniform(-3, 3, 500)


def of_numbers(rmse: float) -> Score:
    return Score(rmse=rmse, mae=rmse, median_error=rmse, r2=None, max_error=rmse)


def of_labels(accuracy: float) -> LabelScore:
    figures = {"accuracy": accuracy, "log_loss": 1.0, "balanced_accuracy": accuracy, "f1": accuracy, "roc_auc": None}
    return LabelScore.model_validate({**figures, "confusion": [], "precision": [], "recall": []})


def table(columns: dict[str, tuple[Kind, list[Any]]], outputs: Array, *labels: str) -> tuple[Dataset, TableEncoder]:
    """The first four fifths of the rows to train on, the rest to test on."""
    kinds = {name: kind for name, (kind, _) in columns.items()}
    all_rows = Rows(Table({name: a_column(kind, cells) for name, (kind, cells) in columns.items()}), outputs)
    n_train = 4 * len(all_rows) // 5
    train, test = all_rows.take(slice(n_train)), all_rows.take(slice(n_train, None))
    names = tuple(f"y{place}" for place in range(outputs.shape[1]))
    data = Dataset(kinds, names, train, None, test, labels=Labels(labels, "text") if labels else None)
    assert isinstance(train.inputs, Table)
    return data, TableEncoder({name: encoder_of(kind, train.inputs.columns[name]) for name, kind in kinds.items()})


def found(data: Dataset, encoder: TableEncoder, network: float = 0.5) -> Baselines:
    return baselines(data, encoder, of_labels(network) if data.labels else of_numbers(network), seed=0)


# -- formulas ------------------------------------------------------------------------------------------------------


def test_of_a_formula_there_are_the_mean_and_a_straight_line() -> None:
    inputs = np.stack([BEND, BEND[::-1]], axis=1)
    outputs = (3 * BEND - BEND[::-1] + 5)[:, None] + RNG.normal(0, 0.5, (500, 1))
    train, test = Rows(inputs[:400], outputs[:400]), Rows(inputs[400:], outputs[400:])
    data = Dataset({"x1": "number", "x2": "number"}, ("y",), train, None, test)
    encoder = InputEncoder(("x1", "x2"), 1, Scaler.standard(inputs))
    design = np.column_stack([np.ones(500), inputs])
    weights = np.linalg.lstsq(design[:400], outputs[:400], rcond=None)[0]
    assert baselines(data, encoder, of_numbers(0.5), seed=0).figures == {
        "mean": pytest.approx(np.sqrt(((outputs[:400].mean() - outputs[400:]) ** 2).mean())),
        "linear": pytest.approx(np.sqrt(((design[400:] @ weights - outputs[400:]) ** 2).mean())),
        "network": 0.5,
    }


def test_a_straight_line_that_is_exact_is_called_so() -> None:
    data = Dataset({"x": "number"}, ("y",), Rows(rows(1, 2, 3), rows(11, 12, 13)), None, Rows(rows(150), rows(160)))
    assert baselines(data, InputEncoder(("x",), 1, Scaler.identity(1)), of_numbers(0.0709), 0).verdict == (
        "A straight line is exact here; the network comes within RMSE 0.0709 of it."
    )


def test_a_straight_line_through_the_largest_numbers_overflows_nowhere() -> None:
    train, test = Rows(1e300 * rows(1, 2, 4), rows(11, 12, 14)), Rows(1e300 * rows(3), rows(13))
    data = Dataset({"x": "number"}, ("y",), train, None, test)
    figures = baselines(data, InputEncoder(("x",), 1, Scaler.identity(1)), of_numbers(0.1), 0).figures
    assert figures["linear"] == pytest.approx(0, abs=1e-12)


# -- tables --------------------------------------------------------------------------------------------------------


def test_what_is_linear_is_found_by_the_linear_model_though_columns_repeat_and_values_are_missing() -> None:
    known = RNG.permutation(np.repeat([0.0, 1.0], 250))
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "x": ("number", BEND.tolist()),
        "again": ("number", (2 * BEND + 1).tolist()),
        "same": ("number", [7.0] * 500),
        "maybe": ("number", [1.0 if value else None for value in known]),
    }
    data, encoder = table(columns, (3 * BEND + 10 * known)[:, None])
    figures = found(data, encoder).figures
    assert list(figures) == ["mean", "linear", "trees", "network"]
    assert figures["linear"] == pytest.approx(0, abs=1e-9)
    assert figures["mean"] > 10 * figures["trees"] > 0


def test_what_bends_is_found_by_trees_alone_even_if_the_network_has_pieces() -> None:
    data, encoder = table({"x": ("number", BEND.tolist())}, (BEND**2)[:, None])
    assert encoder.n_inputs > 1
    figures = found(data, encoder).figures
    assert figures["trees"] < 0.2 < 0.9 * figures["mean"] < figures["linear"]


def test_categories_booleans_and_dates_are_told_by_both() -> None:
    places = RNG.integers(0, 3, 500)
    columns: dict[str, tuple[Kind, list[Any]]] = {
        "port": ("category", [["S", "C", None][place] for place in places]),
        "crew": ("boolean", [bool(place % 2) for place in places]),
        "day": ("date", [f"2024-01-{1 + place:02}" for place in places]),
    }
    data, encoder = table(columns, places[:, None].astype(float), "a", "b", "c")
    assert found(data, encoder, 0.9).figures == {
        "majority": pytest.approx(max(np.bincount(places[400:])[np.bincount(places[:400]).argmax()] / 100, 0)),
        "linear": 1.0,
        "trees": 1.0,
        "network": 0.9,
    }


def test_words_are_told_by_both() -> None:
    said = RNG.integers(0, 2, 300)
    noise = [" ".join(f"word{number}" for number in RNG.integers(0, 500, 20)) for _ in said]
    texts: list[Any] = [f"{'good' if good else 'bad'} {rest}" for good, rest in zip(said, noise, strict=True)]
    data, encoder = table({"text": ("text", texts)}, said[:, None].astype(float), "bad", "good")
    figures = found(data, encoder).figures
    assert encoder.n_inputs > trees.MOST_COLUMNS
    assert min(figures["linear"], figures["trees"]) > 0.9


def test_figures_of_several_outputs_are_over_all_of_them() -> None:
    outputs = np.stack([BEND, 100 * BEND], axis=1)
    data, encoder = table({"x": ("number", BEND.tolist())}, outputs)
    mean = data.train.targets.mean(axis=0)
    figures = found(data, encoder).figures
    assert figures["mean"] == pytest.approx(np.sqrt(((data.test.targets - mean) ** 2).mean()))
    assert figures["linear"] == pytest.approx(0, abs=1e-9)
    assert 0 < figures["trees"] < 5


def test_a_large_table_is_learned_from_some_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MOST_ROWS", 50)
    monkeypatch.setattr(linear, "BLOCK", 8)
    data, encoder = table({"x": ("number", BEND.tolist())}, (BEND + RNG.normal(0, 1, 500))[:, None])
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
    data, encoder = table(columns, rows(*[0, 1] * 5), "a", "b")
    assert set(found(data, encoder).figures) == {"majority", "linear", "trees", "network"}


def test_where_training_rows_have_one_label_only_there_is_nothing_to_learn() -> None:
    data, encoder = table({"x": ("number", list(range(10)))}, rows(*[0] * 8, 1, 1), "a", "b")
    assert found(data, encoder, 0.5).figures == {"majority": 0.0, "network": 0.5}


def test_of_very_many_labels_no_trees_are_grown() -> None:
    names = [str(number) for number in range(trees.MOST_LABELS + 1)]
    numbers = np.arange(505) % len(names)
    data, encoder = table({"x": ("number", numbers.tolist())}, numbers[:, None].astype(float), *names)
    assert set(found(data, encoder).figures) == {"majority", "linear", "network"}


# -- the verdict ---------------------------------------------------------------------------------------------------

RENT = {"mean": 90_000.0, "linear": 69_000.0, "trees": 47_200.0}
WHO = {"majority": 0.6, "linear": 0.8, "trees": 0.84}


@pytest.mark.parametrize(
    ("metric", "figures", "said"),
    [
        (
            "rmse",
            RENT | {"network": 51_000.0},
            "Gradient-boosted trees do better here: RMSE 47,200, the network 51,000; a linear model has 69,000.",
        ),
        (
            "rmse",
            RENT | {"network": 40_000.0},
            "The network earns its place: RMSE 40,000; gradient-boosted trees have 47,200, a linear model 69,000, "
            "the mean 90,000.",
        ),
        (
            "rmse",
            RENT | {"network": 48_000.0},
            "The network does about as well as gradient-boosted trees: RMSE 48,000 against their 47,200; "
            "a linear model has 69,000, the mean 90,000.",
        ),
        (
            "rmse",
            RENT | {"network": 66_000.0, "trees": 70_000.0},
            "A linear model would have done: RMSE 69,000 against the network's 66,000; "
            "gradient-boosted trees have 70,000.",
        ),
        (
            "rmse",
            RENT | {"network": 91_000.0},
            "Even the training mean does better on the test rows: RMSE 90,000, the network 91,000.",
        ),
        (
            "rmse",
            {"mean": 3.0, "linear": 2.0, "network": 1.0},
            "The network earns its place: RMSE 1; a linear model has 2, the mean 3.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.75},
            "Gradient-boosted trees do better here: accuracy 0.84, the network 0.75; a linear model has 0.8.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.83},
            "The network does about as well as gradient-boosted trees: accuracy 0.83 against their 0.84; "
            "a linear model has 0.8, the most frequent label 0.6.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.81, "trees": 0.8},
            "A linear model would have done: accuracy 0.8 against the network's 0.81; gradient-boosted trees have 0.8.",
        ),
        (
            "accuracy",
            {"majority": 0.3, "linear": 1.0, "trees": 1.0, "network": 1.0},
            "A linear model would have done: accuracy 1 against the network's 1; gradient-boosted trees have 1.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.6},
            "Even always saying the most frequent label does as well on the test rows: accuracy 0.6, the network 0.6.",
        ),
        (
            "accuracy",
            {"majority": 0.5, "network": 0.9},
            "The network earns its place: accuracy 0.9; the most frequent label has 0.5.",
        ),
    ],
)
def test_the_verdict_says_plainly_what_would_have_done(metric: Metric, figures: dict[str, float], said: str) -> None:
    assert Contest(metric, figures, n_rows=500, size=1e5).verdict() == said


def test_where_the_test_rows_lie_outside_the_region_nobody_earns_a_place() -> None:
    figures = {"mean": 10_600.0, "linear": 5850.0, "network": 3150.0}
    assert Contest("rmse", figures, n_rows=300, line="straight line", is_lost_outside=True).verdict() == (
        "Most test rows lie outside the region of the training rows, where neither can be trusted: the network has "
        "RMSE 3,150; a straight line has 5,850, the mean 10,600."
    )
    exact = Contest("rmse", {**figures, "linear": 0.0}, n_rows=300, line="straight line", is_lost_outside=True)
    assert exact.verdict() == "A straight line is exact here; the network comes within RMSE 3,150 of it."


def test_a_lead_of_some_rows_by_chance_is_none() -> None:
    figures = {"majority": 0.5, "linear": 0.7, "trees": 0.86, "network": 0.82}
    assert "about as well" in Contest("accuracy", figures, n_rows=100).verdict()
    assert "trees do better" in Contest("accuracy", figures, n_rows=10_000).verdict()


@given(st.dictionaries(st.sampled_from(["linear", "trees"]), st.floats(0, 1)), st.floats(0, 1), st.floats(0, 1))
def test_there_is_a_verdict_on_all_figures_and_it_names_the_networks(
    others: dict[str, float], guess: float, network: float
) -> None:
    metrics: dict[Metric, str] = {"rmse": "mean", "accuracy": "majority"}
    for metric, name in metrics.items():
        contest = Contest(metric, {name: guess, **others, "network": network}, n_rows=10)
        said = contest.verdict()
        assert said.endswith(".")
        assert contest._plain("network") in said
