"""Dates and moments: every spelling of the grammar, alone and in a column, and formats that a recipe names."""

import datetime
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables.date_formats import form_of, kind_of_format
from models_store.tables.inference import TableError, facts, table_of
from models_store.tables.moment_columns import moments_of
from models_store.tables.moments import EPOCH, GRAMMAR, IN_ORDER, DateOrder, iso_in, microseconds_in
from models_store.tables.spelling import Spelling
from models_store.tables.table import Kind, from_json, from_text
from tests.models_store.tables.table_files import the_facts, values

SPELLED = {
    "2020-03-14": "2020-03-14",
    "2020/03/14": "2020-03-14",
    "2020.03.14": "2020-03-14",
    "2020-3-4": "2020-03-04",
    "14 Mar 2020": "2020-03-14",
    "14-Mar-2020": "2020-03-14",
    "4. March 2020": "2020-03-04",
    "Mar 14, 2020": "2020-03-14",
    "March 3rd, 2020": "2020-03-03",
    "Sat, 14 Mar 2020 10:00:00 GMT": "2020-03-14T10:00",
    "Sat Mar 14 10:00:00 2020": "2020-03-14T10:00",
    "Sat Mar 14 10:00:00 UTC 2020": "2020-03-14T10:00",
    "Sat Mar 14 2020 10:00:00 GMT+0100 (Central European Standard Time)": "2020-03-14T10:00",
    "2020 Mar 14": "2020-03-14",
    "01JAN2020": "2020-01-01",
    "01jan2020": "2020-01-01",
    "01JAN2020:10:00:00": "2020-01-01T10:00",
    "01jan2020 10:00:00": "2020-01-01T10:00",
    "Mar  4 2020 10:00AM": "2020-03-04T10:00",
    "20200314T1000": "2020-03-14T10:00",
    "20200314T100059Z": "2020-03-14T10:00:59",
    "20200314 10:00": "2020-03-14T10:00",
    "2020-01-01 00:00:00+00": "2020-01-01",
    "2020-01-01 00:00:00 UTC": "2020-01-01",
    "2020-01-01 00:00:00 +0000": "2020-01-01",
    "2020-01-01T10:00:00.0000000+01:00": "2020-01-01T10:00",
    "2020-01-01 10:00:00.1234567 +00:00": "2020-01-01T10:00:00.123456",
    "2020-01-01 10:00:00.123456789": "2020-01-01T10:00:00.123456",
    "2020-01-01 10:00:00,123": "2020-01-01T10:00:00.123",
    "2020-01-01T10:00+01:00[Europe/Berlin]": "2020-01-01T10:00",
    "2020-01-01 1:05 PM": "2020-01-01T13:05",
    "2020-01-01 12:05:00 a.m.": "2020-01-01T00:05",
    "10/Oct/2000:13:55:36 -0700": "2000-10-10T13:55:36",
    "[10/Oct/2000:13:55:36 -0700]": "2000-10-10T13:55:36",
    "2020-03": "2020-03-01",
    "03/2020": "2020-03-01",
    "2020M03": "2020-03-01",
    "Mar 2020": "2020-03-01",
    "Mar-2020": "2020-03-01",
    "2020-W14": "2020-03-30",
    "2020-W14-3": "2020-04-01",
    "2020-W53": "2020-12-28",
    "2020Q2": "2020-04-01",
    "2020-Q2": "2020-04-01",
    "Q2 2020": "2020-04-01",
}


@pytest.mark.parametrize(("text", "iso"), SPELLED.items())
def test_a_moment_is_read_in_every_spelling_that_is_clear(text: str, iso: str) -> None:
    expected = datetime.datetime.fromisoformat(iso)
    assert iso_in(text, GRAMMAR) == expected.isoformat()
    assert from_text("date", f" {text} ") == from_json("date", text) == from_text("date", iso)
    found = the_facts([text, "-", text])
    assert (found.kind, found.ambiguity) == ("date", None)
    assert values(pl.DataFrame({"x": [text]}), "date") == [from_text("date", iso)]


def test_one_column_may_have_many_spellings() -> None:
    assert the_facts(list(SPELLED)).kind == "date"
    assert values(pl.DataFrame({"x": list(SPELLED)}), "date") == [from_text("date", iso) for iso in SPELLED.values()]


NONE = [
    "2020-02-30",
    "2020-13-01",
    "0000-01-01",
    "2020-01-01T24:00",
    "2020-01-01 13:05 PM",
    "2020-W54",
    "2021-W53",
    "2020Q5",
    "1234-05",
    "2020-3",
    "13/2020",
    "20200314",
    "2020",
    "31 Foo 2020",
    "14/03/2020",
    "14 Mar 20",
    "14 \u017fep 2020",
    "2020-01/01",
    "",
]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_moment_or_may_be_two_is_none(text: str) -> None:
    assert microseconds_in(text) is None
    assert not moments_of(pl.Series([text]), GRAMMAR)[1].any()


# -- a column is read as its cells are -----------------------------------------------------------------------------

