"""The page on tables tells the truth: its spellings are read as it says, and refused with its words."""

import re
from pathlib import Path

import polars as pl
import pytest

from models_store.tables.date_formats import kind_of_format
from models_store.tables.inference import facts, table_of
from models_store.tables.spelling import Spelling
from models_store.tables.table import from_text, written
from tests.models_store.tables.table_files import the_facts

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
