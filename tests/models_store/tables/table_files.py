"""Small tables written as files, and read back as cells."""

import csv
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from models_store.tables.inference import ColumnFacts, Form, facts, table_of
from models_store.tables.table import Cell, Kind

Write = Callable[[str | bytes], Path]

MOMENT = datetime.datetime(2024, 5, 31, 18, 0)


def columns_of(frame: pl.DataFrame) -> dict[str, list[Any]]:
    return frame.to_dict(as_series=False)


def values(frame: pl.DataFrame, kind: Kind, name: str = "x") -> list[Cell]:
    """Return a column of the table, None where a value is missing."""
    cells: list[Cell] = table_of(frame, {name: kind}).columns[name].tolist()
    return [None if cell != cell else cell for cell in cells]


def the_facts(column: pl.Series | list[Any], **overrides: Any) -> ColumnFacts:
    (found,) = facts(pl.DataFrame({"x": column}), overrides)
    return found


def in_csv(cells: list[str]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target, quoting=csv.QUOTE_ALL).writerows([["x"], *([cell] for cell in cells)])
    return target.getvalue().encode()


def content_of(table: pa.Table, form: str, compression: str | None = None) -> bytes:
    target = pa.BufferOutputStream()
    if form == "parquet":
        pa.parquet.write_table(table, target)
    else:
        make = pa.ipc.new_stream if form == "stream" else pa.ipc.new_file
        with make(target, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table)
    content: bytes = target.getvalue().to_pybytes()
    return content


def form_of(form: str) -> Form:
    return "parquet" if form == "parquet" else "arrow"


forms = pytest.mark.parametrize("form", ["parquet", "stream", "file"])
