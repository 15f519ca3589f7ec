"""Facts of columns, inferred from all their cells, and columns as raw values: every cell as `from_text` has it."""

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.tables import inference
from models_store.tables.inference import ColumnFacts, TableError, facts, read, table_of, targets_of, without
from models_store.tables.spelling import NOTHING, Spelling
from models_store.tables.table import MISSING, Cell, Kind, from_text
from tests.models_store.tables.table_files import (
    MOMENT,
    Write,
    columns_of,
    content_of,
    form_of,
    in_csv,
    the_facts,
    values,
)


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


# -- facts -----------------------------------------------------------------------------------------------------------

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


IDENTIFIER = "an identifier: every row has another"
MOMENTS = [
    [f"2020.03.{n:02d}" for n in range(1, 21)],
    [f"{n:02d}/13/20" for n in range(1, 13)] * 2,
    [f"{n} Mär 2020" for n in range(1, 21)],
    [f"Mär {n}, 2020" for n in range(1, 21)],
    [f"{n:02d}:31:07,5" for n in range(20)],
    [f"{n} days 13:00:00" for n in range(2, 22)],
    [f"2020Q{n}" for n in range(1, 21)],
    [f"2020-W{n}" for n in range(1, 21)],
]
PROSE = [f"{a} {b}" for a in ("red", "old", "long", "big") for b in ("barn", "house", "roof", "door", "gate")]


@pytest.mark.parametrize(
    ("name", "column", "dropped"),
    [
        ("x", ["a", "a"], "all values are the same"),
        ("x", [1, 1], "all values are the same"),
        ("x", [1, None], None),
        ("x", [None, None], "empty"),
        ("x", [f"user {n}" for n in range(20)], IDENTIFIER),
        ("x", [f"user {n}" for n in range(19)], None),
        ("x", [f"user {n % 19}" for n in range(20)], None),
        ("x", [f"ABC-{n:03d}" for n in range(20)], IDENTIFIER),
        ("x", [f"2020-{n:05d}" for n in range(20)], IDENTIFIER),
        ("x", [f"{n:02d}{'ABCDEFGHIJ'[n % 10]}" for n in range(20)], IDENTIFIER),
        ("x", NOTES * 4, None),
        ("x", PROSE, None),
        ("x", [f"{n} kg" for n in range(20)], None),
        ("x", [f"{n}.5µg/l" for n in range(20)], None),
        *(("x", column, None) for column in MOMENTS),
        ("x", [f"{n:05d}" for n in range(20)], IDENTIFIER),
        ("x", list(range(5, 25)), None),
        ("x", list(range(40, 0, -2)), None),
        ("x", [float(n) for n in range(20)], None),
        ("year", list(range(1900, 2000)), None),
        ("id", [9, 4, 7], IDENTIFIER),
        ("id", [9.0, 4.0, None], IDENTIFIER),
        ("User_ID", [9, 4, 7], IDENTIFIER),
        ("PassengerId", [9, 4, 7], IDENTIFIER),
        ("index", [9, 4, 7], IDENTIFIER),
        ("row_index", [9, 4, 7], IDENTIFIER),
        ("heat_index", [9, 4, 7], None),
        ("price index", [9, 4, 7], None),
        ("row_number", [*range(20, 0, -1)], IDENTIFIER),
        ("No", list(range(1, 21)), IDENTIFIER),
        ("No", list(range(3, 23)), None),
        ("__index_level_0__", [9, 4, 7], IDENTIFIER),
        ("__index_level_0__", [0, 1, 0, 1], "an index of pandas without a name"),
        ("id", [9, 4, 4], None),
        ("id", [0.5, 0.25, 0.75], None),
        ("humid", [9, 4, 7], None),
    ],
)
def test_columns_that_teach_nothing_say_why_and_how_to_keep_them(
    name: str, column: list[Any], dropped: str | None
) -> None:
    (found,) = facts(pl.DataFrame({name: column}))
    way = f"; keep it with --column {name}={found.kind} (data.columns: {{{name}: {found.kind}}})"
    assert found.dropped == (None if dropped is None else dropped + way)


def test_the_order_of_the_rows_does_not_decide() -> None:
    counted = pl.DataFrame({"id": range(200), "t": range(200), "code": [f"u{n}" for n in range(200)]})
    assert facts(counted.sample(fraction=1, shuffle=True, seed=1)) == [
        replace(found, examples=again.examples)
        for found, again in zip(facts(counted), facts(counted.sample(fraction=1, shuffle=True, seed=1)), strict=True)
    ]


