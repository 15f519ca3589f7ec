"""CSV files as polars frames: a column is Int64, Float64, or String with its cells as they stand in the file.

Dates, booleans and codes such as 007 are String here; `inference` says what kind of column they are.
"""

from pathlib import Path

import polars as pl

from models_store.errors import TableError
from models_store.tables import csv_layout, csv_rows
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.csv_layout import TAIL, UNNAMED, Layout
from models_store.tables.csv_rows import ONE_LINE
from models_store.tables.file_limits import check_size
from models_store.tables.first_lines import check_index, looks_like_data
from models_store.tables.narrowing import Cells, Seen, narrow, seen_in, with_dtypes
from models_store.tables.number_syntax import POLARS_NUMBER
from models_store.tables.reading import Reading
from models_store.tables.spelling import NOTHING
from models_store.tables.text_columns import may_hold_space, stripped, without_missing
from models_store.wording import shortened_name

FEW = 5


def read_csv(path: Path, dialect: CsvDialect) -> Reading:
    """Read block by block, each column as narrow as its cells so far; a column that turns out to be text is read twice.

    Raises TableError where the file is not a table.
    """
    layout = csv_layout.layout(path, dialect)
    names = list(layout.names)
    parts: list[pl.DataFrame] = []
    seen: list[Seen] = []
    n_rows = 0
    for block in layout.blocks(path):
        n_rows += block.rows
        check_size(n_rows, len(names))
        cells = _cells(block, names, layout.dialect)
        found = seen_in(cells.bare)
        seen = [before | now for before, now in zip(seen, found, strict=True)] if seen else found
        parts.append(narrow(cells, [column.dtype for column in found]))
    if not parts:
        only = f"; {ONE_LINE}" if csv_layout.has_one_line(path) else ""
        raise TableError(f"the table has columns and no rows{only}")
    dtypes = [column.dtype for column in seen]
    if again := _narrowed_too_early(parts, dtypes):
        texts = [_cells(block, names, layout.dialect).texts(again) for block in layout.blocks(path)]
        parts = [part.with_columns(text) for part, text in zip(parts, texts, strict=True)]
    return _whole(pl.concat([with_dtypes(part, dtypes) for part in parts]), layout)


def _whole(frame: pl.DataFrame, layout: Layout) -> Reading:
    """Return the table without what are no columns of it. Raises TableError where its first line is not names."""
    if TAIL in layout.names:
        if frame[TAIL].null_count() < frame.height:
            raise TableError(f"column {frame.width} has values and no name; give it one in the first line")
        frame = frame.drop(TAIL)
    if layout.has_index:
        check_index(frame[UNNAMED])
    if layout.dialect.header is None and looks_like_data(frame):
        shown = ", ".join(map(shortened_name, frame.columns[:FEW]))
        raise TableError(
            f"line {layout.n_before + 1}: looks like a row and not like names ({shown}); if it is a row, say "
            "--no-header (?header=absent); if these are the names, say --header (?header=present)"
        )
    return Reading(frame, layout.remarks)


def _narrowed_too_early(parts: list[pl.DataFrame], dtypes: list[type[pl.DataType]]) -> list[str]:
    """Return the names of the columns of texts that are not texts in each of the parts."""
    # Each part's dtypes are asked for once: polars builds its schema anew each time, of all columns.
    by_part = [part.dtypes for part in parts]
    return [
        name
        for name, dtype, *before in zip(parts[0].columns, dtypes, *by_part, strict=True)
        if dtype == pl.String and any(found != pl.String for found in before)
    ]


def _cells(block: csv_rows.Block, names: list[str], dialect: CsvDialect) -> Cells:
    """Return the cells of a block, numbers with decimal points."""
    fields = pl.read_csv(
        block.content,
        has_header=False,
        schema=dict.fromkeys(names, pl.String()),
        separator=csv_rows.separator_of(dialect),
        empty_string_is_null=False,
    )
    if fields.height != block.rows:
        raise TableError(
            f"somewhere after line {block.line}: expected {block.rows} rows, and {fields.height} are told apart"
        )
    if dialect.decimal == ",":
        fields = without_missing(fields)
        fields = fields.with_columns(map(_with_points, fields))
    # To look for a few characters in a block takes far less than to strip a million cells.
    return Cells.of(fields, has_space=may_hold_space(block.content))


def with_commas(block: csv_rows.Block, names: list[str], dialect: CsvDialect) -> bytes:
    """Return the rows of a block with commas between fields and points in numbers, as in the body of a request."""
    fields = _cells(block, names, dialect).fields.drop(TAIL, strict=False)
    return fields.write_csv(include_header=False).encode()


def _with_points(column: pl.Series) -> pl.Series:
    """Return numbers with decimal commas as numbers with decimal points.

    Raises TableError where a point stands among them, which separates thousands or is a mistake.
    """
    texts = stripped(column)
    swapped = texts.str.replace_many([",", "."], [".", ","])
    has_comma, has_point = swapped.str.contains(POLARS_NUMBER), texts.str.contains(POLARS_NUMBER)
    are_numbers = (has_comma | has_point | texts.is_in(list(NOTHING))).all()
    if are_numbers and (has_point & ~has_comma).any():
        raise TableError(f"column {shortened_name(column.name)}: numbers with points, where the decimal is a comma")
    return column.zip_with(~has_comma.fill_null(value=False), swapped)
