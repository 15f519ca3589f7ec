"""Parquet and Arrow files as polars frames: numbers, booleans, dates, moments and texts keep their types.

pyarrow decodes them: of a damaged file polars allocates whatever it asks for, and ends the process if it cannot.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from models_store.errors import TableError, shortened_name
from models_store.tables.arrow_messages import DAMAGED, announced
from models_store.tables.csv_rows import check_names
from models_store.tables.file_limits import check_bytes, check_size
from models_store.tables.kinds import Kind
from models_store.tables.text_columns import without_missing

log = logging.getLogger("patterns.tables")

# The batches in which a Parquet file is decoded, so that decoding ends soon after a limit.
ROWS_AT_A_TIME = 4096
PYTHON_ERRORS = (OSError, EOFError, StopIteration, ValueError, TypeError, KeyError, IndexError, *DAMAGED)
# An Arrow file begins with its name, padded, and goes on as a stream.
FILE_NAME, STREAM_IN_FILE = b"ARROW1", 8
BEYOND = "not in the years 1 to 9999"
TOO_LONG = "a duration of more than 10 000 years"
TEMPORAL = (pl.Date, pl.Datetime)
TEMPORAL_KINDS: dict[Any, Kind] = {pl.Date: "date", pl.Datetime: "date", pl.Time: "time", pl.Duration: "duration"}


def read_parquet(path: Path) -> pl.DataFrame:
    with _refused_as("Parquet"), pyarrow.parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        _check_schema(file.schema_arrow)
        check_size(sum(group.num_rows for group in groups), len(file.schema_arrow.names))
        check_bytes(sum(group.total_byte_size for group in groups))
        return _from_arrow(file.schema_arrow, file.iter_batches(batch_size=ROWS_AT_A_TIME))


def read_arrow(path: Path) -> pl.DataFrame:
    """Read an Arrow stream, or an Arrow file."""
    with _refused_as("Arrow"), pa.OSFile(str(path)) as file:
        is_file = file.read(len(FILE_NAME)) == FILE_NAME
        file.seek(STREAM_IN_FILE if is_file else 0)
        _check_announced(file)
        file.seek(0)
        if is_file:
            batches = pa.ipc.open_file(file)
            _check_schema(batches.schema)
            return _from_arrow(batches.schema, map(batches.get_batch, range(batches.num_record_batches)))
        stream = pa.ipc.open_stream(file)
        _check_schema(stream.schema)
        return _from_arrow(stream.schema, stream)


def _check_announced(file: Any) -> None:
    """Raise TableError before anything is decoded: a message may unpack to far more than it is."""
    messages = pa.ipc.MessageReader.open_stream(file)
    first = messages.read_next_message()
    # pyarrow takes any message for a schema, and may end the process over it.
    if first.type != "schema":
        raise TableError(f"the Arrow stream begins with a message of type {first.type}; expected its schema")
    n_columns = len(pa.ipc.read_schema(first).names)
    n_rows = n_bytes = 0
    for message in messages:
        found = announced(message)
        n_rows, n_bytes = n_rows + found.rows, n_bytes + found.n_bytes
        check_size(n_rows, n_columns)
        check_bytes(n_bytes)


def _from_arrow(schema: Any, batches: Iterable[Any]) -> pl.DataFrame:
    """Convert batch by batch, so that decoding ends soon after the limit."""
    frames = [_frame(schema.empty_table())]
    n_rows = n_bytes = 0
    for batch in batches:
        # Bad offsets inside would otherwise end the process.
        batch.validate(full=True)
        n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
        check_size(n_rows, len(schema.names))
        # The sizes that a file states may be untrue: a text that it holds once may stand in every row.
        check_bytes(n_bytes)
        frames.append(_tidied(_frame(batch)))
    frames[0] = _tidied(frames[0])
    return pl.concat(frames)


def _frame(table: Any) -> pl.DataFrame:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) or pa.types.is_date64(field.type):
            clock = _clock(field, table.column(place))
            table = table.set_column(place, pa.field(field.name, clock.type), clock)
        if pa.types.is_duration(field.type):
            length = _length(field, table.column(place))
            table = table.set_column(place, pa.field(field.name, length.type), length)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _clock(field: Any, moments: Any) -> Any:
    """Return the local time that a clock showed there, without a zone.

    By pyarrow: polars takes no zone such as +05:30, and wraps around where a moment is too far away.
    """
    try:
        if pa.types.is_date64(moments.type):
            moments = moments.cast(pa.timestamp("ms"))
        zone = moments.type.tz
        if moments.type.unit in ("s", "ms"):
            moments = moments.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        raise TableError(f"column {shortened_name(field.name)}: {BEYOND}") from None
    try:
        return moments if zone is None else pc.local_timestamp(moments)
    except pa.ArrowInvalid:
        raise TableError(f"column {shortened_name(field.name)}: its time zone is not known here") from None


def _length(field: Any, durations: Any) -> Any:
    """Return durations in microseconds or nanoseconds. By pyarrow: polars wraps around where one is too long."""
    if durations.type.unit == "ns":
        return durations
    try:
        return durations.cast(pa.duration("us"))
    except pa.ArrowInvalid:
        raise TableError(f"column {shortened_name(field.name)}: {TOO_LONG}") from None


@contextmanager
def _refused_as(form: str) -> Iterator[None]:
    """Raise TableError for whatever the libraries raise over a damaged file; MemoryError passes."""
    try:
        yield
    except MemoryError:  # pyarrow's own is one of its other errors as well
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException, *PYTHON_ERRORS) as error:
        log.info("not a table", extra={"form": form, "reason": str(error)[:200]})
        raise TableError(f"the file cannot be read as {form}; is it whole, and of that format?") from None


def _check_schema(schema: Any) -> None:
    check_names(schema.names)
    _check_types(_frame(schema.empty_table()).schema)


def _check_types(schema: Mapping[str, pl.DataType]) -> None:
    for name, dtype in schema.items():
        is_known = dtype.is_integer() or dtype.is_float() or dtype in (*TEMPORAL_KINDS, pl.Boolean, pl.String, pl.Null)
        if dtype in (pl.Int128, pl.UInt128) or not (is_known or dtype in (pl.Categorical, pl.Enum)):
            kinds = "numbers, booleans, texts, categories, dates, times and durations"
            raise TableError(f"column {shortened_name(name)}: of a type that is not for training; there are {kinds}")


def _tidied(frame: pl.DataFrame) -> pl.DataFrame:
    """Return missing values as null, categories as texts, and moments in microseconds without a zone."""
    return without_missing(frame.select(_tidy(name, dtype) for name, dtype in frame.schema.items()))


def _tidy(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype.is_float():
        return column.fill_nan(None)
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if dtype == pl.Null:
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        return column.dt.replace_time_zone(None).dt.cast_time_unit("us")
    if dtype == pl.Duration("ns"):
        # Rounded down as a timestamp is; `cast_time_unit` rounds a negative duration up.
        return (column.to_physical() // 1000).cast(pl.Duration("us"))
    return column
