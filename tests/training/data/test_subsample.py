"""Subsamples: all rows if they are few, else as many as wanted, drawn by seed and in order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.subsample import subsample


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_as_many_rows_as_wanted_are_drawn_each_once_and_in_order(n_rows: int, most: int, seed: int) -> None:
    drawn = np.arange(n_rows)[subsample(n_rows, most, seed)]
    assert len(drawn) == min(n_rows, most)
    assert drawn.tolist() == sorted(set(drawn.tolist()))


def test_few_rows_are_taken_without_a_copy() -> None:
    assert subsample(10, 10, seed=0) == slice(None)


def test_another_seed_draws_other_rows() -> None:
    first, again, other = (np.arange(1000)[subsample(1000, 10, seed)].tolist() for seed in (0, 0, 1))
    assert first == again != other
