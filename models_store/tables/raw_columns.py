"""Columns of a frame as raw values to train on: each cell as its kind has it, None or NaN where it means nothing.

A column is parsed by its different values, of which there are mostly few.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors as cs

from models_store.errors import TableError
from models_store.tables.clock import seconds_in
from models_store.tables.kinds import ORDERED
from models_store.tables.missing_words import cell_or_none, is_among
from models_store.tables.moment_columns import moments_of
from models_store.tables.moments import GRAMMAR, DateForm
from models_store.tables.narrowing import narrowed
from models_store.tables.number_columns import infinity_in, without_numbers
from models_store.tables.number_syntax import NUMBER
from models_store.tables.spelling import NOTHING, PLAIN, Spelling
from models_store.tables.table import Cell, Kind, Table, Values, column_of, days_in, label_from_text, written
from models_store.tables.text_columns import stripped
from models_store.tables.typed_files import TEMPORAL, TEMPORAL_KINDS
from models_store.tables.typed_texts import is_marked, unmarked
from models_store.wording import shortened_name

NANOSECONDS = 1000
Parse = Callable[[Kind, str], Cell]
BY_FORMAT = (
    "; numbers are dates or times by a format alone: data.date_format (--date-format NAME=FORMAT), such as %Y%m%d, "
    "or %s for seconds since 1970"
)


def table_of(frame: pl.DataFrame, kinds: Mapping[str, Kind], spelling: Spelling = PLAIN) -> Table:
    """Return the columns of these kinds, each cell as `Spelling.cell` parses it.

    Equal texts are one object, so that categories take little memory. Where polars holds a column as numbers, 1e2 and
    100.0 are one category, or one text. Raises TableError, which names the row.
    """
    frame = unmarked(frame[[*kinds]])
    return Table(
        {
            name: values_of(
                present_in(frame[name], kind, spelling), kind, partial(spelling.cell, name), spelling.forms(name)
            )
            for name, kind in kinds.items()
        }
    )


def targets_of(
    frame: pl.DataFrame, kinds: Mapping[str, Kind], spelling: Spelling = PLAIN, as_written: Collection[str] = ()
) -> Table:
    """Return target columns as `table_of` does, but the labels of `as_written` as the file writes them."""
    frame = unmarked(frame[[*kinds]])
    parses = {name: label_from_text if name in as_written else partial(spelling.cell, name) for name in kinds}
    return Table(
        {name: values_of(present_in(frame[name], kind, spelling), kind, parses[name]) for name, kind in kinds.items()}
    )


def labels_as_written(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> frozenset[str]:
    """Return the target columns whose labels are as the file writes them: texts that are not all numbers."""
    frame = unmarked(frame[[*kinds]])
    return frozenset(name for name, kind in kinds.items() if kind == "category" and _are_words(frame[name]))


def _are_words(column: pl.Series) -> bool:
    return column.dtype == pl.String and not all(
        NUMBER.fullmatch(text.strip()) for text in column.drop_nulls().unique()
    )


def holds_texts(column: pl.Series) -> bool:
    """True for a column whose cells are as the file writes them, and not numbers or moments made of them."""
    return column.dtype == pl.String or is_marked(column)


# -- missing values ------------------------------------------------------------------------------------------------


def without(frame: pl.DataFrame, missing: Iterable[str]) -> pl.DataFrame:
    """Return the table with null for these words too; a column that is numbers beside them becomes a numeric one.

    Unless it is one of texts in a typed file. Numbers are compared as numbers. Cells of other kinds are compared when
    the kind of their column is known.
    """
    words = frozenset(missing)
    if not words:
        return frame
    texts = [without_words(column, words) for column in frame.select(pl.col(pl.String))]
    typed = [
        column.set(are_among(column.cast(pl.String), words), None) for column in frame.select(pl.col(pl.Categorical))
    ]
    return frame.with_columns(without_numbers(column, words) for column in frame.select(cs.numeric())).with_columns(
        *(without_numbers(column, words) if column.dtype.is_numeric() else column for column in texts), *typed
    )


def without_words(column: pl.Series, words: frozenset[str]) -> pl.Series:
    """Return a column of texts with null for the words: one of numbers, where the others are."""
    are_words = are_among(column, words)
    return narrowed(column.set(are_words, None)) if are_words.any() else column


def are_among(texts: pl.Series, words: Collection[str]) -> pl.Series:
    """Return which texts are one of the words, whitespace around them aside, bool (n_rows,)."""
    return stripped(texts).is_in(list(words))


def present_in(column: pl.Series, kind: Kind, spelling: Spelling) -> pl.Series:
    """Return null for every cell that means a missing value in a column of the kind."""
    column = without_words(column, NOTHING) if column.dtype == pl.String and kind in ORDERED else column
    cells = spelling.missing_cells(column.name, kind)
    if not cells:
        return column
    numbers = numbers_of(column, kind)
    if numbers is not None:
        return column.set(numbers.is_in(pl.Series(list(cells), dtype=pl.Float64).implode()), None)
    distinct = column.drop_nulls().unique(maintain_order=True)
    are_missing = [
        is_among(cell_or_none(partial(spelling.cell, column.name), kind, text), kind, cells)
        for text in texts_of(distinct)
    ]
    return column.set(column.is_in(distinct.filter(pl.Series(are_missing, dtype=pl.Boolean)).implode()), None)


# -- values --------------------------------------------------------------------------------------------------------


def values_of(column: pl.Series, kind: Kind, parse: Parse, forms: Sequence[DateForm] = GRAMMAR) -> Values:
    """Return the cells of a column, missing ones as null, as values of the kind. Raises TableError, with the row."""
    if (infinity := infinity_in(column)) is not None:
        raise TableError(infinity)
    numbers = numbers_of(column, kind)
    if numbers is not None:
        return numbers.fill_null(np.nan).to_numpy()
    distinct = column.drop_nulls().unique(maintain_order=True)
    places = pl.Series(np.arange(len(distinct), dtype=np.uint32))
    coded = column.replace_strict(distinct, places, default=None, return_dtype=pl.UInt32)
    codes: NDArray[np.uint32] = coded.fill_null(len(distinct)).to_numpy()
    return column_of(kind, [*cells_of(column, distinct, kind, parse, forms), None])[codes]


def numbers_of(column: pl.Series, kind: Kind) -> pl.Series | None:
    """Return the column as float64 where polars holds its kind as it is, else None."""
    match kind:
        case "number" if column.dtype.is_numeric():
            return column.cast(pl.Float64)
        case "boolean" if column.dtype == pl.Boolean:
            return column.cast(pl.Float64)
        case "date" if column.dtype in TEMPORAL:
            microseconds = column.cast(pl.Datetime("us")).to_physical()
            days = days_in(microseconds.fill_null(0).to_numpy())
            return _floats(days, column)
        case "time" if column.dtype == pl.Time:
            nanoseconds = column.to_physical().fill_null(0).to_numpy()
            return _floats(seconds_in(nanoseconds // NANOSECONDS), column)
        case "duration" if column.dtype == pl.Duration:
            microseconds = column.cast(pl.Duration("us")).to_physical()
            return _floats(seconds_in(microseconds.fill_null(0).to_numpy()), column)
    return None


def _floats(numbers: NDArray[np.float64], column: pl.Series) -> pl.Series:
    return pl.Series(np.where(column.is_null().to_numpy(), np.nan, numbers), nan_to_null=True)


def cells_of(
    column: pl.Series, distinct: pl.Series, kind: Kind, parse: Parse, forms: Sequence[DateForm] = GRAMMAR
) -> list[Cell]:
    """Return the cell of each of the different values. Raises TableError, which names the row of the first wrong one.

    `forms` are those in which `parse` reads dates: many are read together.
    """
    texts = texts_of(distinct, are_digits=kind in ("date", "time"))
    if kind == "date":
        moments, known = moments_of(pl.Series(texts, dtype=pl.String), forms)
        if known.all():
            return cast(list[Cell], days_in(moments).tolist())
    cells: list[Cell] = []
    for place, text in enumerate(texts):
        try:
            cells.append(parse(kind, text))
        except ValueError as error:
            row = column.index_of(distinct[place])
            assert row is not None
            name = shortened_name(column.name)
            hint = BY_FORMAT if kind in ("date", "time") and column.dtype.is_numeric() else ""
            raise TableError(f"column {name}, data row {row + 1}: expected {error}{hint}") from None
    return cells


def texts_of(values: pl.Series, *, are_digits: bool = False) -> list[str]:
    """Return the values as a CSV file would write them; whole numbers as their digits alone, if `are_digits`."""
    if values.dtype == pl.String:
        return cast(list[str], values.to_list())
    kind = TEMPORAL_KINDS.get(values.dtype.base_type())
    if kind is not None:
        numbers = numbers_of(values, kind)
        assert numbers is not None
        return [str(written(kind, number)) for number in numbers]
    if values.dtype == pl.Boolean:
        return ["true" if value else "false" for value in values]
    if are_digits and values.dtype.is_float():
        # Of other numbers the digits of the file are not known: 2020.1 may have been 2020.10.
        return [str(int(value)) if value.is_integer() else "" for value in values]
    return [str(value) for value in values.to_numpy()]
