"""A column of each Arrow type that is read, with the cells that it holds as JSON would write them."""

import datetime
import io
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet

from models_store.tables.table import Kind

UTC = datetime.UTC
MOMENTS = [datetime.datetime(2024, 5, 31, 18), None, datetime.datetime(1969, 12, 31, 23, 59, 59)]
WRITTEN = ["2024-05-31T18:00:00", None, "1969-12-31T23:59:59"]
DAYS = [datetime.date(2024, 5, 31), None, datetime.date(1912, 4, 10)]
CLOCK = [datetime.time(13, 31), None, datetime.time(23, 59, 59)]
CLOCK_WRITTEN = ["13:31", None, "23:59:59"]
LENGTHS = [datetime.timedelta(3, 3600), None, datetime.timedelta(seconds=-61)]
LENGTHS_WRITTEN = ["3 days 01:00:00", None, "-00:01:01"]
UNITS = ("s", "ms", "us", "ns")
TEXTS = ["a", None, "bb"]
NUMBERS = [3, None, 100]
HALVES = [0.5, None, -2.25]
LONG = [123456789.123456789, None, 0.1]
FLAGS = [True, None, False]

# Minutes that the clocks of a zone are ahead of UTC.
AHEAD = {"UTC": 0, "+05:30": 330, "Asia/Tokyo": 540}
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def decimals(cells: list[Any], kind: Any) -> Any:
    return pa.array([None if cell is None else Decimal(str(cell)) for cell in cells], kind)


def encoded(values: Any, index: Any = None) -> Any:
    """Return the values as a dictionary of those that are not null."""
    given = values.to_pylist()
    present = [cell for cell in given if cell is not None]
    places = pa.array([None if cell is None else present.index(cell) for cell in given], index or pa.int8())
    return pa.DictionaryArray.from_arrays(places, pa.array(present, values.type))


def runs(values: Any) -> Any:
    return pa.RunEndEncodedArray.from_arrays(pa.array(range(1, len(values) + 1), pa.int16()), values)


def moments(unit: str, zone: str | None = None) -> Any:
    aware = [None if moment is None else moment.replace(tzinfo=UTC) for moment in MOMENTS]
    given = pa.array(aware if zone else MOMENTS, pa.timestamp(unit, zone))
    if zone is None:
        return given
    return pa.array(
        [None if one is None else one - datetime.timedelta(minutes=AHEAD[zone]) for one in aware], given.type
    )


