"""Table files, read strictly. Importing this module imports polars, which takes a moment: a server defers it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from models_store.errors import TableError
from models_store.tables.arff import read_arff
from models_store.tables.clock import MOST_DAYS
from models_store.tables.column_facts import Form
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from models_store.tables.csv_files import read_csv
from models_store.tables.json_lines import read_json_lines
from models_store.tables.moments import FIRST_DAY, LAST_DAY
from models_store.tables.reading import Reading
from models_store.tables.statistics_files import read_statistics
from models_store.tables.text_columns import without_missing
from models_store.tables.typed_files import BEYOND, TEMPORAL, TOO_LONG, read_arrow, read_parquet
from models_store.tables.typed_texts import marked, unmarked
from models_store.wording import shortened_name


def read(path: Path, form: Form, dialect: CsvDialect = PLAIN) -> pl.DataFrame:
    """Read the whole table, missing values as null. Raises TableError, which says what is wrong with it and where."""
    return reading(path, form, dialect).frame


def reading(path: Path, form: Form, dialect: CsvDialect = PLAIN) -> Reading:
    """Read the whole table as `read` does, and say how it was read."""
    check_said(form, dialect)
    try:
        found = _read(path, form, dialect)
    except MemoryError:
        raise TableError("the table needs more memory than there is for it when it is unpacked") from None
    if found.frame.height == 0:
        raise TableError("the table has columns and no rows")
    _check_values(unmarked(found.frame))
    return found


def check_said(form: Form, dialect: CsvDialect) -> None:
    """Raise TableError where the dialect says what files of this form say themselves."""
    if form != "workbook" and dialect.sheet is not None:
        raise TableError("sheet is for workbooks (xlsx, ods); another file has one table")
    if form == "workbook" and replace(dialect, header=None, sheet=None) != PLAIN:
        raise TableError("delimiter, decimal, encoding and comment are for CSV; of a workbook, say sheet and header")
    if form not in ("csv", "workbook") and dialect != PLAIN:
        raise TableError(
            "delimiter, decimal, encoding, header and comment are for CSV; other formats say these things themselves"
        )


def _read(path: Path, form: Form, dialect: CsvDialect) -> Reading:
    match form:
        case "csv":
            return read_csv(path, dialect)
        case "parquet":
            return Reading(read_parquet(path))
        case "arrow":
            return Reading(read_arrow(path))
        case "json-lines":
            return Reading(read_json_lines(path))
        case "arff":
            return Reading(marked(without_missing(read_arff(path))))
        case "workbook":
            from models_store.tables.spreadsheets import read_sheet  # deferred: most tables are read without fastexcel

            return read_sheet(path, dialect.sheet, dialect.header)
        case "spss" | "stata":
            return read_statistics(path, form)


def _check_values(frame: pl.DataFrame) -> None:
    dtypes = dict(zip(frame.columns, frame.dtypes, strict=True))
    _refuse_first(frame, [name for name, dtype in dtypes.items() if dtype in TEMPORAL], _is_beyond, BEYOND)
    _refuse_first(frame, [name for name, dtype in dtypes.items() if dtype == pl.Duration], _is_long, TOO_LONG)
    texts = [name for name, dtype in dtypes.items() if dtype == pl.String]
    _refuse_first(frame, texts, _holds_nul, "a NUL character; this is no text")


def _is_beyond(moments: pl.Expr) -> pl.Expr:
    return ~moments.cast(pl.Date).to_physical().is_between(FIRST_DAY, LAST_DAY, closed="left")


def _is_long(durations: pl.Expr) -> pl.Expr:
    return durations.dt.total_days().abs() > MOST_DAYS


def _holds_nul(texts: pl.Expr) -> pl.Expr:
    return texts.str.contains("\0", literal=True)


def _refuse_first(frame: pl.DataFrame, names: list[str], are_wrong: Callable[[pl.Expr], pl.Expr], what: str) -> None:
    """Raise TableError for the first of the columns that has a wrong cell, and the row of that cell."""
    # All columns in one expression: one after another takes polars long where there are thousands.
    found = frame.select(are_wrong(pl.col(names)).any()).row(0) if names else ()
    for name, is_any in zip(names, found, strict=True):
        if is_any:
            row = frame.select(are_wrong(pl.col(name)).arg_max()).item() + 1
            raise TableError(f"column {shortened_name(name)}, data row {row}: {what}")
