"""CSV files as frames: a column is as narrow as all of its cells, and dialects are read as plain CSV is."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from models_store.tables import csv_rows
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.inference import TableError, facts, read
from models_store.tables.table import MISSING
from tests.models_store.tables.table_files import (
    Write,
    columns_of,
)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\n1,x\n2,y",
        "a,b\r\n1,x\r\n2,y\r\n",
        "\ufeffa,b\n1,x\n2,y\n",
        " a ,b\t\n1,x\n2,y\n\n\r\n\n",
        '"a","b"\n"1","x"\n"2","y"\n',
        "a,b\n 1,x\n2 ,y\n",
    ],
)
def test_a_table_is_read_as_it_is_usually_written(write: Write, text: str) -> None:
    assert columns_of(read(write(text), "csv")) == {"a": [1, 2], "b": ["x", "y"]}


def test_fields_in_quotes_may_hold_anything(write: Write) -> None:
    text = 'a,"b, or\n""c"""\n"1,5","x\r\ny"\n"say ""hi""",""\n'
    frame = read(write(text), "csv")
    assert columns_of(frame) == {"a": ["1,5", 'say "hi"'], 'b, or\n"c"': ["x\r\ny", None]}


@pytest.mark.parametrize(
    ("fields", "dtype", "expected"),
    [
        (["1", "-2", "0"], pl.Int64, [1, -2, 0]),
        (["1", "2.5", "1e3"], pl.Float64, [1.0, 2.5, 1000.0]),
        (["+1", "-0", ".5"], pl.Float64, [1.0, 0.0, 0.5]),
        (["1", *sorted(MISSING - {""}), " NA "], pl.Int64, [1, *[None] * 7]),
        (["1", "two"], pl.String, ["1", "two"]),
        (["007", "12"], pl.String, ["007", "12"]),
        (["00.5", "12"], pl.Float64, [0.5, 12.0]),
        (["12345678901234567890", "2"], pl.String, ["12345678901234567890", "2"]),
        (["true", "false"], pl.String, ["true", "false"]),
        (["2024-05-31"], pl.String, ["2024-05-31"]),
        (["1_0"], pl.String, ["1_0"]),
        (["٣"], pl.String, ["٣"]),
        (["NA", "NA"], pl.Float64, [None, None]),
    ],
)
def test_a_column_of_a_csv_is_as_narrow_as_all_of_its_fields(
    write: Write, fields: list[str], dtype: type[pl.DataType], expected: list[Any]
) -> None:
    column = read(write("\n".join(["x", *fields])), "csv")["x"]
    assert column.dtype == dtype
    assert column.to_list() == expected


def test_what_the_last_rows_hold_decides_as_much_as_the_first(write: Write) -> None:
    n_rows = csv_rows.BLOCK_BYTES // 16
    rows = [f"{n},{n},{n},NA,{n:03d}" for n in range(n_rows)]
    path = write("\n".join(["whole,real,late,empty,code", *rows, "1,2.5,x,7,010", ""]))
    frame = read(path, "csv")
    assert path.stat().st_size > csv_rows.BLOCK_BYTES
    assert frame.dtypes == [pl.Int64, pl.Float64, pl.String, pl.Int64, pl.String]
    assert frame["late"].to_list() == [*map(str, range(n_rows)), "x"]
    assert frame["code"].to_list()[:2] == ["000", "001"]


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        ("a;b\n1.5;é\n2;x\n", CsvDialect()),
        ("a\tb\n1.5\té\n2\tx\n", CsvDialect()),
        ('"a";"b"\r\n1.5;é\r\n2;"x"\r\n', CsvDialect()),
        ("a|b\n1.5|é\n2|x\n", CsvDialect("|")),
        ("a;b\n1,5;é\n2;x\n", CsvDialect(decimal=",")),
        ('a,b\n"1,5",é\n2,x\n', CsvDialect(",", ",")),
        ("a,b\n1.5,é\n2,x\n".encode("latin-1"), CsvDialect(encoding="latin-1")),
        ("a,b\n1.5,é\n2,x\n".encode("utf-16"), CsvDialect(encoding="utf-16")),
        ("a\tb\n1,5\té\n2\tx\n".encode("utf-16"), CsvDialect(None, ",", "utf-16")),
    ],
)
def test_a_csv_may_be_written_in_another_way(write: Write, content: str | bytes, dialect: CsvDialect) -> None:
    frame = read(write(content), "csv", dialect)
    assert columns_of(frame) == {"a": [1.5, 2.0], "b": ["é", "x"]}


def test_points_among_decimal_commas_are_refused(write: Write) -> None:
    with pytest.raises(TableError, match="column b: numbers with points, where the decimal is a comma"):
        read(write("a;b\n1,5;1.017\n2;12\n"), "csv", CsvDialect(decimal=","))


@pytest.mark.parametrize("index", [range(20), range(1, 21), [*range(10), *range(30, 40)]])
def test_an_index_without_a_name_is_left_out_with_a_word(write: Write, index: Sequence[int]) -> None:
    frame = read(write("\n".join([",a", *(f"{place},{place % 3}" for place in index)])), "csv")
    assert [(found.name, found.dropped) for found in facts(frame)] == [
        (
            "Unnamed: 0",
            "an identifier: every row has another; "
            "keep it with --column 'Unnamed: 0=number' (data.columns: {Unnamed: 0: number})",
        ),
        ("a", None),
    ]


@pytest.mark.parametrize("space", ["", " ", "\t", "\x1c", "\xa0", "\u2003"])
def test_whitespace_around_a_field_is_no_part_of_a_number_or_of_a_word_for_missing(write: Write, space: str) -> None:
    text = "\n".join(["n,w", f"{space}1,{space}a", f"NA{space},{space}NA{space}", f"2{space},b{space}", ""])
    frame = read(write(text), "csv")
    assert columns_of(frame) == {"n": [1, None, 2], "w": [f"{space}a", None, f"b{space}"]}
