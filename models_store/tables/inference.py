"""Uploaded tables: the kind of each column, inferred from all its cells, and columns as raw values to train on.

file -> DataFrame (`read`) -> ColumnFacts (`facts`) -> Table (`table_of`)
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from types import MappingProxyType
from typing import Literal, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars import selectors as cs

from models_store.errors import TableError, shortened_name, unlike
from models_store.tables.ambiguity import ambiguity_of, clock_kind, infinity_in, order_of
from models_store.tables.clock import seconds_in
from models_store.tables.column_facts import ColumnFacts, Form
from models_store.tables.csv_layout import UNNAMED
from models_store.tables.date_formats import form_of, kind_of_format
from models_store.tables.files import read
from models_store.tables.identifiers import is_prose, names_rows, note_on, note_on_texts, numbers_rows, way_to_keep
from models_store.tables.index_names import PARQUET_INDEX
from models_store.tables.kinds import ORDERED
from models_store.tables.left_out import type_left_out
from models_store.tables.missing_words import cell_or_none, is_among
from models_store.tables.moment_columns import are_moments, moments_of
from models_store.tables.moments import GRAMMAR, DateForm, forms_in
from models_store.tables.narrowing import narrowed
from models_store.tables.number_columns import without_numbers
from models_store.tables.number_syntax import NUMBER
from models_store.tables.spelling import NOTHING, PLAIN, DateOrder, Spelling
from models_store.tables.table import (
    LONGEST_CATEGORY,
    Cell,
    Kind,
    Table,
    Values,
    column_of,
    days_in,
    from_text,
    label_from_text,
    written,
)
from models_store.tables.text_columns import sample, stripped
from models_store.tables.typed_files import TEMPORAL, TEMPORAL_KINDS
from models_store.tables.typed_texts import is_marked, unmarked
from models_store.tables.words import words_of

__all__ = [
    "ColumnFacts",
    "Form",
    "TableError",
    "facts",
    "holds_texts",
    "labels_as_written",
    "read",
    "table_of",
    "targets_of",
    "without",
]

NANOSECONDS = 1000
MOST_EXAMPLES = 3
LONGEST_EXAMPLE = 80
FEWEST_WORDS_OF_TEXT = 4
# Without one of them a text is neither a number, infinity included, nor a date.
DIGIT = re.compile("[0-9]|inf", re.IGNORECASE)
# In columns that are looked at together: what their different values take is held at once.
CELLS_AT_ONCE = 1_000_000
# Beyond this a float64 does not tell every whole number from its neighbours.
MOST_EXACT = 2**53
# Up to MOST_CODES whole numbers from 0 or 1 on, each in FEWEST_ROWS_OF_A_CODE rows, are taken for codes of labels.
MOST_CODES, FEWEST_ROWS_OF_A_CODE = 10, 10
Parse = Callable[[Kind, str], Cell]
FORMATS_OF_DIGITS = ("%Y%m%d", "%Y%m%d%H%M%S")
BY_FORMAT = (
    "; numbers are dates or times by a format alone: data.date_format (--date-format NAME=FORMAT), such as %Y%m%d, "
    "or %s for seconds since 1970"
)
NO_FORMATS: Mapping[str, str] = MappingProxyType({})
NO_OVERRIDES: Mapping[str, Kind | Literal["drop"]] = MappingProxyType({})


def facts(
    frame: pl.DataFrame,
    overrides: Mapping[str, Kind | Literal["drop"]] = NO_OVERRIDES,
    dates: DateOrder | None = None,
    missing: Iterable[str] = (),
    formats: Mapping[str, str] = NO_FORMATS,
) -> list[ColumnFacts]:
    """Return the facts of every column, in order.

    `overrides` give columns a kind and keep them, or drop them; `dates` gives the order of day and month to columns
    that do not show it; `missing` are the words that `without` was given; `formats` say how columns of dates or times
    are written. Raises TableError where a column is not there, or a cell is not of the given kind.
    """
    unknown = next((name for name in (*overrides, *formats) if name not in frame.columns), None)
    if unknown is not None:
        raise TableError(f"there is no column {shortened_name(unknown)}; {unlike(unknown, frame.columns)}")
    overrides = {**{name: kind_of_format(given) for name, given in formats.items()}, **overrides}
    said = {
        column.name: _Said(
            overrides.get(column.name), dates, frozenset(missing), formats.get(column.name), is_marked(column)
        )
        for column in frame
    }
    return [_facts_of(column, distinct, said[column.name]) for column, distinct in _with_distinct(unmarked(frame))]


def without(frame: pl.DataFrame, missing: Iterable[str]) -> pl.DataFrame:
    """Return the table with null for these words too; a column that is numbers beside them becomes a numeric one.

    Unless it is one of texts in a typed file. Numbers are compared as numbers. Cells of other kinds are compared when
    the kind of their column is known.
    """
    words = frozenset(missing)
    if not words:
        return frame
    texts = [_without(column, words) for column in frame.select(pl.col(pl.String))]
    typed = [
        column.set(_are_among(column.cast(pl.String), words), None) for column in frame.select(pl.col(pl.Categorical))
    ]
    return frame.with_columns(without_numbers(column, words) for column in frame.select(cs.numeric())).with_columns(
        *(without_numbers(column, words) if column.dtype.is_numeric() else column for column in texts), *typed
    )


def _without(column: pl.Series, words: frozenset[str]) -> pl.Series:
    are_words = _are_among(column, words)
    return narrowed(column.set(are_words, None)) if are_words.any() else column


def _are_among(texts: pl.Series, words: frozenset[str]) -> pl.Series:
    return stripped(texts).is_in(list(words))


def table_of(frame: pl.DataFrame, kinds: Mapping[str, Kind], spelling: Spelling = PLAIN) -> Table:
    """Return the columns of these kinds, each cell as `Spelling.cell` parses it.

    Equal texts are one object, so that categories take little memory. Where polars holds a column as numbers, 1e2 and
    100.0 are one category, or one text. Raises TableError, which names the row.
    """
    frame = unmarked(frame[[*kinds]])
    return Table(
        {
            name: _values(
                _present(frame[name], kind, spelling), kind, partial(spelling.cell, name), spelling.forms(name)
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
        {name: _values(_present(frame[name], kind, spelling), kind, parses[name]) for name, kind in kinds.items()}
    )


def labels_as_written(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> frozenset[str]:
    """Return the target columns whose labels are as the file writes them: texts that are not all numbers."""
    frame = unmarked(frame[[*kinds]])
    return frozenset(name for name, kind in kinds.items() if kind == "category" and _are_words(frame[name]))


def holds_texts(column: pl.Series) -> bool:
    """True for a column whose cells are as the file writes them, and not numbers or moments made of them."""
    return column.dtype == pl.String or is_marked(column)


# -- values --------------------------------------------------------------------------------------------------------


def _are_words(column: pl.Series) -> bool:
    return column.dtype == pl.String and not all(
        NUMBER.fullmatch(text.strip()) for text in column.drop_nulls().unique()
    )


def _values(column: pl.Series, kind: Kind, parse: Parse, forms: Sequence[DateForm] = GRAMMAR) -> Values:
    if (infinity := infinity_in(column)) is not None:
        raise TableError(infinity)
    numbers = _numbers(column, kind)
    if numbers is not None:
        return numbers.fill_null(np.nan).to_numpy()
    distinct = column.drop_nulls().unique(maintain_order=True)
    places = pl.Series(np.arange(len(distinct), dtype=np.uint32))
    coded = column.replace_strict(distinct, places, default=None, return_dtype=pl.UInt32)
    codes: NDArray[np.uint32] = coded.fill_null(len(distinct)).to_numpy()
    return column_of(kind, [*_cells(column, distinct, kind, parse, forms), None])[codes]


def _present(column: pl.Series, kind: Kind, spelling: Spelling) -> pl.Series:
    """Return null for every cell that means a missing value in a column of the kind."""
    column = _without(column, NOTHING) if column.dtype == pl.String and kind in ORDERED else column
    cells = spelling.missing_cells(column.name, kind)
    if not cells:
        return column
    numbers = _numbers(column, kind)
    if numbers is not None:
        return column.set(numbers.is_in(pl.Series(list(cells), dtype=pl.Float64).implode()), None)
    distinct = column.drop_nulls().unique(maintain_order=True)
    are_missing = [
        is_among(cell_or_none(partial(spelling.cell, column.name), kind, text), kind, cells)
        for text in _texts(distinct)
    ]
    return column.set(column.is_in(distinct.filter(pl.Series(are_missing, dtype=pl.Boolean)).implode()), None)


def _numbers(column: pl.Series, kind: Kind) -> pl.Series | None:
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


def _cells(
    column: pl.Series, distinct: pl.Series, kind: Kind, parse: Parse, forms: Sequence[DateForm] = GRAMMAR
) -> list[Cell]:
    """Return the cell of each of the different values. Raises TableError, which names the row of the first wrong one.

    `forms` are those in which `parse` reads dates: many are read together.
    """
    texts = _texts(distinct, are_digits=kind in ("date", "time"))
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


def _texts(values: pl.Series, *, are_digits: bool = False) -> list[str]:
    """Return the values as a CSV file would write them; whole numbers as their digits alone, if `are_digits`."""
    if values.dtype == pl.String:
        return cast(list[str], values.to_list())
    kind = TEMPORAL_KINDS.get(values.dtype.base_type())
    if kind is not None:
        numbers = _numbers(values, kind)
        assert numbers is not None
        return [str(written(kind, number)) for number in numbers]
    if values.dtype == pl.Boolean:
        return ["true" if value else "false" for value in values]
    if are_digits and values.dtype.is_float():
        # Of other numbers the digits of the file are not known: 2020.1 may have been 2020.10.
        return [str(int(value)) if value.is_integer() else "" for value in values]
    return [str(value) for value in values.to_numpy()]


# -- facts ---------------------------------------------------------------------------------------------------------


def _with_distinct(frame: pl.DataFrame) -> Iterator[tuple[pl.Series, pl.Series]]:
    """Yield each column with its different values, missing ones aside, in the order in which they appear first.

    Many short columns at once, because polars takes longer over a call than over a short column.
    """
    n_columns = max(1, CELLS_AT_ONCE // max(1, frame.height))
    for begin in range(0, frame.width, n_columns):
        columns = frame[:, begin : begin + n_columns]
        distinct = columns.select(pl.all().drop_nulls().unique(maintain_order=True).implode())
        yield from zip(columns, (values[0] for values in distinct), strict=True)


@dataclass(frozen=True)
class _Said:
    """What the recipe says of a column, and whether its file says that it is one of texts."""

    kind: Kind | Literal["drop"] | None
    dates: DateOrder | None
    missing: frozenset[str]
    format: str | None
    is_text: bool


def _facts_of(column: pl.Series, distinct: pl.Series, said: _Said) -> ColumnFacts:
    override, date_format = said.kind, said.format
    if (type_name := type_left_out(column)) is not None:
        return _facts_of_left_out(column, type_name, override)
    has_digits = column.dtype == pl.String and _has_digits(distinct)
    if override == "date" and date_format is None:
        date_format = _format_of_digits(distinct)
    order = _order(distinct, said.dates) if has_digits and date_format is None else None
    kind = override
    if kind is None or kind == "drop":
        kind = _inferred(column, distinct, order, has_digits, is_text=said.is_text)
    may_be = kind in ("category", "text") if override is None else override == "date" and order is date_format is None
    infinity = infinity_in(column)
    ambiguity = (
        ambiguity_of(column, said.dates, is_text=said.is_text)
        if may_be and has_digits
        else None
        if override == "drop"
        else infinity
    )
    if ambiguity and override is not None:
        raise TableError(ambiguity)
    if kind not in ("date", "time"):
        date_format = None
    spelling = Spelling(
        said.missing,
        {} if order is None else {column.name: order},
        {} if date_format is None else {column.name: date_format},
    )
    if said.missing or (column.dtype == pl.String and kind in ORDERED):
        column = _present(column, kind, spelling)
        distinct = column.drop_nulls().unique(maintain_order=True)
    n_distinct, first = _distinct(column, distinct, kind, spelling)
    dropped = None if ambiguity else _why_dropped(column, kind, n_distinct, override)
    return ColumnFacts(
        name=column.name,
        kind=kind,
        missing=column.null_count(),
        distinct=n_distinct,
        examples=[_example(column, kind, cell) for cell in first],
        dropped=dropped,
        ambiguity=ambiguity,
        labels=kind not in ORDERED or (kind == "number" and not infinity and _are_codes(column, n_distinct)),
        order=order if kind == "date" else None,
        format=date_format,
        note=_note(column, distinct, kind, n_distinct, said)
        if override is None and not (dropped or ambiguity)
        else None,
    )


def _note(column: pl.Series, distinct: pl.Series, kind: Kind, n_distinct: int, said: _Said) -> str | None:
    if said.is_text and kind == "category" and _are_numbers(distinct):
        return note_on_texts(column.name)
    return note_on(column, kind, n_distinct)


def _facts_of_left_out(column: pl.Series, type_name: str, override: Kind | Literal["drop"] | None) -> ColumnFacts:
    why = f"of the type {type_name}, from which nothing can be learned"
    if override not in (None, "drop"):
        raise TableError(f"column {shortened_name(column.name)}: {why}; leave it out (drop)")
    dropped = why if override is None else "as the recipe says"
    return ColumnFacts(column.name, "category", len(column), 0, [], dropped, labels=True)


def _has_digits(texts: pl.Series) -> bool:
    """False for texts among which there can be neither a number nor a date."""
    return any(DIGIT.search(text) for text in texts.to_list())


def _format_of_digits(distinct: pl.Series) -> str | None:
    """Return the format of dates that are written in digits alone, such as 20200314; None where they are not."""
    present = _without(distinct, NOTHING).drop_nulls() if distinct.dtype == pl.String else distinct
    digits = pl.Series(_texts(present, are_digits=True), dtype=pl.String)
    fitting = (given for given in FORMATS_OF_DIGITS if are_moments(digits, [form_of(given)]))
    return next(fitting, None) if len(digits) else None


def _order(distinct: pl.Series, dates: DateOrder | None) -> DateOrder | None:
    return order_of(stripped(distinct), dates)


def _inferred(
    column: pl.Series, distinct: pl.Series, order: DateOrder | None, has_digits: bool, *, is_text: bool
) -> Kind:
    if column.dtype.is_integer() and _has_inexact(column):
        return "category"
    if column.dtype.is_numeric():
        return "number"
    if column.dtype == pl.Boolean:
        return "boolean"
    if (temporal := TEMPORAL_KINDS.get(column.dtype.base_type())) is not None:
        return temporal
    if distinct.is_empty():
        return "category"
    if has_digits and (kind := _measured(distinct, order, is_text=is_text)) is not None:
        return kind
    texts = distinct.to_list()
    # Only true and false: a yes is a category, and is answered as a yes.
    if len(texts) <= 100 and all(text.strip().lower() in ("true", "false") for text in texts):
        return "boolean"
    return "text" if _is_text(column, texts) else "category"


def _has_inexact(column: pl.Series) -> bool:
    """True for integers that a float64 does not tell from their neighbours."""
    # As Python's integers: the limits do not fit the type of every column.
    ends = [cast(int, end) for end in (column.min(), column.max()) if end is not None]
    return any(abs(end) > MOST_EXACT for end in ends)


def _measured(distinct: pl.Series, order: DateOrder | None, *, is_text: bool) -> Kind | None:
    """Return the kind of texts that are all numbers, dates, times or durations; `is_text`: they are no numbers."""
    rest = _without(distinct, NOTHING)
    if rest.dtype != pl.String:
        # Where there are only dashes, they may mean something.
        return "number" if rest.count() and not is_text else None
    return "date" if are_moments(rest.drop_nulls(), forms_in(order)) else clock_kind(rest)


def _are_numbers(distinct: pl.Series) -> bool:
    numbers = narrowed(distinct.set(_are_among(distinct, NOTHING), None))
    return numbers.dtype.is_numeric() and numbers.count() > 0


def _is_text(column: pl.Series, distinct: list[str]) -> bool:
    if any(len(text) > LONGEST_CATEGORY for text in distinct):
        return True
    n_present = len(column) - column.null_count()
    if len(distinct) * 2 <= n_present:
        return False
    present = column.drop_nulls()
    if is_prose(present, len(distinct)):
        return True
    return median(len(words_of(text)) for text in sample(present)) >= FEWEST_WORDS_OF_TEXT


def _are_codes(column: pl.Series, n_distinct: int) -> bool:
    """True for whole numbers without gaps, such as 0 and 1, or 1, 2 and 3, that each stand in many rows."""
    if not 2 <= n_distinct <= MOST_CODES:
        return False
    distinct, counts = np.unique(
        _values(column.drop_nulls(), "number", from_text).astype(np.float64), return_counts=True
    )
    if len(distinct) == 2:
        return bool((distinct == np.round(distinct)).all())
    is_run = distinct[0] in (0, 1) and (np.diff(distinct) == 1).all()
    return bool(is_run and counts.min() >= FEWEST_ROWS_OF_A_CODE)


def _distinct(column: pl.Series, distinct: pl.Series, kind: Kind, spelling: Spelling) -> tuple[int, list[Cell]]:
    """Return the number of different cells, and the first few to appear."""
    numbers = _numbers(distinct, kind)
    if numbers is not None:
        return len(numbers), numbers.head(MOST_EXAMPLES).to_list()
    name = column.name
    cells = list(dict.fromkeys(_cells(column, distinct, kind, partial(spelling.cell, name), spelling.forms(name))))
    return len(cells), cells[:MOST_EXAMPLES]


def _why_dropped(column: pl.Series, kind: Kind, n_distinct: int, override: Kind | Literal["drop"] | None) -> str | None:
    if override is not None:
        return "as the recipe says" if override == "drop" else None
    why = _tells_nothing(column, kind, n_distinct)
    return (
        None if why is None else f"{why}; {way_to_keep(column.name, 'number' if column.dtype.is_integer() else kind)}"
    )


def _tells_nothing(column: pl.Series, kind: Kind, n_distinct: int) -> str | None:
    if n_distinct == 0:
        return "empty"
    if n_distinct == 1 and column.null_count() == 0 and len(column) > 1:
        return "all values are the same"
    if column.name == UNNAMED and n_distinct == len(column):
        return "an identifier: every row has another"
    is_number = kind == "number" and column.dtype.is_numeric()
    is_identifier = numbers_rows(column, n_distinct) if is_number else _names_rows(column, kind, n_distinct)
    if is_identifier:
        return "an identifier: every row has another"
    return "an index of pandas without a name" if PARQUET_INDEX.fullmatch(column.name) else None


def _names_rows(column: pl.Series, kind: Kind, n_distinct: int) -> bool:
    return kind == "category" and not column.dtype.is_float() and names_rows(column, n_distinct)


def _example(column: pl.Series, kind: Kind, cell: Cell) -> float | bool | str:
    assert cell is not None
    if isinstance(cell, str):
        return shortened_name(cell, LONGEST_EXAMPLE)
    match kind:
        case "boolean":
            return bool(cell)
        case "date" | "time" | "duration":
            return written(kind, cell)
    if not np.isfinite(cell):  # JSON has no infinity
        return str(cell)
    return int(cell) if column.dtype.is_integer() else cell
