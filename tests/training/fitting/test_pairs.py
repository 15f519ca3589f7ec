"""Which two columns tell clearly more together, on tables whose truth is known."""

import numpy as np
import pytest
from sklearn.datasets import make_friedman1, make_moons, make_swiss_roll

from models_store.arrays import Array
from models_store.tables.table import Kind, Table
from training.fitting.pairs import clear_pair


def found(inputs: Array, targets: Array) -> tuple[str, str] | None:
    columns = {f"x{place}": column for place, column in enumerate(inputs.T)}
    kinds: dict[str, Kind] = dict.fromkeys(columns, "number")
    return clear_pair(Table(columns), kinds, targets.reshape(len(targets), -1).astype(float), seed=0)


@pytest.mark.parametrize("n_rows", [500, 10_000])
def test_the_product_in_friedmans_function_is_found(n_rows: int) -> None:
    assert found(*make_friedman1(n_rows, noise=1.0, random_state=0)) == ("x0", "x1")


def test_the_plane_of_a_roll_is_found_and_its_length_is_not() -> None:
    assert found(*make_swiss_roll(2000, noise=0.5, random_state=0)) == ("x0", "x2")


def test_of_columns_that_add_up_none_is_a_pair() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 6))
    assert found(x, np.sin(3 * x[:, 0]) + x[:, 1] ** 2 + rng.normal(size=5000)) is None


def test_labels_may_tell_of_a_pair() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, size=(2000, 4))
    is_inside = x[:, 1] * x[:, 3] > 0
    assert found(x, np.stack([~is_inside, is_inside], axis=1)) == ("x1", "x3")


def test_few_noisy_rows_show_none() -> None:
    assert found(*make_moons(150, noise=0.5, random_state=0)) is None


def test_columns_without_a_value_or_with_one_and_constant_targets_are_no_trouble() -> None:
    x = np.stack([np.full(50, np.nan), np.ones(50), np.arange(50.0)], axis=1)
    assert found(x, np.arange(50.0)) is None
    assert found(x, np.ones(50)) is None
    assert found(x[:, :1], np.arange(50.0)) is None