FORMATS = [
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y/%m/%dT%H:%M:%S",
    "%d %b %Y %I:%M %p",
    "%B %d, %Y",
    "%a, %d %b %Y %H:%M:%S",
    "%d%b%Y:%H:%M:%S",
    "%d/%b/%Y:%H:%M:%S",
    "%Y%m%dT%H%M%S",
    "%G-W%V-%u",
    "%Y-%m",
    "%m/%Y",
]
moments = st.datetimes(datetime.datetime(1801, 1, 1), datetime.datetime(2198, 12, 31))


@given(st.lists(moments, min_size=1, max_size=5), st.sampled_from(FORMATS))
def test_the_standard_librarys_moments_are_read(drawn: list[datetime.datetime], written: str) -> None:
    texts = [moment.strftime(written) for moment in drawn]
    is_whole = "%d" in written or "%u" in written
    days = [moment.date() if is_whole else moment.date().replace(day=1) for moment in drawn]
    found, known = moments_of(pl.Series(texts), GRAMMAR)
    assert known.all()
    assert found.tolist() == [microseconds_in(text) for text in texts]
    assert [(EPOCH + datetime.timedelta(microseconds=count)).date() for count in found.tolist()] == days
    if "%S.%f" in written:
        assert [EPOCH + datetime.timedelta(microseconds=count) for count in found.tolist()] == drawn


pieces = st.sampled_from([*"0123456789", *"-/.: TZWQ,", "2020", "12", "31", "Mar", "jan", "PM", "UTC", "+01", "13:31"])
texts = st.lists(pieces, max_size=9).map("".join) | st.sampled_from([*SPELLED, *NONE])
ORDERS: list[DateOrder | None] = [None, "day-first", "month-first"]


@given(st.lists(texts, min_size=1, max_size=8), st.sampled_from(ORDERS))
def test_a_column_is_read_as_each_of_its_cells(cells: list[str], order: DateOrder | None) -> None:
    forms = (*GRAMMAR, *(IN_ORDER[order] if order else ()))
    found, known = moments_of(pl.Series(cells, dtype=pl.String), forms)
    alone = [microseconds_in(cell.strip(), forms) for cell in cells]
    assert [count if is_known else None for count, is_known in zip(found.tolist(), known, strict=True)] == alone


@given(texts)
def test_no_text_has_two_readings(text: str) -> None:
    readings = {microseconds_in(text, [form]) for form in GRAMMAR} - {None}
    assert len(readings) <= 1


# -- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "text", "iso"),
    [
        ("%Y%m%d", "20200314", "2020-03-14T00:00:00"),
        ("%d.%m.%y", "7.3.20", "2020-03-07T00:00:00"),
        ("%d%m%y", "070369", "1969-03-07T00:00:00"),
        ("%d-%b-%y", "05-JAN-20", "2020-01-05T00:00:00"),
        ("%m/%d/%Y %I:%M %p", "3/14/2020 1:31 PM", "2020-03-14T13:31:00"),
        ("%D %T", "03/14/68 10:00:01", "2068-03-14T10:00:01"),
        ("%Y%j", "2020366", "2020-12-31T00:00:00"),
        ("%s", "1584144000", "2020-03-14T00:00:00"),
        ("%s.%f", "-1.5", "1969-12-31T23:59:58.500000"),
        ("%Q", "1584144000123", "2020-03-14T00:00:00.123000"),
        ("%Y%%%m", "2020%03", "2020-03-01T00:00:00"),
        ("%Y年%m月%d日", "2020年3月14日", "2020-03-14T00:00:00"),
        ("%Y%j", "2021366", None),
        ("%d%m%Y", "3112020", "2020-11-03T00:00:00"),
        ("%Y%m%d", "2020314", None),
        ("%s", "999999999999", None),
    ],
)
def test_a_format_says_how_a_column_is_written(written: str, text: str, iso: str | None) -> None:
    assert iso_in(text, [form_of(written)]) == iso
    found, known = moments_of(pl.Series([text]), [form_of(written)])
    assert known.tolist() == [iso is not None]
    if iso is not None:
        assert EPOCH + datetime.timedelta(microseconds=found.item()) == datetime.datetime.fromisoformat(iso)


@given(
    moments, st.sampled_from(["%Y%m%d", "%d.%m.%Y %H:%M:%S", "%Y%j", "%y%m%d%H%M", "%b %e, %Y", "%I:%M:%S %p on %F"])
)
def test_formats_mean_what_they_mean_in_python(moment: datetime.datetime, written: str) -> None:
    text = moment.strftime(written)
    assert iso_in(text, [form_of(written)]) == datetime.datetime.strptime(text, _long(written)).isoformat()


def _long(written: str) -> str:
    return written.replace("%F", "%Y-%m-%d").replace("%e", "%d")


@pytest.mark.parametrize("written", ["%d.%m", "%x", "%m %m %Y", "%", "day", "%Y %d", "%M"])
def test_a_format_that_says_too_little_or_too_much_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"%|directives"):
        form_of(written)


def test_a_format_of_hours_is_one_of_times_of_day() -> None:
    assert (kind_of_format("%H%M"), kind_of_format("%s")) == ("time", "date")


