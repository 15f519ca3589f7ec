"""Columns that are almost numbers or dates: they are asked about, and not taken for categories in silence."""

import shlex

import polars as pl
import pytest

from models_store.tables.inference import TableError, facts, table_of
from models_store.tables.spelling import DateOrder, Spelling
from models_store.tables.table import from_text
from tests.models_store.tables.table_files import (
    the_facts,
)


@pytest.mark.parametrize(
    ("cells", "ambiguity"),
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
def test_what_is_nearly_numbers_or_dates_is_no_category_in_silence(
    cells: list[str | None], ambiguity: str | None
) -> None:
    found = the_facts(cells)
    assert (found.ambiguity or "").startswith(ambiguity or "")
    assert (found.ambiguity is None) == (ambiguity is None)
    assert the_facts(cells, x="category").ambiguity is None
    assert the_facts(cells, x="drop").ambiguity is None


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
    assert (found.kind, found.order, found.ambiguity) == ("date", order, None)
    spelling = Spelling(orders={"x": order} if order else {})
    assert table_of(frame, {"x": "date"}, spelling).columns["x"].tolist() == [from_text("date", day) for day in days]


def test_dates_that_may_be_two_things_are_not_taken_for_one_when_told_to_be_dates() -> None:
    with pytest.raises(TableError, match="whether day or month comes first is not clear"):
        the_facts(["03/04/2020", "5/6/2021"], x="date")


@pytest.mark.parametrize("missing", [[], [None, "-"]])
def test_a_column_of_plain_dates_may_be_named_a_date(missing: list[str | None]) -> None:
    cells = [*(f"2024-05-{day:02d}" for day in range(1, 31)), *missing]
    [found] = facts(pl.DataFrame({"day": cells}), {"day": "date"})
    assert (found.kind, found.missing, found.distinct, found.ambiguity) == ("date", len(missing), 30, None)


def test_the_way_out_can_be_pasted_into_a_shell_whatever_the_name_is() -> None:
    cells = [*map(str, range(400)), "12 kg"]
    (found,) = facts(pl.DataFrame({"Bob's size": cells}))
    assert found.ambiguity is not None
    *_, way = found.ambiguity.partition("; --column ")
    assert shlex.split(way.removesuffix(")")) == ["Bob's size=category"]
