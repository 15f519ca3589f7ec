"""Content types and what clients accept, as headers state them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NotAcceptedType
from app.formats.media_types import ARROW, CSV, JSON, NPY, media_type_of, offers, parameters_of, preferred

ALL = (JSON, CSV, NPY, ARROW)
# As clients write them, and what they are worth; beyond 1, below 0 and words are no qualities.
QUALITIES = {
    "": 1.0,
    ";q=1": 1.0,
    "; q=1.000": 1.0,
    ";Q=0.8": 0.8,
    "; v=1 ; q=0.5": 0.5,
    ";q=.25": 0.25,
    ";q=0.001": 0.001,
    ";q=0": 0.0,
    ";q=0.": 0.0,
    ";q=": 0.0,
    ";q": 0.0,
    ";q=2": 0.0,
    ";q=1.1": 0.0,
    ";q=-1": 0.0,
    ";q=nan": 0.0,
    ";q=inf": 0.0,
    ";q=1e0": 0.0,
    ";q=1_0": 0.0,
    ";q=٠": 0.0,
    ";q=x": 0.0,
}
listed = st.lists(
    st.tuples(st.sampled_from([*ALL, "text/html", "image/png", "br"]), st.sampled_from(list(QUALITIES))),
    unique_by=lambda pair: pair[0],
)


def header_of(pairs: list[tuple[str, str]], separator: str = ", ") -> str:
    return separator.join(name + quality for name, quality in pairs)


# -- content type --------------------------------------------------------------------------------------------------


def test_a_media_type_is_read_without_its_parameters() -> None:
    assert media_type_of('Text/CSV ; header=absent; charset="UTF-8"') == CSV
    assert media_type_of("") == ""
    assert parameters_of('text/csv; Header="Absent";x') == [("header", "absent"), ("x", "")]


@pytest.mark.parametrize("parameters", ["charset=latin-1", "charset=utf-8;charset=utf-16", "x=1; CHARSET=Latin-1"])
def test_another_charset_than_utf_8_is_refused(parameters: str) -> None:
    with pytest.raises(NotAcceptedType):
        media_type_of(f"text/csv; {parameters}")


# -- what is accepted ----------------------------------------------------------------------------------------------


@given(listed, st.sampled_from([",", ", ", " , ", ",,"]))
def test_what_is_listed_has_its_quality_and_its_place(pairs: list[tuple[str, str]], separator: str) -> None:
    read = offers(header_of(pairs, separator).upper())
    assert list(read.items()) == [(name, QUALITIES[quality]) for name, quality in pairs]


@given(listed)
def test_the_highest_quality_wins_then_the_first_and_zero_excludes(pairs: list[tuple[str, str]]) -> None:
    candidates = [(name, QUALITIES[quality]) for name, quality in pairs if name in ALL and QUALITIES[quality] > 0]
    best = max((quality for _, quality in candidates), default=None)
    expected = next((name for name, quality in candidates if quality == best), None)
    assert preferred(header_of(pairs), ALL) == expected


@given(st.text(max_size=60))
def test_any_text_is_read(header: str) -> None:
    assert all(0 <= quality <= 1 for quality in offers(header).values())
    assert preferred(header, ALL) in (None, *ALL)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", None),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/csv, */*", CSV),
        ("*/*, text/csv", JSON),
        ("text/csv;q=0, */*", JSON),
        ("application/json;q=0, */*", CSV),
        ("application/*;q=0, */*;q=0.1", CSV),
        ("text/html, */*;q=0.8", JSON),
        ("text/html", None),
        ("*/*;q=0", None),
    ],
)
def test_a_range_stands_for_what_is_not_named_more_closely(accept: str, wanted: str | None) -> None:
    assert preferred(accept, (JSON, CSV)) == wanted
