"""The page on tables tells the truth: its spellings are read as it says, and refused with its words."""

import re
from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from models_store.tables.date_formats import kind_of_format
from models_store.tables.inference import facts, read, table_of, without
from models_store.tables.kinds import Kind
from models_store.tables.spelling import NOTHING, Spelling
from models_store.tables.table import MISSING, from_text, written
from tests.models_store.tables.table_files import Write, the_facts

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"
CODE = re.compile("`([^`]+)`")


def rows_of(*heads: str) -> list[list[str]]:
    """Return the rows of the table of the page that has these heads."""
    lines = PAGE.read_text().splitlines()
    begin = lines.index(f"| {' | '.join(heads)} |") + 2
    end = next(place for place in range(begin, len(lines)) if not lines[place].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[begin:end]]


@pytest.mark.parametrize(("cells", "kind", "plain"), rows_of("cell", "kind", "is"))
def test_a_spelling_is_read_as_the_page_says(cells: str, kind: str, plain: str) -> None:
    for text in CODE.findall(cells):
        found = the_facts([text, text])
        assert (found.kind, found.ambiguity, found.examples) == (kind, None, [plain]), text
        assert from_text(found.kind, text) == from_text(found.kind, plain)


@pytest.mark.parametrize(("cell", "date_format", "plain"), rows_of("cell", "format", "is"))
def test_a_format_is_read_as_the_page_says(cell: str, date_format: str, plain: str) -> None:
    (text,), (given,) = CODE.findall(cell), CODE.findall(date_format)
    for column in ([text, text], [int(text)] * 2 if text.isdigit() else [text]):
        frame = pl.DataFrame({"x": column})
        (found,) = facts(frame, formats={"x": given})
        assert (found.kind, found.ambiguity, found.examples) == (kind_of_format(given), None, [plain])
        read = table_of(frame, {"x": found.kind}, Spelling(formats={"x": given})).columns["x"]
        assert {written(found.kind, number) for number in read.tolist()} == {plain}


@pytest.mark.parametrize(("cells", "words"), rows_of("cells", "the column is refused with"))
def test_a_column_is_refused_with_the_words_of_the_page(cells: str, words: str) -> None:
    assert (the_facts(CODE.findall(cells)).ambiguity or "").startswith(f"x: {words}")


# -- missing values --------------------------------------------------------------------------------------------------

KIND_NAMES: tuple[Kind, ...] = get_args(Kind)
# A cell of each kind, and another.
PRESENT: dict[str, list[str]] = {
    "number": ["1.5", "2.5"],
    "date": ["2020-03-14", "2020-03-15"],
    "time": ["13:31", "13:32"],
    "duration": ["85:00:00", "3 days 13:00:00"],
    "category": ["red", "blue"],
    "boolean": ["true", "yes"],
    "text": ["a cup of tea", "a pot of tea"],
}


def words_in(cell: str) -> list[str]:
    """Return the words of a cell of the page; `.a` to `.c` are three."""
    ranges = re.findall("`[.]([a-zA-Z])` to `[.]([a-zA-Z])`", cell)
    between = [f".{chr(code)}" for first, last in ranges for code in range(ord(first), ord(last) + 1)]
    return [*CODE.findall(cell), *between, *([""] if "empty" in cell else [])]


@pytest.mark.parametrize(("cells", "kinds"), rows_of("cell", "missing in columns of"))
def test_a_cell_means_a_missing_value_where_the_page_says(write: Write, cells: str, kinds: str) -> None:
    expected = KIND_NAMES if kinds == "any kind" else tuple(kinds.split(", "))
    for word in words_in(cells):
        assert tuple(kind for kind in KIND_NAMES if Spelling().is_missing(kind, word)) == tuple(
            kind for kind in KIND_NAMES if kind in expected
        ), word
        for kind in {*expected} & {"number", "date", "time", "duration"}:
            first, second = PRESENT[kind]
            found = the_facts(read(write(f'x,y\n"{first}",1\n"{word}",2\n"{second}",3\n'), "csv")["x"])
            assert (found.kind, found.missing) == (kind, 1), word


def test_no_other_word_means_a_missing_value() -> None:
    documented = [words_in(cells) for cells, _ in rows_of("cell", "missing in columns of")]
    assert {word for words in documented for word in words} == MISSING | NOTHING


@pytest.mark.parametrize(("word", "kind", "others"), rows_of("word", "kind", "also means"))
def test_a_word_means_every_spelling_of_its_value(word: str, kind: Kind, others: str) -> None:
    same, _, different = others.partition(";")
    spelling = Spelling(frozenset(CODE.findall(word)))
    frame = pl.DataFrame({"x": [*CODE.findall(word), *CODE.findall(same), *PRESENT[kind]]})
    cells = table_of(without(frame, spelling.missing), {"x": kind}, spelling).columns["x"].tolist()
    assert sum(cell is None or cell != cell for cell in cells) == 1 + len(CODE.findall(same))
    for text in CODE.findall(different):
        assert table_of(pl.DataFrame({"x": [text]}), {"x": kind}, spelling).columns["x"].tolist() == [text]


# -- columns that are left out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "cells", "why"), rows_of("name", "cells", "why"))
def test_a_column_is_left_out_as_the_page_says(names: str, cells: str, why: str) -> None:
    columns = {
        "no value": [None] * 20,
        "`a` in every row": ["a"] * 20,
        "whole numbers that all differ": list(range(40, 0, -2)),
        "whole numbers from 0 or 1 on, in any order": list(range(20, 0, -1)),
        "texts that all differ, such as `user 7`, in at least 20 rows": [f"user {place}" for place in range(20)],
    }
    for name in CODE.findall(names):
        (found,) = facts(pl.DataFrame({name: columns[cells]}))
        assert (found.dropped or "").startswith(why), name
        assert f"keep it with --column {name}=" in (found.dropped or "")
