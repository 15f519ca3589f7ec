"""The rank of a level, in integers, and the promise that goes with it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.calibration.ranks import exactly, rank, rows_for, threshold
from models_store.errors import TooFewRows

LEVELS = st.fractions(Fraction(1, 1000), Fraction(999, 1000))


@pytest.mark.parametrize(
    ("level", "rows"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99), (0.999, 999), (0.7, 3), (0.1, 1)]
)
def test_a_level_takes_so_many_rows_and_not_one_more(level: float, rows: int) -> None:
    exact = exactly(level)
    assert rows_for(exact) == rows
    assert rank(exact, rows) == rows
    with pytest.raises(TooFewRows, match=f"a level of {level:g} takes {rows} calibration rows") as refused:
        rank(exact, rows - 1)
    assert refused.value.rows == rows


def test_the_rank_is_that_of_the_decimal_and_not_of_the_float_beside_it() -> None:
    assert [rank(exactly(level), 99) for level in (0.8, 0.9, 0.95, 0.29)] == [80, 90, 95, 29]
    assert [rank(exactly(0.9), n_rows) for n_rows in (9, 10, 19, 20, 29)] == [9, 10, 18, 19, 27]


@given(LEVELS, st.integers(1, 3000))
def test_the_chance_of_a_new_row_is_the_level_or_up_to_one_row_more(level: Fraction, n_rows: int) -> None:
    if n_rows < rows_for(level):
        with pytest.raises(TooFewRows):
            rank(level, n_rows)
    else:
        chance = Fraction(rank(level, n_rows), n_rows + 1)
        assert level <= chance < level + Fraction(1, n_rows + 1)


@given(LEVELS, LEVELS, st.integers(1, 200))
def test_a_higher_level_has_no_lower_threshold(one: Fraction, other: Fraction, n_rows: int) -> None:
    scores = np.sort(np.random.default_rng(n_rows).exponential(size=n_rows))
    low, high = sorted((one, other))
    if n_rows >= rows_for(high):
        assert threshold(scores, low) <= threshold(scores, high)


def test_what_is_advised_can_be_asked() -> None:
    with pytest.raises(TooFewRows, match=r"ask for at most 0\.909, or train on more rows"):
        rank(exactly(0.95), 10)
    assert rank(exactly(0.909), 10) == 10
    with pytest.raises(TooFewRows, match="this version has 0; train on more rows"):
        rank(exactly(0.5), 0)
