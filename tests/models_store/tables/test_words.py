"""Words of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" !? _ ", []),
        ("Tea, tea!", ["tea", "tea"]),
        ("don't, 'quoted'", ["don't", "quoted"]),
        ("snake_case x-ray", ["snake", "case", "x", "ray"]),
        ("MÜNZE 42 ½", ["münze", "42", "½"]),
        ("茶 чай", ["茶", "чай"]),
    ],
)
def test_words_are_letters_and_digits_in_lower_case(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_words_have_the_same_words(text: str) -> None:
    words = words_of(text)
    assert words_of(" ".join(words)) == words
