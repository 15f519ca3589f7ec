"""Spellings of dates and of missing values: training reads them in a file as serving reads them in a request."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.native import bodies
from app.errors import Unprocessable
from app.formats import csv_rows
from app.formats.expected import Expected
from app.formats.media_types import JSON
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.dates import DateEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.rows import TableEncoder
from models_store.errors import BundleDamaged, TableError
from models_store.tables import inference
from models_store.tables.spelling import NOTHING, DateOrder, Spelling
from models_store.tables.table import MISSING, Kind, Table, column_of, from_text

KINDS: dict[str, Kind] = {"size": "number", "day": "date", "colour": "category"}
WORDS = ("unknown", "-", "7.0", "-9.99e2", "2000-01-01")

missing = st.sampled_from([*sorted(MISSING | NOTHING), *WORDS, " - "])
sentinels = st.sampled_from(["-999", "-999.0", " -999 ", "7", "07"])
sizes = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-99, 99).map(str) | missing | sentinels
colours = st.sampled_from(["red", "none", " blue "]) | missing | sentinels
iso = st.dates().map(str) | st.sampled_from(["2000-01-01", "2000-01-01T00:00"])
DATES: dict[DateOrder, st.SearchStrategy[str]] = {
    "day-first": st.dates().map(lambda day: f"{day.day}/{day.month:02d}/{day.year:04d}"),
    "month-first": st.dates().map(lambda day: f"{day.month:02d}.{day.day}.{day.year:04d}"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables") / "table"


def encoder_of(spelling: Spelling) -> TableEncoder:
    """Return an encoder whose training rows had a missing value in each column."""
    encoders: dict[str, ColumnEncoder] = {
        "size": NumberEncoder.fit(column_of("number", [1.0, None])),
        "day": DateEncoder.fit(column_of("date", [1.0, None])),
        "colour": CategoryEncoder.fit(column_of("category", ["red", None])),
    }
    return TableEncoder(encoders, spelling=spelling)


def as_cells(table: Table) -> dict[str, list[object]]:
    return {name: [None if cell != cell else cell for cell in table.columns[name].tolist()] for name in KINDS}


@pytest.mark.parametrize("order", ["day-first", "month-first"])
@given(data=st.data(), words=st.sets(st.sampled_from(WORDS)))
def test_a_file_is_read_alike_by_training_and_by_serving(
    place: Path, order: DateOrder, data: st.DataObject, words: set[str]
) -> None:
    row = st.tuples(sizes.filter(lambda text: text != "unknown"), DATES[order] | iso | st.just("?"), colours)
    rows = data.draw(st.lists(row, min_size=1, max_size=6))
    target = io.StringIO(newline="")
    csv.writer(target).writerows([KINDS, *rows])
    content = target.getvalue().encode()
    place.write_bytes(content)
    spelling = Spelling(frozenset(words), {"day": order})
    frame = inference.without(inference.read(place, "csv"), spelling.missing)
    trained = as_cells(inference.table_of(frame, KINDS, spelling))
    expected = Expected.of(encoder_of(spelling))
    served, _ = csv_rows.read(content, expected, 100)
    assert isinstance(served, Table)
    assert as_cells(served) == trained
    records = [{"size": None, "day": day, "colour": colour} for _, day, colour in rows]
    asked = bodies.read(json.dumps({"inputs": records}).encode(), JSON, expected, 100).rows
    assert isinstance(asked, Table)
    assert [as_cells(asked)[name] for name in ("day", "colour")] == [trained[name] for name in ("day", "colour")]


@given(st.dates(), st.sampled_from(["day-first", "month-first"]))
def test_iso_dates_are_themselves_in_any_order(day: object, order: DateOrder) -> None:
    assert Spelling(orders={"day": order}).cell("day", "date", str(day)) == from_text("date", str(day))


DATE = "expected a date such as 2024-05-31 or 2024-05-31T18:00"


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        ({}, DATE),
        ({"day": "day-first"}, f"{DATE}, or 31/05/2024 (day-first)"),
        ({"day": "month-first"}, f"{DATE}, or 05/31/2024 (month-first)"),
    ],
)
def test_what_is_no_date_is_told_how_dates_of_its_column_are_written(orders: dict[str, DateOrder], said: str) -> None:
    spelling = Spelling(orders=orders)
    with pytest.raises(Unprocessable) as refusal:
        csv_rows.read(b"size,day,colour\n1,sesame,red\n", Expected.of(encoder_of(spelling)), 9)
    assert str(refusal.value) == f"line 2, column day: {said}, found other text"
    with pytest.raises(TableError) as refused:
        inference.table_of(pl.DataFrame({"day": ["2024-05-31", "sesame"]}), {"day": "date"}, spelling)
    assert str(refused.value) == f"column day, data row 2: {said}"


def test_the_spelling_is_kept_with_the_encoder() -> None:
    encoder = encoder_of(Spelling(frozenset({"unknown"}), {"day": "day-first"}, {"at": "%H%M"}))
    saved = json.loads(json.dumps(encoder.to_dict()))
    assert TableEncoder.from_dict(saved).spelling == encoder.spelling
    # Bundles from before there were formats, or spellings at all, have none.
    older = {name: saved["spelling"][name] for name in ("missing", "orders")}
    assert TableEncoder.from_dict({**saved, "spelling": older}).spelling == Spelling(
        encoder.spelling.missing, encoder.spelling.orders
    )
    # Bundles from before there were spellings have the one that everybody had.
    assert TableEncoder.from_dict({key: saved[key] for key in ("table", "dtype")}).spelling == Spelling()
    damages = (
        {"missing": [1], "orders": {}},
        {"missing": [], "orders": {"day": "year-first"}},
        {"missing": [], "orders": {}, "formats": {"day": "%x"}},
        {"missing": [], "orders": {}, "formats": {"day": 3}},
    )
    for damage in damages:
        with pytest.raises(BundleDamaged):
            TableEncoder.from_dict({**saved, "spelling": damage})


def test_a_dash_is_a_color_where_nobody_said_otherwise() -> None:
    expected = Expected.of(encoder_of(Spelling()))
    rows, _ = csv_rows.read(b"size,day,colour\n-,?,-\n", expected, 9)
    assert isinstance(rows, Table)
    assert rows.columns["colour"].tolist() == ["-"]
    assert np.isnan([rows.columns["size"][0], rows.columns["day"][0]]).all()


def test_the_example_of_a_format_has_what_the_format_says() -> None:
    spelling = Spelling(formats={"at": "%Y-%m-%d at 100%%s", "since": "%s", "millis": "%Q"})
    for name, example in (("at", "2024-05-31 at 100%s"), ("since", "1717180200"), ("millis", "1717180200000")):
        with pytest.raises(ValueError, match="a date such as") as refusal:
            spelling.cell(name, "date", "much")
        assert f", or {example} (" in str(refusal.value)
