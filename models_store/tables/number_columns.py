"""Columns of numbers in polars: those that mean a missing value, and those that are infinite."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import polars as pl

from models_store.tables.missing_words import cells_of
from models_store.tables.number_syntax import number_in
from models_store.tables.table import Cell, Kind
from models_store.tables.ways_out import field, option


def without_numbers(column: pl.Series, words: Iterable[str]) -> pl.Series:
    """Return a column of numbers with null for each that is one of the words."""
    found = _integers(column, words) if column.dtype.is_integer() else _floats(words, column.dtype)
    are_missing = column.is_in(found.implode())
    return column.set(are_missing, None) if are_missing.any() else column


def infinity_in(column: pl.Series) -> str | None:
    """Say where a column of numbers is infinite, and the ways to settle it; None where it is not."""
    if not column.dtype.is_float() or not (are_infinite := column.is_infinite()).any():
        return None
    row = are_infinite.fill_null(value=False).arg_max()
    assert row is not None
    word = "inf" if column[row] > 0 else "-inf"
    return (
        f"{column.name}: infinite, or too large for a number, in data row {row + 1}; mend it, or say that it means "
        f"nothing (data.missing: [{word}], --missing-value={word}), or leave the column out "
        f"({field(column.name, 'drop')}, {option(column.name, 'drop')})"
    )


def _integers(column: pl.Series, words: Iterable[str]) -> pl.Series:
    """Return the words that the column may hold, exactly: as a float64, a large one would be its neighbours too."""
    numbers = [Decimal(word.strip()) for word in words if _is_finite(word)]
    lowest, highest = column.lower_bound().item(), column.upper_bound().item()
    whole = [int(number) for number in numbers if lowest <= number <= highest and number == number.to_integral_value()]
    return pl.Series(whole, dtype=column.dtype)


def _floats(words: Iterable[str], dtype: pl.DataType) -> pl.Series:
    return pl.Series(list(cells_of(words, "number", _no_cell)), dtype=pl.Float64).cast(dtype)


def _is_finite(word: str) -> bool:
    number = number_in(word)
    return number is not None and bool(np.isfinite(number))


def _no_cell(_kind: Kind, _word: str) -> Cell:
    return None
