"""Distances between counts: zero for equal shares, symmetric, and beyond their threshold by chance only rarely."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.drift.divergence import ENOUGH_ROWS, LEAST_PSI, js, psi, threshold
from models_store.arrays import Array

COUNTS = arrays.arrays(np.float64, 8, elements=st.integers(0, 1000).map(float))
# A column of ten buckets, with nothing beyond its ends and nothing missing.
EVEN = np.array([0.0, *[200.0] * 10, 0.0, 0.0])


@given(COUNTS, st.integers(1, 9))
def test_equal_shares_have_no_distance(counts: Array, times: int) -> None:
    assume(counts.sum() > 0)
    assert psi(counts, times * counts) == pytest.approx(0, abs=1e-12)
    assert js(counts, times * counts) == pytest.approx(0, abs=1e-12)


@given(COUNTS, COUNTS)
def test_distances_are_symmetric_and_within_their_bounds(one: Array, other: Array) -> None:
    assume(one.sum() > 0 and other.sum() > 0)
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert js(one, other) == pytest.approx(js(other, one), abs=1e-12)
    assert psi(one, other) >= -1e-12
    assert 0 <= js(one, other) <= 1


@given(COUNTS, COUNTS, st.permutations(range(8)))
def test_the_order_of_cells_does_not_matter(one: Array, other: Array, order: list[int]) -> None:
    assume(one.sum() > 0 and other.sum() > 0)
    assert psi(one[order], other[order]) == pytest.approx(psi(one, other))
    assert js(one[order], other[order]) == pytest.approx(js(one, other), abs=1e-12)


def test_shares_with_nothing_in_common_are_a_bit_apart() -> None:
    assert js(np.array([5.0, 0.0]), np.array([0.0, 7.0])) == 1


def test_a_threshold_falls_with_rows_as_far_as_the_training_rows_allow() -> None:
    falling = [threshold(EVEN, n_rows) for n_rows in (ENOUGH_ROWS, 300, 1000, 10_000, 1_000_000)]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] >= LEAST_PSI
    assert threshold(EVEN / 20, 1_000_000) > threshold(EVEN, 1_000_000)


def test_a_threshold_does_not_depend_on_the_order_of_buckets() -> None:
    counts = np.array([3.0, 500.0, 20.0, 90.0])
    assert threshold(counts, 1000) == threshold(counts[::-1], 1000)


@pytest.mark.parametrize("n_rows", [100, 500, 5000])
def test_rows_of_the_same_world_are_hardly_ever_beyond_the_threshold(n_rows: int) -> None:
    rng = np.random.default_rng(3)
    limit = threshold(EVEN, n_rows)
    worlds = rng.dirichlet(np.maximum(EVEN, 1), 1000)
    windows = rng.multinomial(n_rows, worlds).astype(float)
    assert sum(psi(EVEN, window) > limit for window in windows) <= 3
