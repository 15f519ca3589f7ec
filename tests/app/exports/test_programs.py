"""Exports that are programs read a CSV as POST /predict does, and write the same answer."""

import csv
import io
import itertools
from pathlib import Path

import pytest

from app.errors import Malformed, Unprocessable
from app.formats import csv_rows
from app.formats.expected import Expected
from app.formats.reply import Reply
from models_store.bundle import Bundle
from models_store.errors import ExportDiffers
from models_store.exports.programs import command, ran
from models_store.exports.targets import export
from tests.exported import PROGRAMS, probable, spelled

SPELLINGS = {
    "n": ["1", " 2.5 ", "\xa01\u2003", "\x1c1", "1e3", "-.5", "+7", "5.", "NA", "", "-999", "-999.0", "unknown", "?",
          "#N/A", "1e-320"],
    "b": ["true", "FALSE", " Yes", "no", "", "N/A"],
    "c": ["3", "3.0", " 3e0 ", "007", "True", "TRUE", "red", "blue", "", "unknown", "none",
          "1e400", "-0", "12345678901234567"],
    "d": [
        "2020-03-14", "2020/3/14", "2020.03.14", "14/03/2020", "3-4-2020", "14 Mar 2020", "Mar 14, 2020", "01JAN2020",
        "2020-03-14T10:00:00.123456789", "2020-03-14 1:05 PM", "2020-03-14T10:00:00+02:00", "20200314T101112",
        "Fri, 13 Mar 2020 10:00:00 GMT", "2020-03", "03/2020", "Mar 2020", "2020-W53", "2020-W10-3", "2020Q3",
        "Q4 1999",
        "[10/Oct/2000:13:55:36 -0700]", "Fri Mar 13 10:00:00 2020", "0001-01-01", "9999-12-31T23:59:59.999999", "", "-",
        "1899M12", "29/02/2024", "31 december 1969",
    ],
    "f": ["14.03.20", "1.1.69", "31.12.68", "2020-03-14", "NaN"],
    "g": ["20200314", "20200314.0", "20200229", "2020-03-14", ""],
    "t": ["13:31", "1:31 PM", "12:00 am", "13:31:05.25", "00:00", "7 p.m.", "13:31:00+02", "?"],
    "u": ["85:00:00", "3 days 13:00:00", "-1 days +23:00:00", "P3DT13H", "-PT1.5S", "1 day",
          "PT-30M", "00:00:00.000001", "--"],
    "x": ["first CABIN", "Cabin's", "größe, GRÖSSE", "", "n/a", "ﬁrst ²x İ", "cabin'", "unknown", 'say "first"'],
}  # fmt: skip
REFUSED = {
    "n": ["one", "1_000", "1e400", "inf", "0x10", "١"],
    "b": ["2", "t"],
    "c": ["x" * 201],
    "d": ["2020-02-30", "2021-W53", "14.13.2020", "2020-03-14 25:00", "0000-01-01", "12/31/2020", "soon"],
    "g": ["20200230", "202003140"],
    "t": ["24:00", "13", "13:60", "0:30 PM", "noon"],
    "u": ["3652060 days", "1:60:00", "P1M", "P", "PT"],
}  # fmt: skip
BODIES_REFUSED = [
    "", "n\n", "n,n\n1,2\n", "n\n1,2\n", "nonsense\n1\n",
    "n,other\n1,2\n", "n\n1\n\n2\n", 'n\n"1', 'n\n"1"2\n', "y\n1\n",
]  # fmt: skip
BODIES = [
    "n\n1\n", "b,n\ntrue,1\n", "n\r\n1\r\n\r\n", '\ufeffn\n1\n', 'n\n"1"\n""\n', ",n\n0,1\n", " n ,y\n1,2\n",
    "n,Unnamed: 0\n1,0\n",
    'x,n\n"first\ncabin",1\n"",2', "n\n1\n\n\n",
]  # fmt: skip


