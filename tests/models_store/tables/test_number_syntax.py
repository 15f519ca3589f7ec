"""The syntax of numbers: Python and polars agree on it, and `float` reads all of it."""

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models_store.tables.number_syntax import NUMBER, POLARS_CODE, POLARS_INTEGER, POLARS_NUMBER, POLARS_PLAIN_INTEGER

texts = st.text(alphabet="+-.019eE\n _x٣", max_size=8) | st.floats().map(repr)


def matches(pattern: str, text: str) -> bool:
    return bool(pl.Series([text]).str.contains(pattern).item())


@given(texts)
@example("1\n")
@example("1e")
def test_polars_and_python_take_the_same_texts_for_finite_numbers(text: str) -> None:
    is_number = NUMBER.fullmatch(text) is not None
    assert matches(POLARS_NUMBER, text) == (is_number or text in ("inf", "-inf"))
    if is_number:
        float(text)


@pytest.mark.parametrize("text", ["inf", "-Infinity", "+INF"])
def test_infinity_is_a_number_to_polars_alone(text: str) -> None:
    assert matches(POLARS_NUMBER, text)
    assert NUMBER.fullmatch(text) is None


@given(st.integers() | st.integers(-(10**19), 10**19))
def test_an_integer_beyond_eighteen_digits_is_a_code_and_any_other_a_plain_integer(number: int) -> None:
    text = str(number)
    assert matches(POLARS_INTEGER, text)
    assert matches(POLARS_PLAIN_INTEGER, text) == (abs(number) < 10**18)
    assert matches(POLARS_CODE, text) == (abs(number) >= 10**18)