@pytest.mark.parametrize(
    ("column", "written", "kind", "cells"),
    [
        (["31-12-20", None, "5-6-21"], "%d-%m-%y", "date", ["2020-12-31", None, "2021-06-05"]),
        ([20200314, None], "%Y%m%d", "date", ["2020-03-14", None]),
        ([20200314.0, None], "%Y%m%d", "date", ["2020-03-14", None]),
        ([1584144000, 0], "%s", "date", ["2020-03-14", "1970-01-01"]),
        (["20200314", "2020-03-15"], "%Y%m%d", "date", ["2020-03-14", "2020-03-15"]),
        ([931, 1331], "%H%M", "time", ["09:31", "13:31"]),
        (["09h31", "-"], "%Hh%M", "time", ["09:31", None]),
    ],
)
def test_a_column_with_a_format_is_of_its_kind_and_asked_alike(
    column: list[object], written: str, kind: Kind, cells: list[str | None]
) -> None:
    frame = pl.DataFrame({"x": column})
    (found,) = facts(frame, formats={"x": written})
    assert (found.kind, found.format, found.ambiguity) == (kind, written, None)
    spelling = Spelling(formats={"x": written})
    read = table_of(frame, {"x": kind}, spelling).columns["x"].tolist()
    expected = [None if cell is None else from_text(kind, cell) for cell in cells]
    assert [None if cell != cell else cell for cell in read] == expected
    asked = [cell for cell in column if cell not in (None, "-")]
    assert [from_json(kind, spelling.plain("x", kind, cell)) for cell in asked] == [
        cell for cell in expected if cell is not None
    ]


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ([20200314, 20200315], "%Y%m%d"),
        ([20200314.0, None], "%Y%m%d"),
        (["20200314", "-"], "%Y%m%d"),
        ([20200314103000], "%Y%m%d%H%M%S"),
    ],
)
def test_digits_that_are_to_be_dates_have_the_format_that_they_show(column: list[object], written: str) -> None:
    found = the_facts(column, x="date")
    assert (found.kind, found.format, found.examples[0]) == ("date", written, found.examples[0])
    assert str(found.examples[0]).startswith("2020-03-14")


@pytest.mark.parametrize("column", [[1584144000, 1584144001], [2020.5], [20201314]])
def test_other_numbers_are_dates_by_a_format_alone(column: list[object]) -> None:
    with pytest.raises(TableError, match=r"numbers are dates or times by a format alone: data.date_format"):
        the_facts(column, x="date")


def test_the_digits_of_a_fraction_are_not_guessed() -> None:
    # 2020.1 in a file of numbers may have been 2020.10.
    with pytest.raises(TableError, match="expected a date such as"):
        facts(pl.DataFrame({"x": [2020.1, 2020.11]}), formats={"x": "%Y.%m"})


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["31-12-20", "5-6-21"], "%d-%m-%y"),
        (["12-31-20", "5-6-21"], "%m-%d-%y"),
        (["31.12.20 10:00", "5.6.21 9:30"], "%d.%m.%y %H:%M"),
        (["05-JAN-20", "31-DEC-21"], "%d-%b-%y"),
        (["Jan-20", "Dec-21"], "%b-%y"),
    ],
)
def test_years_of_two_digits_are_asked_about_with_a_format_that_fits(cells: list[str], written: str) -> None:
    ambiguity = the_facts(cells).ambiguity or ""
    assert ambiguity.startswith("x: looks like dates with years of two digits")
    assert json.dumps(written) in ambiguity
    (found,) = facts(pl.DataFrame({"x": cells}), formats={"x": written})
    assert (found.kind, found.ambiguity, found.distinct) == ("date", None, 2)


# -- texts and typed columns ---------------------------------------------------------------------------------------

LENGTHS = st.timedeltas(datetime.timedelta(days=-30_000), datetime.timedelta(days=30_000))
TYPED: dict[Kind, st.SearchStrategy[object]] = {"date": st.datetimes(), "time": st.times(), "duration": LENGTHS}


@pytest.mark.parametrize("kind", ["date", "time", "duration"])
@given(data=st.data())
def test_a_column_of_texts_is_read_as_a_typed_one(kind: Kind, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.none() | TYPED[kind], min_size=1, max_size=5))
    texts = [None if value is None else str(value) for value in drawn]
    # Durations in microseconds: by default polars has nanoseconds of them, which do not reach so far.
    dtype = {"date": pl.Datetime("us"), "time": pl.Time(), "duration": pl.Duration("us")}[kind]
    typed = values(pl.DataFrame({"x": pl.Series(drawn, dtype=dtype)}), kind)
    assert values(pl.DataFrame({"x": pl.Series(texts, dtype=pl.String)}), kind) == typed


def test_a_format_is_suggested_also_for_the_first_day_of_1970() -> None:
    ambiguity = the_facts(["01-JAN-70", "31-DEC-71"]).ambiguity or ""
    assert '{x: "%d-%b-%y"} (--date-format x=%d-%b-%y)' in ambiguity
