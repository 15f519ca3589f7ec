"""The first line of a table, and its first column: names or a row, an index or a column of the table."""

import polars as pl

from models_store.errors import TableError
from models_store.tables.csv_layout import UNNAMED
from models_store.tables.number_syntax import NUMBER
from models_store.tables.table import FALSE, TRUE
from models_store.tables.text_columns import stripped

# A name stands among a few texts by chance.
FEWEST_ROWS = 20


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


def check_index(column: pl.Series) -> None:
    """Raise TableError where a column without a name is not the row index that pandas and R write.

    Such an index counts rows, or did before some rows were taken out, or holds R's names of rows: none of them twice.
    """
    is_index = column.dtype.is_integer() or column.dtype == pl.String
    if not (is_index and column.null_count() == 0 and column.is_unique().all()):
        raise TableError(
            "line 1: column 1 has no name, and is no index either, for its values do not all differ; give it a name"
        )
