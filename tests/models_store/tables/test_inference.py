"""Tables of people: read strictly, kinds inferred from whole columns, every cell as `from_text` has it."""

import csv
import datetime
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.errors import PatternServerError
from models_store.tables import csv_rows, files
from models_store.tables.csv_dialect import CsvDialect, Encoding
from models_store.tables.inference import ColumnFacts, Form, TableError, facts, read, table_of, without
from models_store.tables.spelling import NOTHING, DateOrder, Spelling
from models_store.tables.table import MISSING, Cell, Kind, from_text

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "table"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tables of a property are written, one over the other."""
    return tmp_path_factory.mktemp("tables") / "table"


def columns_of(frame: pl.DataFrame) -> dict[str, list[Any]]:
    return frame.to_dict(as_series=False)


def values(frame: pl.DataFrame, kind: Kind, name: str = "x") -> list[Cell]:
    """A column of the table, None where a value is missing."""
    cells: list[Cell] = table_of(frame, {name: kind}).columns[name].tolist()
    return [None if cell != cell else cell for cell in cells]


def the_facts(column: pl.Series | list[Any], **overrides: Any) -> ColumnFacts:
    (found,) = facts(pl.DataFrame({"x": column}), overrides)
    return found


# -- CSV: what is read ---------------------------------------------------------------------------------------------


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


@given(st.binary(max_size=60), st.sampled_from(["csv", "parquet", "arrow"]))
def test_any_bytes_are_read_or_refused(place: Path, content: bytes, form: Form) -> None:
    for body in (content, b"a,b\n" + content, b"ARROW1\0\0" + content, b"PAR1" + content + b"PAR1"):
        place.write_bytes(body)
        try:
            read(place, form)
        except PatternServerError as error:
            assert len(str(error)) < 300


# -- CSV: what is refused ------------------------------------------------------------------------------------------


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
        (",a\nx,1", "line 1: column 1 has no name"),
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
        (b"PK\x03\x04....xl/workbook.xml", "this is an Excel file; save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0rest", "this is an Excel file; save it as CSV UTF-8"),
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
        ("x\n1\n1e999\n", "column x, data row 2: infinite, or too large for a number"),
        ("x\n1\n-inf\n", "column x, data row 2: infinite, or too large for a number"),
        (",".join(f"c{n}" for n in range(10_001)), "line 1: 10001 columns; 10000 are the most"),
    ],
)
def test_a_csv_that_is_no_table_is_refused_by_line(write: Write, content: str | bytes, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content), "csv")
    assert str(refusal.value).startswith(said)


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


@given(st.text(alphabet="aé\n;€", max_size=40), st.sampled_from(["utf-16", "windows-1252"]), st.integers(1, 5))
def test_an_encoding_is_read_piece_by_piece_as_at_once(place: Path, text: str, encoding: Encoding, size: int) -> None:
    place.write_bytes(text.encode(encoding))
    pieces = list(csv_rows._pieces(place, size, CsvDialect(encoding=encoding)))
    assert b"".join(pieces).decode() == text
    assert [not piece for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_what_is_not_in_the_encoding_is_said(write: Write) -> None:
    with pytest.raises(TableError, match="the file is not windows-1252"):
        read(write(b"a,b\n\x81,1\n"), "csv", CsvDialect(encoding="windows-1252"))


def test_points_among_decimal_commas_are_refused(write: Write) -> None:
    with pytest.raises(TableError, match="column b: numbers with points, where the decimal is a comma"):
        read(write("a;b\n1,5;1.017\n2;12\n"), "csv", CsvDialect(decimal=","))


@pytest.mark.parametrize("said", [{"delimiter": "x"}, {"decimal": ";"}, {"encoding": "rot13"}])
def test_a_way_of_writing_that_there_is_not_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(TableError, match=next(iter(said))):
        CsvDialect.of(**said)


def test_only_a_csv_is_written_in_another_way(write: Write) -> None:
    content = content_of(pa.table({"x": pa.array([1, 2])}), "parquet")
    with pytest.raises(TableError, match="delimiter, decimal and encoding are for CSV"):
        read(write(content), "parquet", CsvDialect(decimal=","))


@pytest.mark.parametrize("index", [range(20), range(1, 21), [*range(10), *range(30, 40)]])
def test_an_index_without_a_name_is_left_out_with_a_word(write: Write, index: Sequence[int]) -> None:
    frame = read(write("\n".join([",a", *(f"{place},{place % 3}" for place in index)])), "csv")
    assert [(found.name, found.dropped) for found in facts(frame)] == [
        ("Unnamed: 0", "an identifier: every row has another"),
        ("a", None),
    ]


@pytest.mark.parametrize("word", sorted(NOTHING))
def test_a_dash_among_numbers_is_a_missing_one(write: Write, word: str) -> None:
    numbers = read(write(f"x\n1\n {word} \n3\n"), "csv")
    found = the_facts(numbers["x"])
    assert (found.kind, found.missing, found.examples) == ("number", 1, [1, 3])
    assert values(numbers, "number") == [1, None, 3]
    assert values(numbers, "category") == ["1", word, "3"]
    assert the_facts(["a", word, "3"]).kind == the_facts([word, word]).kind == "category"
    dates = read(write(f"x\n2024-05-31\n{word}\n"), "csv")
    assert (the_facts(dates["x"]).kind, the_facts(dates["x"]).missing) == ("date", 1)
    assert values(dates, "date") == [from_text("date", "2024-05-31"), None]


def test_a_table_beyond_the_limit_is_refused_while_it_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_CELLS", 10)
    frame = pl.DataFrame({"a": range(6), "b": range(6)})
    target = io.BytesIO()
    frame.write_parquet(target)
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    contents: dict[Form, bytes] = {
        "csv": frame.write_csv().encode(),
        "parquet": target.getvalue(),
        "arrow": stream.getvalue(),
    }
    for form, content in contents.items():
        with pytest.raises(TableError, match="more than 10 values"):
            read(write(content), form)


def test_what_an_arrow_batch_unpacks_to_is_known_before_it_is_unpacked(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked(*_: object) -> None:
        raise AssertionError

    zeros = pa.table({"a": np.zeros(1_000_000, dtype=np.int64)})
    texts = pa.table({"a": pa.array(["x" * 1_000_000] * 10).dictionary_encode()})
    monkeypatch.setattr(files, "MOST_CELLS", 999_999)
    monkeypatch.setattr(files, "MOST_BYTES", 999_999)
    monkeypatch.setattr(files, "_from_arrow", unpacked)
    for table, said in ((zeros, "more than 999999 values"), (texts, "larger than 0 GB when it is unpacked")):
        for form in ("stream", "file"):
            content = content_of(table, form, compression="zstd")
            assert len(content) < 20_000
            with pytest.raises(TableError, match=said):
                read(write(content), "arrow")


# -- Parquet and Arrow ---------------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2024, 5, 31, 18, 0)
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "whole": (pa.array([1, None], pa.uint8()), [1, None]),
    "real": (pa.array([1.5, float("nan")], pa.float32()), [1.5, None]),
    "flag": (pa.array([True, None]), [True, None]),
    "text": (pa.array(["x", " NA"]), ["x", None]),
    "category": (pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
    "day": (pa.array([MOMENT.date(), None]), [MOMENT.date(), None]),
    "moment": (pa.array([MOMENT, None], pa.timestamp("ns")), [MOMENT, None]),
    "zoned": (
        pa.array([datetime.datetime(2024, 5, 31, 16, tzinfo=datetime.UTC), None], pa.timestamp("ms", "Europe/Berlin")),
        [MOMENT, None],
    ),
    "offset": (
        pa.array([datetime.datetime(2024, 5, 31, 13, tzinfo=datetime.UTC), None], pa.timestamp("us", "+05:00")),
        [MOMENT, None],
    ),
    "seconds": (pa.array([MOMENT, None], pa.timestamp("s")), [MOMENT, None]),
    "nothing": (pa.nulls(2), [None, None]),
}


def content_of(table: pa.Table, form: str, compression: str | None = None) -> bytes:
    target = pa.BufferOutputStream()
    if form == "parquet":
        pa.parquet.write_table(table, target)
    else:
        make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
        with make(target, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
    content: bytes = target.getvalue().to_pybytes()
    return content


def form_of(form: str) -> Form:
    return "parquet" if form == "parquet" else "arrow"


forms = pytest.mark.parametrize("form", ["parquet", "stream", "file"])


@forms
def test_typed_columns_keep_their_types(write: Write, form: str) -> None:
    table = pa.table({name: column for name, (column, _) in TYPES.items()})
    frame = read(write(content_of(table, form)), form_of(form))
    assert columns_of(frame) == {name: expected for name, (_, expected) in TYPES.items()}


@forms
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[1]]), "column x: of a type"),
        (pa.array([{"a": 1}]), "column x: of a type"),
        (pa.array([b"x"]), "column x: of a type"),
        (pa.array([1], pa.decimal128(5, 2)), "column x: of a type"),
        (pa.array([1], pa.time64("us")), "column x: of a type"),
        (pa.array([1], pa.duration("s")), "column x: of a type"),
        (pa.array([1.0, float("inf")]), "column x, data row 2: infinite"),
        (pa.array([10**6, -(10**6)], pa.date32()), "column x, data row 2: not in the years 1 to 9999"),
        (pa.array([-(2**62)], pa.timestamp("ms")), "column x: not in the years 1 to 9999"),
        (pa.array([0], pa.timestamp("s", "Europe/Atlantis")), "column x: its time zone is not known here"),
        (pa.array(["a", "a\0"]), "column x, data row 2: a NUL character"),
        (pa.array(["a", "a\0"]).dictionary_encode(), "column x, data row 2: a NUL character"),
        (pa.array([], pa.int64()), "the table has columns and no rows"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_column(write: Write, form: str, column: Any, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content_of(pa.table({"x": column}), form)), form_of(form))
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("s", "Europe/Berlin"), pa.date64()], ids=str)
def test_moments_too_far_away_become_no_others(write: Write, kind: Any) -> None:
    for count in (86_400_000 << 36, -86_400_000 << 36):
        moments = pa.array([0, count], pa.int64()).view(kind)
        with pytest.raises(TableError, match=r"^column x: not in the years 1 to 9999$"):
            read(write(content_of(pa.table({"x": moments}), "stream")), "arrow")


@forms
@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["a", "b" * 201], ["a", "a "], ["a", " "], ["a", "b\0"]])
def test_names_are_unique_and_not_empty_in_any_format(write: Write, form: str, names: list[str]) -> None:
    with pytest.raises(TableError):
        read(write(content_of(pa.table([pa.array([1]), pa.array([2])], names=names), form)), form_of(form))


@forms
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_half_a_file_is_refused(write: Write, form: str, keep: float) -> None:
    content = content_of(pa.table({"x": pa.array(range(1000))}), form)
    with pytest.raises(TableError):
        read(write(content[: int(len(content) * keep)]), form_of(form))


# -- facts ---------------------------------------------------------------------------------------------------------

NOTES = [f"the {n}th note has some words" for n in range(6)]


@pytest.mark.parametrize(
    ("column", "kind", "distinct", "examples"),
    [
        ([1, 2, 2, None], "number", 2, [1, 2]),
        ([0.5, 2.0, None], "number", 2, [0.5, 2.0]),
        ([True, False, None], "boolean", 2, [True, False]),
        (["Yes", "no", "Yes"], "category", 2, ["Yes", "no"]),
        (["TRUE", "false"], "boolean", 2, [True, False]),
        (["2024-05-31", "2024-05-31T18:00", None], "date", 2, ["2024-05-31", "2024-05-31T18:00:00"]),
        ([MOMENT.date(), MOMENT.date()], "date", 1, ["2024-05-31"]),
        (["2024-02-30"], "category", 1, ["2024-02-30"]),
        (["b", "a", "b", "c", "d"], "category", 4, ["b", "a", "c"]),
        (["007", "008", "007"], "category", 2, ["007", "008"]),
        (["1", "1.0", "x"], "category", 2, ["1", "x"]),
        (NOTES, "text", 6, NOTES[:3]),
        ([NOTES[0], *NOTES[:1] * 5], "category", 1, NOTES[:1]),
        (["x" * 201, "x" * 201], "text", 1, [f"{'x' * 79}…"]),
    ],
)
def test_the_kind_of_a_column_is_inferred(column: list[Any], kind: Kind, distinct: int, examples: list[Any]) -> None:
    found = the_facts(column)
    assert (found.kind, found.distinct, found.examples) == (kind, distinct, examples)
    assert found.missing == column.count(None)


@pytest.mark.parametrize(
    ("name", "column", "dropped"),
    [
        ("x", ["a", "a"], "all values are the same"),
        ("x", [1, 1], "all values are the same"),
        ("x", [1, None], None),
        ("x", [None, None], "empty"),
        ("x", [f"user {n}" for n in range(20)], "an identifier: every row has another"),
        ("x", [f"user {n}" for n in range(19)], None),
        ("x", [f"user {n % 19}" for n in range(20)], None),
        ("x", NOTES * 4, None),
        ("x", [f"{n:05d}" for n in range(20)], "an identifier: every row has another"),
        ("x", list(range(5, 25)), "an identifier: every row has another"),
        ("x", list(range(5, 24)), None),
        ("x", list(range(40, 0, -2)), None),
        ("x", [float(n) for n in range(20)], None),
        ("id", [9, 4, 7], "an identifier: every row has another"),
        ("User_ID", [9, 4, 7], "an identifier: every row has another"),
        ("index", [9, 4, 7], "an identifier: every row has another"),
        ("__index_level_0__", [9, 4, 7], "an identifier: every row has another"),
        ("id", [9, 4, 4], None),
        ("humid", [9, 4, 7], None),
    ],
)
def test_columns_that_teach_nothing_say_why(name: str, column: list[Any], dropped: str | None) -> None:
    (found,) = facts(pl.DataFrame({name: column}))
    assert found.dropped == dropped


def test_what_the_recipe_says_wins() -> None:
    frame = pl.DataFrame({"id": [1, 2, 3], "zip": ["01", "02", "02"], "same": ["a"] * 3, "left": [1, 2, 1]})
    found = facts(frame, {"id": "category", "zip": "number", "same": "category", "left": "drop"})
    assert found == [
        ColumnFacts("id", "category", 0, 3, ["1", "2", "3"], labels=True),
        ColumnFacts("zip", "number", 0, 2, [1.0, 2.0], labels=True),
        ColumnFacts("same", "category", 0, 1, ["a"], labels=True),
        ColumnFacts("left", "number", 0, 2, [1, 2], "as the recipe says", labels=True),
    ]


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        (["1", "x", "y"], "number", "column x, data row 2: expected a number"),
        (["true", None, "2"], "boolean", "column x, data row 3: expected true or false"),
        ([0, 1], "boolean", "column x, data row 1: expected true or false"),
        ([True], "number", "column x, data row 1: expected a number"),
        (["2024-05-31", "2024-02-30"], "date", "column x, data row 2: expected a date"),
        ([1], "date", "column x, data row 1: expected a date"),
        ([MOMENT], "number", "column x, data row 1: expected a number"),
        (["a", "b" * 201], "category", "column x, data row 2: expected a category"),
    ],
)
def test_a_kind_that_a_column_cannot_be_is_refused_by_its_first_row(column: list[Any], kind: Kind, said: str) -> None:
    for ask in (lambda: the_facts(column, x=kind), lambda: table_of(pl.DataFrame({"x": column}), {"x": kind})):
        with pytest.raises(TableError) as refusal:
            ask()
        assert str(refusal.value).startswith(said)


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        (
            [*map(str, range(400)), "12 kg"],
            'x: 400 of 401 values are numbers, and "12 kg" in data row 401 is none; mend it',
        ),
        (
            [*map(str, range(200)), None, "Total"],
            'x: 200 of 201 values are numbers, and "Total" in data row 202 is none',
        ),
        (
            [*(f"2024-05-{day:02d}" for day in range(1, 31)), "May"],
            'x: 30 of 31 values are dates, and "May" in data row 31',
        ),
        (["31/12/2020", "12/31/2020"] * 9, "x: looks like dates, some of them day-first and some month-first"),
        (["03/04/2020", "5/6/2021"], "x: looks like dates, and whether day or month comes first is not clear"),
        (["31/12/20", "5/6/21"], "x: looks like dates with years of two digits"),
        ([f"${n},017" for n in range(1, 20)], "x: looks like numbers written with currencies, % or thousands"),
        ([f"{n} %" for n in range(1, 20)], "x: looks like numbers written with currencies, % or thousands"),
        ([f"€ {n},00" for n in range(1, 20)], "x: looks like numbers written with currencies, % or thousands"),
        ([f"{n},86" for n in range(1, 20)], 'x: looks like numbers with decimal commas ("1,86"); read the file with'),
        (["1", "2", "3A"] * 9, None),
        ([*(f"{n:05d}" for n in range(50)), "A1234"], None),
        ([*map(str, range(50)), *(f"PC {n}" for n in range(50))], None),
        ([f"10.0.0.{n}" for n in range(30)], None),
        (["5 %", "10 %"] * 9, None),
    ],
)
def test_what_is_nearly_numbers_or_dates_is_no_category_in_silence(cells: list[str | None], doubt: str | None) -> None:
    found = the_facts(cells)
    assert (found.doubt or "").startswith(doubt or "")
    assert (found.doubt is None) == (doubt is None)
    assert the_facts(cells, x="category").doubt is None
    assert the_facts(cells, x="drop").doubt is None


@pytest.mark.parametrize(
    ("cells", "said", "order", "days"),
    [
        (["31/12/2020", "1/2/2021"], None, "day-first", ["2020-12-31", "2021-02-01"]),
        (["12/31/2020", "1/2/2021 9:30"], None, "month-first", ["2020-12-31", "2021-01-02T09:30"]),
        (["31.12.2020", "01-02-2021"], None, "day-first", ["2020-12-31", "2021-02-01"]),
        (["1/2/2021", "2021-03-04"], "day-first", "day-first", ["2021-02-01", "2021-03-04"]),
        (["2021-03-04", "2021-03-05"], "day-first", None, ["2021-03-04", "2021-03-05"]),
    ],
)
def test_dates_are_read_in_the_order_that_their_column_shows(
    cells: list[str], said: DateOrder | None, order: DateOrder | None, days: list[str]
) -> None:
    frame = pl.DataFrame({"x": cells})
    (found,) = facts(frame, dates=said)
    assert (found.kind, found.order, found.doubt) == ("date", order, None)
    spelling = Spelling(orders={"x": order} if order else {})
    assert table_of(frame, {"x": "date"}, spelling).columns["x"].tolist() == [from_text("date", day) for day in days]


def test_dates_that_may_be_two_things_are_not_taken_for_one_when_told_to_be_dates() -> None:
    with pytest.raises(TableError, match="whether day or month comes first is not clear"):
        the_facts(["03/04/2020", "5/6/2021"], x="date")


def test_whole_numbers_that_floats_cannot_tell_apart_are_names() -> None:
    twins = [2**53 + 1, 2**53 + 2, 2**53 + 1]
    found = the_facts(twins)
    assert (found.kind, found.distinct, found.examples) == ("category", 2, ["9007199254740993", "9007199254740994"])
    many = the_facts([2**60 + place for place in range(30)])
    assert many.dropped == "an identifier: every row has another"
    assert the_facts([2**53, -(2**53)]).kind == "number"


def test_words_for_missing_may_be_added(write: Write) -> None:
    frame = without(read(write("x,y\n1,a\nunknown,unknown\n3,b\n"), "csv"), ["unknown"])
    assert columns_of(frame) == {"x": [1, None, 3], "y": ["a", None, "b"]}


def test_a_kind_for_a_column_that_there_is_not_names_those_that_there_are() -> None:
    with pytest.raises(TableError, match=r"^there is no column y; there are x$"):
        the_facts([1], y="number")


# -- columns -------------------------------------------------------------------------------------------------------

# Numbers that read the same as categories: 1e2 and +1 are held as numbers, not as they stood there.
plain = st.from_regex(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", fullmatch=True).filter(lambda text: len(text) < 15)
numbers = (
    plain | st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.sampled_from(["+1", "1e2", ".5", "5."])
)
dates = (st.dates() | st.datetimes()).map(lambda moment: moment.isoformat())
spaced = st.builds("{}{}{}".format, st.sampled_from(["", " ", "\t"]), dates, st.sampled_from(["", " ", "\xa0"]))
flags = st.sampled_from(["true", "False", "YES", "no", " No "])
words = st.text(max_size=6) | st.sampled_from(["True", "007", "1.0", '"', ",", "a\r\nb"])
missing = st.sampled_from(sorted(MISSING))
CELLS: dict[Kind, st.SearchStrategy[str]] = {
    "number": numbers,
    "boolean": flags,
    "date": dates | spaced,
    "category": words | plain,
    "text": words,
}


def in_csv(cells: list[str]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target, quoting=csv.QUOTE_ALL).writerows([["x"], *([cell] for cell in cells)])
    return target.getvalue().encode()


def expected_of(kind: Kind, text: str) -> Cell:
    return None if text.strip() in MISSING else from_text(kind, text)


@pytest.mark.parametrize("kind", list(CELLS))
@given(data=st.data())
def test_every_cell_of_a_csv_is_what_from_text_makes_of_it(place: Path, kind: Kind, data: st.DataObject) -> None:
    cells = data.draw(st.lists(CELLS[kind] | missing, min_size=1, max_size=6).filter(without_nul))
    place.write_bytes(in_csv(cells))
    try:
        frame = read(place, "csv")
    except TableError as refusal:
        assert "infinite" in str(refusal)
        return
    if kind == "text" and frame["x"].dtype != pl.String:
        return  # a column of numbers is held as numbers
    assert values(frame, kind) == [expected_of(kind, cell) for cell in cells]


def without_nul(cells: list[str]) -> bool:
    return not any("\0" in cell for cell in cells)


def test_typed_columns_become_what_their_texts_would() -> None:
    frame = pl.DataFrame(
        {
            "whole": [3, None],
            "real": pl.Series([3.0, 0.1], dtype=pl.Float32),
            "half": pl.Series([3.0, 0.1], dtype=pl.Float32).to_numpy().astype(np.float16),
            "flag": [True, None],
            "day": [MOMENT.date(), None],
            "moment": [MOMENT, None],
        }
    )
    assert values(frame, "number", "whole") == [3.0, None]
    assert values(frame, "category", "whole") == ["3", None]
    assert values(frame, "category", "real") == ["3", "0.1"]
    assert values(frame, "category", "half") == ["3", "0.1"]
    assert values(frame, "boolean", "flag") == [1.0, None]
    assert values(frame, "category", "flag") == ["true", None]
    assert values(frame, "date", "day") == [from_text("date", "2024-05-31"), None]
    assert values(frame, "date", "moment") == [from_text("date", "2024-05-31T18:00"), None]
    assert values(frame, "category", "moment") == ["2024-05-31T18:00:00", None]


def test_moments_within_a_second_are_different_categories() -> None:
    moments = [MOMENT, MOMENT + datetime.timedelta(microseconds=1)]
    assert values(pl.DataFrame({"x": moments}), "category") == ["2024-05-31T18:00:00", "2024-05-31T18:00:00.000001"]


@given(st.lists(st.datetimes(), min_size=1, max_size=5))
def test_a_moment_is_the_same_day_typed_or_written(moments: list[datetime.datetime]) -> None:
    typed = values(pl.DataFrame({"x": moments}), "date")
    assert typed == [from_text("date", moment.isoformat()) for moment in moments]


def test_equal_categories_share_one_text() -> None:
    column = table_of(pl.DataFrame({"x": ["aa", "b", "aa "] * 2}), {"x": "category"}).columns["x"]
    assert column.dtype == np.object_
    assert len({id(value) for value in column if value == "b"}) == 1
    assert column.tolist() == ["aa", "b", "aa"] * 2


def test_columns_come_in_the_order_that_was_asked_for() -> None:
    table = table_of(pl.DataFrame({"a": [1], "b": [2], "c": [3]}), {"c": "number", "a": "number"})
    assert list(table.columns) == ["c", "a"]
    assert len(table) == 1
