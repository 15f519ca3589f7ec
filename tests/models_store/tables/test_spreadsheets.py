"""Sheets of workbooks: each cell as its kind, formulas named, and nothing unpacked beyond the limits."""

import datetime

import polars as pl
import pytest

from models_store.tables import file_limits
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.files import reading
from models_store.tables.inference import TableError, facts, read
from models_store.tables.workbooks import column_name
from tests.models_store.tables.table_files import Write, columns_of
from tests.models_store.tables.workbook_files import (
    flag,
    formula,
    number,
    ods,
    ods_number,
    ods_row,
    ods_text,
    text,
    xlsx,
    zipped,
)

NAMES = [text(name) for name in ("name", "size", "real", "flag", "day", "at", "clock", "took", "mixed")]
# 45443.75 is the 31st of May 2024 at 18:00, 1.25 thirty hours, and 0.5625 half past one in the afternoon.
ROW = [number(1.5), flag(True), number(45443, 1), number(45443.75, 2), number(0.5625, 3), number(1.25, 4)]
ROWS = [
    NAMES,
    [text("a"), number(3), *ROW, number(7)],
    [text(" "), number(4), number(2), flag(False), number(45444, 1), number(45444, 2), "", "", text("x")],
    [],
    ["", "", "", "", "", "", "", "", ""],
    [text("b"), number(5), number(2.5), flag(True), "", number(45443.75, 2), number(0.75, 3), number(0.5, 4), ""],
]


def test_each_cell_of_a_sheet_is_of_its_kind(write: Write) -> None:
    found = reading(write(xlsx({"Data": ROWS})), "workbook")
    day, hour = datetime.date(2024, 5, 31), datetime.timedelta(hours=1)
    assert columns_of(found.frame) == {
        "name": ["a", None, "b"],
        "size": [3, 4, 5],
        "real": [1.5, 2.0, 2.5],
        "flag": [True, False, True],
        "day": [datetime.datetime(2024, 5, 31), datetime.datetime(2024, 6, 1), None],
        "at": [datetime.datetime(2024, 5, 31, 18), datetime.datetime(2024, 6, 1), datetime.datetime(2024, 5, 31, 18)],
        "clock": [datetime.time(13, 30), None, datetime.time(18)],
        "took": [30 * hour, None, 12 * hour],
        "mixed": ["7", "x", None],
    }
    assert found.remarks == ("2 empty rows were left out",)
    kinds = [column.kind for column in facts(found.frame)]
    assert kinds == ["category", "number", "number", "boolean", "date", "date", "time", "duration", "category"]
    assert day in found.frame["day"].dt.date()


def test_a_workbook_that_counts_from_1904_has_the_same_dates_and_times_of_day(write: Write) -> None:
    rows = [
        [text("day"), text("clock"), text("took")],
        [number(43981, 1), number(0.75, 3), number(1.25, 4)],
        [number(0, 1), number(0.5, 3), number(0.5, 4)],
    ]
    assert columns_of(reading(write(xlsx({"Data": rows}, is_of_1904=True)), "workbook").frame) == {
        "day": [datetime.datetime(2024, 5, 31), datetime.datetime(1904, 1, 1)],
        "clock": [datetime.time(18), datetime.time(12)],
        "took": [datetime.timedelta(hours=30), datetime.timedelta(hours=12)],
    }


@pytest.mark.parametrize("n_above", [0, 1, 3])
@pytest.mark.parametrize("n_blank", [0, 2])
def test_a_title_above_the_names_is_left_out(write: Write, n_above: int, n_blank: int) -> None:
    above, blank = [[["", "", ""]] * n_rows for n_rows in (n_above, n_blank)]
    found = reading(write(xlsx({"Data": [*above, [text("Sales of 2024")], *blank, *ROWS[:3]]})), "workbook")
    assert found.frame.equals(read(write(xlsx({"Data": ROWS[:3]})), "workbook"))
    (said,) = found.remarks
    assert said == f"rows above the names that hold at most one cell were left out, as a title: {n_blank + 1}"
    twice = write(xlsx({"Data": [*above, [text("Sales")], *blank, [text("a")] * 3, [number(1)] * 3]}))
    with pytest.raises(TableError, match=f"row {n_above + n_blank + 2}: "):
        read(twice, "workbook")


