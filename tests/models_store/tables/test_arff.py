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
