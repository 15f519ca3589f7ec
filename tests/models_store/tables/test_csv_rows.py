"""The structure of CSV files: accepted as the csv module reads it, else refused by line."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables import csv_rows
from models_store.tables.csv_dialect import Charset, CsvDialect
from models_store.tables.inference import TableError, read
from models_store.tables.table import MISSING
from tests.models_store.tables.table_files import (
    Write,
)

letters = st.sampled_from('a1, "\n\r;\t\ufeff\x00né') | st.sampled_from(['""', '","', "\r\n"])


@given(st.lists(letters, max_size=25).map("".join), st.integers(1, 9))
def test_what_is_accepted_is_what_the_csv_module_reads(place: Path, text: str, size: int) -> None:
    place.write_bytes(f"a,b\n{text}".encode())
    try:
        found = list(csv_rows.blocks(place, 2, size))
        fields = read(place, "csv")
    except TableError:
        return
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    assert sum(block.rows for block in found) == len(rows)
    expected = [[None if cell.strip() in MISSING else cell for cell in row] for row in rows]
    texts = [[None if cell is None else str(cell) for cell in row] for row in fields.rows()]
    numeric = [dtype != pl.String for dtype in fields.dtypes]
    for row, text_row in zip(expected, texts, strict=True):
        for cell, read_cell, is_number in zip(row, text_row, numeric, strict=True):
            if is_number and cell is not None:
                assert read_cell is not None and float(read_cell) == float(cell)
            else:
                assert read_cell == cell


@given(st.lists(st.lists(st.text(alphabet='a1, "\n\ré', max_size=4), min_size=2, max_size=2), min_size=1, max_size=6))
def test_what_the_csv_module_writes_is_accepted(place: Path, rows: list[list[str]]) -> None:
    target = io.StringIO(newline="")
    csv.writer(target, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *rows])
    place.write_bytes(target.getvalue().encode())
    assert read(place, "csv").height == len(rows)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("\ufeff", "the file is empty"),
        ("\na,b\n1,2", "line 1: empty"),
        ("a,b", "the table has columns and no rows"),
        ("a,b\n\n\n", "the table has columns and no rows"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 fields, found 1"),
        ("a,b\n1,2\n3,4,5\n", "line 3: expected 2 fields, found 3"),
        ('a,b\n"x\ny",2\n3\n', "line 4: expected 2 fields, found 1"),
        ("a,b\n1,2\n\n3,4\n", "line 3: empty, with more rows after it"),
        ("a,a\n1,2", "line 1: two columns are called a"),
        ("a, a\n1,2", "line 1: two columns are called a"),
        (",a\nx,1\nx,2", "line 1: column 1 has no name, and is no index either"),
        (",a\n0.5,1", "line 1: column 1 has no name, and is no index either"),
        (",a\n0,1\n0,2", "line 1: column 1 has no name"),
        (",\n0,1", "line 1: column 2 has no name"),
        (",Unnamed: 0\n0,1", "line 1: two columns are called Unnamed: 0"),
        ("a,b,1,b", "line 1: two columns are called b; only one line: curl keeps line ends with --data-binary"),
        ("a,b", "the table has columns and no rows; only one line: curl"),
        ("a,,b\n0,1,2", "line 1: column 2 has no name"),
        (f"a,{'b' * 201}\n1,2", "line 1: the name of column 2 is longer than 200 characters"),
        (f"a,{'b' * 200_000}\n1,2", "line 1: t"),
        (f"{'b' * 60},{'b' * 60}\n1,2", f"line 1: two columns are called {'b' * 39}…"),
        ("a;b\tc\n1;2\t3", "line 1: a single column, with commas, semicolons or tabs in its name; say --delimiter"),
        ("a;b\n1;2\n3\n", "line 3: expected 2 fields, found 1"),
        (b"PK\x03\x04....xl/workbook.xml", "this is an Excel file; name it .xlsx, or send it as"),
        (b"\xd0\xcf\x11\xe0rest", "this is an Excel file of before 2007; save it as .xlsx, or save it as CSV UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "this is UTF-16; save it as UTF-8, or read it with --encoding utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "this is UTF-16; save it as UTF-8"),
        ("a,b\n1,2\x00", "line 2: a NUL byte"),
        (
            b"a,b\n1,2\n\xff,3\n",
            "line 3: not UTF-8; save the file as UTF-8, or say what it is: --encoding",
        ),
        (b"\xff\n1", "line 1: not UTF-8"),
        ("a,b\n1,2\n\ufeffa,b\n3,4", "line 3: a byte order mark"),
        ("a,b\r1,2\r", "line 1: a carriage return without a line feed"),
        ('a,b\n5" pipe,2\n', "line 2: a quote in the middle of a field"),
        ('a,b\n"x"y,2\n', "line 2: a quote in the middle of a field"),
        ('a,b\n1, "2"\n', "line 2: a quote in the middle of a field"),
        ('a,b\n1,2\n"3,4\n5,6\n', "line 3: a quote is opened in this row and not closed"),
        (",".join(f"c{n}" for n in range(10_001)), "line 1: 10001 columns; 10000 are the most"),
    ],
)
def test_a_csv_that_is_no_table_is_refused_by_line(write: Write, content: str | bytes, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content), "csv")
    assert str(refusal.value).startswith(said)


@given(st.text(alphabet="aé\n;€", max_size=40), st.sampled_from(["utf-16", "windows-1252"]), st.integers(1, 5))
def test_an_encoding_is_read_piece_by_piece_as_at_once(place: Path, text: str, encoding: Charset, size: int) -> None:
    place.write_bytes(text.encode(encoding))
    pieces = list(csv_rows.pieces(place, size, CsvDialect(encoding=encoding)))
    assert b"".join(pieces).decode() == text
    assert [not piece for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_what_is_not_in_the_encoding_is_said(write: Write) -> None:
    with pytest.raises(TableError, match="the file is not windows-1252"):
        read(write(b"a,b\n\x81,1\n"), "csv", CsvDialect(encoding="windows-1252"))
