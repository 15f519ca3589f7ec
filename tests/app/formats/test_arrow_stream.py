"""Arrow streams: numeric columns by name, in any order and any number of batches; hostile bytes are refused."""

import json
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import arrow_stream
from app.formats.expected import Expected
from models_store.errors import PatternServerError
from tests.app.over_http import ARROW, an_array, arrow_of, from_arrow, message, numbers, post, refusal
from tests.arrow_types import by_polars

pytestmark = pytest.mark.anyio

NUMBERS = "a column of integers, floats or decimals"
COLUMNS = Expected(("x1", "x2"))
PROJECT = Path(__file__).parents[3]
GOOD = arrow_of(pa.table({"x1": pa.array([1, 2, 3], pa.float32()), "x2": pa.array([4, 5, 6], pa.int64())}), 2)
finite = st.floats(allow_nan=False, allow_infinity=False)
tables = st.lists(st.tuples(finite, finite), min_size=1, max_size=10)


@given(tables, st.integers(1, 10), st.booleans())
def test_what_arrow_writes_is_read_and_answered_exactly(
    table: list[tuple[float, float]], rows_a_batch: int, swapped: bool
) -> None:
    written = np.array(table)
    columns = {"x1": written[:, 0], "x2": written[:, 1]}
    ordered = dict(reversed(columns.items())) if swapped else columns
    rows, write = arrow_stream.read(arrow_of(pa.table(ordered), rows_a_batch), COLUMNS, 1000)
    np.testing.assert_array_equal(an_array(rows), written)
    assert from_arrow(write(numbers(("a", "b"), an_array(rows)))) == {
        "a": written[:, 0].tolist(),
        "b": written[:, 1].tolist(),
    }


@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)
async def test_columns_of_every_plain_numeric_type_are_read(shared: httpx.AsyncClient, kind: str) -> None:
    table = pa.table({"x": pa.array(np.array([1, 2, 100], dtype=kind))})
    answer = await post(shared, arrow_of(table), ARROW)
    assert from_arrow(answer.content) == {"y": [2.0, 4.0, 200.0]}


async def test_batches_without_rows_and_a_sliced_table_change_nothing(shared: httpx.AsyncClient) -> None:
    table = pa.table({"x": [0.0, 1.0, 2.0, 5.0]}).slice(1)
    batches = [table.slice(0, 0), table.slice(0, 2), table.slice(2, 0), table.slice(2, 1)]
    answer = await post(shared, arrow_of(pa.concat_tables(batches)), ARROW)
    assert from_arrow(answer.content) == {"y": [2.0, 4.0, 10.0]}


async def test_metadata_and_nullable_columns_without_nulls_change_nothing(shared: httpx.AsyncClient) -> None:
    field = pa.field("x", pa.float64(), nullable=False, metadata={"unit": "m"})
    for schema in (pa.schema([field], {"pandas": "{}"}), pa.schema([field.with_nullable(True)])):
        answer = await post(shared, arrow_of(pa.table({"x": [1.0]}, schema)), ARROW)
        assert from_arrow(answer.content) == {"y": [2.0]}


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
async def test_compressed_streams_are_read(shared: httpx.AsyncClient, compression: str) -> None:
    answer = await post(shared, arrow_of(column(np.ones(100)), compression=compression), ARROW)
    assert from_arrow(answer.content) == {"y": [2.0] * 100}


@pytest.mark.parametrize(
    "given",
    [
        pa.array([Decimal("1.5"), Decimal(2)]),
        pa.array([1.5, 2.0]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int16()), pa.array([1.5, 2.0])),
    ],
    ids=lambda given: str(given.type),
)
async def test_decimals_dictionaries_and_runs_of_numbers_are_read(shared: httpx.AsyncClient, given: Any) -> None:
    assert from_arrow((await post(shared, arrow_of(column(given)), ARROW)).content) == {"y": [3.0, 4.0]}


