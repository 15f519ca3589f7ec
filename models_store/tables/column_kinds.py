"""The kind of a column, inferred from its different values: what all of them can be read as."""

import re
from statistics import median
from typing import Literal, cast

import numpy as np
import polars as pl

from models_store.tables.date_formats import form_of
from models_store.tables.identifiers import is_prose
from models_store.tables.moment_columns import are_moments
from models_store.tables.moments import forms_in
from models_store.tables.narrowing import narrowed
from models_store.tables.raw_columns import are_among, texts_of, values_of, without_words
from models_store.tables.spelling import NOTHING, DateOrder
from models_store.tables.table import LONGEST_CATEGORY, Kind, from_text
from models_store.tables.text_columns import sample
from models_store.tables.typed_files import TEMPORAL_KINDS
from models_store.tables.words import words_of

FEWEST_WORDS_OF_TEXT = 4
# Without one of them a text is neither a number, infinity included, nor a date.
DIGIT = re.compile("[0-9]|inf", re.IGNORECASE)
# Beyond this a float64 does not tell every whole number from its neighbours.
MOST_EXACT = 2**53
# Up to MOST_CODES whole numbers from 0 or 1 on, each in FEWEST_ROWS_OF_A_CODE rows, are taken for codes of labels.
MOST_CODES, FEWEST_ROWS_OF_A_CODE = 10, 10
CLOCK_KINDS: tuple[Literal["time"], Literal["duration"]] = ("time", "duration")
FORMATS_OF_DIGITS = ("%Y%m%d", "%Y%m%d%H%M%S")


def kind_of(
    column: pl.Series, distinct: pl.Series, order: DateOrder | None, has_digits: bool, *, is_text: bool
) -> Kind:
    """Return the kind of a column whose different values are `distinct`, missing ones aside.

    `order` is that of its dates; `is_text` is true for a column that its file calls one of texts.
    """
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


def may_be_numbers_or_dates(texts: pl.Series) -> bool:
    """False for texts among which there can be neither a number nor a date."""
    return any(DIGIT.search(text) for text in texts.to_list())


def _has_inexact(column: pl.Series) -> bool:
    """True for integers that a float64 does not tell from their neighbours."""
    # As Python's integers: the limits do not fit the type of every column.
    ends = [cast(int, end) for end in (column.min(), column.max()) if end is not None]
    return any(abs(end) > MOST_EXACT for end in ends)


def _measured(distinct: pl.Series, order: DateOrder | None, *, is_text: bool) -> Kind | None:
    """Return the kind of texts that are all numbers, dates, times or durations; `is_text`: they are no numbers."""
    rest = without_words(distinct, NOTHING)
    if rest.dtype != pl.String:
        # Where there are only dashes, they may mean something.
        return "number" if rest.count() and not is_text else None
    return "date" if are_moments(rest.drop_nulls(), forms_in(order)) else clock_kind(rest)


def clock_kind(texts: pl.Series) -> Literal["time", "duration"] | None:
    """Return the kind of texts that are all times of day, or all durations; None where they are neither.

    Where all may be both, they are times of day.
    """
    present = texts.drop_nulls()
    for kind in CLOCK_KINDS:
        if all(is_a(kind, text) for text in present):
            return kind
    return None


def is_a(kind: Kind, text: str) -> bool:
    """True for a text that is a cell of the kind, and no missing one."""
    try:
        return from_text(kind, text) is not None
    except ValueError:
        return False


def are_numbers(distinct: pl.Series) -> bool:
    """True for texts that would be numbers in a CSV file."""
    numbers = narrowed(distinct.set(are_among(distinct, NOTHING), None))
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


def format_of_digits(distinct: pl.Series) -> str | None:
    """Return the format of dates that are written in digits alone, such as 20200314; None where they are not."""
    present = without_words(distinct, NOTHING).drop_nulls() if distinct.dtype == pl.String else distinct
    digits = pl.Series(texts_of(present, are_digits=True), dtype=pl.String)
    fitting = (given for given in FORMATS_OF_DIGITS if are_moments(digits, [form_of(given)]))
    return next(fitting, None) if len(digits) else None


def are_codes(column: pl.Series, n_distinct: int) -> bool:
    """True for whole numbers without gaps, such as 0 and 1, or 1, 2 and 3, that each stand in many rows."""
    if not 2 <= n_distinct <= MOST_CODES:
        return False
    distinct, counts = np.unique(
        values_of(column.drop_nulls(), "number", from_text).astype(np.float64), return_counts=True
    )
    if len(distinct) == 2:
        return bool((distinct == np.round(distinct)).all())
    is_run = distinct[0] in (0, 1) and (np.diff(distinct) == 1).all()
    return bool(is_run and counts.min() >= FEWEST_ROWS_OF_A_CODE)
