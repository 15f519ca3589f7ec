"""Dialects of CSV: the choices, and the name that a dialect has in the ids of datasets."""

import pytest

from models_store.tables.csv_dialect import CsvDialect, delimiter_in
from models_store.tables.inference import TableError


@pytest.mark.parametrize(
    "said", [{"delimiter": "x"}, {"decimal": ";"}, {"encoding": "rot13"}, {"header": "no"}, {"comment": " "}]
)
def test_a_way_of_writing_that_there_is_not_is_refused(said: dict[str, str]) -> None:
    with pytest.raises(TableError, match=next(iter(said))):
        CsvDialect.of(**said)


def test_fields_that_came_later_are_in_its_key_where_they_are_said() -> None:
    assert CsvDialect(";").key == repr(CsvDialect(";"))
    assert CsvDialect(header="absent", comment="#").key == f"{CsvDialect()!r} header='absent' comment='#'"


def test_its_repr_never_changes_because_the_ids_of_datasets_are_hashes_of_it() -> None:
    assert repr(CsvDialect()) == "CsvDialect(delimiter=None, decimal='.', encoding='utf-8')"
    assert repr(CsvDialect(";", ",", "latin-1")) == "CsvDialect(delimiter=';', decimal=',', encoding='latin-1')"


@pytest.mark.parametrize("said", ["tab", "\\t", "\t"])
def test_a_tab_may_be_called_one(said: str) -> None:
    assert CsvDialect.of(said, encoding="UTF-16") == CsvDialect("\t", encoding="utf-16")


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("a,b", ","),
        ("a;b", ";"),
        ("a\tb", "\t"),
        ("a|b", ","),
        ("a;b,c", ","),
        ("a;b\tc", ","),
        ('"a;b",c', ","),
        ("a", ","),
    ],
)
def test_the_delimiter_is_the_one_that_stands_alone_between_names(line: str, delimiter: str) -> None:
    assert delimiter_in(line) == delimiter
