"""The layout of CSV files as people's programs write them: what is before, between and behind the fields."""

import codecs
import gzip

import pyarrow as pa
import pytest

from models_store.tables import file_limits
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from models_store.tables.files import reading
from models_store.tables.inference import TableError, facts, read
from tests.models_store.tables.table_files import Write, columns_of

AB = {"a": [1, 3], "b": [2.5, 4.5]}
SPACES = CsvDialect(" ")


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("sep=;\na;b\n1;2.5\n3;4.5\n", PLAIN),
        ("\ufeffsep=;\r\na;b\r\n1;2.5\r\n3;4.5\r\n", PLAIN),
        ('"sep=,"\na,b\n1,2.5\n3,4.5\n', PLAIN),
        ("sep=\t\na\tb\n1\t2.5\n3\t4.5\n", PLAIN),
        ("SEP=|\na|b\n1|2.5\n3|4.5\n", PLAIN),
        ("sep=;\na;b\n1;2,5\n3;4,5\n", CsvDialect(decimal=",")),
        ("a,b,\n1,2.5,\n3,4.5,\n", PLAIN),
        ("a;b;\r\n1;2.5;\r\n3;4.5;\r\n", PLAIN),
        ("a,b\n1,2.5,\n3,4.5,\n", PLAIN),
        ("a b\n1 2.5\n3 4.5\n", PLAIN),
        ("  a     b\n  1   2.5\n  3   4.5  \n", PLAIN),
        ("a \t b\n1 \t 2.5\n3 \t 4.5\n", SPACES),
        ('"a" "b"\r\n"1" 2.5\r\n3 "4.5"\r\n', PLAIN),
        ("# of the sensor\n# at noon, in June\na,b\n1,2.5\n3,4.5\n", PLAIN),
        ("# of the sensor\na b\n1 2.5\n3 4.5\n", PLAIN),
        ("% one\na,b\n1,2.5\n% two\n3,4.5\n% three", CsvDialect(comment="%")),
        ("// it's \"so\na;b\n1;2.5\n  // two\n3;4.5\n", CsvDialect(comment="//")),
        ("# one\na b\n1 2.5\n# two\n3 4.5\n", CsvDialect(" ", comment="#")),
        ("a,b\n1,2.5\n3,4.5\n", CsvDialect(header="present")),
    ],
)
def test_a_table_of_two_columns_is_read_as_programs_write_it(write: Write, text: str, dialect: CsvDialect) -> None:
    assert columns_of(read(write(text), "csv", dialect)) == AB


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("a,b,\n1,2,\n", "each line ends with a delimiter; the empty field behind it was left out"),
        ("# at noon, in June\na,b\n1,2\n", "line 1 was taken for a comment, and left out"),
        ("# x\n# y\na,b\n1,2\n", "lines 1 to 2 were taken for a comment, and left out"),
    ],
)
def test_what_is_left_out_of_a_file_is_said(write: Write, text: str, remark: str) -> None:
    assert reading(write(text), "csv").remarks == (remark,)


def test_a_control_character_is_a_character_where_nothing_is_a_comment(write: Write) -> None:
    assert columns_of(read(write('a,b\n1,\x02\n2,"x\n\x02\ny"\n'), "csv")) == {"a": [1, 2], "b": ["\x02", "x\n\x02\ny"]}


def test_a_name_may_begin_as_a_comment_does(write: Write) -> None:
    assert columns_of(read(write("#a,b\n1,2\n"), "csv")) == {"#a": [1], "b": [2]}


def test_a_column_may_be_empty_to_the_end_of_each_line(write: Write) -> None:
    assert columns_of(read(write("a,b\n1,\n2,\n"), "csv")) == {"a": [1, 2], "b": [None, None]}


def test_texts_hold_spaces_where_quotes_surround_them(write: Write) -> None:
    text = 'name  size\n"Mazda  RX4" 2\n"say ""hi"""   3\n'
    assert columns_of(read(write(text), "csv")) == {"name": ["Mazda  RX4", 'say "hi"'], "size": [2, 3]}