@pytest.mark.parametrize(
    ("column", "note"),
    [
        (
            list(range(1, 201)),
            "counts up by one; if it only numbers the rows, leave it out: --column x=drop (data.columns: {x: drop})",
        ),
        ([float(n) for n in range(20, 0, -1)], "counts up by one"),
        (list(range(19)), None),
        ([*range(199), 300], None),
        ([f"{n} kg" for n in range(20)], "looks like numbers with a unit"),
        ([f"{n % 5} kg" for n in range(20)], None),
        ([f"{n} Mär 2020" for n in range(1, 21)], "looks like dates or times in a spelling that is not read"),
        ([f"user {n}" for n in range(20)], None),
        (PROSE, None),
    ],
)
def test_what_is_kept_though_every_row_has_another_value_is_noted(column: list[Any], note: str | None) -> None:
    found = the_facts(column)
    assert (found.note or "").startswith(note or "")
    assert (found.note is None) == (note is None)
    assert the_facts(column, x="category").note is None


def test_prose_of_few_words_is_text_where_every_row_has_another() -> None:
    assert the_facts(PROSE).kind == "text"
    assert the_facts(PROSE * 2).kind == "category"


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


def test_whole_numbers_that_floats_cannot_tell_apart_are_names() -> None:
    twins = [2**53 + 1, 2**53 + 2, 2**53 + 1]
    found = the_facts(twins)
    assert (found.kind, found.distinct, found.examples) == ("category", 2, ["9007199254740993", "9007199254740994"])
    many = the_facts([2**60 + place for place in range(30)])
    assert many.dropped == f"{IDENTIFIER}; keep it with --column x=number (data.columns: {{x: number}})"
    assert the_facts([2**53, -(2**53)]).kind == "number"


@pytest.mark.parametrize("form", ["parquet", "stream", "file"])
@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_integers_of_every_width_are_numbers_as_feature_and_target(write: Write, form: str, kind: str) -> None:
    lowest = 0 if kind.startswith("u") else -5
    cells = [None, *(lowest + place % 5 for place in range(100))]
    column = pa.array(cells, getattr(pa, kind)())
    frame = read(write(content_of(pa.table({"x": column}), form)), form_of(form))
    found = the_facts(frame["x"])
    assert (found.kind, found.missing, found.distinct) == ("number", 1, 5)
    assert found.examples == [lowest, lowest + 1, lowest + 2]
    assert values(frame, "number") == cells
    (target,) = targets_of(frame, {"x": "number"}).columns.values()
    assert target[1:].tolist() == cells[1:]


def test_words_for_missing_may_be_added(write: Write) -> None:
    frame = without(read(write("x,y\n1,a\nunknown,unknown\n3,b\n"), "csv"), ["unknown"])
    assert columns_of(frame) == {"x": [1, None, 3], "y": ["a", None, "b"]}


def test_a_kind_for_a_column_that_there_is_not_names_those_that_there_are() -> None:
    with pytest.raises(TableError, match=r"^there is no column y; there are x$"):
        the_facts([1], y="number")


@pytest.mark.parametrize("cells_at_once", [1, 7, 1000])
def test_columns_looked_at_together_are_taken_for_what_each_is_alone(
    cells_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "CELLS_AT_ONCE", cells_at_once)
    frame = pl.DataFrame(
        {
            "flag": ["true", "false", None],
            "word": ["a", "-", "b"],
            "dash": ["-", "-", "12"],
            "day": ["2024-05-31", None, "2024-06-01"],
            "code": ["007", "-", "008"],
            "whole": [1, 1, None],
            "real": [0.5, None, 0.25],
            "none": pl.Series([None] * 3, dtype=pl.Float64),
        }
    )
    found = facts(frame)
    assert [(one.name, one.kind, one.missing, one.distinct) for one in found] == [
        ("flag", "boolean", 1, 2),
        ("word", "category", 0, 3),
        ("dash", "number", 2, 1),
        ("day", "date", 1, 2),
        ("code", "category", 0, 3),
        ("whole", "number", 1, 1),
        ("real", "number", 1, 2),
        ("none", "number", 3, 0),
    ]
    assert found == [one for name in frame.columns for one in facts(frame.select(name))]


@pytest.mark.parametrize("infinite", ["inf", "-Infinity", "1e999"])
def test_an_infinite_cell_is_asked_about_and_refused_whatever_kind_is_said(write: Write, infinite: str) -> None:
    frame = read(write(f"x\n1\n{infinite}\n2\n"), "csv")
    said = "x: infinite, or too large for a number, in data row 2; mend it"
    assert (the_facts(frame["x"]).ambiguity or "").startswith(said)
    for kind in ("number", "category"):
        with pytest.raises(TableError, match=said):
            the_facts(frame["x"], x=kind)
        with pytest.raises(TableError, match=said):
            values(frame, "number")
    dropped = the_facts(frame["x"], x="drop")
    assert (dropped.dropped, dropped.ambiguity) == ("as the recipe says", None)
    word = "-inf" if infinite.startswith("-") else "inf"
    assert columns_of(without(frame, [word])) == {"x": [1, None, 2]}


