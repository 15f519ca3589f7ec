"""docs/tables.md lists the files that are read, by the endings and content types that the code knows, and no others."""

import re
from pathlib import Path

from app.commands.datasets import FORMS
from app.routes import datasets
from models_store.tables import signatures

PAGE = (Path(__file__).parents[1] / "docs" / "tables.md").read_text()
COMPRESSED = {"application/gzip", "application/zstd"}


def rows_of(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    section = PAGE.partition(f"{heading}\n")[2]
    lines = [line for line in section.partition("\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def words_in(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def test_the_files_that_are_read_are_those_of_the_page() -> None:
    endings = [words_in(row[1]) for row in rows_of("## Files")]
    types = [words_in(row[2]) for row in rows_of("## Files")]
    assert sorted(FORMS) == sorted(ending for row in endings for ending in row)
    assert datasets.FORMS.keys() - COMPRESSED == {name for row in types for name in row}
    for row_of_endings, row_of_types in zip(endings, types, strict=True):
        forms = {FORMS[ending] for ending in row_of_endings} | {datasets.FORMS[name] for name in row_of_types}
        assert len(forms) == 1


def test_what_is_named_and_not_read_is_named_in_these_words() -> None:
    known = [words for _, words in signatures.STARTS]
    known += [words for start in (b"PK\x03\x04", b'{"a"', b"<html") if (words := signatures.named(start)) is not None]
    for row in rows_of("### What is named and not read"):
        for words in words_in(row[1]):
            assert any(said.startswith(words) for said in known), words
