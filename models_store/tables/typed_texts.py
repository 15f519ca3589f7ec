"""Text columns of files that say the type of a column: digits in them are names, also beside a dash.

"1" "2" "-"   of Parquet    Categorical    three names
1  2  -       of CSV        String         two numbers, and a missing one
"""

import polars as pl

from models_store.tables.number_syntax import POLARS_NUMBER
from models_store.tables.text_columns import stripped


def marked(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the table of a typed file, with those text columns marked in which numbers stand; others need no mark."""
    return frame.with_columns(marked_column(column) for column in frame.select(pl.col(pl.String)))


def marked_column(texts: pl.Series) -> pl.Series:
    # Categorical, because Parquet and polars keep it: a stored table is still known to be typed.
    return texts.cast(pl.Categorical) if stripped(texts).str.contains(POLARS_NUMBER).any() else texts


def is_marked(column: pl.Series) -> bool:
    return column.dtype == pl.Categorical


def unmarked(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
