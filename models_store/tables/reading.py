"""What reading the file of a table gives: the table, and what its owner should know of how it was read."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, eq=False)
class Reading:
    frame: pl.DataFrame
    remarks: tuple[str, ...] = ()
    """Such as lines that were taken for comments; each a clause without a full stop."""
