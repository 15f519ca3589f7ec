"""Parquet and Arrow files as polars frames: numbers, booleans, dates, moments and texts keep their types.

A column of a type that nothing is learned from is left out: its name and its type stay, its cells do not.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from models_store.errors import TableError
from models_store.tables import arrow_columns, arrow_files, arrow_types
from models_store.tables.arrow_columns import OutOfRange, TooMuchText
from models_store.tables.arrow_files import NOT_READABLE, Batches, NotASchema
from models_store.tables.csv_rows import check_names
from models_store.tables.file_limits import MOST_BYTES, check_bytes, check_size
from models_store.tables.kinds import Kind
from models_store.tables.left_out import emptied, left_out
from models_store.tables.text_columns import without_missing
from models_store.tables.typed_texts import marked
from models_store.wording import shortened_name

log = logging.getLogger("patterns.tables")

WIDE_INTEGERS = "Integers with more than 64 bits"
BEYOND = "not in the years 1 to 9999"
TOO_LONG = "a duration of more than 10 000 years"
TEMPORAL = (pl.Date, pl.Datetime)
TEMPORAL_KINDS: dict[Any, Kind] = {pl.Date: "date", pl.Datetime: "date", pl.Time: "time", pl.Duration: "duration"}


def read_parquet(path: Path) -> pl.DataFrame:
    with _refused_as("Parquet"), pa.OSFile(str(path)) as file:
        return _from_arrow(arrow_files.of_parquet(file, _names_to_read, _check))


def read_arrow(path: Path) -> pl.DataFrame:
    """Read an Arrow stream, or an Arrow file."""
    with _refused_as("Arrow"), pa.OSFile(str(path)) as file:
        return _from_arrow(arrow_files.of_arrow(file, _check))


def _names_to_read(schema: Any) -> Sequence[str]:
    return [field.name for field in schema if arrow_types.is_known(field.type)]


def _check(n_rows: int, n_columns: int, n_bytes: int) -> None:
    check_size(n_rows, n_columns)
    check_bytes(n_bytes)


def _from_arrow(file: Batches) -> pl.DataFrame:
    """Convert batch by batch, so that decoding ends soon after the limit."""
    check_names(file.schema.names)
    frames: list[pl.DataFrame] = []
    n_rows = n_bytes = 0
    for batch in file.batches:
        columns = [_column(field, batch, n_rows) for field in file.schema]
        n_rows, n_bytes = n_rows + len(batch), n_bytes + sum(column.nbytes for column in columns)
        check_bytes(n_bytes)
        frames.append(pl.DataFrame(list(map(_series, file.schema, columns))))
    return marked(without_missing(_joined(frames))) if frames else pl.DataFrame(schema=file.schema.names)


def _column(field: Any, batch: Any, n_rows_before: int) -> Any:
    """Return the column as plain Arrow; nulls where nothing can be learned from it."""
    if not arrow_types.is_known(field.type):
        return pa.nulls(len(batch), pa.binary())
    try:
        return arrow_columns.plain(batch.column(field.name), MOST_BYTES)
    except TooMuchText as error:
        check_bytes(error.n_bytes)
        raise
    except OutOfRange as error:
        where = f"column {shortened_name(field.name)}, data row {n_rows_before + error.row + 1}"
        raise TableError(f"{where}: {TOO_LONG if error.is_duration else BEYOND}") from None


def _series(field: Any, column: Any) -> pl.Series:
    """Return a column with missing values as null, moments in microseconds, categories as texts."""
    if arrow_types.is_bytes(column.type):
        return left_out(field.name, str(field.type), len(column))
    if arrow_types.is_null(column.type):
        return pl.Series(field.name, [None] * len(column), pl.Float64)
    series = pl.Series(field.name, column)
    return series.fill_nan(None) if series.dtype.is_float() else series


def _joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all frames, which have the same columns.

    A value may decide the type of its batch: bytes that are no text, a decimal beyond 64 bits.
    """
    names = frames[0].columns
    dtypes = {name: {frame.schema[name] for frame in frames} for name in names}
    torn = {name: _common(found) for name, found in dtypes.items() if len(found) > 1}
    return pl.concat(
        frame.with_columns(_of_dtype(frame[name], dtype) for name, dtype in torn.items()) for frame in frames
    )


def _common(dtypes: set[pl.DataType]) -> pl.DataType:
    return next((dtype for dtype in dtypes if isinstance(dtype, pl.Enum)), pl.Float64())


def _of_dtype(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    return emptied(column.name, dtype, len(column)) if isinstance(dtype, pl.Enum) else column.cast(dtype)


@contextmanager
def _refused_as(form: str) -> Iterator[None]:
    """Raise TableError for whatever the libraries raise over a damaged file; MemoryError passes."""
    try:
        yield
    except MemoryError:  # pyarrow's own is one of its other errors as well
        raise
    except NotASchema as error:
        raise TableError(f"the Arrow stream begins with a message of type {error}; expected its schema") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, KeyError, *NOT_READABLE) as error:
        if WIDE_INTEGERS in str(error):  # pyarrow reads none, and does not say which column it is
            raise TableError("a column is of integers of 128 bits, which are not read; write it as int64") from None
        log.info("not a table", extra={"form": form, "reason": str(error)[:200]})
        raise TableError(f"the file cannot be read as {form}; is it whole, and of that format?") from None
