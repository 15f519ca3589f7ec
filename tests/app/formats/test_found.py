"""A refusal says what was found by its kind and size."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats.found import kind_of


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (0, "a number"),
        (float("nan"), "a number"),
        (10**400, "a number"),
        ("sesame", "text"),
        (" ", "empty text"),
        ([], "a list of 0"),
        ([1, [2], 3], "a list of 3"),
        ({"a": 1}, "an object"),
    ],
)
def test_every_kind_of_json_has_a_name(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


@given(st.text(min_size=1, alphabet=st.characters(codec="ascii", categories=["Lu"])))
def test_no_value_is_repeated(text: str) -> None:
    for value in (text, [text], {text: text}):
        assert text not in kind_of(value)
