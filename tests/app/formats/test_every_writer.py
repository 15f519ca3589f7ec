"""A table with a column of every kind, in every format and by every writer: the same columns, and the same answers.

pandas and DuckDB, which have environments of their own, are asked in tests/clients.
"""

import io
import json
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.native import bodies
from app.formats.expected import Expected
from app.formats.media_types import ARROW, ARROW_FILE, CSV, JSON, JSON_LINES, PARQUET
from models_store.arrays import Array
from models_store.bundle import Predictor
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.tables.column_facts import Form
from models_store.tables.inference import facts, read, table_of
from models_store.tables.table import Kind, Table, to_json
from tests.fakes import LinearNetwork
from tests.table_fakes import encoder_of

N_ROWS = 24
Write = Callable[[pl.DataFrame], bytes]
MEDIA_TYPES: Mapping[str, tuple[Form, str]] = {
    "CSV": ("csv", CSV),
    "Parquet": ("parquet", PARQUET),
    "Arrow file": ("arrow", ARROW_FILE),
    "Arrow stream": ("arrow", ARROW),
    "JSON lines": ("json-lines", next(iter(JSON_LINES))),
}


# -- tables --------------------------------------------------------------------------------------------------------


Draw = Callable[[random.Random], Any]
WORDS = ("red", "blue, dark", 'a "quoted" one', "grün", "two  spaces", "line")
PROSE = ("late", "sea", "view", "first", "class", "é")
SECOND = 1_000_000


def whole(low: int, high: int) -> Draw:
    return lambda rng: rng.choice([low, high, rng.randint(low, high)])


def eighths(rng: random.Random) -> float:
    """A number that a float32 holds, and shows in a text."""
    return rng.randint(-(2**20), 2**20) / 8


def real(rng: random.Random) -> float:
    return rng.choice([-1, 1]) * rng.random() * 10.0 ** rng.randint(-300, 300)


def price(rng: random.Random) -> Decimal:
    return Decimal(rng.randint(-(10**9), 10**9)) / 10_000


def word(rng: random.Random) -> str:
    return rng.choice(WORDS)


def prose(rng: random.Random) -> str:
    return " ".join(rng.choice(PROSE) for _ in range(rng.randint(4, 7)))


def clock(rng: random.Random) -> int:
    return rng.randrange(86_400 * SECOND) * rng.choice([1000, 1])


# The kind of a column, its type, how its cells are drawn, and first cells, which leave no doubt about its kind.
COLUMNS: dict[str, tuple[Kind, Any, Draw, tuple[Any, ...]]] = {
    "i8": ("number", pl.Int8, whole(-128, 127), (3, 5, 20)),
    "i16": ("number", pl.Int16, whole(-(2**15), 2**15 - 1), (3, 5, 20)),
    "i32": ("number", pl.Int32, whole(-(2**31), 2**31 - 1), (3, 5, 20)),
    "i64": ("number", pl.Int64, whole(-(2**53), 2**53), (3, 5, 20)),
    "u8": ("number", pl.UInt8, whole(0, 255), (3, 5, 20)),
    "u16": ("number", pl.UInt16, whole(0, 2**16 - 1), (3, 5, 20)),
    "u32": ("number", pl.UInt32, whole(0, 2**32 - 1), (3, 5, 20)),
    "u64": ("number", pl.UInt64, whole(0, 2**53), (3, 5, 20)),
    "f32": ("number", pl.Float32, eighths, (0.5, 1.25)),
    "f64": ("number", pl.Float64, real, (0.5, 1e-7)),
    "price": ("number", pl.Decimal(20, 4), price, (Decimal("0.5"), Decimal("99.9999"))),
    "flag": ("boolean", pl.Boolean, lambda rng: rng.random() < 0.5, (True, False)),
    "colour": ("category", pl.String, word, ("red", "red", "line")),
    "dyed": ("category", pl.Categorical, word, ("red", "red", "line")),
    "note": ("text", pl.String, prose, ("late sea view here", "first class at sea")),
    "day": ("date", pl.Date, whole(-30_000, 60_000), (18_000, 18_020)),
    "seen": ("date", pl.Datetime("us"), whole(-(10**15), 4 * 10**15), (10**15, 10**15 + 7)),
    "sent": ("date", pl.Datetime("us", "UTC"), whole(-(10**15), 4 * 10**15), (10**15, 10**15 + 7)),
    "at": ("time", pl.Time, clock, (48_660 * SECOND * 1000, 1000)),
    "waited": ("duration", pl.Duration("us"), whole(-(10**12), 10**13), (10**11, -SECOND)),
}
KINDS: dict[str, Kind] = {name: kind for name, (kind, *_) in COLUMNS.items()}


def frame_of(seed: int) -> pl.DataFrame:
    """Return a table with a column of every kind, of whose cells a quarter is missing."""
    rng = random.Random(seed)

    def column(dtype: Any, draw: Draw, first: tuple[Any, ...]) -> pl.Series:
        drawn = [None if rng.random() < 0.25 else draw(rng) for _ in range(N_ROWS - len(first) - 1)]
        return pl.Series([*first, *drawn, None], dtype=dtype)

    return pl.DataFrame({name: column(*about) for name, (_, *about) in COLUMNS.items()})