async def test_a_file_is_answered_with_a_file(shared: httpx.AsyncClient) -> None:
    frame = pl.DataFrame({"x": [1.0, 2.5]})
    for content in (a_file(column([1.0, 2.5])), by_polars(frame, "file"), by_polars(frame, "compressed file")):
        answer = await post(shared, content, ARROW)
        assert pa.ipc.open_file(answer.content).read_all().to_pydict() == {"y": [2.0, 5.0]}


async def test_the_index_that_pandas_adds_is_left_out_and_a_named_one_is_named(shared: httpx.AsyncClient) -> None:
    about = {"pandas": json.dumps({"index_columns": ["__index_level_0__"]})}
    table = pa.table({"x": [1.0], "__index_level_0__": ["a"]}).replace_schema_metadata(about)
    assert from_arrow((await post(shared, arrow_of(table), ARROW)).content) == {"y": [2.0]}
    about = {"pandas": json.dumps({"index_columns": ["place", {"kind": "range"}]})}
    table = pa.table({"x": [1.0], "place": ["a"]}).replace_schema_metadata(about)
    answer = await post(shared, arrow_of(table), ARROW)
    assert refusal(answer) == (422, "unknown_column")
    assert message(answer) == (
        "column place is the index of the pandas table, and not one of x; leave it out with index=False"
    )


def a_file(table: Any) -> bytes:
    target = pa.BufferOutputStream()
    with pa.ipc.new_file(target, table.schema) as file:
        file.write_table(table)
    content: bytes = target.getvalue().to_pybytes()
    return content


def column(values: object) -> Any:
    return pa.table({"x": values})


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed"),
    "text": (b"sesame", 400, "malformed"),
    "zeros": (bytes(1000), 400, "malformed"),
    "ones": (b"\xff" * 1000, 400, "malformed"),
    "half a file": (a_file(column(np.zeros(100)))[:-500], 400, "malformed"),
    "the beginning of a file": (b"ARROW1\0\0", 400, "malformed"),
    "a file with no batch": (a_file(column(pa.array([], pa.float64()))), 422, "no_rows"),
    "an endless message": (b"\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(16), 400, "malformed"),
    "a negative message": (b"\xff\xff\xff\xff\x00\x00\x00\x80" + bytes(16), 400, "malformed"),
    "half a schema": (arrow_of(column([1.0]))[:100], 400, "malformed"),
    "half a batch": (arrow_of(column(np.zeros(100)))[:-500], 400, "malformed"),
    "text where a batch should begin": (arrow_of(column([1.0]))[:-8] + b"sesame" * 10, 400, "malformed"),
    "no batch": (arrow_of(column(pa.array([], pa.float64()))), 422, "no_rows"),
    "batches without rows": (arrow_of(pa.concat_tables([column([1.0]).slice(0, 0)] * 2)), 422, "no_rows"),
    "no columns": (arrow_of(pa.table({})), 422, "missing_column"),
    "other columns": (arrow_of(pa.table({"sesame": [1.0]})), 422, "missing_column"),
    "an unknown column": (arrow_of(pa.table({"x": [1.0], "other": [1.0]})), 422, "unknown_column"),
    "the same column twice": (arrow_of(pa.Table.from_arrays([[1.0], [2.0]], ["x", "x"])), 422, "duplicate_column"),
    "a zstd bomb of rows": (arrow_of(column(np.zeros(1001)), compression="zstd"), 413, "too_many_rows"),
    "a null": (arrow_of(column([1.0, None])), 422, "not_a_number"),
    "nothing but nulls": (arrow_of(column(pa.nulls(3))), 422, "bad_type"),
    "strings": (arrow_of(column(["1", "sesame"])), 422, "bad_type"),
    "bytes": (arrow_of(column([b"1"])), 422, "bad_type"),
    "booleans": (arrow_of(column([True])), 422, "bad_type"),
    "lists": (arrow_of(column([[1.0], [2.0]])), 422, "bad_type"),
    "structures": (arrow_of(column([{"x": 1.0}])), 422, "bad_type"),
    "times": (arrow_of(column(pa.array([0], pa.timestamp("s")))), 422, "bad_type"),
    "a dictionary of strings": (arrow_of(column(pa.array(["a", "b"]).dictionary_encode())), 422, "bad_type"),
    "a dictionary with a null": (arrow_of(column(pa.array([1.0, None]).dictionary_encode())), 422, "not_a_number"),
    "nan": (arrow_of(column([1.0, float("nan")])), 422, "not_a_number"),
    "infinity": (arrow_of(column([1.0, float("inf")])), 422, "not_a_number"),
}


