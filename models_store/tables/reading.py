"""What reading the file of a table gives: the table, and what its owner should know of how it was read."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, eq=False)
class Reading:
    frame: pl.DataFrame
    remarks: tuple[str, ...] = ()
    """Such as lines that were taken for comments; each a clause without a full stop."""


def whole_where_exact(column: pl.Series) -> pl.Series:
    """Return real numbers as whole ones if they are: of files whose numbers are all real."""
    present = column.drop_nulls()
    are_whole = len(present) > 0 and bool(((present == present.round()) & (present.abs() < 2**53)).all())
    return column.cast(pl.Int64) if are_whole else column
