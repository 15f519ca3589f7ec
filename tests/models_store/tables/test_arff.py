"""ARFF: nominal values are texts whatever they look like, numbers are numbers, and sparse rows are whole."""

import datetime
import gzip

import pytest

from models_store.tables import file_limits
from models_store.tables.inference import TableError, facts, read
from tests.models_store.tables.table_files import Write, columns_of

WEATHER = """% Weather, of a textbook
@RELATION 'the weather'

@attribute outlook {sunny, 'very rainy', "it's \\"dull\\""}
@attribute 'the grade' {1,2,3}
@ATTRIBUTE temperature integer
@attribute wind REAL
@attribute note string
@attribute day date "yyyy-MM-dd"
@attribute at date
@attribute clock date "dd.MM.yyyy 'at' HH:mm"

@DATA
sunny, 1, 21, 0.5, 'it\\'s, well', 2024-05-31, "2024-05-31T18:00:00", "31.05.2024 at 18:30"
% in between
'very rainy',2,20.5,?,?,?,?,?
"it's \\"dull\\"",  ?, -3e0, 1, "two\\nlines", 2024-06-01, 2024-06-01T06:00:00, '01.06.2024 at 06:00'
"""


def test_each_attribute_is_of_its_type(write: Write) -> None:
    frame = read(write(WEATHER), "arff")
    moment = datetime.datetime
    assert columns_of(frame) == {
        "outlook": ["sunny", "very rainy", 'it\'s "dull"'],
        "the grade": ["1", "2", None],
        "temperature": [21.0, 20.5, -3.0],
        "wind": [0.5, None, 1.0],
        "note": ["it's, well", None, "two\nlines"],
        "day": [datetime.date(2024, 5, 31), None, datetime.date(2024, 6, 1)],
        "at": [moment(2024, 5, 31, 18), None, moment(2024, 6, 1, 6)],
        "clock": [moment(2024, 5, 31, 18, 30), None, moment(2024, 6, 1, 6)],
    }
    kinds = [found.kind for found in facts(frame)]
    assert kinds == ["category", "category", "number", "number", "category", "date", "date", "date"]
    assert columns_of(read(write(gzip.compress(WEATHER.encode())), "arff")) == columns_of(frame)


def test_a_sparse_row_is_0_or_the_first_value_where_it_says_nothing(write: Write) -> None:
    text = "@relation x\n@attribute a numeric\n@attribute b {no, 'oh, yes'}\n@attribute c numeric\n@data\n"
    frame = read(write(text + "{1 'oh, yes', 2 2.5}\n{}\n{0 7, 1 ?}\n"), "arff")
    assert columns_of(frame) == {"a": [0, 0, 7], "b": ["oh, yes", "no", None], "c": [2.5, 0.0, 0.0]}


@pytest.mark.parametrize("zone", ["-0500", "+02:00", "Z", "EST", " -0500"])
def test_the_zone_of_a_date_is_not_converted(write: Write, zone: str) -> None:
    at = "@attribute at date \"yyyy-MM-dd'T'HH:mm:ssZ\""
    frame = read(write(f"@relation x\n{at}\n@data\n'2020-03-14T23:30:00{zone}'\n"), "arff")
    assert columns_of(frame) == {"at": [datetime.datetime(2020, 3, 14, 23, 30)]}


