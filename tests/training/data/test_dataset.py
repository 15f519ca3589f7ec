"""Datasets: as many rows as the recipe says, labelled by its formula, the same ones each time, none in two places."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from models_store.arrays import Array
from training.data.dataset import DataError, Dataset, Rows
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec, catalogue

CATALOGUE = {name: spec for name, spec in catalogue().items() if not isinstance(spec.data, TableData)}
X = {"distribution": "integers", "low": 0, "high": 100}


@pytest.fixture
def recipe() -> PatternSpec:
    data = {"kind": "formula", "inputs": {"x": X}, "outputs": {"y": "x + 10"}, "rows": 100}
    return PatternSpec.parse({"name": "line", "data": data})


@pytest.mark.parametrize(
    ("pattern", "n_train", "n_test", "n_dropped"),
    [
        ("add-ten", 100, 20, 0),
        ("linear-pair", 800, 200, 0),
        ("quadratic-sparse", 667, 286, 1000 - 953),
        ("quadratic", 7594, 1899, 30_000 - 9493),
        ("quadratic-extrapolated", 1000, 300, 0),
    ],
)
def test_the_catalogues_recipes_make_as_many_rows_as_their_authors_had(
    pattern: str, n_train: int, n_test: int, n_dropped: int
) -> None:
    data = Dataset.make(CATALOGUE[pattern])
    assert (len(data.train), len(data.test), data.duplicates_dropped, data.validation) == (
        n_train,
        n_test,
        n_dropped,
        None,
    )


def test_the_rows_are_those_of_the_legacy_generator_drawn_column_by_column() -> None:
    data = Dataset.make(CATALOGUE["quadratic-extrapolated"])
    rng = np.random.RandomState(1234)
    x1, x2 = rng.randint(0, 100, 1000), rng.randint(0, 100, 1000)
    assert data.train.numbers.tolist() == np.stack([x1, x2], axis=1).tolist()
    assert data.train.targets.tolist() == (0.5 * x1**2 - 3 * x2 + 5).reshape(-1, 1).tolist()


@pytest.mark.parametrize("pattern", ["add-ten", "quadratic-extrapolated"])
def test_a_held_out_region_is_where_nothing_was_trained(pattern: str) -> None:
    data = Dataset.make(CATALOGUE[pattern])
    assert ((data.train.numbers >= 0) & (data.train.numbers < 100)).all()
    assert ((data.test.numbers >= 100) & (data.test.numbers < 200)).all()


def test_a_sequence_is_its_windows_one_step_after_another() -> None:
    data = Dataset.make(CATALOGUE["linear-pair"])
    together = np.concatenate([data.train.numbers, data.test.numbers])
    first = np.arange(1000.0)
    assert sorted(together.tolist()) == np.stack([first, first + 1, first + 2, first + 3], axis=1).tolist()
    x1, x2, x3, x4 = data.test.numbers.T
    expected = [0.3 * x1 + 0.2 * x2 - 0.4 * x3 + 0.1 * x4 + 2, 0.5 * x1 - 0.1 * x2 + 0.3 * x3 - 2]
    np.testing.assert_allclose(data.test.targets, np.stack(expected, axis=1))


@pytest.mark.parametrize("pattern", CATALOGUE)
def test_the_same_recipe_makes_the_same_rows(pattern: str) -> None:
    spec = CATALOGUE[pattern]
    other = spec.overridden({"data": {"seed": 1}, "split": {"test": 0.25}})
    assert Dataset.make(spec).sha256() == Dataset.make(spec).sha256() != Dataset.make(other).sha256()


def test_the_recipes_seed_draws_the_data_unless_they_have_their_own(recipe: PatternSpec) -> None:
    of_seed_7 = Dataset.make(written_with(recipe, 7)).sha256()
    assert Dataset.make(recipe.overridden({"data": {"seed": 7}})).sha256() == of_seed_7
    assert Dataset.make(written_with(recipe, 8)).sha256() != of_seed_7


def written_with(recipe: PatternSpec, seed: int) -> PatternSpec:
    """The recipe as if it had been written with this seed."""
    return PatternSpec.parse({**recipe.to_json(), "seed": seed})


@pytest.mark.parametrize("pattern", ["quadratic", "quadratic-sparse"])
def test_unique_rows_are_in_one_place_only(pattern: str) -> None:
    data = Dataset.make(CATALOGUE[pattern].overridden({"split": {"validation": 0.1}}))
    assert data.validation is not None
    parts = [_inputs(rows) for rows in (data.train, data.validation, data.test)]
    assert len(set.union(*parts)) == len(data.train) + len(data.validation) + len(data.test)


def test_unique_rows_are_in_one_place_only_when_the_test_rows_have_a_region_of_their_own(recipe: PatternSpec) -> None:
    data = Dataset.make(recipe.overridden({"data": {"unique": True, "test": {"rows": 50, "inputs": {"x": X}}}}))
    assert not _inputs(data.train) & _inputs(data.test)


def test_a_split_takes_its_shares(recipe: PatternSpec) -> None:
    data = Dataset.make(recipe.overridden({"split": {"test": 0.2, "validation": 0.25}}))
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 20, 20)


def test_a_split_without_shuffling_takes_the_last_rows() -> None:
    data = Dataset.make(CATALOGUE["linear-pair"].overridden({"split": {"shuffle": False, "validation": 0.25}}))
    assert data.validation is not None
    firsts = [rows.numbers[:, 0].tolist() for rows in (data.train, data.validation, data.test)]
    assert firsts == [list(range(600)), list(range(600, 800)), list(range(800, 1000))]


@pytest.mark.parametrize(
    ("distribution", "is_inside"),
    [
        ({"distribution": "integers", "low": -5, "high": 5}, lambda x: (x >= -5) & (x < 5) & (x == np.round(x))),
        ({"distribution": "uniform", "low": -0.5, "high": 0.5}, lambda x: (x >= -0.5) & (x < 0.5)),
        ({"distribution": "normal", "mean": 100, "sd": 1}, lambda x: (x > 90) & (x < 110)),
    ],
)
def test_rows_are_drawn_from_their_distribution(
    recipe: PatternSpec, distribution: object, is_inside: Callable[[Array], NDArray[np.bool_]]
) -> None:
    drawn = Dataset.make(recipe.overridden({"data": {"inputs": {"x": distribution}}})).train.numbers
    assert is_inside(drawn).all()
    assert len(np.unique(drawn)) > 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"outputs": {"y": "log(x - 200)"}}}, r"data\.outputs\.y: the formula has no finite value at x="),
        ({"data": {"outputs": {"y": "9**9**9"}}}, r"data\.outputs\.y: the formula has no finite value"),
        ({"data": {"rows": 2}}, r"split\.test: 0\.2 of 2 rows leaves a part without rows"),
        ({"split": {"test": 0.999}}, r"split\.test"),
        ({"split": {"validation": 0.001}}, r"split\.validation"),
    ],
)
def test_data_that_nothing_can_learn_from_are_refused(
    recipe: PatternSpec, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.make(recipe.overridden(changes))


@pytest.mark.parametrize(
    "data",
    [
        {"kind": "sequence", "start": 1e308, "step": 1e308, "rows": 100, "inputs": {"x": 0}, "outputs": {"y": "x > 0"}},
        {
            "kind": "formula",
            "inputs": {"x": {"distribution": "normal", "sd": 1e308}},
            "outputs": {"y": "x > 0"},
            "rows": 100,
        },
    ],
    ids=["sequence", "normal"],
)
def test_inputs_that_are_not_finite_are_refused(data: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"data\.inputs"):
        Dataset.make(PatternSpec.parse({"name": "far", "data": data}))


def _inputs(rows: Rows) -> set[tuple[float, ...]]:
    inputs: Array = rows.numbers
    return set(map(tuple, inputs.tolist()))
