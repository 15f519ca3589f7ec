"""Columns of a type that nothing is learned from: their cells are not kept, but their name and their type are.

Such a column is an Enum of one category, its type, and has no cells; no other column of a table is an Enum.
"""

import polars as pl

from models_store.wording import shortened_name

LONGEST_TYPE = 80


def left_out(name: str, type_name: str, n_rows: int) -> pl.Series:
    """Return the column in place of one whose type a file calls `type_name`."""
    return emptied(name, pl.Enum([shortened_name(type_name, LONGEST_TYPE)]), n_rows)


def emptied(name: str, dtype: pl.Enum, n_rows: int) -> pl.Series:
    return pl.Series(name, [None], dtype).extend_constant(None, n_rows)[:n_rows]


def type_left_out(column: pl.Series) -> str | None:
    """Return the type of a column that was left out; None of any other column."""
    return str(column.dtype.categories[0]) if isinstance(column.dtype, pl.Enum) else None