frames = st.integers(0, 2**32).map(frame_of)


# -- writers -------------------------------------------------------------------------------------------------------


def by_polars(method: str) -> Write:
    def write(frame: pl.DataFrame) -> bytes:
        target = io.BytesIO()
        getattr(frame, method)(target)
        return target.getvalue()

    return write


def arrow_of(frame: pl.DataFrame) -> Any:
    """Return the table with the types that pyarrow gives by default: no views."""
    table = frame.to_arrow()
    plain = [
        field.with_type(pa.string()) if field.type in (pa.string_view(), pa.large_string()) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(plain))


def by_pyarrow(write: Callable[[Any, Any], Any]) -> Write:
    def written(frame: pl.DataFrame) -> bytes:
        target = pa.BufferOutputStream()
        write(arrow_of(frame), target)
        content: bytes = target.getvalue().to_pybytes()
        return content

    return written


def in_batches(make: Callable[..., Any]) -> Callable[[Any, Any], None]:
    def write(table: Any, target: Any) -> None:
        with make(target, table.schema) as writer:
            writer.write_table(table, max_chunksize=10)

    return write


WRITERS: dict[tuple[str, str], Write] = {
    ("polars", "CSV"): by_polars("write_csv"),
    ("polars", "Parquet"): by_polars("write_parquet"),
    ("polars", "Arrow file"): by_polars("write_ipc"),
    ("polars", "Arrow stream"): by_polars("write_ipc_stream"),
    ("polars", "JSON lines"): by_polars("write_ndjson"),
    ("pyarrow", "CSV"): by_pyarrow(pyarrow.csv.write_csv),
    ("pyarrow", "Parquet"): by_pyarrow(pyarrow.parquet.write_table),
    ("pyarrow", "Arrow file"): by_pyarrow(in_batches(pa.ipc.new_file)),
    ("pyarrow", "Arrow stream"): by_pyarrow(in_batches(pa.ipc.new_stream)),
}
# Columns that a writer cannot write in a format; polars writes decimals into JSON as texts.
UNWRITTEN: dict[tuple[str, str], tuple[str, ...]] = {
    ("polars", "CSV"): ("waited",),
    ("polars", "JSON lines"): ("price",),
    ("pyarrow", "CSV"): ("waited",),
}


# -- what is held --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is written again and again."""
    return tmp_path_factory.mktemp("tables") / "table"


@settings(max_examples=8, deadline=None)
@given(frames)
def test_a_table_is_read_and_answered_alike_whoever_wrote_it_and_in_whatever_format(
    place: Path, frame: pl.DataFrame
) -> None:
    table = table_of(frame, KINDS)
    predictor = fitted(table)
    answers = predictor.predict(table)
    expected = Expected.of(predictor.encoder)
    for (writer, name), write in WRITERS.items():
        left_out = UNWRITTEN.get((writer, name), ())
        form, media_type = MEDIA_TYPES[name]
        content = write(frame.drop(left_out))
        place.write_bytes(content)
        found = read(place, form)
        kinds = {column.name: column.kind for column in facts(found)}
        assert kinds == {column: kind for column, kind in KINDS.items() if column not in left_out}, (writer, name)
        check_same(table_of(found, kinds), table, f"{writer}, {name}")
        rows = bodies.read(content, media_type, expected, N_ROWS).rows
        assert isinstance(rows, Table)
        missing = {column: np.full(N_ROWS, np.nan) for column in left_out}
        assert_answered(predictor, rows, predictor.predict(Table({**table.columns, **missing})) if missing else answers)


@settings(max_examples=8, deadline=None)
@given(frames)
def test_a_table_is_answered_alike_in_every_layout_of_json(frame: pl.DataFrame) -> None:
    table = table_of(frame, KINDS)
    predictor = fitted(table)
    answers = predictor.predict(table)
    rows = to_json(table, KINDS)
    records = [dict(zip(KINDS, row, strict=True)) for row in rows]
    columns = {name: [record[name] for record in records] for name in KINDS}
    for inputs in (rows, records, columns):
        body = json.dumps({"inputs": inputs}).encode()
        assert_answered(predictor, bodies.read(body, JSON, Expected.of(predictor.encoder), N_ROWS).rows, answers)


def fitted(table: Table) -> Predictor:
    """Return a predictor whose encoders are fitted on the table, around a fake network."""
    encoder = TableEncoder({name: encoder_of(kind, table.columns[name]) for name, kind in KINDS.items()})
    weights = np.sin(np.arange(1, encoder.n_inputs + 1)).reshape(-1, 1).astype(np.float32)
    decoder = OutputDecoder(("y",), Scaler("standard", np.zeros(1), np.ones(1)))
    return Predictor(encoder, LinearNetwork(weights), decoder)


def check_same(found: Table, table: Table, where: str) -> None:
    for name, values in found.columns.items():
        ours = table.columns[name]
        same = ours.dtype == values.dtype and [repr(cell) for cell in ours] == [repr(cell) for cell in values]
        differing = [pair for pair in zip(ours, values, strict=True) if repr(pair[0]) != repr(pair[1])]
        assert same, (where, name, differing[:3])


def assert_answered(predictor: Predictor, rows: Any, answers: Array) -> None:
    assert predictor.predict(rows).tobytes() == answers.tobytes()
