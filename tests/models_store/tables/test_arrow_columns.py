"""Arrow columns of every type, whatever wrote them, are the same columns in every file."""

import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from models_store.tables import arrow_columns
from models_store.tables.arrow_columns import TooMuchText
from models_store.tables.inference import TableError, facts, read, table_of
from models_store.tables.table import Cell, Kind, from_json
from tests.arrow_types import CASES, FORMS, LEFT_OUT, NAMES, by_polars, content_of
from tests.models_store.tables.table_files import Write, columns_of, form_of

forms = pytest.mark.parametrize("form", FORMS)


def cells_of(kind: Kind, written: list[Any]) -> list[Cell]:
    return [None if one is None else from_json(kind, one) for one in written]


@pytest.mark.parametrize(("form", "column", "kind", "written"), CASES, ids=NAMES)
def test_every_type_is_learned_as_json_would_write_it(
    write: Write, form: str, column: Any, kind: Kind, written: list[Any]
) -> None:
    content = content_of(pa.table({"x": column}), form, 2)
    frame = read(write(content), form_of(form))
    cells = table_of(frame, {"x": kind}).columns["x"].tolist()
    assert [None if cell != cell else cell for cell in cells] == cells_of(kind, written)


@forms
@pytest.mark.parametrize(("column", "type_name"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_a_column_of_another_type_is_left_out_with_its_type(
    write: Write, form: str, column: Any, type_name: str
) -> None:
    table = pa.table({"x": column, "y": range(20)})
    frame = read(write(content_of(table, form, 19)), form_of(form))
    left_out, kept = facts(frame)
    assert left_out.dropped is not None
    assert left_out.dropped.startswith(f"of the type {type_name}")
    assert left_out.dropped.endswith(", from which nothing can be learned")
    assert (kept.kind, columns_of(frame)["y"]) == ("number", list(range(20)))
    assert facts(frame, {"x": "drop"})[0].dropped == "as the recipe says"
    with pytest.raises(TableError, match=r"^column x: of the type .*, from which nothing can be learned; leave it out"):
        facts(frame, {"x": "category"})


def test_a_left_out_column_stays_left_out_in_the_store(write: Write) -> None:
    table = pa.table({"x": [[1]] * 20, "y": range(20)})
    frame = read(write(content_of(table, "parquet")), "parquet")
    frame.write_parquet(path := write(b""))
    assert facts(pl.read_parquet(path)) == facts(frame)


@forms
def test_what_polars_writes_is_what_polars_holds(write: Write, form: str) -> None:
    moment = datetime.datetime(2024, 5, 31, 18)
    cells: dict[str, tuple[Any, list[Any], Any]] = {
        "text": (pl.String, ["a", None, "b" * 50], None),
        "bytes": (pl.Binary, [b"a", None, b"b" * 50], ["a", None, "b" * 50]),
        "category": (pl.Categorical, ["a", None, "b" * 50], None),
        "enum": (pl.Enum(["b", "a"]), ["a", None, "b"], None),
        "half": (pl.Float16, [0.5, None, 2.0], None),
        "decimal": (pl.Decimal(38, 2), [Decimal("1.5"), None, Decimal("-2.25")], [1.5, None, -2.25]),
        "day": (pl.Date, [moment.date(), None, moment.date()], None),
        "moment": (pl.Datetime("ns", "Asia/Tokyo"), [moment, None, moment], None),
        "nothing": (pl.Null, [None, None, None], None),
        **{f"i{bits}": (getattr(pl, f"Int{bits}"), [-3, None, 100], None) for bits in (8, 16, 32, 64)},
        **{f"u{bits}": (getattr(pl, f"UInt{bits}"), [3, None, 100], None) for bits in (8, 16, 32, 64)},
    }
    frame = pl.DataFrame({name: pl.Series(given, dtype=dtype) for name, (dtype, given, _) in cells.items()})
    frame = frame.with_columns(moment=pl.Series([moment, None, moment]).dt.replace_time_zone("Asia/Tokyo"))
    found = columns_of(read(write(by_polars(frame, form)), form_of(form)))
    assert found == {name: given if expected is None else expected for name, (_, given, expected) in cells.items()}


@forms
def test_integers_of_128_bits_are_refused_by_their_type(write: Write, form: str) -> None:
    frame = pl.DataFrame({"x": pl.Series([1, 2], dtype=pl.Int128)})
    with pytest.raises(
        TableError, match=r"^a column is of integers of 128 bits, which are not read; write it as int64$"
    ):
        read(write(by_polars(frame, form)), form_of(form))


def test_dictionaries_may_be_replaced_and_extended_between_batches(write: Write) -> None:
    parts: list[list[str | None]] = [["a", "b"], ["c", None], ["b", "c", "d"]]
    schema = pa.schema([("x", pa.dictionary(pa.int8(), pa.string()))])
    dictionaries: dict[bool, list[str]] = {True: ["ab", "abc", "abcd"], False: ["ab", "c", "bcd"]}
    for are_deltas, texts in dictionaries.items():
        target = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=are_deltas)
        with pa.ipc.new_stream(target, schema, options=options) as stream:
            for cells, dictionary in zip(parts, texts, strict=True):
                places = pa.array([None if cell is None else dictionary.index(cell) for cell in cells], pa.int8())
                column = pa.DictionaryArray.from_arrays(places, pa.array(list(dictionary)))
                stream.write_batch(pa.record_batch([column], schema))
        frame = read(write(target.getvalue().to_pybytes()), "arrow")
        assert columns_of(frame) == {"x": ["a", "b", "c", None, "b", "c", "d"]}


def test_a_long_text_that_is_held_once_is_not_written_out_in_every_row() -> None:
    views = pa.array(["a" * 100], pa.string_view())
    places = pa.array([0] * 1000, pa.int8())
    for column in (
        pa.DictionaryArray.from_arrays(places, views.cast(pa.string())),
        pa.DictionaryArray.from_arrays(places, views.cast(pa.binary())),
        pa.RunEndEncodedArray.from_arrays(pa.array([1000], pa.int32()), views),
        pa.array(["a" * 100] * 1000, pa.string_view()),
    ):
        assert len(arrow_columns.plain(column, 100_000)) == 1000
        with pytest.raises(TooMuchText):
            arrow_columns.plain(column, 99_999)


def test_a_slice_of_runs_and_of_views_is_that_slice() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 5], pa.int32()), pa.array(["a", "b"], pa.string_view()))
    assert arrow_columns.plain(runs.slice(1, 3), 3).to_pylist() == ["a", "b", "b"]
    views = pa.array(["a" * 100, None, "bb"], pa.string_view()).slice(1)
    assert arrow_columns.plain(views, 2).to_pylist() == [None, "bb"]