# As R 4.2 writes the first rows of mtcars: write.csv(…), write.table(…), and write.csv2(…).
AS_R_WRITES_THEM = [
    ('"","mpg","cyl"\n"Mazda RX4",21,6\n"Datsun 710",22.8,4\n', PLAIN),
    ('"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun 710" 22.8 4\n', PLAIN),
    ('"";"mpg";"cyl"\n"Mazda RX4";21;6\n"Datsun 710";22,8;4\n', CsvDialect(decimal=",")),
]


@pytest.mark.parametrize(("text", "dialect"), AS_R_WRITES_THEM)
def test_the_names_of_rows_that_r_writes_are_left_out_with_a_word(write: Write, text: str, dialect: CsvDialect) -> None:
    frame = read(write(text), "csv", dialect)
    assert columns_of(frame.select("mpg", "cyl")) == {"mpg": [21.0, 22.8], "cyl": [6, 4]}
    dropped = [(found.name, found.dropped is not None) for found in facts(frame)]
    assert dropped == [("Unnamed: 0", True), ("mpg", False), ("cyl", False)]


# -- no names ----------------------------------------------------------------------------------------------------------

IRIS = "5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n7.0,3.2,Iris-versicolor\n"


def test_a_first_row_that_looks_like_data_is_asked_about(write: Write) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(IRIS), "csv")
    assert str(refusal.value) == (
        "line 1: looks like a row and not like names (5.1, 3.5, Iris-setosa); if it is a row, say --no-header "
        "(?header=absent); if these are the names, say --header (?header=present)"
    )
    absent = read(write(IRIS), "csv", CsvDialect(header="absent"))
    assert (absent.columns, absent.height) == (["column_1", "column_2", "column_3"], 3)
    assert absent["column_1"].to_list() == [5.1, 4.9, 7.0]
    present = read(write(IRIS), "csv", CsvDialect(header="present"))
    assert (present.columns, present.height) == (["5.1", "3.5", "Iris-setosa"], 2)


LETTERS = "".join(f"{'pe'[place % 2]},{'xyz'[place % 3]}\n" for place in range(30))


@pytest.mark.parametrize(
    ("text", "is_data"),
    [
        ("country,2019,2020\nFrance,1.5,2\nSpain,2,3\n", False),
        ("2019,2020\n1,2\n3,4\n", True),
        ("1,1\n2,2\n3,1\n", True),
        (LETTERS, True),
        (f"kind,shape\n{LETTERS}", False),
        (f"kind,shape\n{LETTERS}kind,shape\n", False),
        ("a,b\na,b\n", False),
    ],
)
def test_names_are_told_from_data_by_the_cells_below_them(write: Write, text: str, is_data: bool) -> None:
    if not is_data:
        assert read(write(text), "csv").height == text.count("\n") - 1
        return
    with pytest.raises(TableError, match="--no-header"):
        read(write(text), "csv")
    assert read(write(text), "csv", CsvDialect(header="absent")).height == text.count("\n")


# -- compressed --------------------------------------------------------------------------------------------------------


def compressed(content: bytes, how: str) -> bytes:
    return gzip.compress(content) if how == "gzip" else bytes(pa.compress(content, codec="zstd", asbytes=True))


