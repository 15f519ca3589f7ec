"""CSV files as polars frames: a column is Int64, Float64, or String with its cells as they stand in the file.

Dates, booleans and codes such as 007 are String here; `inference` says what kind of column they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from models_store.errors import TableError, shortened_name
from models_store.tables import csv_layout, csv_rows
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.csv_layout import TAIL, UNNAMED, Layout
from models_store.tables.csv_rows import ONE_LINE
from models_store.tables.file_limits import check_size
from models_store.tables.number_syntax import NUMBER, POLARS_CODE, POLARS_INTEGER, POLARS_NUMBER, POLARS_PLAIN_INTEGER
from models_store.tables.reading import Reading
from models_store.tables.spelling import NOTHING
from models_store.tables.table import FALSE, TRUE
from models_store.tables.text_columns import all_stripped, may_hold_space, stripped, without_missing

# They show of most columns of texts that they are no numbers.
FIRST_ROWS = 16
FEW = 5
# A name stands among a few texts by chance.
FEWEST_ROWS = 20


def read_csv(path: Path, dialect: CsvDialect) -> Reading:
    """Read block by block, each column as narrow as its cells so far; a column that turns out to be text is read twice.

    Raises TableError where the file is not a table.
    """
    layout = csv_layout.layout(path, dialect)
    names = list(layout.names)
    parts: list[pl.DataFrame] = []
    seen: list[_Seen] = []
    n_rows = 0
    for block in layout.blocks(path):
        n_rows += block.rows
        check_size(n_rows, len(names))
        cells = _cells(block, names, layout.dialect)
        found = _seen(cells.bare)
        seen = [before | now for before, now in zip(seen, found, strict=True)] if seen else found
        parts.append(_narrow(cells, [column.dtype for column in found]))
    if not parts:
        only = f"; {ONE_LINE}" if csv_layout.has_one_line(path) else ""
        raise TableError(f"the table has columns and no rows{only}")
    dtypes = [column.dtype for column in seen]
    if again := _narrowed_too_early(parts, dtypes):
        texts = [_cells(block, names, layout.dialect).texts(again) for block in layout.blocks(path)]
        parts = [part.with_columns(text) for part, text in zip(parts, texts, strict=True)]
    return _whole(pl.concat([_cast(part, dtypes) for part in parts]), layout)


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


def looks_like_data(frame: pl.DataFrame) -> bool:
    """True if each name could be a cell of its column: a number above numbers, a text that stands in it again.

    Years above numbers are names nonetheless, as long as one other column has a name that cannot be its cell.
    """
    columns = [column for column in frame if column.name != UNNAMED and column.null_count() < len(column)]
    if not columns or not all(map(_may_be_cell, columns)):
        return False
    if any(column.dtype != pl.String for column in columns):
        return True
    # Of texts alone it takes many rows; and some where one of the names stands without the others, which a line of
    # names that comes again does not have.
    are_names = [stripped(column) == column.name for column in columns]
    n_all = pl.DataFrame(are_names).select(pl.all_horizontal(pl.all()).sum()).item()
    return len(columns) > 1 and frame.height >= FEWEST_ROWS and any(found.sum() > n_all for found in are_names)


def _may_be_cell(column: pl.Series) -> bool:
    if column.dtype.is_numeric():
        return NUMBER.fullmatch(column.name) is not None
    if column.dtype == pl.Boolean:
        return column.name.strip().lower() in TRUE | FALSE
    if column.dtype != pl.String:  # a date, time or duration of a workbook
        return any(map(str.isdigit, column.name))
    return column.name.strip() in stripped(column)


def _narrowed_too_early(parts: list[pl.DataFrame], dtypes: list[type[pl.DataType]]) -> list[str]:
    """Return the names of the columns of texts that are not texts in each of the parts."""
    # Each part's dtypes are asked for once: polars builds its schema anew each time, of all columns.
    by_part = [part.dtypes for part in parts]
    return [
        name
        for name, dtype, *before in zip(parts[0].columns, dtypes, *by_part, strict=True)
        if dtype == pl.String and any(found != pl.String for found in before)
    ]


def narrowed(column: pl.Series) -> pl.Series:
    """Return a text column with the dtype that it would have in a CSV file."""
    cells = _Cells.of(column.to_frame(), has_space=True)
    (found,) = _seen(cells.bare)
    return _narrow(cells, [found.dtype]).to_series()


@dataclass(frozen=True)
class _Seen:
    """Facts of all cells of a column that are not missing, in one block or several."""

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


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells as texts, as they stand in the file and without whitespace around them; in `bare` missing ones are null."""

    fields: pl.DataFrame
    bare: pl.DataFrame

    @classmethod
    def of(cls, fields: pl.DataFrame, *, has_space: bool) -> "_Cells":
        if has_space:
            return cls(fields, without_missing(all_stripped(fields), are_stripped=True))
        bare = without_missing(fields, are_stripped=True)
        return cls(bare, bare)

    def texts(self, names: list[str]) -> pl.DataFrame:
        """Return columns as they stand in the file, missing cells as null."""
        return self.bare.select(names) if self.fields is self.bare else without_missing(self.fields.select(names))


