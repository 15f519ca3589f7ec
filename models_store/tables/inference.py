"""What is to be known of the columns of an uploaded table: each one's kind, its cells, and whether it is left out.

file -> DataFrame (`files.read`) -> ColumnFacts (`facts`) -> Table (`raw_columns.table_of`)
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import numpy as np
import polars as pl

from models_store.errors import TableError
from models_store.tables.ambiguity import ambiguity_of, order_of
from models_store.tables.column_facts import ColumnFacts, Form
from models_store.tables.column_kinds import are_codes, are_numbers, format_of_digits, kind_of, may_be_numbers_or_dates
from models_store.tables.csv_layout import UNNAMED
from models_store.tables.date_formats import kind_of_format
from models_store.tables.files import read
from models_store.tables.identifiers import names_rows, note_on, note_on_texts, numbers_rows, way_to_keep
from models_store.tables.index_names import PARQUET_INDEX
from models_store.tables.kinds import ORDERED
from models_store.tables.left_out import type_left_out
from models_store.tables.number_columns import infinity_in
from models_store.tables.raw_columns import (
    cells_of,
    holds_texts,
    labels_as_written,
    numbers_of,
    present_in,
    table_of,
    targets_of,
    without,
)
from models_store.tables.spelling import DateOrder, Spelling
from models_store.tables.table import Cell, Kind, written
from models_store.tables.text_columns import stripped
from models_store.tables.typed_texts import is_marked, unmarked
from models_store.wording import shortened_name, unlike

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

MOST_EXAMPLES = 3
LONGEST_EXAMPLE = 80
# In columns that are looked at together: what their different values take is held at once.
CELLS_AT_ONCE = 1_000_000
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
    has_digits = column.dtype == pl.String and may_be_numbers_or_dates(distinct)
    if override == "date" and date_format is None:
        date_format = format_of_digits(distinct)
    order = _order(distinct, said.dates) if has_digits and date_format is None else None
    kind = override
    if kind is None or kind == "drop":
        kind = kind_of(column, distinct, order, has_digits, is_text=said.is_text)
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
        column = present_in(column, kind, spelling)
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
        labels=kind not in ORDERED or (kind == "number" and not infinity and are_codes(column, n_distinct)),
        order=order if kind == "date" else None,
        format=date_format,
        note=_note(column, distinct, kind, n_distinct, said)
        if override is None and not (dropped or ambiguity)
        else None,
    )


def _note(column: pl.Series, distinct: pl.Series, kind: Kind, n_distinct: int, said: _Said) -> str | None:
    if said.is_text and kind == "category" and are_numbers(distinct):
        return note_on_texts(column.name)
    return note_on(column, kind, n_distinct)


def _facts_of_left_out(column: pl.Series, type_name: str, override: Kind | Literal["drop"] | None) -> ColumnFacts:
    why = f"of the type {type_name}, from which nothing can be learned"
    if override not in (None, "drop"):
        raise TableError(f"column {shortened_name(column.name)}: {why}; leave it out (drop)")
    dropped = why if override is None else "as the recipe says"
    return ColumnFacts(column.name, "category", len(column), 0, [], dropped, labels=True)


def _order(distinct: pl.Series, dates: DateOrder | None) -> DateOrder | None:
    return order_of(stripped(distinct), dates)


def _distinct(column: pl.Series, distinct: pl.Series, kind: Kind, spelling: Spelling) -> tuple[int, list[Cell]]:
    """Return the number of different cells, and the first few to appear."""
    numbers = numbers_of(distinct, kind)
    if numbers is not None:
        return len(numbers), numbers.head(MOST_EXAMPLES).to_list()
    name = column.name
    cells = list(dict.fromkeys(cells_of(column, distinct, kind, partial(spelling.cell, name), spelling.forms(name))))
    return len(cells), cells[:MOST_EXAMPLES]


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


# -- what is left out ----------------------------------------------------------------------------------------------


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
