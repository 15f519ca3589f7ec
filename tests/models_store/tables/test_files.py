"""Table files of any form: read or refused, and refused at the limits before they are unpacked."""

import io
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.errors import PatternServerError
from models_store.tables import file_limits
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.inference import Form, TableError, read
from tests.models_store.tables.table_files import (
    Write,
    content_of,
)


@given(st.binary(max_size=60), st.sampled_from(["csv", "parquet", "arrow"]))
def test_any_bytes_are_read_or_refused(place: Path, content: bytes, form: Form) -> None:
    for body in (content, b"a,b\n" + content, b"ARROW1\0\0" + content, b"PAR1" + content + b"PAR1"):
        place.write_bytes(body)
        try:
            read(place, form)
        except PatternServerError as error:
            assert len(str(error)) < 300


def test_only_a_csv_is_written_in_another_way(write: Write) -> None:
    content = content_of(pa.table({"x": pa.array([1, 2])}), "parquet")
    with pytest.raises(TableError, match="delimiter, decimal, encoding, header and comment are for CSV"):
        read(write(content), "parquet", CsvDialect(decimal=","))


def test_a_table_beyond_the_limit_is_refused_while_it_is_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_limits, "MOST_CELLS", 10)
    frame = pl.DataFrame({"a": range(6), "b": range(6)})
    target = io.BytesIO()
    frame.write_parquet(target)
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    contents: dict[Form, bytes] = {
        "csv": frame.write_csv().encode(),
        "parquet": target.getvalue(),
        "arrow": stream.getvalue(),
    }
    for form, content in contents.items():
        with pytest.raises(TableError, match="more than 10 values"):
            read(write(content), form)