@pytest.mark.parametrize(("body", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_stream_of_plain_numbers_is_refused(
    shared: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    assert refusal(await post(shared, body, ARROW)) == (status, code)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x1": [1.0]}, "column x2 is missing"),
        (
            {"x1": [1.0], "x2": [1.0], "x3": [1.0]},
            "column x3 is not among x1, x2; leave out what is not, or add ?extra=ignore to the address",
        ),
        ({"x1": [1.0], "x2": ["1"]}, f"column x2: expected {NUMBERS}, found string"),
        (
            {"x1": [1.0], "x2": [{"s": 1.0}]},
            "column x2: expected a column of integers, floats or decimals, found nested values",
        ),
        ({"x1": [1.0, 2.0], "x2": [1.0, None]}, "column x2: expected numbers, found null"),
        ({"x1": [1.0, np.inf], "x2": [1.0, 2.0]}, "row 1, column x1: not a finite number"),
    ],
)
async def test_the_refusal_names_the_column(shared: httpx.AsyncClient, columns: dict[str, Any], said: str) -> None:
    assert message(await post(shared, arrow_of(pa.table(columns)), ARROW, "pair")) == said


def test_a_stream_that_breaks_off_gives_its_whole_batches_or_a_refusal() -> None:
    for length in range(len(GOOD)):
        try:
            rows, _ = arrow_stream.read(GOOD[:length], COLUMNS, 1000)
        except PatternServerError as error:
            assert str(error) in ("the body is not an Arrow IPC stream", "there are no rows to predict")
        else:
            assert an_array(rows).tolist() == [[1, 4], [2, 5], [3, 6]][: len(rows)]


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes) -> None:
    for content in (body, b"\xff\xff\xff\xff" + body):
        with pytest.raises(PatternServerError):
            arrow_stream.read(content, COLUMNS, 1000)


# -- hostile bytes -------------------------------------------------------------------------------------------------


async def test_a_column_name_that_is_not_utf_8_is_refused(shared: httpx.AsyncClient) -> None:
    assert refusal(await post(shared, GOOD.replace(b"x1", b"\xff1"), ARROW, "pair")) == (400, "malformed")


def test_no_bytes_end_the_process() -> None:
    # What would take the server down takes down a child only.
    hostile = "from tests.app.formats.test_arrow_stream import read_hostile_streams; read_hostile_streams()"
    child = subprocess.run([sys.executable, "-c", hostile], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout.split()) == (0, ["survived"]), child.stderr


def read_hostile_streams() -> None:
    """A good stream with each of its bits flipped, with several bytes changed, and one that a fuzzer has found."""
    rng = random.Random(0)
    for place in range(len(GOOD) * 8):
        flipped = bytearray(GOOD)
        flipped[place // 8] ^= 1 << place % 8
        _read_or_refuse(bytes(flipped))
    for _ in range(3000):
        changed = bytearray(GOOD)
        for place in rng.choices(range(len(changed)), k=rng.randint(1, 6)):
            changed[place] = rng.choice([0, 1, 2, 4, 8, 127, 128, 255, rng.randrange(256)])
        _read_or_refuse(bytes(changed))
    # The kind of the first message, and a place inside it: unlike a schema's, they were not verified by then.
    found = bytearray(GOOD)
    found[29], found[55] = 8, 54
    _read_or_refuse(bytes(found))
    print("survived")  # noqa: T201  # said to the parent process


def _read_or_refuse(body: bytes) -> None:
    try:
        rows, _ = arrow_stream.read(body, COLUMNS, 1000)
    except PatternServerError as error:
        assert len(str(error)) < 100
    else:
        assert an_array(rows).shape[1] == 2
