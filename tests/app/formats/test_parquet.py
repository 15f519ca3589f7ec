"""Parquet questions: read as the same file is read for training, and answered with a Parquet file."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from app.formats import parquet
from app.formats.expected import Expected, ExpectedColumn
from models_store.errors import PatternServerError
from models_store.tables.parquet_pages import pages_of
from models_store.tables.table import Table
from tests.app.over_http import an_array, message, post, refusal

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[3]
PARQUET = "application/vnd.apache.parquet"
COLUMNS = Expected(("x1", "x2"))
PAIR = pa.table({"x2": pa.array([4, 5, 6], pa.int8()), "x1": pa.array([1.0, 2.0, 3.5])})


def parquet_of(table: Any, **options: Any) -> bytes:
    target = pa.BufferOutputStream()
    pa.parquet.write_table(table, target, **options)
    content: bytes = target.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize("options", [{}, {"row_group_size": 1}, {"data_page_version": "2.0", "compression": "zstd"}])
async def test_parquet_in_parquet_out(shared: httpx.AsyncClient, options: dict[str, Any]) -> None:
    answer = await post(shared, parquet_of(PAIR, **options), PARQUET, "pair")
    assert answer.headers["content-type"] == PARQUET
    assert pa.parquet.read_table(io.BytesIO(answer.content)).to_pydict() == {
        "y1": [9.0, 12.0, 15.5],
        "y2": [-3.0, -3.0, -2.5],
    }


async def test_what_polars_writes_is_read(shared: httpx.AsyncClient) -> None:
    target = io.BytesIO()
    pl.DataFrame({"x": [1, None, 3]}).fill_null(2).write_parquet(target)
    answer = await post(shared, target.getvalue(), PARQUET)
    assert pl.read_parquet(io.BytesIO(answer.content)).to_dict(as_series=False) == {"y": [2.0, 4.0, 6.0]}


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed"),
    "text": (b"sesame", 400, "malformed"),
    "half a file": (parquet_of(PAIR)[:-50], 400, "malformed"),
    "a beginning and an end": (b"PAR1" + bytes(8) + b"PAR1", 400, "malformed"),
    "no rows": (parquet_of(PAIR.slice(0, 0)), 422, "no_rows"),
    "too many rows": (parquet_of(pa.table({"x1": np.zeros(1001), "x2": np.zeros(1001)})), 413, "too_many_rows"),
    "a column too few": (parquet_of(PAIR.select(["x1"])), 422, "missing_column"),
    "a column too many": (parquet_of(PAIR.append_column("x3", [[1, 2, 3]])), 422, "unknown_column"),
    "a column twice": (parquet_of(pa.Table.from_arrays([[1.0], [2.0]], ["x1", "x1"])), 422, "duplicate_column"),
    "texts": (parquet_of(pa.table({"x1": ["a"], "x2": ["b"]})), 422, "bad_type"),
    "shared beginnings": (
        parquet_of(
            pa.table({"x1": ["aa", "ab"], "x2": [1, 2]}),
            use_dictionary=False,
            column_encoding={"x1": "DELTA_BYTE_ARRAY"},
        ),
        422,
        "compressed",
    ),
}


@pytest.mark.parametrize(("body", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_table_of_the_columns_is_refused(
    shared: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    assert refusal(await post(shared, body, PARQUET, "pair")) == (status, code)


async def test_a_refusal_names_the_column(shared: httpx.AsyncClient) -> None:
    answer = await post(shared, parquet_of(pa.table({"x1": [1.0], "x2": [[1]]})), PARQUET, "pair")
    assert message(answer) == "column x2: expected a column of integers, floats or decimals, found nested values"


@pytest.mark.parametrize(
    "options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}, {"row_group_size": 7}]
)
def test_pages_announce_what_they_unpack_to(options: dict[str, Any]) -> None:
    table = pa.table({"x": [f"text {place % 7}" for place in range(5000)], "y": range(5000)})
    content = parquet_of(table, compression="zstd", data_page_size=1000, **options)
    metadata = pa.parquet.read_metadata(io.BytesIO(content))
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    headed = sum(group.total_byte_size for group in groups)
    unpacked = [page.unpacked for page in pages_of(content)]
    # The footer counts the headers of the pages too.
    assert headed - 200 * len(unpacked) < sum(unpacked) < headed


def test_no_bytes_end_the_process() -> None:
    # What would take the server down takes down a child only.
    hostile = "from tests.app.formats.test_parquet import read_hostile_files; read_hostile_files()"
    child = subprocess.run([sys.executable, "-c", hostile], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout.split()) == (0, ["survived"]), child.stderr


def read_hostile_files(first: int = 0, n_files: int = 4000) -> None:
    texts = pa.table({"x1": ["a", "bb", None], "x2": pa.array([1.5, None, 2.0], pa.float32())})
    columns = (ExpectedColumn("x1", "text", takes_missing=True), ExpectedColumn("x2", "number", takes_missing=True))
    cases = [(parquet_of(PAIR, compression="zstd"), COLUMNS), (parquet_of(texts), Expected(("x1", "x2"), columns))]
    for seed in range(first, first + n_files):
        rng = np.random.default_rng(seed)
        good, expected = cases[seed % 2]
        changed = bytearray(good)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.choice([0, 1, 2, 4, 127, 128, 255, int(rng.integers(256))])
        try:
            rows, _ = parquet.read(bytes(changed), expected, 1000)
        except PatternServerError as error:
            assert len(str(error)) < 300
        else:
            assert isinstance(rows, Table) or an_array(rows).shape[1] == 2
    print("survived")  # noqa: T201  # said to the parent process