@pytest.mark.parametrize(
    ("cell", "names", "is_data"),
    [
        (number(45443, 1), ("day", "2024-05-31"), (False, True)),
        (number(0.5625, 3), ("at", "13:30:00"), (False, True)),
        (number(1.25, 4), ("took", "1 day 06:00:00"), (False, True)),
        (flag(True), ("wet", "TRUE"), (False, True)),
    ],
)
def test_a_sheet_whose_columns_are_all_dates_times_or_booleans_is_read(
    write: Write, cell: str, names: tuple[str, str], is_data: tuple[bool, bool]
) -> None:
    for name, asked in zip(names, is_data, strict=True):
        path = write(xlsx({"Data": [[text(name)], [cell], [cell]]}))
        if asked:
            with pytest.raises(TableError, match="its first row looks like data"):
                read(path, "workbook")
        else:
            assert read(path, "workbook").columns == [name]


def test_a_workbook_with_several_sheets_is_asked_about(write: Write) -> None:
    one = [[text("a"), text("b")], [number(1), text("x")]]
    path = write(xlsx({"First & last": one, "Empty": [], "Data": [[text("c"), text("d")], [number(2), text("x")]]}))
    with pytest.raises(
        TableError, match=r"several sheets: First & last, Data; say which by --sheet NAME \(\?sheet=NAME\)"
    ):
        read(path, "workbook")
    with pytest.raises(TableError, match="sheet: there is no Empty with cells; there are First & last, Data"):
        read(path, "workbook", CsvDialect(sheet="Empty"))
    assert columns_of(read(path, "workbook", CsvDialect(sheet="Data"))) == {"c": [2], "d": ["x"]}
    assert columns_of(read(path, "workbook", CsvDialect(sheet="First & last"))) == {"a": [1], "b": ["x"]}


def test_formulas_are_named_and_those_that_were_never_calculated_are_missing(write: Write) -> None:
    rows = [[text("a"), text("b")], [formula(""), formula("2.5")], [formula("7"), formula("0")], [number(1), number(2)]]
    found = reading(write(xlsx({"Data": rows})), "workbook")
    assert columns_of(found.frame) == {"a": [None, 7, 1], "b": [2.5, 0.0, 2.0]}
    never, stored = found.remarks
    assert never.startswith(
        "2 cells of column A are formulas, from A2 on; 1 of them were never calculated, and are missing"
    )
    assert stored.startswith("2 cells of column B are formulas, from B2 on; read is the value")


def test_names_are_checked_as_they_stand_there(write: Write) -> None:
    twice = xlsx({"Data": [[text("a"), text("a")], [number(1), number(2)]]})
    with pytest.raises(TableError, match="row 1: two columns are called a"):
        read(write(twice), "workbook")
    unnamed = xlsx({"Data": [[text("a"), ""], [number(1), number(2)]]})
    with pytest.raises(TableError, match="row 1: column 2 has no name"):
        read(write(unnamed), "workbook")
    index = xlsx({"Data": [["", text("a")], [number(0), number(2)], [number(1), number(2)]]})
    assert read(write(index), "workbook").columns == ["Unnamed: 0", "a"]


def test_a_first_row_of_data_is_asked_about(write: Write) -> None:
    path = write(xlsx({"Data": [[number(5.1), text("x")], [number(4.9), text("x")]]}))
    with pytest.raises(TableError, match="sheet Data: its first row looks like data"):
        read(path, "workbook")
    absent = read(path, "workbook", CsvDialect(header="absent"))
    assert columns_of(absent) == {"column_1": [5.1, 4.9], "column_2": ["x", "x"]}


def test_a_sheet_of_ods_is_read_alike(write: Write) -> None:
    rows = (
        ods_row(ods_text("a"), ods_text("b"))
        + ods_row(ods_number(1), ods_number(2.5, ' table:formula="of:=[.A2]*2.5"'))
        + ods_row(ods_number(3), ods_number(4.5), '<table:table-cell table:number-columns-repeated="16382"/>')
        + ods_row("<table:table-cell/>", more=' table:number-rows-repeated="1048573"')
    )
    found = reading(write(ods(rows)), "workbook")
    assert columns_of(found.frame) == {"a": [1, 3], "b": [2.5, 4.5]}
    assert found.remarks == (
        "1 cells of column B are formulas, from B2 on; read is the value that the writing program stored, which is 0 "
        "where it did not calculate them",
    )


# -- what is refused ---------------------------------------------------------------------------------------------------

FAR = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
MANY = ods_row(ods_number(1, ' table:number-columns-repeated="16384"'), more=' table:number-rows-repeated="1048576"')