# In all formats.
EVERYWHERE: dict[str, tuple[Any, Kind, list[Any]]] = {
    **{kind: (pa.array(NUMBERS, getattr(pa, kind)()), "number", NUMBERS) for kind in INTEGERS},
    "float16": (pa.array(np.array(HALVES, "f2"), from_pandas=True), "number", HALVES),
    "float32": (pa.array(HALVES, pa.float32()), "number", HALVES),
    "float64": (pa.array(HALVES), "number", HALVES),
    "decimal128": (decimals(HALVES, pa.decimal128(38, 2)), "number", HALVES),
    "decimal256": (decimals(HALVES, pa.decimal256(60, 2)), "number", HALVES),
    "long decimal": (
        decimals([123456789.123456789, None, 0.1], pa.decimal128(38, 18)),
        "number",
        [123456789.123456789, None, 0.1],
    ),
    "whole decimal": (decimals(NUMBERS, pa.decimal128(38, 0)), "number", NUMBERS),
    "huge decimal": (decimals([10**30, None, 1], pa.decimal128(38, 0)), "number", [1e30, None, 1]),
    "number among nulls": (pa.array([None, None, 1.5]), "number", [None, None, 1.5]),
    "null number": (pa.nulls(3), "number", [None] * 3),
    "null category": (pa.nulls(3), "category", [None] * 3),
    "dictionary of numbers": (encoded(pa.array(NUMBERS)), "number", NUMBERS),
    "category of numbers": (pa.array(NUMBERS, pa.int8()), "category", ["3", None, "100"]),
    "category of decimals": (decimals([0.1, None, 3], pa.decimal128(10, 1)), "category", ["0.1", None, "3"]),
    "category of halves": (pa.array(np.array([0.1, 3], "f2")), "category", ["0.1", "3"]),
    "category of flags": (pa.array(FLAGS), "category", ["true", None, "false"]),
    "boolean": (pa.array(FLAGS), "boolean", FLAGS),
    "string": (pa.array(TEXTS), "category", TEXTS),
    "large_string": (pa.array(TEXTS, pa.large_string()), "text", TEXTS),
    "string_view": (pa.array(TEXTS, pa.string_view()), "category", TEXTS),
    "text in views": (pa.array(["a" * 100, None, "ä"], pa.string_view()), "text", ["a" * 100, None, "ä"]),
    "binary": (pa.array(TEXTS, pa.binary()), "category", TEXTS),
    "large_binary": (pa.array(TEXTS, pa.large_binary()), "category", TEXTS),
    "binary_view": (pa.array([b"a", None, "ß".encode()], pa.binary_view()), "text", ["a", None, "ß"]),
    "fixed_size_binary": (pa.array([b"DE", None, b"FR"], pa.binary(2)), "category", ["DE", None, "FR"]),
    "dictionary": (encoded(pa.array(TEXTS)), "category", TEXTS),
    "dictionary of 64 bits": (encoded(pa.array(TEXTS, pa.large_string()), pa.int64()), "text", TEXTS),
    "dictionary by unsigned": (encoded(pa.array(TEXTS), pa.uint32()), "category", TEXTS),
    "date32": (pa.array(DAYS), "date", ["2024-05-31", None, "1912-04-10"]),
    "date64": (pa.array(DAYS, pa.date64()), "date", ["2024-05-31", None, "1912-04-10"]),
    "date as string": (pa.array(WRITTEN), "date", WRITTEN),
    "date as string_view": (pa.array(WRITTEN, pa.string_view()), "date", WRITTEN),
    **{f"timestamp {unit}": (moments(unit), "date", WRITTEN) for unit in UNITS},
    **{f"timestamp ms {zone}": (moments("ms", zone), "date", WRITTEN) for zone in AHEAD},
    **{f"timestamp ns {zone}": (moments("ns", zone), "date", WRITTEN) for zone in AHEAD},
    **{f"time {unit}": (pa.array(CLOCK, pa.time32(unit)), "time", CLOCK_WRITTEN) for unit in ("s", "ms")},
    **{f"time {unit}": (pa.array(CLOCK, pa.time64(unit)), "time", CLOCK_WRITTEN) for unit in ("us", "ns")},
    **{f"duration {unit}": (pa.array(LENGTHS, pa.duration(unit)), "duration", LENGTHS_WRITTEN) for unit in UNITS},
    "json": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(TEXTS)), "category", TEXTS),
    "bool8": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0], pa.int8())), "number", [1, None, 0]),
}
# Parquet has no form for these.
IN_ARROW: dict[str, tuple[Any, Kind, list[Any]]] = {
    "decimal32": (decimals(HALVES, pa.decimal32(5, 2)), "number", HALVES),
    "decimal64": (decimals(HALVES, pa.decimal64(9, 2)), "number", HALVES),
    "hundreds": (decimals([300, None, 200], pa.decimal128(5, -2)), "number", [300, None, 200]),
    "dictionary of views": (encoded(pa.array(TEXTS, pa.string_view())), "category", TEXTS),
    "dictionary of floats": (encoded(pa.array(HALVES)), "number", HALVES),
    "dictionary of flags": (encoded(pa.array(FLAGS)), "boolean", FLAGS),
    "dictionary of moments": (encoded(moments("ns", "Asia/Tokyo")), "date", WRITTEN),
    "runs": (runs(pa.array(NUMBERS)), "number", NUMBERS),
    "runs of texts": (runs(pa.array(TEXTS)), "text", TEXTS),
    "runs of views": (runs(pa.array(TEXTS, pa.string_view())), "category", TEXTS),
    "runs of a dictionary": (runs(encoded(pa.array(TEXTS))), "category", TEXTS),
    "runs of moments": (runs(moments("s")), "date", WRITTEN),
    "dictionary of times": (encoded(pa.array(CLOCK, pa.time64("ns"))), "time", CLOCK_WRITTEN),
    "runs of durations": (runs(pa.array(LENGTHS, pa.duration("ms"))), "duration", LENGTHS_WRITTEN),
    "runs of flags": (runs(pa.array(FLAGS)), "boolean", FLAGS),
}
FORMS = ("parquet", "stream", "file", "compressed stream", "compressed file")
CASES = [
    *((form, *case) for form in FORMS for case in EVERYWHERE.values()),
    *((form, *case) for form in FORMS[1:] for case in IN_ARROW.values()),
]
NAMES = [
    *(f"{name} in {form}" for form in FORMS for name in EVERYWHERE),
    *(f"{name} in {form}" for form in FORMS[1:] for name in IN_ARROW),
]
# Nothing is learned from these.
LEFT_OUT: dict[str, tuple[Any, str]] = {
    "lists": (pa.array([[1]] * 20), "list<"),
    "structures": (pa.array([{"a": 1}] * 20), "struct<"),
    "maps": (pa.array([[("a", 1)]] * 20, pa.map_(pa.string(), pa.int8())), "map<"),
    "bytes": (pa.array([b"\xff\xfe"] * 20), "binary"),
    "bytes with NUL": (pa.array([b"a\0"] * 20), "binary"),
    "bytes of one batch": (pa.array([b"a"] * 19 + [b"\xff"]), "binary"),
    "uuid": (pa.array([bytes(range(200, 216))] * 20, pa.uuid()), "extension<arrow.uuid>"),
    "an unknown zone": (pa.array([0] * 20, pa.timestamp("ms", "Europe/Atlantis")), "timestamp[ms, tz=Europe/Atlantis]"),
}


def content_of(table: Any, form: str, rows_a_batch: int | None = None) -> bytes:
    target = pa.BufferOutputStream()
    if form == "parquet":
        pa.parquet.write_table(table, target, row_group_size=rows_a_batch)
    else:
        make = pa.ipc.new_stream if form.endswith("stream") else pa.ipc.new_file
        compression = "zstd" if form.startswith("compressed") else None
        with make(target, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table, max_chunksize=rows_a_batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


def by_polars(frame: pl.DataFrame, form: str) -> bytes:
    target = io.BytesIO()
    match form:
        case "parquet":
            frame.write_parquet(target)
        case "stream" | "compressed stream":
            frame.write_ipc_stream(target, compression="zstd" if form.startswith("compressed") else "uncompressed")
        case _:
            frame.write_ipc(target, compression="zstd" if form.startswith("compressed") else "uncompressed")
    return target.getvalue()
