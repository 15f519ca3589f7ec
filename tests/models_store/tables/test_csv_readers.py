"""The two readers of CSV, of files to train on and of requests, accept and refuse the same; the exceptions are here."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import csv_rows as requests
from app.formats.expected import Expected
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.texts import TextEncoder
from models_store.errors import PatternServerError, TableError
from models_store.tables import files
from models_store.tables.inference import table_of
from models_store.tables.table import Cell, Table, column_of
from tests.models_store.tables.table_files import Write, columns_of

TEXT = TextEncoder.fit(column_of("text", ["x", None]))
ENCODERS: dict[str, ColumnEncoder] = {"a": TEXT, "b": TEXT}
TEXTS = Expected.of(TableEncoder(ENCODERS))
NUMBER = Expected(("a",))
Rows = list[list[Cell]]


def rows_of_file(path: Path) -> Rows | str:
    """Return the cells of columns `a` and `b` as texts, or the refusal."""
    try:
        frame = files.read(path, "csv").cast(pl.String)
    except TableError as error:
        return str(error)
    return [list(row) for row in frame.select("a", "b").rows()]


def rows_of_request(content: bytes) -> Rows | str:
    """Return the same of a request."""
    try:
        table, _ = requests.read(content, TEXTS, 100)
    except PatternServerError as error:
        return str(error)
    assert isinstance(table, Table)
    return [list(row) for row in zip(*(table.columns[name].tolist() for name in "ab"), strict=True)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\nx,y\n", [["x", "y"]]),
        ("a,b\r\nx,y\r\nz,w", [["x", "y"], ["z", "w"]]),
        ("b,a\nx,y\n", [["y", "x"]]),
        (",a,b\n0,x,y\n1,z,w\n", [["x", "y"], ["z", "w"]]),
        ("\ufeffa,b\nx,y\n\n\r\n", [["x", "y"]]),
        ('"a",b\nx,y\n', [["x", "y"]]),
        ('a,b\n"x, ""y""\n\r\nz",w\n', [['x, "y"\n\r\nz', "w"]]),
        ("a,b\n,NA\nx, y \n", [[None, None], ["x", " y "]]),
    ],
)
def test_the_same_files_are_read_alike(write: Write, text: str, rows: Rows) -> None:
    assert rows_of_file(write(text)) == rows_of_request(text.encode()) == rows


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b",
        b"a,b\n\n",
        b"\na,b\nx,y\n",
        b"a,a\nx,y\n",
        b"a,b,b\nx,y,z\n",
        b"a,b\nx\n",
        b"a,b\nx,y,z\n",
        b"a,b\nx,y\n\nz,w\n",
        b'a,b\nx,"y\n',
        b'a,b\n"x"z,y\n',
        b"a,b\n\xff,y\n",
        "a,b\nx,y\n".encode("utf-16"),
        "a,b\nx,y\n".encode("utf-16-le"),
    ],
)
def test_the_same_files_are_refused(write: Write, content: bytes) -> None:
    assert isinstance(rows_of_file(write(content)), str)
    assert isinstance(rows_of_request(content), str)


@given(st.lists(st.sampled_from([*'a1, "\né', '""', '","', "\r\n"]), max_size=20).map("".join))
def test_any_other_small_file_is_read_or_refused_by_both(place: Path, text: str) -> None:
    content = f"a,b\n{text}".encode()
    place.write_bytes(content)
    by_file, by_request = rows_of_file(place), rows_of_request(content)
    if isinstance(by_file, str) and "a quote in the middle of a field" in by_file:
        return  # requests are read more leniently: see below
    if all(line.endswith(",") for line in text.split()):
        return  # in a file, each row may end with a delimiter
    assert isinstance(by_file, str) == isinstance(by_request, str)
    if not isinstance(by_file, str):
        assert len(by_file) == len(by_request)


@pytest.mark.parametrize(
    ("content", "refusal", "rows"),
    [
        # Polars reads files, and is given only what it reads as the csv module does.
        ("a,b\rx,y\r", "line 1: a carriage return without a line feed", [["x", "y"]]),
        ('a,b\n5" x,y\n', "line 2: a quote in the middle of a field", [['5" x', "y"]]),
        ('a,b\nx, "y"\n', "line 2: a quote in the middle of a field", [["x", ' "y"']]),
        ("a,b\nx,\ufeffy\n", "line 2: a byte order mark", [["x", "\ufeffy"]]),
        # Nobody trains on these; a text that is asked about may hold anything.
        ("a,b\nx,y\0\n", "line 2: a NUL byte", [["x", "y\0"]]),
    ],
)
def test_a_file_to_train_on_is_refused_where_a_request_is_not(
    write: Write, content: str, refusal: str, rows: Rows
) -> None:
    by_file = rows_of_file(write(content))
    assert isinstance(by_file, str)
    assert by_file.startswith(refusal)
    assert rows_of_request(content.encode()) == rows


@pytest.mark.parametrize(
    ("content", "columns", "refusal"),
    [
        # A request is written by a program, for a pattern whose columns it knows: nothing is guessed.
        ("a;b\nx;y\n", {"a": ["x"], "b": ["y"]}, "line 1: commas must stand between fields"),
        ("a\tb\nx\ty\n", {"a": ["x"], "b": ["y"]}, "line 1: commas must stand between fields"),
        ("a,b,c\nx,y,z\n", {"a": ["x"], "b": ["y"], "c": ["z"]}, "line 1: column c is not among a, b"),
    ],
)
def test_a_request_is_refused_where_a_file_to_train_on_is_not(
    write: Write, content: str, columns: dict[str, list[Cell]], refusal: str
) -> None:
    assert columns_of(files.read(write(content), "csv")) == columns
    by_request = rows_of_request(content.encode())
    assert isinstance(by_request, str)
    assert by_request.startswith(refusal)


# -- numbers -----------------------------------------------------------------------------------------------------------


def number_of_file(path: Path) -> float | None:
    """Return the only cell of column `a` as a number; None where it is refused, or means a missing value."""
    try:
        number = table_of(files.read(path, "csv"), {"a": "number"}).columns["a"][0]
    except TableError:
        return None
    return None if number != number else float(number)


def number_of_request(content: bytes) -> float | None:
    try:
        rows, _ = requests.read(content, NUMBER, 100)
    except PatternServerError:
        return None
    assert not isinstance(rows, Table)
    return float(rows[0, 0])


@given(
    st.text(alphabet="+-.019eE_ x\t٣", min_size=1, max_size=8)
    | st.floats(allow_nan=False).map(repr)
    | st.integers().map(str)
)
def test_the_same_fields_are_numbers_in_files_and_in_requests(place: Path, field: str) -> None:
    content = f"a\n{field}\n".encode()
    place.write_bytes(content)
    assert number_of_file(place) == number_of_request(content)


def test_whitespace_beyond_ascii_surrounds_numbers_in_files_and_in_requests(write: Write) -> None:
    content = "a\n\xa01.5\u2003\n"
    assert number_of_file(write(content)) == 1.5
    assert number_of_request(content.encode()) == 1.5
