"""Parquet and Arrow files: columns keep their types, and a file that is not whole is refused."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models_store.tables import file_limits, typed_files
from models_store.tables.inference import TableError, read
from tests.models_store.tables.table_files import (
    MOMENT,
    Write,
    columns_of,
    content_of,
    form_of,
    forms,
)

LENGTH = datetime.timedelta(days=3, hours=13)
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "whole": (pa.array([1, None], pa.uint8()), [1, None]),
    "real": (pa.array([1.5, float("nan")], pa.float32()), [1.5, None]),
    "flag": (pa.array([True, None]), [True, None]),
    "text": (pa.array(["x", " NA"]), ["x", None]),
    "category": (pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
    "day": (pa.array([MOMENT.date(), None]), [MOMENT.date(), None]),
    "moment": (pa.array([MOMENT, None], pa.timestamp("ns")), [MOMENT, None]),
    "zoned": (
        pa.array([datetime.datetime(2024, 5, 31, 16, tzinfo=datetime.UTC), None], pa.timestamp("ms", "Europe/Berlin")),
        [MOMENT, None],
    ),
    "offset": (
        pa.array([datetime.datetime(2024, 5, 31, 13, tzinfo=datetime.UTC), None], pa.timestamp("us", "+05:00")),
        [MOMENT, None],
    ),
    "seconds": (pa.array([MOMENT, None], pa.timestamp("s")), [MOMENT, None]),
    "clock": (pa.array([MOMENT.time(), None], pa.time64("us")), [MOMENT.time(), None]),
    "clock32": (pa.array([MOMENT.time(), None], pa.time32("s")), [MOMENT.time(), None]),
    "duration": (pa.array([LENGTH, None], pa.duration("s")), [LENGTH, None]),
    "nanoseconds": (pa.array([-1, None], pa.duration("ns")), [datetime.timedelta(microseconds=-1), None]),
    "nothing": (pa.nulls(2), [None, None]),
}


@forms
def test_typed_columns_keep_their_types(write: Write, form: str) -> None:
    table = pa.table({name: column for name, (column, _) in TYPES.items()})
    frame = read(write(content_of(table, form)), form_of(form))
    assert columns_of(frame) == {name: expected for name, (_, expected) in TYPES.items()}


@forms
@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([10**6, -(10**6)], pa.date32()), "column x, data row 2: not in the years 1 to 9999"),
        (pa.array([-(2**62)], pa.timestamp("ms")), "column x, data row 1: not in the years 1 to 9999"),
        (pa.array([0, 2**40], pa.duration("s")), "column x, data row 2: a duration of more than 10 000 years"),
        (pa.array([-(2**62)], pa.duration("ms")), "column x, data row 1: a duration of more than 10 000 years"),
        (pa.array(["a", "a\0"]), "column x, data row 2: a NUL character"),
        (pa.array(["a", "a\0"]).dictionary_encode(), "column x, data row 2: a NUL character"),
        (pa.array([], pa.int64()), "the table has columns and no rows"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_column(write: Write, form: str, column: Any, said: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(write(content_of(pa.table({"x": column}), form)), form_of(form))
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("s", "Europe/Berlin"), pa.date64()], ids=str)
def test_moments_too_far_away_become_no_others(write: Write, kind: Any) -> None:
    for count in (86_400_000 << 36, -86_400_000 << 36):
        moments = pa.array([0, count], pa.int64()).view(kind)
        with pytest.raises(TableError, match=r"^column x, data row 2: not in the years 1 to 9999$"):
            read(write(content_of(pa.table({"x": moments}), "stream")), "arrow")


@forms
@pytest.mark.parametrize("names", [["a", "a"], ["a", ""], ["a", "b" * 201], ["a", "a "], ["a", " "], ["a", "b\0"]])
def test_names_are_unique_and_not_empty_in_any_format(write: Write, form: str, names: list[str]) -> None:
    with pytest.raises(TableError):
        read(write(content_of(pa.table([pa.array([1]), pa.array([2])], names=names), form)), form_of(form))


@forms
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_half_a_file_is_refused(write: Write, form: str, keep: float) -> None:
    content = content_of(pa.table({"x": pa.array(range(1000))}), form)
    with pytest.raises(TableError):
        read(write(content[: int(len(content) * keep)]), form_of(form))


def test_what_an_arrow_batch_unpacks_to_is_known_before_it_is_unpacked(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpacked(*_: object) -> None:
        raise AssertionError

    zeros = pa.table({"a": np.zeros(1_000_000, dtype=np.int64)})
    texts = pa.table({"a": pa.array(["x" * 1_000_000] * 10).dictionary_encode()})
    monkeypatch.setattr(file_limits, "MOST_CELLS", 999_999)
    monkeypatch.setattr(file_limits, "MOST_BYTES", 999_999)
    monkeypatch.setattr(typed_files, "_column", unpacked)
    monkeypatch.setattr(pa.ipc, "read_record_batch", unpacked)
    for table, said in ((zeros, "more than 999999 values"), (texts, "larger than 0 GB when it is unpacked")):
        for form in ("stream", "file"):
            content = content_of(table, form, compression="zstd")
            assert len(content) < 20_000
            with pytest.raises(TableError, match=said):
                read(write(content), "arrow")
