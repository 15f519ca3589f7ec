"""The standard preparation that every peer gets, learned from the training rows of a fold.

numbers: as they are, NaN where missing    dates: days, month, weekday, hour    long texts: words, reduced to 64 numbers
categories: numbered, -1 where missing or not seen    what differs in nearly every row: left out
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from benchmarks.accuracy.folds import Rows
from benchmarks.accuracy.peers import Codes, Inputs, Numbers
from models_store.tables.table import MISSING

WORDS_FOR_NOTHING = [*MISSING, "None", "?", "-"]
FLAGS = {"true": "1", "false": "0"}
# A few odd cells do not make categories of a column of numbers.
MOSTLY_NUMBERS = 0.9
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y")
CLOCKS = ("", " %H:%M:%S%.f", "T%H:%M:%S%.f", " %H:%M", "T%H:%M", "T%H:%M:%S%.fZ")
SECONDS_A_DAY = 86_400
WORDS_OF_A_TEXT, MOST_WORDS, NUMBERS_OF_A_TEXT = 4, 10_000, 64
# Categories of which nearly every row has its own tell of no other row.
NEARLY_ALL = 0.95


def prepared(frame: pl.DataFrame, train: Rows, test: Rows, seed: int) -> tuple[Inputs, Inputs]:
    """Return the inputs of the training rows and of the held-out ones, from cells of text."""
    numbers: list[Numbers] = []
    codes: list[Codes] = []
    for cells in map(_cleaned, frame.iter_columns()):
        if found := _numbers(cells):
            numbers += found
        elif _is_text(cells):
            numbers += _words(cells, train, seed)
        elif 1 < cells[train].n_unique() < NEARLY_ALL * len(train):
            codes.append(_codes(cells, train))
    known = [column for column in numbers if np.isfinite(column[train]).any()]
    nothing = np.empty((frame.height, 0))
    every = Inputs(
        np.stack(known, axis=1) if known else nothing, np.stack(codes, axis=1) if codes else nothing.astype(np.int64)
    )
    return every.take(train), every.take(test)


def _cleaned(cells: pl.Series) -> pl.Series:
    stripped = cells.str.strip_chars()
    return stripped.set(stripped.is_in(WORDS_FOR_NOTHING), None)


def _numbers(cells: pl.Series) -> list[Numbers]:
    """Return the columns that stand for numbers, flags or moments; none where the cells are something else."""
    flags = cells.str.to_lowercase().replace(FLAGS)
    found = (cells if flags.is_in(["0", "1"]).sum() < len(cells.drop_nulls()) else flags).cast(pl.Float64, strict=False)
    if found.is_not_null().sum() >= MOSTLY_NUMBERS * max(1, len(cells.drop_nulls())):
        values = found.fill_null(np.nan).to_numpy().copy()
        values[~np.isfinite(values)] = np.nan
        return [values]
    return _moments(cells)


def _moments(cells: pl.Series) -> list[Numbers]:
    known = cells.drop_nulls()
    for format_ in (day + clock for day in DAYS for clock in CLOCKS):
        if known[:20].str.to_datetime(format_, strict=False).null_count():
            continue
        moments = cells.str.to_datetime(format_, strict=False)
        if len(known) and moments.null_count() == cells.null_count():
            days = moments.dt.epoch("s") / SECONDS_A_DAY
            parts = (days, moments.dt.month(), moments.dt.weekday(), moments.dt.hour())
            return [part.cast(pl.Float64).fill_null(np.nan).to_numpy() for part in parts]
    return []


def _is_text(cells: pl.Series) -> bool:
    known = cells.drop_nulls()
    words = known.str.count_matches(r"\S+").mean()
    return isinstance(words, float) and words >= WORDS_OF_A_TEXT and known.n_unique() > len(known) / 2


def _words(cells: pl.Series, train: Rows, seed: int) -> Iterator[Numbers]:
    from sklearn.decomposition import TruncatedSVD  # deferred: it takes a second
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = np.array(cells.fill_null("").to_list(), dtype=object)
    try:
        vectorizer = TfidfVectorizer(max_features=MOST_WORDS, sublinear_tf=True).fit(texts[train])
    except ValueError:  # no word in any text
        return
    counted = vectorizer.transform(texts)
    n_numbers = min(NUMBERS_OF_A_TEXT, counted.shape[1] - 1, len(train) - 1)
    if n_numbers > 0:
        reduced = TruncatedSVD(n_numbers, random_state=seed).fit(counted[train]).transform(counted)
        yield from reduced.T


def _codes(cells: pl.Series, train: Rows) -> Codes:
    """Return the place of each cell among those of the training rows in order, int64; -1 if missing or not seen."""
    seen = sorted(cells[train].drop_nulls().unique())
    places = {cell: place for place, cell in enumerate(seen)}
    return np.array([places.get(cell, -1) for cell in cells], np.int64)
