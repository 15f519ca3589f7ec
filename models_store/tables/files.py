"""Table files, read strictly. Importing this imports polars, which takes a moment: whoever serves waits for a table.

CSV              a column is Int64, Float64, or String as it stands there (also dates, booleans, codes like 007)
Parquet, Arrow   numbers, booleans, dates, moments and texts keep their types
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from models_store.errors import TableError, shortened_name
from models_store.tables import csv_rows
from models_store.tables.arrow_messages import DAMAGED, announced
from models_store.tables.column_facts import Form
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from models_store.tables.csv_rows import ONE_LINE, UNNAMED, check_names
from models_store.tables.spelling import NOTHING
from models_store.tables.table import FIRST_DAY, LAST_DAY, MISSING

log = logging.getLogger("patterns.tables")

MOST_CELLS = 50_000_000
# What a compressed file may become.
ROWS_AT_A_TIME = 4096
MOST_BYTES = 4 << 30
# What `str.strip` takes away; Rust has another list.
SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
# As table.NUMBER has it, and infinity, which is refused by name rather than taken for a category.
NUMBER = r"^[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|(?i:inf(?:inity)?))$"
PLAIN_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"
INTEGER = r"^[-+]?[0-9]+$"
# A zip code, or an account number that no float64 could tell from its neighbour.
CODE = r"^[-+]?(?:0[0-9]+|[0-9]{19,})$"
PYTHON_ERRORS = (OSError, EOFError, StopIteration, ValueError, TypeError, KeyError, IndexError, *DAMAGED)
# An Arrow file begins with its name, padded, and goes on as a stream.
FILE_NAME, STREAM_IN_FILE = b"ARROW1", 8
BEYOND = "not in the years 1 to 9999"
TEMPORAL = (pl.Date, pl.Datetime)


def read(path: Path, form: Form, dialect: CsvDialect = PLAIN) -> pl.DataFrame:
    """The whole table, missing values as null. TableError says what is wrong with it, and where."""
    if form != "csv" and dialect != PLAIN:
        raise TableError("delimiter, decimal and encoding are for CSV; other formats say these things themselves")
    try:
        frame = _csv(path, csv_rows.settled(path, dialect)) if form == "csv" else TYPED[form](path)
    except MemoryError:
        raise TableError("the table needs more memory than there is for it when it is unpacked") from None
    if frame.height == 0:
        raise TableError("the table has columns and no rows")
    _check_values(frame)
    return frame


# -- CSV -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """Of all fields of a column that are not missing, in one block or several."""

    are_plain_integers: bool
    are_integers: bool
    are_numbers: bool
    has_codes: bool
    are_missing: bool

    def __or__(self, other: "_Seen") -> "_Seen":
        return _Seen(
            self.are_plain_integers and other.are_plain_integers,
            self.are_integers and other.are_integers,
            self.are_numbers and other.are_numbers,
            self.has_codes or other.has_codes,
            self.are_missing and other.are_missing,
        )

    @property
    def dtype(self) -> type[pl.DataType]:
        if self.are_missing:
            return pl.Float64
        if self.are_plain_integers:
            return pl.Int64
        are_codes = self.are_integers and self.has_codes
        return pl.Float64 if self.are_numbers and not are_codes else pl.String


def _csv(path: Path, dialect: CsvDialect) -> pl.DataFrame:
    """Block by block, each column as narrow as its fields so far; what turns out to be text is read once more."""
    first, *others = csv_rows.header(path, dialect)
    names = [first or UNNAMED, *others]
    parts: list[pl.DataFrame] = []
    seen: list[_Seen] = []
    n_rows = 0
    for block in csv_rows.blocks(path, len(names), dialect=dialect):
        n_rows += block.rows
        _check_size(n_rows, len(names))
        fields = _fields(block, names, dialect)
        stripped = fields.select(pl.all().str.strip_chars(SPACE))
        found = _seen(stripped)
        seen = [before | now for before, now in zip(seen, found, strict=True)] if seen else found
        parts.append(_narrow(fields, stripped, [column.dtype for column in found]))
    if not parts:
        only = f"; {ONE_LINE}" if csv_rows.has_one_line(path) else ""
        raise TableError(f"the table has columns and no rows{only}")
    dtypes = [column.dtype for column in seen]
    again = [
        name
        for name, dtype in zip(names, dtypes, strict=True)
        if dtype == pl.String and any(part.schema[name] != pl.String for part in parts)
    ]
    if again:
        blocks = csv_rows.blocks(path, len(names), dialect=dialect)
        texts = [_fields(block, names, dialect).select(again) for block in blocks]
        parts = [part.with_columns(text) for part, text in zip(parts, texts, strict=True)]
    frame = pl.concat([_cast(part, dtypes) for part in parts])
    if not first:
        _check_index(frame[UNNAMED])
    return frame


def narrowed(column: pl.Series) -> pl.Series:
    """Texts as a CSV file would have them read."""
    fields = column.to_frame()
    stripped = fields.select(pl.all().str.strip_chars(SPACE))
    (found,) = _seen(stripped)
    return _narrow(fields, stripped, [found.dtype]).to_series()


def _fields(block: csv_rows.Block, names: list[str], dialect: CsvDialect) -> pl.DataFrame:
    schema = dict.fromkeys(names, pl.String())
    fields = pl.read_csv(
        block.content,
        has_header=False,
        schema=schema,
        separator=dialect.delimiter or ",",
        empty_string_is_null=False,
    )
    if fields.height != block.rows:
        raise TableError(f"somewhere after line {block.line}: the rows cannot be told apart")
    fields = _without_missing(fields)
    return fields if dialect.decimal == "." else fields.with_columns(map(_with_points, fields))


def _with_points(column: pl.Series) -> pl.Series:
    """Numbers with decimal commas as others write them; a point among them stands between thousands, or by mistake."""
    texts = column.str.strip_chars(SPACE)
    swapped = texts.str.replace_many([",", "."], [".", ","])
    has_comma, has_point = swapped.str.contains(NUMBER), texts.str.contains(NUMBER)
    are_numbers = (has_comma | has_point | texts.is_in(list(NOTHING))).all()
    if are_numbers and (has_point & ~has_comma).any():
        raise TableError(f"column {shortened_name(column.name)}: numbers with points, where the decimal is a comma")
    return column.zip_with(~has_comma.fill_null(value=False), swapped)


def _without_missing(texts: pl.DataFrame) -> pl.DataFrame:
    column = pl.col(pl.String)
    return texts.with_columns(pl.when(column.str.strip_chars(SPACE).is_in(list(MISSING)).not_()).then(column))


def _seen(stripped: pl.DataFrame) -> list[_Seen]:
    """Each question is asked about the columns alone that it is still open for: there are many fields."""
    numbers = _matching(stripped, stripped.columns, NUMBER)
    integers = _matching(stripped, numbers, INTEGER)
    plain = _matching(stripped, integers, PLAIN_INTEGER)
    others = stripped.select(name for name in integers if name not in plain)
    codes = {column.name for column in others if column.str.contains(CODE).any()}
    return [
        _Seen(
            are_plain_integers=column.name in plain,
            are_integers=column.name in integers,
            are_numbers=column.name in numbers,
            has_codes=column.name in codes,
            are_missing=column.null_count() == len(column),
        )
        for column in stripped
    ]


def _matching(texts: pl.DataFrame, names: Iterable[str], pattern: str) -> dict[str, None]:
    """Columns all of whose fields match, missing ones aside; in order."""
    names = list(names)
    matching = texts.select(pl.col(names).str.contains(pattern).all()).row(0) if names else ()
    return {name: None for name, matches in zip(names, matching, strict=True) if matches}


def _narrow(fields: pl.DataFrame, stripped: pl.DataFrame, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    """Texts as they stood there, the others cast."""
    texts = [name for name, dtype in zip(fields.columns, dtypes, strict=True) if dtype == pl.String]
    return _cast(stripped.with_columns(fields.select(texts)), dtypes)


def _cast(part: pl.DataFrame, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    return part.select(pl.col(name).cast(dtype) for name, dtype in zip(part.columns, dtypes, strict=True))


def _check_index(column: pl.Series) -> None:
    """What pandas and R write without a name counts rows, or did before somebody took some out."""
    if not (column.dtype.is_integer() and column.null_count() == 0 and column.is_unique().all()):
        raise TableError("line 1: column 1 has no name (pandas leaves out its index with index=False)")


# -- Parquet and Arrow ---------------------------------------------------------------------------------------------


def _parquet(path: Path) -> pl.DataFrame:
    with _said_as("Parquet"), pyarrow.parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        _check_schema(file.schema_arrow)
        _check_size(sum(group.num_rows for group in groups), len(file.schema_arrow.names))
        _check_bytes(sum(group.total_byte_size for group in groups))
        return _from_arrow(file.schema_arrow, file.iter_batches(batch_size=ROWS_AT_A_TIME))


def _arrow(path: Path) -> pl.DataFrame:
    """A stream, or a file, which begins with its name."""
    with _said_as("Arrow"), pa.OSFile(str(path)) as file:
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
    """Before anything is decoded: a message may unpack to far more than it is."""
    messages = pa.ipc.MessageReader.open_stream(file)
    first = messages.read_next_message()
    # pyarrow takes any message for a schema, and may end the process over it.
    if first.type != "schema":
        raise TableError("the Arrow stream does not begin with a schema")
    n_columns = len(pa.ipc.read_schema(first).names)
    n_rows = n_bytes = 0
    for message in messages:
        found = announced(message)
        n_rows, n_bytes = n_rows + found.rows, n_bytes + found.n_bytes
        _check_size(n_rows, n_columns)
        _check_bytes(n_bytes)


def _from_arrow(schema: Any, batches: Iterable[Any]) -> pl.DataFrame:
    """Batch by batch, so that decoding ends soon after the limit."""
    frames = [_frame(schema.empty_table())]
    n_rows = n_bytes = 0
    for batch in batches:
        # What is wrong inside would else end the process.
        batch.validate(full=True)
        n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
        _check_size(n_rows, len(schema.names))
        # What a file says of its size may be untrue: a text that it holds once may stand in every row.
        _check_bytes(n_bytes)
        frames.append(_tidied(_frame(batch)))
    frames[0] = _tidied(frames[0])
    return pl.concat(frames)


def _frame(table: Any) -> pl.DataFrame:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) or pa.types.is_date64(field.type):
            clock = _clock(field, table.column(place))
            table = table.set_column(place, pa.field(field.name, clock.type), clock)
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _clock(field: Any, moments: Any) -> Any:
    """What the clock showed there. By pyarrow: polars takes no zone such as +05:30, and wraps moments too far away."""
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


@contextmanager
def _said_as(form: str) -> Iterator[None]:
    """pyarrow decodes, because polars allocates whatever a damaged file asks for, and ends the process if it cannot."""
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
        is_known = dtype.is_integer() or dtype.is_float() or dtype in (*TEMPORAL, pl.Boolean, pl.String, pl.Null)
        if dtype in (pl.Int128, pl.UInt128) or not (is_known or dtype in (pl.Categorical, pl.Enum)):
            kinds = "numbers, booleans, texts, categories, dates and moments"
            raise TableError(f"column {shortened_name(name)}: of a type that is not for training; there are {kinds}")


def _tidied(frame: pl.DataFrame) -> pl.DataFrame:
    """NaN is missing; a moment is what the clock showed where it happened, as dates of requests have no zone."""
    return _without_missing(frame.select(_tidy(name, dtype) for name, dtype in frame.schema.items()))


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
    return column


TYPED = {"parquet": _parquet, "arrow": _arrow}


# -- all -----------------------------------------------------------------------------------------------------------


def _check_size(n_rows: int, n_columns: int) -> None:
    if n_rows * n_columns > MOST_CELLS:
        raise TableError(f"more than {MOST_CELLS} values, the most that a table may have, in {n_columns} columns")


def _check_bytes(n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise TableError(f"the table is larger than {MOST_BYTES >> 30} GB when it is unpacked")


def _check_values(frame: pl.DataFrame) -> None:
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    _refuse_first(frame, [pl.col(name).is_infinite() for name in floats], "infinite, or too large for a number")
    moments = [name for name, dtype in frame.schema.items() if dtype in TEMPORAL]
    days = [pl.col(name).cast(pl.Date).to_physical() for name in moments]
    _refuse_first(frame, [~day.is_between(FIRST_DAY, LAST_DAY, closed="left") for day in days], BEYOND)
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    _refuse_first(
        frame, [pl.col(name).str.contains("\0", literal=True) for name in texts], "a NUL character; this is no text"
    )


def _refuse_first(frame: pl.DataFrame, are_wrong: list[pl.Expr], what: str) -> None:
    """All columns at once: one after another takes polars long where there are thousands."""
    found = frame.select(is_wrong.any() for is_wrong in are_wrong)
    for name, is_any in zip(found.columns, found.row(0) if are_wrong else (), strict=True):
        if is_any:
            row = frame.select(are_wrong[found.columns.index(name)].arg_max()).item() + 1
            raise TableError(f"column {shortened_name(name)}, data row {row}: {what}")
