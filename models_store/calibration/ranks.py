"""The rank of a level among calibration rows, in integers: at 0.9 nine rows are enough, at 0.95 nineteen.

level 0.9, 9 scores -> rank ceil(0.9 · 10) = 9 -> the largest of them
"""

from fractions import Fraction

from models_store.arrays import Array
from models_store.errors import TooFewRows


def exactly(level: float) -> Fraction:
    """Return the decimal that a level is written as, between 0 and 1: 0.9 is nine tenths, not the float beside it."""
    return Fraction(repr(level))


def rank(level: Fraction, n_rows: int) -> int:
    """Return the place, counted from 1, of the threshold among the scores in order. Raises TooFewRows."""
    place = -int(-level * (n_rows + 1) // 1)
    if place > n_rows:
        raise TooFewRows(level, rows_for(level), n_rows)
    return place


def rows_for(level: Fraction) -> int:
    """Return the least number of calibration rows that a level takes."""
    return -int(-level / (1 - level) // 1)


def threshold(ordered: Array, level: Fraction) -> float:
    """Return the score that a new row does not exceed as often as `level`, of scores in ascending order, (n_rows,).

    Raises TooFewRows.
    """
    return float(ordered[rank(level, len(ordered)) - 1])
