"""Numbers are snapped to the shortest that the data allow, and no further."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.closed_form.form import Form
from training.closed_form.rows import Rows
from training.closed_form.snapping import shortest, snapped
from training.closed_form.spelling import spelled, sum_text
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


def test_a_number_that_another_can_stand_for_is_unsure_and_may_be_nought() -> None:
    columns = {"x": np.random.default_rng(0).uniform(-1, 1, 400)}
    rows = Rows(columns, columns["x"])
    # exp(0*x) is an intercept, as the first number is.
    flat, pole = Factor("exp(@*x)", 0.0), Factor("(x + @)", 1.0040336723202643)
    bent = Term.of((Factor("x"), 1), (Factor("sqrt(@ - x)", 901790.5253878738), 1))
    linear = (-27.436602641751183, 27.436661754138218, -2.431337282030163e-13, 0.001051949708786065)
    inside = (0.0, 1.0040336723202643, 901790.5253878738)
    form = Form("{}", (Term.of((flat, 1)), Term.of((pole, -1)), bent), (*linear, *inside))
    found = snapped(form, rows)
    assert 0.0 in found.numbers[:2]
    assert np.abs(found.values(columns) - rows.target).max() < 1e-3


@given(st.integers(100, 99_999), st.integers(0, 4))
def test_one_over_a_short_decimal_is_found_again_and_spelled_exactly(digits: int, places: int) -> None:
    number = 10**places / digits
    found = shortest(number * (1 + 1e-13), 1e-11 * number)
    assert found == pytest.approx(number, rel=1e-15)
    above, _, below = spelled(found).partition("/")
    assert float(above) / float(below or 1) == found


def test_a_number_that_is_not_short_keeps_its_digits_and_a_rough_one_gets_no_fraction() -> None:
    assert shortest(np.pi, 1e-10) == np.pi
    assert shortest(15 / 7, 0.003) == 2.14
    assert shortest(0.9, 0.2) == 1


@given(st.floats(1e-320, 1e308))
def test_a_spelling_reads_back_as_the_number(number: float) -> None:
    above, _, below = spelled(number).partition("/")
    assert float(above) / float(below or 1) == number


@pytest.mark.parametrize(
    ("intercept", "numbers", "text"),
    [
        (-0.5, {"x1": -1}, "-x1 - 0.5"),
        (4.4, {"x1": -1, "x2": -1}, "4.4 - x1 - x2"),
        (0, {"log(x1)": 1, "x1": -1}, "log(x1) - x1"),
        (5, {"x2": -3, "x1**2": 0.5}, "0.5*x1**2 - 3*x2 + 5"),
        (1, {"sin(x1)": 2, "x2": 1 / 4.2, "x1": 5 / 7}, "5*x1/7 + x2/4.2 + 2*sin(x1) + 1"),
        (-1.9, {"(x1 - x2)": -1, "x3": 2}, "x2 - x1 + 2*x3 - 1.9"),
        (0, {}, "0"),
    ],
)
def test_sums_are_spelled_as_people_write_them(intercept: float, numbers: dict[str, float], text: str) -> None:
    terms = {"x1**2": Term.of((Factor("x1"), 2))}
    assert (
        sum_text(intercept, [(n, terms.get(name, Term.of((Factor(name), 1)))) for name, n in numbers.items()]) == text
    )


def test_a_head_that_a_term_can_do_without_is_left_out() -> None:
    x1, sine = Term.of((Factor("x1"), 1)), Term.of((Factor("sin(x1)"), 1))
    assert Form("1/({})", (sine * x1**-1,), (0.0, 4.0)).plain.text == "0.25*x1/sin(x1)"
    assert Form("{}/(x1 + @)", (x1 * x1,), (4.3, 1.0, 0.0)).plain.text == "x1 + 4.3/x1"
    assert Form("{}/(x1 + @)", (x1 * x1,), (4.3, 0.0, 2.0)).plain.text == "4.3/(x1 + 2)"