@pytest.mark.parametrize("content", [xlsx({"Data": FAR}), xlsx({"Data": FAR.replace('"', "'")}), ods(MANY)])
def test_cells_that_would_reach_too_far_are_refused_before_they_are_unpacked(write: Write, content: bytes) -> None:
    assert len(content) < 4096
    with pytest.raises(TableError, match="more than 50000000 values, the most that a table may have, in 16384 columns"):
        read(write(content), "workbook")


@pytest.mark.parametrize("place", ["XFE2", "ZZZ2", "ZZZZ2", "zzzz2", "AAAAAAAAA2", "A1048577", "A99999999999"])
def test_a_cell_where_no_spreadsheet_has_one_is_refused_before_it_is_unpacked(write: Write, place: str) -> None:
    rows = f'<row r="1"><c r="A1"><v>1</v></c></row><row><c r="{place}"><v>1</v></c></row>'
    with pytest.raises(TableError, match="sheet Data has cells beyond row 1048576 or column XFD, where spreadsheets"):
        read(write(xlsx({"Data": rows})), "workbook")


def test_parts_that_unpack_to_too_much_are_refused_while_they_are_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_limits, "MOST_BYTES", 1 << 20)
    content = zipped({"content.xml": "<a/>" + " " * (2 << 20)})
    assert len(content) < 4096
    with pytest.raises(TableError, match="when it is unpacked"):
        read(write(content), "workbook")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file cannot be read as a workbook; is it whole, and of that format?"),
        (b"a,b\n1,2\n", "the file cannot be read as a workbook"),
        (xlsx({"Data": ROWS})[:-30], "the file cannot be read as a workbook"),
        (zipped({"table.csv": "a,b\n1,2\n"}), "the file cannot be read as a workbook"),
        (zipped({"é": ""}).replace("é".encode(), b"\x80a"), "the file cannot be read as a workbook"),
        (xlsx({"Data": []}), "the workbook has no sheet with cells"),
        (ods("<!ENTITY a 'b'>"), "the workbook defines entities in its XML"),
        (xlsx({"Data": [[text("a"), text("b")]]}), "the table has columns and no rows"),
    ],
)
def test_what_is_no_table_in_a_workbook_is_refused(write: Write, content: bytes, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content), "workbook")
    assert str(refusal.value).startswith(said)


def test_a_workbook_has_a_sheet_and_a_header_and_says_the_rest_itself(write: Write) -> None:
    path = write(xlsx({"Data": ROWS}))
    with pytest.raises(TableError, match="of a workbook, say sheet and header"):
        read(path, "workbook", CsvDialect(decimal=","))
    with pytest.raises(TableError, match="sheet is for workbooks"):
        read(path, "csv", CsvDialect(sheet="Data"))


@pytest.mark.parametrize(("place", "name"), [(1, "A"), (26, "Z"), (27, "AA"), (16384, "XFD")])
def test_columns_are_called_as_a_spreadsheet_shows_them(place: int, name: str) -> None:
    assert column_name(place) == name


def test_a_long_stretch_without_cells_hides_no_cell_behind_it(write: Write) -> None:
    cell = '<row r="{0}"><c r="A{0}"><v>{0}</v></c><c r="B{0}"><f>1+1</f><v>2</v></c></row>'
    names = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
    )
    found = reading(
        write(xlsx({"Data": f"{names}{cell.format(2)}<!--{' ' * 3_000_000}-->{cell.format(3)}"})), "workbook"
    )
    assert found.frame["a"].to_list() == [2, 3]
    assert found.remarks[0].startswith("2 cells of column B are formulas, from B2 on")


def test_rows_and_cells_need_not_say_their_place(write: Write) -> None:
    names = '<row><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b</t></is></c></row>'
    row = "<row><c><v>1</v></c><c><f>2+3</f><v>5</v></c></row>"
    rows = f"{row}<row><c/><c><v>7</v></c></row><row><c r='A4'><v>3</v></c></row>"
    found = reading(write(xlsx({"Data": names + rows})), "workbook")
    assert columns_of(found.frame) == {"a": [1, None, 3], "b": [5, 7, None]}
    assert found.remarks[0].startswith("1 cells of column B are formulas, from B2 on")


def test_rows_of_a_large_sheet_are_told_across_pieces(write: Write) -> None:
    rows = [[text("a"), text("b")], *([number(n), formula(str(n / 2))] for n in range(30_000))]
    found = reading(write(xlsx({"Data": rows})), "workbook")
    assert found.frame["b"].equals(pl.Series("b", [n / 2 for n in range(30_000)]))
    assert found.remarks[0].startswith("30000 cells of column B are formulas, from B2 on")