@pytest.mark.parametrize(
    ("written", "cell", "expected"),
    [
        ("dd.MM.yy", "14.03.69", datetime.date(1969, 3, 14)),
        ("dd.MM.yy", "14.03.75", datetime.date(1975, 3, 14)),
        ("dd-MMM-yy", "14-Mar-99", datetime.date(1999, 3, 14)),
        ("dd.MM.yy", "14.03.20", datetime.date(2020, 3, 14)),
        ("M/d/yyyy h:mm a", "3/4/2020 1:31 PM", datetime.datetime(2020, 3, 4, 13, 31)),
        ("yyyy DDD", "2020 074", datetime.date(2020, 3, 14)),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2020-03-14 13:31:05.250", datetime.datetime(2020, 3, 14, 13, 31, 5, 250_000)),
        ("EEE MMM dd HH:mm:ss zzz yyyy", "Sat Mar 14 13:31:05 CET 2020", datetime.datetime(2020, 3, 14, 13, 31, 5)),
        ("yyyy-MM-dd HH:mm z", "2020-03-14 13:31 GMT+01:00", datetime.datetime(2020, 3, 14, 13, 31)),
        ("yyyy' 100%'", "2020 100%", datetime.date(2020, 1, 1)),
        ("HH:mm", "13:31", datetime.time(13, 31)),
        ("hh:mm:ss a", "01:31:05 PM", datetime.time(13, 31, 5)),
        ("HH:mm:ss.SSS", "13:31:05.250", datetime.time(13, 31, 5, 250_000)),
    ],
)
def test_a_date_or_a_time_of_day_is_read_by_its_format(write: Write, written: str, cell: str, expected: object) -> None:
    frame = read(write(f'@relation x\n@attribute at date "{written}"\n@data\n"{cell}"\n?\nNA\n'), "arff")
    assert columns_of(frame) == {"at": [expected, None, None]}
    (found,) = facts(frame)
    assert found.kind == ("time" if isinstance(expected, datetime.time) else "date")


def test_a_question_mark_in_quotes_is_a_text(write: Write) -> None:
    text = "@relation x\n@attribute a {1,'?'}\n@attribute b string\n@data\n'?', \"?\"\n?, ?\n1, x\n{0 '?', 1 '?'}\n"
    frame = read(write(text), "arff")
    assert columns_of(frame) == {"a": ["?", None, "1", "?"], "b": ["?", None, "x", "?"]}
    assert [(found.kind, found.missing) for found in facts(frame)] == [("category", 1), ("category", 1)]


def test_words_for_missing_are_missing_as_in_any_file(write: Write) -> None:
    frame = read(write("@relation x\n@attribute a {NA,EU}\n@attribute b string\n@data\nNA,null\nEU,x\n"), "arff")
    assert columns_of(frame) == {"a": [None, "EU"], "b": [None, "x"]}


HEAD = "@relation x\n@attribute a numeric\n@attribute b {x,y}\n@data\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file has no @data; is it whole, and ARFF?"),
        ("@relation x\n@data\n1\n", "line 2: @data comes before any @attribute"),
        ("@relation x\n1,2\n", "line 2: expected @relation, @attribute or @data"),
        ("@relation x\n@attribute a relational\n", "line 2: attribute a is of type relational; read are numeric"),
        (
            "@relation x\n@attribute a date 'yyyy G'\n",
            "attribute a: its dates have G in their format, and are",
        ),
        ("@relation x\n@attribute a date 'MM-dd'\n", "attribute a: its dates are written as MM-dd, which is not read"),
        ("@relation x\n@attribute a numeric\n@data\n'?'\n", "line 4: attribute a: ? is no number"),
        (f"{HEAD}1\n", "line 5: expected 2 values, found 1"),
        (f"{HEAD}1,z\n", "line 5: attribute b: z is none of its values"),
        (f"{HEAD}one,x\n", "line 5: attribute a: one is no number"),
        (f"{HEAD}1,'x\n", "line 5: a quote is opened and not closed"),
        (f"{HEAD}{{{'1' * 5000} 2}}\n", "line 5: expected an index of an attribute (from 0) and its value"),
        (f"{HEAD}{{2 1}}\n", "line 5: expected an index of an attribute (from 0) and its value in a sparse row"),
        ("@relation x\n@attribute a date\n@data\n2024-05-31\n", "attribute a: not all of its dates are written as"),
        ("@relation x\n@attribute a real\n@attribute a real\n@data\n1,2\n", "two columns are called a"),
        (HEAD, "the table has columns and no rows"),
    ],
)
def test_what_is_no_arff_is_refused_by_line(write: Write, text: str, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(text), "arff")
    assert str(refusal.value).startswith(said)


def test_too_many_values_are_refused_while_they_are_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_limits, "MOST_CELLS", 3)
    with pytest.raises(TableError, match="more than 3 values"):
        read(write(f"{HEAD}1,x\n2,y\n"), "arff")
