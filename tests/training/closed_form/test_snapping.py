"""Numbers are snapped to the shortest that the data allow, and no further."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.closed_form.form import Form, spelled
from training.closed_form.rows import Rows
from training.closed_form.snapping import shortest, snapped
from training.closed_form.terms import Factor, Term


@given(st.floats(-1e6, 1e6).filter(lambda number: abs(number) > 1e-6), st.floats(1e-12, 1.0))
def test_a_number_never_moves_beyond_its_room(number: float, room: float) -> None:
    assert abs(shortest(number, room) - number) <= room


@given(st.integers(-9999, 9999).filter(bool), st.integers(0, 4))
def test_a_short_decimal_is_found_again(digits: int, places: int) -> None:
    decimal = digits / 10**places
    assert shortest(decimal * (1 + 1e-13), 1e-11 * abs(decimal)) == decimal


@given(st.integers(1, 12), st.integers(2, 12))
def test_a_fraction_is_found_again_and_spelled_exactly(above: int, below: int) -> None:
    number = shortest(above / below * (1 + 1e-13), 1e-11)
    numerator, _, denominator = spelled(number).partition("/")
    assert float(numerator) / float(denominator or 1) == above / below


@given(st.lists(st.integers(-90, 90).filter(bool), min_size=2, max_size=2), st.integers(-90, 90))
def test_coefficients_that_were_short_are_short_again(tenths: list[int], intercept: int) -> None:
    rng = np.random.default_rng(0)
    columns = {"x1": rng.uniform(1, 3, 60), "x2": rng.uniform(1, 3, 60)}
    numbers = (intercept / 10, *(tenth / 10 for tenth in tenths))
    target = numbers[0] + numbers[1] * columns["x1"] ** 2 + numbers[2] * columns["x2"]
    terms = (Term.of((Factor("x1"), 2)), Term.of((Factor("x2"), 1)))
    rough = Form("{}", terms, tuple(number * (1 + 1e-12) + 1e-14 for number in numbers))
    assert snapped(rough, Rows(columns, target)).numbers == numbers
