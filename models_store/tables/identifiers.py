"""Columns whose every row has another value: numbers of rows, names of rows, and what only looks like them.

id 7, 3, 9 · index 0, 1, 2      number the rows: left out          t 0, 1, 2         a feature: kept, with a note
u7, u3, u9                      name the rows: left out            13:31 · 12 kg     measured: kept, with a note
"""

import re
from statistics import median

import polars as pl

from models_store.tables.index_names import IN_CSV, IN_PARQUET
from models_store.tables.kinds import Kind
from models_store.tables.text_columns import NEARLY_ALL, sample, stripped
from models_store.tables.ways_out import saying
from models_store.tables.words import words_of

# In a smaller table all values of a column may differ by chance.
FEWEST_ROWS = 20
# The names say that they tell rows apart, whatever numbers they do it with. (A heat index does not.)
TELLS_ROWS_APART = re.compile(
    rf"(?:.*[_\s.-])?(?:id|row[_\s.-]?(?:id|idx|index))|idx|index|{IN_PARQUET}|{IN_CSV}", re.IGNORECASE
)
IN_CAMEL_CASE = re.compile(r".*[a-z]I[dD]")
# ... or may say that they count them: `no` may also be a number of something.
MAY_COUNT_ROWS = re.compile(
    r"#|(?:.*[_\s.-])?(?:no|nr|num|sno|serial|case|obs|observation|record|row|rows|row[_\s.-]?(?:no|nr|num|number))\.?",
    re.IGNORECASE,
)
MOST_UNITS = 5
FEWEST_WORDS_OF_PROSE = 2
LETTERS = re.compile(r"[^\W\d_]{2,}")

_YEAR, _PART, _GAP, _NAME = "(?:1[5-9]|20)[0-9]{2}", "[0-9]{1,2}", r"[-/.,\s]{1,2}", r"\p{L}{3,10}\.?"
_TIME = r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?\s?(?:[AaPp]\.?[Mm]\.?)?"
_DATES = (
    rf"{_YEAR}{_GAP}{_PART}(?:{_GAP}{_PART})?",
    rf"{_PART}{_GAP}(?:{_PART}{_GAP})?(?:{_YEAR}|[0-9]{{2}})",
    rf"(?:{_PART}{_GAP}?)?{_NAME}(?:{_GAP})?(?:{_YEAR}|'?[0-9]{{2}})",
    rf"{_NAME}{_GAP}{_PART}{_GAP}{_YEAR}",
    rf"{_YEAR}{_GAP}{_NAME}(?:{_GAP}{_PART})?",
    rf"{_YEAR}[-\s]?[WQ][0-9]{{1,2}}(?:-?[1-7])?",
)
# For polars. A cell that is written like a point in time, in whatever order, or like a duration.
LIKE_A_MOMENT = (
    rf"^(?:(?:{_NAME}{_GAP})?(?:{'|'.join(_DATES)})(?:[T:\s]\s?{_TIME})?(?:\s?(?:Z|UTC|GMT|[-+][0-9:]{{2,5}}))?"
    rf"|{_TIME}|[-+]?[0-9]+\sdays?(?:[\s,]+{_TIME})?)$"
)
WITH_UNIT = r"^[-+]?(?:[0-9]+(?:[.,][0-9]+)*|[.,][0-9]+)\s?([\p{L}°µ/%²³]{1,12}\.?)$"


def numbers_rows(column: pl.Series, n_distinct: int) -> bool:
    """True for whole numbers that all differ, whose name says that they tell the rows apart, or count them."""
    if n_distinct < len(column) - column.null_count() or not _is_whole(column):
        return False
    if TELLS_ROWS_APART.fullmatch(column.name) or IN_CAMEL_CASE.fullmatch(column.name):
        return True
    return MAY_COUNT_ROWS.fullmatch(column.name) is not None and _counts_rows(column, n_distinct)


def counts_up(column: pl.Series, n_distinct: int) -> bool:
    """True for whole numbers of which each stands in one row and none is left out, in whatever order."""
    if n_distinct < max(FEWEST_ROWS, len(column)) or not _is_whole(column):
        return False
    lowest, highest = _ends(column)
    return highest - lowest == n_distinct - 1


def names_rows(column: pl.Series, n_distinct: int) -> bool:
    """True for texts that all differ and are neither moments nor amounts of something.

    Prose is no name of a row either; it is of the kind `text`, and is not asked about here.
    """
    if not all_differ(column, n_distinct):
        return False
    return column.dtype != pl.String or not (_are_moments(column) or _are_amounts(column))


def is_prose(present: pl.Series, n_distinct: int) -> bool:
    """True for texts, none of them missing, that all differ and mostly consist of several words."""
    if not all_differ(present, n_distinct):
        return False
    return median(sum(map(_is_word, words_of(text))) for text in sample(present)) >= FEWEST_WORDS_OF_PROSE


def note_on(column: pl.Series, kind: Kind, n_distinct: int) -> str | None:
    """Return what to know about a column that is kept and has another value in every row, in a few words."""
    if kind == "number" and column.dtype.is_numeric() and counts_up(column, n_distinct):
        return f"counts up by one; if it only numbers the rows, leave it out: {saying(column.name, 'drop')}"
    if kind != "category" or column.dtype != pl.String or not all_differ(column, n_distinct):
        return None
    if _are_moments(column):
        return (
            "looks like dates or times in a spelling that is not read, so that every row is a category of its own; "
            "write 2020-12-31T18:00"
        )
    if _are_amounts(column):
        return (
            "looks like numbers with a unit, so that every row is a category of its own; write the numbers without it"
        )
    return None


def note_on_texts(name: str) -> str:
    """Return what to know about a column of numbers that its file calls texts."""
    return (
        f"is of texts in its file, each of which is a category; if they are numbers, say so: {saying(name, 'number')}"
    )


def way_to_keep(name: str, kind: Kind) -> str:
    return f"keep it with {saying(name, kind)}"


def all_differ(column: pl.Series, n_distinct: int) -> bool:
    """True if no value stands in two rows, and the rows are too many for that to be chance."""
    return n_distinct >= max(FEWEST_ROWS, len(column) - column.null_count())


def _is_whole(column: pl.Series) -> bool:
    if column.dtype.is_integer():
        return True
    numbers = column.drop_nulls()
    return column.dtype.is_float() and bool((numbers.is_finite() & (numbers == numbers.round())).all())


def _counts_rows(column: pl.Series, n_distinct: int) -> bool:
    return counts_up(column, n_distinct) and _ends(column)[0] in (0, 1)


def _ends(column: pl.Series) -> tuple[int, int]:
    """Return the lowest and the highest number, as Python's integers: their difference may not fit the column."""
    ends = column.min(), column.max()
    assert isinstance(ends[0], int | float)
    assert isinstance(ends[1], int | float)
    return int(ends[0]), int(ends[1])


def _are_moments(column: pl.Series) -> bool:
    return _share(stripped(column).str.contains(LIKE_A_MOMENT)) >= NEARLY_ALL


def _are_amounts(column: pl.Series) -> bool:
    units = stripped(column).str.extract(WITH_UNIT)
    return _share(units.is_not_null() | column.is_null()) >= NEARLY_ALL and units.drop_nulls().n_unique() <= MOST_UNITS


def _share(are_so: pl.Series) -> float:
    return float(are_so.drop_nulls().sum()) / max(1, len(are_so.drop_nulls()))


def _is_word(word: str) -> bool:
    return LETTERS.fullmatch(word) is not None