def _cells(block: csv_rows.Block, names: list[str], dialect: CsvDialect) -> _Cells:
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
    return _Cells.of(fields, has_space=may_hold_space(block.content))


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


def _seen(bare: pl.DataFrame) -> list[_Seen]:
    # Each pattern is matched only in columns that still can match it all: there are many cells.
    numbers = _matching(bare, _matching(bare.head(FIRST_ROWS), bare.columns, POLARS_NUMBER), POLARS_NUMBER)
    integers = _matching(bare, numbers, POLARS_INTEGER)
    plain = _matching(bare, integers, POLARS_PLAIN_INTEGER)
    others = bare.select(name for name in integers if name not in plain)
    codes = {column.name for column in others if column.str.contains(POLARS_CODE).any()}
    return [
        _Seen(
            are_plain_integers=column.name in plain,
            are_integers=column.name in integers,
            are_numbers=column.name in numbers,
            has_codes=column.name in codes,
            are_missing=column.null_count() == len(column),
        )
        for column in bare
    ]


def _matching(texts: pl.DataFrame, names: Iterable[str], pattern: str) -> dict[str, None]:
    """Return the names of the columns all of whose cells match or are missing, in order."""
    names = list(names)
    matching = texts.select(pl.col(names).str.contains(pattern).all()).row(0) if names else ()
    return {name: None for name, matches in zip(names, matching, strict=True) if matches}


def _narrow(cells: _Cells, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    """Return text columns as they stand in the file, the others cast."""
    texts = [name for name, dtype in zip(cells.bare.columns, dtypes, strict=True) if dtype == pl.String]
    return _cast(cells.bare.with_columns(cells.texts(texts)), dtypes)


def _cast(part: pl.DataFrame, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    """Cast the columns that are of another dtype; all that become one dtype together, which is fast for many."""
    names: dict[type[pl.DataType], list[str]] = {}
    for name, found, dtype in zip(part.columns, part.dtypes, dtypes, strict=True):
        if found != dtype:
            names.setdefault(dtype, []).append(name)
    return part.with_columns(pl.col(several).cast(dtype) for dtype, several in names.items())


def check_index(column: pl.Series) -> None:
    """Raise TableError where a column without a name is not the row index that pandas and R write.

    Such an index counts rows, or did before some rows were taken out, or holds R's names of rows: none of them twice.
    """
    is_index = column.dtype.is_integer() or column.dtype == pl.String
    if not (is_index and column.null_count() == 0 and column.is_unique().all()):
        raise TableError(
            "line 1: column 1 has no name, and is no index either, for its values do not all differ; give it a name"
        )
