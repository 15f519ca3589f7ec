"""Words of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables.words import is_word, terms_of, words_of


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


def test_pairs_are_of_how_neighbours_begin_and_long_words_have_a_beginning_of_their_own() -> None:
    words = ["simply", "wonderful", "don't", "größer", "茶"]
    beginnings = ["simpl-", "wonde-", "don't-", "größe-"]
    pairs = ["simpl wonde", "wonde don't", "don't größe", "größe 茶"]
    assert terms_of("Simply WONDERFUL, don't! größer_茶", "words-and-pairs") == [*words, *beginnings, *pairs]
    assert terms_of("Simply WONDERFUL", "words") == ["simply", "wonderful"]
    assert terms_of("?", "words-and-pairs") == []


@given(st.text())
def test_no_beginning_and_no_pair_is_spelled_as_a_word(text: str) -> None:
    assert [*filter(is_word, terms_of(text, "words-and-pairs"))] == words_of(text)
