"""Words for a missing value as values of a column's kind: -999, -999.0 and -9.99e2 are one number.

words -> cells of a kind      by which training finds them in files, and every format in requests. Free of polars.
"""

from collections.abc import Callable, Iterable

import numpy as np

from models_store.tables.number_syntax import number_in
from models_store.tables.table import Cell, Kind, category_of

Parse = Callable[[Kind, str], Cell]


def cells_of(words: Iterable[str], kind: Kind, parse: Parse) -> frozenset[Cell]:
    """Return the cells that the words are in a column of the kind; a word that is of another kind is none.

    `parse` raises ValueError where a word is of another kind. A number is there rounded to float32 as well: a file or
    a request may hold it so.
    """
    match kind:
        case "number":
            numbers = [number for word in words if (number := number_in(word)) is not None]
            return frozenset(rounded for number in numbers for rounded in (number, _as_float32(number)))
        case "text" | "category":
            return frozenset(map(category_of, words))
    return frozenset(cell for word in words if (cell := cell_or_none(parse, kind, word)) is not None)


def cell_or_none(parse: Parse, kind: Kind, word: str) -> Cell:
    """Return the word as a cell of the kind; None where it is of another kind."""
    try:
        return parse(kind, word)
    except ValueError:
        return None


def is_among(cell: Cell, kind: Kind, cells: frozenset[Cell]) -> bool:
    """True if the cell of a column of the kind means a missing value. A text means what it would as a category."""
    return (category_of(cell) if kind == "text" and isinstance(cell, str) else cell) in cells


def _as_float32(number: float) -> float:
    with np.errstate(over="ignore"):
        rounded = float(np.float32(number))
    # A large number is not infinite because a float32 cannot hold it.
    return rounded if np.isfinite(rounded) else number
