"""Text columns of polars: the whitespace around their cells, and cells that mean a missing value."""

import polars as pl

from models_store.tables.table import MISSING

# The characters that `str.strip` takes away; polars (Rust) has another list.
SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def stripped(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars(SPACE)


def all_stripped(fields: pl.DataFrame) -> pl.DataFrame:
    """Return `fields`, all of whose columns are texts, without whitespace around any cell."""
    return fields.select(pl.all().str.strip_chars(SPACE))


def without_missing(frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with null for each text cell that is one of `table.MISSING`; other columns are as they were."""
    column = pl.col(pl.String)
    return frame.with_columns(pl.when(column.str.strip_chars(SPACE).is_in(list(MISSING)).not_()).then(column))