# C reads dates, times and durations as ISO 8601 and spreadsheets have them, and no other way.
SPELLINGS_OF_C: dict[str, list[str]] = {name: SPELLINGS[name] for name in "nbc"} | {
    "d": ["2020-03-14", "2020-3-1", "2020-03-14T10:00:00.123456789", "2020-03-14 10:00:00,5+02:00", "0001-01-01",
          "9999-12-31T23:59:59.999999Z", "2024-02-29 6:05", "1900-02-28", "", "-"],
    "f": ["2020-03-14", "NaN"],
    "t": ["13:31", "13:31:05.25", "00:00", "?", "23:59:59.999999"],
    "u": ["85:00:00", "3 days 13:00:00", "1 day 00:00:00", "-0:00:01.5", "00:00:00.000001", "--", "+1:00:00"],
}  # fmt: skip


@pytest.fixture(scope="module", params=PROGRAMS)
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bundle(target: str) -> Bundle:
    return spelled(has_text=target != "c")


@pytest.fixture(scope="module")
def program(target: str, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return made(target, bundle, tmp_path_factory.mktemp("program"))


def served(bundle: Bundle, body: bytes) -> list[list[str]] | None:
    """Return what POST /predict answers, line by line; None where it refuses."""
    expected = Expected.of(bundle.predictor.encoder, bundle.beside)
    try:
        rows, write = csv_rows.read(body, expected, 1000)
    except (Malformed, Unprocessable):
        return None
    return lines(write(Reply(bundle, bundle.predict(rows))))


def lines(answer: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.decode(), newline="")))


def csv_of(columns: dict[str, list[str]]) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(itertools.zip_longest(*columns.values(), fillvalue=""))
    return written.getvalue().encode()


def assert_same(said: list[list[str]], expected: list[list[str]]) -> None:
    assert (said[0], len(said)) == (expected[0], len(expected))
    for row, other in zip(said[1:], expected[1:], strict=True):
        assert [float(cell) for cell in row] == pytest.approx([float(cell) for cell in other], rel=1e-6, abs=1e-6)
        assert all("." in cell or "e" in cell for cell in row)


def test_every_spelling_is_read_as_the_server_reads_it(program: list[str], bundle: Bundle, target: str) -> None:
    for name, cells in (SPELLINGS_OF_C if target == "c" else SPELLINGS).items():
        body = csv_of({name: cells, "c" if name == "n" else "n": ["3"] * len(cells)})
        expected = served(bundle, body)
        assert expected is not None, name
        assert_same(lines(ran(program, body)), expected)


@pytest.mark.parametrize("body", BODIES)
def test_a_layout_is_read_as_the_server_reads_it(program: list[str], bundle: Bundle, body: str) -> None:
    body = body if "x" in bundle.inputs else body.replace("x,", "c,")
    expected = served(bundle, body.encode())
    assert expected is not None
    assert_same(lines(ran(program, body.encode())), expected)


def test_a_pattern_of_numbers_alone_takes_the_same_space_around_them(target: str, tmp_path: Path) -> None:
    bundle, program = probable(), made(target, probable(), tmp_path)
    for space in (" ", "\t", "\xa0", "\u2003", "\x85"):
        body = f"x\n{space}1\n2{space}\n".encode()
        assert lines(ran(program, body)) == served(bundle, body) == [["class"], ["1"], ["1"]]


@pytest.mark.parametrize("body", BODIES_REFUSED)
def test_a_layout_that_the_server_refuses_is_refused(program: list[str], bundle: Bundle, body: str) -> None:
    assert served(bundle, body.encode()) is None
    with pytest.raises(ExportDiffers, match="error: "):
        ran(program, body.encode())


@pytest.mark.parametrize("name", REFUSED)
def test_a_value_that_the_server_refuses_is_refused(program: list[str], bundle: Bundle, name: str) -> None:
    for cell in REFUSED[name]:
        body = csv_of({name: [cell]})
        assert served(bundle, body) is None, cell
        with pytest.raises(ExportDiffers, match="error: "):
            ran(program, body)


def made(target: str, bundle: Bundle, folder: Path) -> list[str]:
    """Return the command that runs an export of the bundle."""
    return command(target, export(bundle, 1, target).content, str(folder))
