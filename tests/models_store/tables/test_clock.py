"""Times of day and durations: the spellings that are read, and that what is written is read again."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables.clock import duration_of, duration_seconds, time_of, time_seconds
from models_store.tables.table import EXPECTED, Kind, from_json, from_text
from tests.models_store.tables.table_files import the_facts

MICROSECOND = datetime.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("13:31", "13:31:00"),
        ("7:05", "07:05:00"),
        ("13:31:05", "13:31:05"),
        ("13:31:05.25", "13:31:05.250000"),
        ("13:31:05,25", "13:31:05.250000"),
        ("13:31:00.000000000", "13:31:00"),
        ("23:59:59.999999999", "23:59:59.999999"),
        ("1:31 PM", "13:31:00"),
        ("01:31:05 p.m.", "13:31:05"),
        ("12 AM", "00:00:00"),
        ("12:30pm", "12:30:00"),
        ("13:31:00+02", "13:31:00"),
        ("13:31:00Z", "13:31:00"),
    ],
)
def test_a_time_of_day_is_read_as_it_is_written(text: str, written: str) -> None:
    seconds = time_seconds(text)
    assert seconds is not None
    assert time_of(seconds) == written
    assert seconds == from_json("time", text) == from_text("time", f" {text} ")


@pytest.mark.parametrize("text", ["", "13", "24:00", "13:60", "0 AM", "13 PM", "13:31:60", "1:3", "-1:30", "١٣:٣١"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=EXPECTED["time"]):
        from_text("time", text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("85:00:00", "3 days 13:00:00"),
        ("3 days 13:00:00", "3 days 13:00:00"),
        ("3 days, 13:00:00", "3 days 13:00:00"),
        ("3 days 13:00", "3 days 13:00:00"),
        ("1 day", "1 day 00:00:00"),
        ("0 days 00:00:05.123456789", "00:00:05.123456"),
        ("-1 days +23:00:00", "-01:00:00"),
        ("-4 days, 11:00:00", "-85:00:00"),
        ("-3 days -13:00:00", "-85:00:00"),
        ("-3 days 13:00:00", "-59:00:00"),
        ("-01:30:00", "-01:30:00"),
        ("P3DT13H", "3 days 13:00:00"),
        ("-PT23H59M54.99975S", "-23:59:54.999750"),
        ("P-1DT0H0M5.000250S", "-23:59:54.999750"),
        ("PT306000S", "3 days 13:00:00"),
        ("P2W", "14 days 00:00:00"),
        ("PT0S", "00:00:00"),
    ],
)
def test_a_duration_is_read_as_pandas_python_databases_and_iso_8601_write_it(text: str, written: str) -> None:
    seconds = duration_seconds(text)
    assert seconds is not None
    assert duration_of(seconds) == written
    assert seconds == from_json("duration", text) == from_text("duration", f" {text} ")


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "P1Y", "P1M", "1 month 2 days", "12:30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=EXPECTED["duration"]):
        from_text("duration", text)


@given(st.times())
def test_times_are_read_as_the_standard_library_writes_them(time: datetime.time) -> None:
    seconds = time_seconds(time.isoformat())
    assert seconds is not None
    assert time_of(seconds) == time.isoformat()
    length = datetime.timedelta(
        hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond
    )
    assert seconds == length.total_seconds()


@given(st.timedeltas(datetime.timedelta(days=-40_000), datetime.timedelta(days=40_000)))
def test_durations_are_read_as_the_standard_library_writes_them(length: datetime.timedelta) -> None:
    seconds = duration_seconds(str(length))
    assert seconds is not None
    assert seconds == (length / MICROSECOND) / 1_000_000
    assert duration_seconds(duration_of(seconds)) == seconds


@given(st.timedeltas())
def test_a_duration_of_any_length_is_read_or_refused(length: datetime.timedelta) -> None:
    seconds = duration_seconds(str(length))
    if seconds is None:
        assert abs(length) > datetime.timedelta(days=3_652_059)
    else:
        again = duration_seconds(duration_of(seconds))
        assert again == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["13:31", "07:05", "-", None], "time"),
        (["1:31 PM", "7 AM"], "time"),
        (["00:05:00", "23:00:00"], "time"),
        (["00:05:00", "24:00:00"], "duration"),
        (["3 days 13:00:00", "0 days 00:05:00"], "duration"),
        (["P3DT13H", "PT0S"], "duration"),
        ([datetime.time(13, 31), None], "time"),
        ([datetime.timedelta(3), None], "duration"),
        (["12:30", "25:30"], "category"),
        (["7", "13:31"], "category"),
    ],
)
def test_times_and_durations_are_kinds_of_their_own(cells: list[object], kind: Kind) -> None:
    found = the_facts(cells)
    assert (found.kind, found.ambiguity, found.labels) == (kind, None, kind == "category")


def test_times_and_durations_are_shown_as_they_are_asked() -> None:
    assert the_facts([datetime.time(13, 31), datetime.time(7)]).examples == ["13:31:00", "07:00:00"]
    assert the_facts([datetime.timedelta(3, 5), datetime.timedelta(-1)]).examples == ["3 days 00:00:05", "-24:00:00"]
    assert the_facts([datetime.time(13, 31), datetime.time(7)], x="category").examples == ["13:31:00", "07:00:00"]


@pytest.mark.parametrize(
    ("cells", "ambiguity"),
    [
        ([*(f"{n % 24}:{n:02}" for n in range(50)), "noon"], 'x: 50 of 51 values are times, and "noon" in data row 51'),
        ([f"{n}:30" for n in range(50)], 'x: looks like times, some of them beyond 24:00 ("24:30")'),
        ([*(f"{n}:30:00" for n in range(50)), "long"], 'x: 50 of 51 values are durations, and "long" in data row 51'),
    ],
)
def test_what_is_nearly_times_is_asked_about(cells: list[str], ambiguity: str) -> None:
    assert (the_facts(cells).ambiguity or "").startswith(ambiguity)
    assert the_facts(cells, x="category").ambiguity is None
