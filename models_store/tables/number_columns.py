"""Columns of numbers in polars, without those that mean a missing value."""

from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import polars as pl

from models_store.tables.missing_words import cells_of
from models_store.tables.number_syntax import number_in
from models_store.tables.table import Cell, Kind


def without_numbers(column: pl.Series, words: Iterable[str]) -> pl.Series:
    """Return a column of numbers with null for each that is one of the words."""
    found = _integers(column, words) if column.dtype.is_integer() else _floats(words, column.dtype)
    are_missing = column.is_in(found.implode())
    return column.set(are_missing, None) if are_missing.any() else column


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