@pytest.mark.parametrize("how", ["gzip", "zstd"])
def test_a_compressed_file_is_unpacked_while_it_is_read(
    write: Write, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"a,b\n" + b"1,2.5\n3,4.5\n" * 1000
    packed = compressed(content, how)
    assert columns_of(read(write(packed), "csv")) == {"a": [1, 3] * 1000, "b": [2.5, 4.5] * 1000}
    # Members behind one another, as `cat a.gz b.gz` makes them, are one file.
    assert read(write(packed + compressed(b"5,6\n", how)), "csv").height == 2001
    for damaged in (packed[:-6], packed[: len(packed) // 2], packed + b"more"):
        with pytest.raises(TableError, match=f"compressed with {how}, and damaged or cut off"):
            read(write(damaged), "csv")
    monkeypatch.setattr(file_limits, "MOST_BYTES", len(content) - 1)
    with pytest.raises(TableError, match="larger than 0 GB when it is unpacked"):
        read(write(packed), "csv")


def test_a_compressed_file_is_written_in_another_way_as_well(write: Write) -> None:
    content = "größe;b\n1;2,5\n".encode("latin-1")
    frame = read(write(gzip.compress(content)), "csv", CsvDialect(None, ",", "latin-1"))
    assert columns_of(frame) == {"größe": [1], "b": [2.5]}


# -- what is no CSV ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PAR1\x15\x04", "this is a Parquet file; name it .parquet"),
        (b"ARROW1\0\0", "this is an Arrow file; name it .arrow"),
        (b"\xff\xff\xff\xff\x78\0\0\0", "this is an Arrow stream; name it .arrow"),
        (b"$FL2@(#) SPSS DATA FILE", "this is an SPSS file; name it .sav"),
        (b"$FL3@(#) SPSS DATA FILE", "this is an SPSS file; name it .sav"),
        (b"<stata_dta><header>", "this is a Stata file; name it .dta"),
        (b"\x72\x02\x01\x00\x03\x00", "this is a Stata file; name it .dta"),
        (bytes.fromhex("00" * 12 + "c2ea8160b31411cfbd92080009c7318c181f1011"), "this is a SAS file; save it as CSV"),
        (b"PK\x03\x04\x14\0..mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "this is a spreadsheet (ods)"),
        (b"PK\x03\x04\x14\0..table.csv", "this is a zip archive; unpack it"),
        (gzip.compress(b"X\n\0\0\0\x03"), "this is compressed with gzip, and inside an R object (rds); write"),
        (gzip.compress(b"PAR1\x15\x04"), "this is compressed with gzip, and inside a Parquet file"),
        (b"RDX3\nX\n", "this is an R workspace; write the table with write.csv"),
        (b"BZh91AY&SY", "this is compressed with bzip2; unpack it"),
        (b"\xfd7zXZ\0\0", "this is compressed with xz; unpack it"),
        (b"SQLite format 3\0", "this is an SQLite database"),
        (b'{"a": 1, "b": "x"}\n', "this is JSON; write a line for each row as JSON lines, and name it .jsonl"),
        (b'[{"a": 1}]', "this is JSON; write a line for each row"),
        (b"% A title\n%\n@RELATION iris\n", "this is an ARFF file; name it .arff"),
        (b"@relation x\n@attribute a numeric\n", "this is an ARFF file; name it .arff"),
        (b"<!DOCTYPE html><p>", "this is XML or HTML; save it as CSV"),
        (codecs.BOM_UTF16_LE + b"a\0", "this is UTF-16"),
        (b"sep=^\na^b\n", "line 1: says sep=^; a delimiter is one of"),
    ],
)
def test_what_is_no_csv_is_named_by_its_first_bytes(write: Write, content: bytes, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content), "csv")
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "dialect", "said"),
    [
        ("% one\na,b\n% two\n1,2\n3\n", CsvDialect(comment="%"), "line 5: expected 2 fields, found 1"),
        ("sep=;\na;b\n1;2\n3\n", PLAIN, "line 4: expected 2 fields, found 1"),
        ("# x\na,b\n1,2\n3\n", PLAIN, "line 4: expected 2 fields, found 1"),
        ("a b\n1 2\n3\n4 5\n", SPACES, "line 3: expected 2 fields, found 1"),
        ("a b\n1 2\x01\n", SPACES, "line 2: a control character; this is no text"),
        (
            'a,b\n1,"x\n% y\nz"\n2,w\n',
            CsvDialect(comment="%"),
            "line 3: within quotes a line begins as a comment does; write it otherwise, or say no --comment",
        ),
        ('a,b\n1,"x\n% y\nz"\n2,w\n\n', CsvDialect(comment="%"), "line 3: within quotes a line begins as a comment"),
        ("a,b\n1,2\n\x02\n", CsvDialect(comment="%"), "line 3: a control character; this is no text"),
        ('a b\n"x\ny" 2\n"x\n', SPACES, "line 4: a quote is opened in this row and not closed"),
    ],
)
def test_lines_are_counted_as_they_stand_in_the_file(write: Write, text: str, dialect: CsvDialect, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(text), "csv", dialect)
    assert str(refusal.value).startswith(said)


def test_rows_of_many_blocks_are_read_alike(write: Write) -> None:
    text = "\n".join(["a  b", "# c", *(f"  {n}   {n * 0.5}" for n in range(600_000)), ""])
    frame = read(write(text), "csv", CsvDialect(" ", comment="#"))
    assert frame.height == 600_000
    assert frame.row(599_999) == (599_999, 299_999.5)
