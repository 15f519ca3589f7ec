"""Columns of many categories are told by the targets of their rows, and no row is told its own."""

from dataclasses import replace

import numpy as np
import pytest

from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.rows import TableEncoder
from models_store.tables.table import Table, Values, column_of
from training.data.dataset import Dataset, Labels, Rows
from training.data.splits import dealt
from training.evaluation.linear import straightened
from training.evaluation.notes import encoding_notes
from training.fitting.encoders import encoders, training_inputs
from training.fitting.target_means import FEWEST_OF_ITS_OWN, are_many, of_other_rows, targets_of
from training.recipe.spec import PatternSpec

N_SHOPS = 400
FOLDS = np.random.default_rng(7).integers(0, 5, 4000)


def shops(n_rows: int = 4000) -> tuple[Values, np.ndarray]:
    """Shops, and targets around the level of each: float64 (n_rows, 1)."""
    rng = np.random.default_rng(0)
    shop = rng.integers(0, N_SHOPS, n_rows)
    level = rng.normal(0, 3, N_SHOPS)
    targets = level[shop] + rng.normal(size=n_rows)
    return column_of("category", [f"shop {number}" for number in shop]), targets[:, None]


def dataset(values: Values, targets: np.ndarray, labels: Labels | None = None) -> Dataset:
    rows = Rows(Table({"shop": values}), targets)
    return Dataset({"shop": "category"}, ("y",), rows, None, rows, labels=labels)


def spec(**data: object) -> PatternSpec:
    return PatternSpec.parse({"name": "p", "data": {"kind": "table", "dataset": "0" * 32, "target": "y", **data}})


def column(data: Dataset, **recipe: object) -> CategoryEncoder:
    encoder, _ = encoders(spec(**recipe), data, "mse")
    assert isinstance(encoder, TableEncoder)
    found = encoder.encoders["shop"]
    assert isinstance(found, CategoryEncoder)
    return found


def test_many_categories_are_told_by_their_means_and_few_are_not() -> None:
    values, targets = shops()
    assert are_many(values)
    many = column(dataset(values, targets))
    assert (len(many.means), many.n_means) == (N_SHOPS, 1)
    assert len(many.values) < 10  # few shops have 20 rows
    few = values.copy()
    few[:] = [f"{len(value)}" for value in values]
    assert column(dataset(few, targets)) == CategoryEncoder.fit(few)
    assert column(dataset(few, targets), categories="target-means").means.keys() == {"6", "7", "8"}
    assert column(dataset(values, targets), categories="one-hot") == CategoryEncoder.fit(values)


def test_a_mean_is_near_the_level_of_a_category_in_standard_deviations() -> None:
    values, targets = shops()
    means = column(dataset(values, targets)).means
    for shop in ("shop 0", "shop 7"):
        of_shop = targets[values == shop, 0]
        expected = (of_shop.mean() - targets.mean()) / targets.std()
        assert means[shop][0] == pytest.approx(expected, rel=0.1)
        assert abs(means[shop][0]) < abs(expected)  # drawn towards all rows


def test_no_training_row_is_told_its_own_target() -> None:
    values, targets = shops()
    data, changed = dataset(values, targets), targets.copy()
    changed[5] = 1e3
    before, after = (of_other_rows(values, each, FOLDS) * each.std() for each in (targets, changed))
    assert before[5] == pytest.approx(after[5])
    assert not np.allclose(before, after)  # other rows of the shop are told it
    encoder, _ = encoders(spec(), data, "mse")
    told = training_inputs(spec(), encoder, data)[:, -1]
    folds = dealt(data.train, 5, 0, are_labels=False)
    np.testing.assert_allclose(told, of_other_rows(values, targets, folds)[:, 0], rtol=1e-5, atol=1e-6)
    assert np.abs(told - encoder.encode(data.train.inputs)[:, -1]).max() > 0.1


def test_a_row_is_not_told_the_targets_of_its_group() -> None:
    """A shop is in one city alone: of the shops of a new city nothing is known, and so it is in training."""
    values, targets = shops()
    city = np.array([int(value.split()[1]) // 20 for value in values])
    data = dataset(values, targets)
    of_cities = replace(data, train=replace(data.train, groups=city))
    encoder, _ = encoders(spec(), of_cities, "mse")
    assert np.abs(training_inputs(spec(), encoder, data)[:, -1]).max() > 0.1
    assert np.abs(training_inputs(spec(), encoder, of_cities)[:, -1]).max() < 1e-6
    of_one = replace(data, train=replace(data.train, groups=np.zeros_like(city)))
    assert np.abs(training_inputs(spec(), encoder, of_one)[:, -1]).max() == 0


def test_targets_that_have_nothing_to_do_with_a_category_leave_no_trace_in_the_training_rows() -> None:
    values, _ = shops()
    noise = np.random.default_rng(1).normal(size=(len(values), 1))
    told = of_other_rows(values, noise, FOLDS)
    assert abs(np.corrcoef(told[:, 0], noise[:, 0])[0, 1]) < 0.05


def test_each_of_a_few_labels_has_a_mean_and_many_have_none() -> None:
    numbers = np.arange(6.0)[:, None] % 3
    assert targets_of(Labels(("a", "b", "c"), "text"), numbers).tolist()[:2] == [[1, 0, 0], [0, 1, 0]]
    assert targets_of(Labels(("a", "b"), "text"), numbers % 2) is not None
    assert targets_of(Labels(tuple(map(str, range(11))), "text"), numbers).shape == (6, 0)
    values, targets = shops()
    labels = Labels(("a", "b", "c"), "text")
    assert column(dataset(values, np.digitize(targets, [-1, 1]).astype(float), labels)).n_means == 3
    assert not column(dataset(values, np.zeros_like(targets), Labels(tuple(map(str, range(11))), "text"))).means


def test_the_card_says_so_and_baselines_are_not_told_the_answers() -> None:
    values, targets = shops()
    data = dataset(values, targets)
    encoder, _ = encoders(spec(), data, "mse")
    (note,) = encoding_notes(encoder)
    assert note.startswith("shop has 400 categories; the network is told the mean target of the training rows of each")
    assert isinstance(encoder, TableEncoder)
    assert isinstance(data.train.inputs, Table)
    straight = straightened(encoder, data.train.inputs).encoders["shop"]
    assert straight.width == 2 + sum(np.unique(values, return_counts=True)[1] >= FEWEST_OF_ITS_OWN)


@pytest.mark.keras
def test_many_categories_are_learned_better_than_by_one_input_each() -> None:
    from training.fitting.learn import Runtime, learn  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.fitting.progress import Progress

    values, targets = shops()
    rows, others = (Rows(Table({"shop": values[part]}), targets[part]) for part in (slice(3200), slice(3200, 4000)))
    data = Dataset({"shop": "category"}, ("y",), rows, None, others)
    errors = {}
    for categories in ("auto", "one-hot"):
        recipe = spec(categories=categories).overridden({"fit": {"epochs": 30, "early_stopping": None}})
        answers = learn(recipe, data, Runtime("cpu", Progress(), Programs())).predictor.answers(others.inputs)
        errors[categories] = float(np.sqrt(np.square(answers - others.targets).mean()))
    assert errors["auto"] < 1.25
    assert errors["auto"] < 0.8 * errors["one-hot"]