# -- words for missing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["-999", "-999.0", "-9.99e2", " -999 "])
@pytest.mark.parametrize(
    "column",
    [
        pl.Series("x", [-999, 1, 2], dtype=pl.Int64),
        pl.Series("x", [-999, 1, 2], dtype=pl.Int16),
        pl.Series("x", [-999.0, 1.0, 2.0]),
        pl.Series("x", [-999.0, 1.0, 2.0], dtype=pl.Float32),
        pl.Series("x", ["-9.99E2", "1", "2"]),
        pl.Series("x", ["-999", "1", "2"]),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize(("kind", "kept"), [("number", [1.0, 2.0]), ("category", ["1", "2"])])
def test_a_word_for_missing_is_a_value_of_the_kind(column: pl.Series, word: str, kind: Kind, kept: list[Cell]) -> None:
    assert missing_in(column, word, kind) == [None, *kept]


@pytest.mark.parametrize(
    ("column", "word", "kind", "cells"),
    [
        (pl.Series("x", [999.9, 1.5], dtype=pl.Float32), "999.9", "number", [None, 1.5]),
        (pl.Series("x", [True, False]), "False", "boolean", [1.0, None]),
        (pl.Series("x", [True, False]), "FALSE", "category", ["true", None]),
        (pl.Series("x", ["yes", "no"]), "NO", "boolean", [1.0, None]),
        (pl.Series("x", [datetime.date(2024, 5, 31), datetime.date(9999, 12, 31)]), "9999-12-31", "date", None),
        (pl.Series("x", ["2024-05-31", "9999-12-31T00:00"]), "9999-12-31", "date", None),
        (pl.Series("x", ["007", "7", "-9"]), "-9.0", "category", ["007", "7", None]),
        (pl.Series("x", ["007", "7", "-9"]), "7.0", "category", ["007", None, "-9"]),
        (pl.Series("x", [2**63 - 1, 2**63 - 2]), str(2**63 - 1), "category", [None, str(2**63 - 2)]),
        (pl.Series("x", [2, 200], dtype=pl.UInt8), "-1", "number", [2.0, 200.0]),
        (pl.Series("x", ["a note", "none given"]), "none given", "text", ["a note", None]),
    ],
    ids=str,
)
def test_values_of_all_kinds_may_mean_a_missing_one(
    column: pl.Series, word: str, kind: Kind, cells: list[Cell] | None
) -> None:
    expected = cells if cells is not None else [from_text("date", "2024-05-31"), None]
    assert missing_in(column, word, kind) == expected


def missing_in(column: pl.Series, word: str, kind: Kind) -> list[Cell]:
    """Return the cells of the column, by training and as a target; its facts agree."""
    frame, spelling = without(pl.DataFrame({"x": column}), [word]), Spelling(frozenset([word.strip()]))
    (found,) = facts(frame, {"x": kind}, missing=[word])
    read, learned = (
        [None if cell != cell else cell for cell in table.columns["x"].tolist()]
        for table in (table_of(frame, {"x": kind}, spelling), targets_of(frame, {"x": kind}, spelling))
    )
    assert learned == read
    assert (found.missing, found.distinct) == (read.count(None), len({*read} - {None}))
    return read


# -- columns ---------------------------------------------------------------------------------------------------------

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


def expected_of(kind: Kind, text: str) -> Cell:
    return None if text.strip() in MISSING else from_text(kind, text)


LEADING_ZEROS = re.compile(r"(?<![.\d])0+(?=\d)")


@pytest.mark.parametrize("kind", list(CELLS))
@given(data=st.data())
def test_every_cell_of_a_csv_is_what_from_text_makes_of_it(place: Path, kind: Kind, data: st.DataObject) -> None:
    cells = data.draw(st.lists(CELLS[kind] | missing, min_size=1, max_size=6).filter(without_nul))
    place.write_bytes(in_csv(cells))
    frame = read(place, "csv")
    if frame["x"].dtype.is_float() and frame["x"].is_infinite().any():
        with pytest.raises(TableError, match="infinite"):
            values(frame, kind)
        return
    if kind == "text" and frame["x"].dtype != pl.String:
        return  # a column of numbers is held as numbers
    if kind == "category" and frame["x"].dtype.is_float():
        cells = [LEADING_ZEROS.sub("", cell) for cell in cells]  # beside 1.5, a code cannot be told from a number
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
