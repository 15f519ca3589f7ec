"""A sheet of a workbook (xlsx, ods) as a polars frame: numbers, booleans, dates, times of day, durations and texts.

fastexcel decodes it, after `workbooks` has looked through its parts.
"""

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fastexcel
import polars as pl

from models_store.errors import TableError
from models_store.tables import workbooks
from models_store.tables.csv_layout import UNNAMED
from models_store.tables.csv_rows import check_names
from models_store.tables.first_lines import check_index, looks_like_data
from models_store.tables.narrowing import narrowed
from models_store.tables.reading import Reading, whole_where_exact
from models_store.tables.text_columns import without_missing
from models_store.tables.workbooks import DAMAGED, Sheet, column_name
from models_store.wording import counted, shortened, shortened_name

# The day of a cell that holds a time of day alone; which of the first two depends on the program that reads it. The
# third is that of workbooks that count from 1904, as those of Excel on a Mac did.
NO_DAYS = (datetime.date(1899, 12, 30), datetime.date(1899, 12, 31), datetime.date(1904, 1, 1))
FEW = 5
# Rows that may stand above the names.
MOST_TITLES = 20

# It prints a line for each column of several types, which are read as texts here.
logging.getLogger("fastexcel").setLevel(logging.ERROR)


def read_sheet(path: Path, sheet: str | None, header: str | None) -> Reading:
    """Read the sheet of this name, or the only one that has cells. Raises TableError, which names the sheets."""
    found = _chosen(workbooks.sheets(path), sheet)
    top = _top(path, found.name) if header != "absent" else []
    n_titles = _n_titles(top)
    names_at = n_titles + _n_empty_above(path, found.name) if n_titles else 0
    frame = _loaded(path, found.name, names_at if header != "absent" else None)
    n_rows = frame.height
    frame, has_index = _named(frame, top[n_titles] if top else [], f"row {names_at + 1}: ")
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    typed = without_missing(pl.DataFrame([_typed(column) for column in frame]))
    if has_index:
        check_index(typed[UNNAMED])
    if header is None and looks_like_data(typed):
        shown = ", ".join(map(shortened_name, typed.columns[:FEW]))
        raise TableError(
            f"sheet {shortened_name(found.name)}: its first row looks like data and not like names ({shown}); if it is "
            "data, say --no-header (?header=absent); if these are the names, say --header (?header=present)"
        )
    empty = n_rows - frame.height
    remarks = [counted(empty, "empty row was left out", "empty rows were left out")] if empty else []
    if n_titles:
        remarks.insert(0, f"rows above the names that hold at most one cell were left out, as a title: {n_titles}")
    return Reading(typed, (*remarks, *map(_said, found.formulas.items())))


def _chosen(sheets: Sequence[Sheet], name: str | None) -> Sheet:
    filled = [sheet for sheet in sheets if sheet.n_rows]
    listed = shortened(shortened_name(sheet.name) for sheet in filled)
    if name is not None:
        chosen = [sheet for sheet in filled if sheet.name == name]
        if not chosen:
            raise TableError(f"sheet: there is no {shortened_name(name)} with cells; there are {listed}")
        return chosen[0]
    if not filled:
        raise TableError("the workbook has no sheet with cells")
    if len(filled) > 1:
        raise TableError(f"the workbook has several sheets: {listed}; say which by --sheet NAME (?sheet=NAME)")
    return filled[0]


def _loaded(path: Path, sheet: str, names_at: int | None, **how: Any) -> pl.DataFrame:
    try:
        book = fastexcel.read_excel(str(path))
        frame = book.load_sheet(sheet, schema_sample_rows=None, header_row=names_at, **how).to_polars()
    except BaseException as error:
        # It panics over some damaged files, which is no Exception.
        if isinstance(error, fastexcel.FastExcelError) or type(error).__name__ == "PanicException":
            raise TableError(DAMAGED) from None
        raise
    assert isinstance(frame, pl.DataFrame)
    return frame


def _top(path: Path, sheet: str) -> list[list[str]]:
    """Return the first rows as texts: names as they stand there, of which fastexcel would number equal ones."""
    rows = _loaded(path, sheet, None, n_rows=MOST_TITLES + 1, dtypes="string").rows()
    return [[(cell or "").strip() for cell in row] for row in rows]


def _n_empty_above(path: Path, sheet: str) -> int:
    """Return how many rows without a cell stand above the first: fastexcel counts them only where it skips a row."""
    below_the_first = _loaded(path, sheet, None, dtypes="string", skip_rows=1).height
    return 1 + below_the_first - _loaded(path, sheet, None, dtypes="string").height


def _n_titles(top: list[list[str]]) -> int:
    """Return how many rows stand above the names: a title, and rows without a cell, above a row of several cells."""
    n_cells = [sum(map(bool, row)) for row in top]
    n_titles = next((place for place, n in enumerate(n_cells) if n > 1), 0)
    return n_titles if n_titles and n_cells[n_titles] > 2 else 0


def _named(frame: pl.DataFrame, names: list[str], where: str) -> tuple[pl.DataFrame, bool]:
    """Return the columns by name, empty ones without a name left out; True if the first is an index without one."""
    if not names:
        return frame.rename({name: f"column_{place + 1}" for place, name in enumerate(frame.columns)}), False
    columns = [
        (name, column) for name, column in zip(names, frame, strict=False) if name or column.null_count() < len(column)
    ]
    has_index = bool(columns) and not columns[0][0] and len(columns) > 1
    if has_index:
        columns[0] = (UNNAMED, columns[0][1])
    check_names([name for name, _ in columns], where)
    return pl.DataFrame([column.alias(name) for name, column in columns]), has_index


def _typed(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        moments = column.cast(pl.Datetime("us"))
        has_no_day = moments.dt.date().is_in(NO_DAYS).fill_null(value=True).all()
        return moments.dt.time() if has_no_day and moments.null_count() < len(moments) else moments
    if isinstance(dtype, pl.Duration):
        return column.cast(pl.Duration("us"))
    if dtype == pl.String:
        return narrowed(without_missing(column.to_frame()).to_series())
    if dtype.is_float():
        return whole_where_exact(column.fill_nan(None))
    return column.cast(pl.Float64) if dtype == pl.Null else column


def _said(formulas: tuple[int, workbooks.Formulas]) -> str:
    number, found = formulas
    column = column_name(number)
    cells = f"{found.count} cells of column {column} are formulas, from {column}{found.first_row} on"
    if found.n_without_value:
        return (
            f"{cells}; {found.n_without_value} of them were never calculated, and are missing: open the file in a "
            "spreadsheet program and save it there"
        )
    return f"{cells}; read is the value that the writing program stored, which is 0 where it did not calculate them"
