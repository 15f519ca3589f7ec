"""Cells: a value of JSON or of a file, parsed by kind, and written again."""

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables.table import (
    days_in,
    days_of,
    from_json,
    from_text,
    moment_of,
)


@given(st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2140, 1, 1)))
def test_every_microsecond_of_our_time_is_said_as_it_was_written(moment: datetime.datetime) -> None:
    assert datetime.datetime.fromisoformat(moment_of(days_of(moment))) == moment


@given(st.datetimes())
def test_any_moment_is_said_to_the_millisecond_and_counted_as_a_column_is(moment: datetime.datetime) -> None:
    said = datetime.datetime.fromisoformat(moment_of(days_of(moment)))
    assert abs(said - moment) <= datetime.timedelta(milliseconds=1)
    microseconds = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    assert days_in(np.array([microseconds])).tolist() == [days_of(moment)]


@pytest.mark.parametrize("fraction", [".9", ".999999"])
def test_the_end_of_the_last_year_can_be_said(fraction: str) -> None:
    days = from_json("date", f"9999-12-31T23:59:59{fraction}")
    assert isinstance(days, float)
    assert moment_of(days).startswith("9999-12-31T23:59:59.9")


@pytest.mark.parametrize("text", ["1e400", "-1e999", "True-ish", "1_0"])
def test_what_is_no_finite_number_is_a_category_as_it_stands(text: str) -> None:
    assert from_text("category", text) == text


@given(st.lists(st.integers(-(2**33), 2**33).map(lambda second: second / 86400), max_size=5))
def test_dates_are_read_as_they_are_written(days: list[float]) -> None:
    assert [from_json("date", moment_of(day)) for day in days] == days


@pytest.mark.parametrize(
    ("spellings", "category"),
    [
        ([3, 3.0, "3", " 3 ", "3.0", "3.00"], "3"),
        (["3.50", 3.5], "3.5"),
        (["007"], "007"),
        ([True, "true", "True", "TRUE"], "true"),
        (["Yes"], "Yes"),
        ([-1, "-1", "-1.0"], "-1"),
    ],
)
def test_a_category_has_one_name_however_it_is_written(spellings: list[Any], category: str) -> None:
    assert {from_json("category", spelling) for spelling in spellings} == {category}


def test_versions_keep_apart_if_they_are_no_numbers() -> None:
    assert len({from_text("category", text) for text in ("3.1", "3.10", "3.100")}) == 1
    for versions in (("v3.1", "v3.10"), ("3.1.0", "3.10.0")):
        assert [from_text("category", text) for text in versions] == [*versions]


@pytest.mark.parametrize("text", ["1_000", "nan", "inf", "0x10", "", "1e", "\u0661", "1e400"])
def test_what_is_no_number_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        from_text("number", text)


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-01", "0000-01-01", "2024-01-01T24:01", "20240101", "2024-1-1T1:2:3"]
)
def test_what_is_no_date_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="a date such as") as refusal:
        from_text("date", text)
    assert text not in str(refusal.value)
