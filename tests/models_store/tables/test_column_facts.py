"""Facts of a column, as they are stored and sent."""

import pytest

from models_store.tables.column_facts import ColumnFacts

FACTS = ColumnFacts("day", "category", 1, 2, ["03/04/2020", "5/6/2021"], ambiguity="day: looks like dates", labels=True)
SAVED = {
    "name": "day",
    "kind": "category",
    "missing": 1,
    "distinct": 2,
    "examples": ["03/04/2020", "5/6/2021"],
    "dropped": None,
    "doubt": "day: looks like dates",
    "labels": True,
    "order": None,
    "format": None,
    "note": None,
}


def test_facts_are_the_same_after_json_where_an_ambiguity_is_called_a_doubt() -> None:
    assert list(FACTS.to_json().items()) == list(SAVED.items())
    assert ColumnFacts.from_json(SAVED) == FACTS


def test_facts_from_before_there_were_ambiguities_have_none() -> None:
    assert ColumnFacts.from_json({key: value for key, value in SAVED.items() if key != "doubt"}).ambiguity is None


@pytest.mark.parametrize("other", [{"colour": "red"}, {"ambiguity": "day"}])
def test_fields_that_there_are_not_are_refused(other: dict[str, str]) -> None:
    with pytest.raises(TypeError):
        ColumnFacts.from_json({**SAVED, **other})
