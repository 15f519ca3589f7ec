"""CSV, read strictly: nothing is shifted, padded or guessed, and a refusal names the line."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import csv_rows
from app.formats.expected import Expected, ExpectedColumn
from models_store.errors import PatternServerError, TableError
from models_store.tables.csv_layout import header
from models_store.tables.csv_rows import ONE_LINE
from models_store.tables.table import Table
from tests.app.over_http import CSV, an_array, csv_of, message, numbers, post, refusal

pytestmark = pytest.mark.anyio

NOT_AMONG = "not among x1, x2; leave out what is not, or add ?extra=ignore to the address"

COLUMNS = Expected(("x1", "x2"))
finite = st.floats(allow_nan=False, allow_infinity=False)
tables = st.lists(st.tuples(finite, finite), min_size=1, max_size=10)


@pytest.mark.parametrize("first", ["late; a note", "a\tb", "a note", "# 7"])
def test_a_single_text_without_a_header_may_hold_what_stands_between_fields_elsewhere(first: str) -> None:
    expected = Expected(("note",), (ExpectedColumn("note", "text", takes_missing=True),))
    rows, _ = csv_rows.read(f"{first}\nb\n".encode(), expected, 2, "unknown")
    assert isinstance(rows, Table)
    assert rows.columns["note"].tolist() == [first, "b"]


@given(tables)
def test_what_is_written_is_read_back_exactly(table: list[tuple[float, float]]) -> None:
    rows, write = csv_rows.read(csv_of(COLUMNS.names, np.array(table)), COLUMNS, 1000)
    assert an_array(rows).tolist() == [list(row) for row in table]
    np.testing.assert_array_equal(
        an_array(csv_rows.read(write(numbers(COLUMNS.names, an_array(rows))), COLUMNS, 1000)[0]), rows
    )


@given(st.text(alphabet='x12,"\n\r -+.eE_\ufeff\x00nai', max_size=30).map(lambda rest: "x1,x2\n" + rest))
def test_what_is_accepted_is_what_the_csv_module_and_float_read(text: str) -> None:
    try:
        rows, _ = csv_rows.read(text.encode(), COLUMNS, 1000)
    except PatternServerError:
        return
    fields = [line for line in csv.reader(io.StringIO(text, newline="")) if line][1:]
    assert an_array(rows).tolist() == [list(map(float, line)) for line in fields]


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for content in (body, b"x1,x2\n" + body):
        try:
            rows, _ = csv_rows.read(content, COLUMNS, 1000)
        except PatternServerError as error:
            assert len(str(error)) < 130
        else:
            assert an_array(rows).shape[1] == 2


def test_the_header_of_a_file_is_read_alike_before_and_after_a_prediction(tmp_path: Path) -> None:
    """The csv module has one limit of the length of fields for the whole process."""
    path = tmp_path / "table.csv"
    path.write_text(f"{'x' * 200_000},y\n1,2\n")
    limit = csv.field_size_limit(131_072)  # as every process begins
    try:
        before = refusal_of_header(path)
        csv_rows.read(b"x1,x2\n1,2\n", COLUMNS, 1000)
        assert refusal_of_header(path) == before == "line 1: the name of column 1 is longer than 200 characters"
    finally:
        csv.field_size_limit(limit)


def refusal_of_header(path: Path) -> str:
    with pytest.raises(TableError) as refused:
        header(path)
    return str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        "x1,x2\n1,2\n3,4",
        "x1,x2\n1,2\n3,4\n",
        "x1,x2\r\n1,2\r\n3,4\r\n",
        "x1,x2\r1,2\r3,4\r",
        "\ufeffx1,x2\n1,2\n3,4\n",
        "x1,x2\n1,2\n3,4\n\n\n",
        " x1 , x2 \n 1 ,\t2\n+3, 4.0 \n",
        '"x1","x2"\n"1","2"\n3e0,.4E+1\n',
        "x2,x1\n2,1\n4,3\n",
    ],
)
async def test_tables_as_programs_write_them_are_accepted(shared: httpx.AsyncClient, body: str) -> None:
    answer = await post(shared, body.encode(), CSV, "pair")
    assert (answer.status_code, answer.text) == (200, "y1,y2\n5.0,-1.0\n11.0,-1.0\n")


REFUSED: list[tuple[str | bytes, int, str, str]] = [
    ("", 400, "malformed", "the CSV is empty; its first line must name the columns"),
    ("\ufeff", 400, "malformed", "the CSV is empty; its first line must name the columns"),
    ("x1,x2", 422, "no_rows", f"the CSV has a header and no rows; {ONE_LINE}"),
    ("x1,x21,23,4", 422, "missing_column", f"line 1: column x2 is missing; {ONE_LINE}"),
    ("x1,x2\n\n\n", 422, "no_rows", "the CSV has a header and no rows"),
    ("\nx1,x2\n1,2\n", 422, "missing_column", "line 1: columns x1, x2 are missing"),
    ("1,2\n3,4\n", 422, "missing_column", "line 1: columns x1, x2 are missing"),
    ("x1;x2\n1;2\n", 422, "bad_row", "line 1: commas must stand between fields, and not semicolons"),
    ("x1\tx2\n1\t2\n", 422, "bad_row", "line 1: commas must stand between fields, and not tabs"),
    ("x1  x2\n1   2\n", 422, "bad_row", "line 1: commas must stand between fields, and not spaces"),
    ("# of 2024\nx1,x2\n1,2\n", 422, "bad_row", "line 1: begins with #; the first line must name the columns"),
    ("\ufeff\ufeffx1,x2\n1,2\n", 422, "missing_column", "line 1: column x1 is missing"),
    ("x1\n1\n", 422, "missing_column", "line 1: column x2 is missing"),
    ("x1,X2\n1,2\n", 422, "missing_column", "line 1: column x2 is missing"),
    ("x1,x2,x2\n1,2,3\n", 422, "duplicate_column", "line 1: columns 2 and 3 of 3 have one name"),
    ("x1,x2, x1\n1,2,3\n", 422, "duplicate_column", "line 1: columns 1 and 3 of 3 have one name"),
    ("x1,x2,\n1,2,\n", 422, "unknown_column", f"line 1: column without a name is {NOT_AMONG}"),
    ("x1,x2,x3\n1,2,3\n", 422, "unknown_column", f"line 1: column x3 is {NOT_AMONG}"),
    ("x1,x2\n1,2\n3\n", 422, "bad_row", "line 3: expected 2 fields, found 1"),
    ("x1,x2\n1,2,\n", 422, "bad_row", "line 2: expected 2 fields, found 3"),
    ("x1,x2\n1,2\n3,4,sesame\n", 422, "bad_row", "line 3: expected 2 fields, found 3"),
    ("x1,x2\n1,2\n\n3,4\n", 422, "bad_row", "line 3: empty, with more rows after it"),
    ("x1,x2\n\n1,2\n", 422, "bad_row", "line 2: empty, with more rows after it"),
    ('x1,x2\n1,"2\n', 400, "malformed", "line 2: not CSV"),
    ('x1,x2\n1,2\n"3"sesame,4\n', 400, "malformed", "line 3: not CSV"),
    ("x1,x2\n1," + "9" * 200_000, 422, "not_a_number", "line 2, column x2: expected a finite number"),
    (b"x1,x2\n1,\xff\n", 400, "malformed", "the CSV is not UTF-8"),
    ("x1,x2\n1,2\n".encode("utf-16"), 400, "malformed", "the CSV is not UTF-8"),
    ("x1,x2\n1,\u00e9".encode()[:-1], 400, "malformed", "the CSV is not UTF-8"),
    ("x1,x2\n1,2\n".encode("utf-16-le"), 422, "missing_column", "line 1: columns x1, x2 are missing"),
]


@pytest.mark.parametrize(("body", "status", "code", "said"), REFUSED)
async def test_a_table_that_is_not_rows_of_the_pattern_is_refused(
    shared: httpx.AsyncClient, body: str | bytes, status: int, code: str, said: str
) -> None:
    answer = await post(shared, body.encode() if isinstance(body, str) else body, CSV, "pair")
    assert refusal(answer) == (status, code)
    assert message(answer) == said


@pytest.mark.parametrize(
    "field",
    [
        "sesame",
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1_000",
        "1 000",
        "0x10",
        "1e",
        "e5",
        ".",
        "-",
        "--1",
        "1.2.3",
        "True",
        "null",
        "1j",
        "$1",
        "'1'",
        "１",
        "١",
        "²",
        "1\x00",
        "=1+1",
    ],
)
async def test_a_field_that_is_no_number_is_refused_by_line_and_column(shared: httpx.AsyncClient, field: str) -> None:
    answer = await post(shared, f'x2,x1\n1,2\n"{field}",4\n'.encode(), CSV, "pair")
    assert refusal(answer) == (422, "not_a_number")
    found = "text" if field.strip() else "empty text"
    assert message(answer) == f"line 3, column x2: expected a number, found {found}"


@pytest.mark.parametrize("field", ["1e400", "-1e400", "9" * 400])
async def test_a_number_beyond_floats_is_refused(shared: httpx.AsyncClient, field: str) -> None:
    assert refusal(await post(shared, f"x\n1\n{field}\n".encode(), CSV)) == (422, "not_a_number")


async def test_a_number_beyond_floats_is_named_by_its_line_as_well(shared: httpx.AsyncClient) -> None:
    assert message(await post(shared, b"x\n1\n1e400\n", CSV)).startswith("line 3, column x: expected a finite number")


@given(finite, st.sampled_from(["{!r}", "{:e}", "{:.3f}", "{:+.10g}", " {!r} "]))
def test_every_spelling_of_a_number_counts_as_one(number: float, spelling: str) -> None:
    assert csv_rows.NUMBER.fullmatch(spelling.format(number))


def test_a_long_field_that_is_almost_a_number_is_refused_without_a_search() -> None:
    # In a process of its own, since a search through all ways to read 100 000 digits would not end.
    search = "import re, sys; assert not re.fullmatch(sys.argv[1], '1' * 100_000 + 'x')"
    assert not csv_rows.NUMBER.flags & re.ASCII
    subprocess.run([sys.executable, "-c", search, csv_rows.NUMBER.pattern], timeout=60, check=True)
