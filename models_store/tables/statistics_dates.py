"""Dates, times of day and durations of SPSS and Stata: numbers, and the format of their column says what they count.

SPSS    DATE11, MOYR8, …  DATETIME20     seconds since 1582-10-14
        TIME8   DTIME12   MTIME8         seconds
Stata   %td   %d   %tdDD/NN/CCYY         days since 1960-01-01
        %tc   %tC   %tcHH:MM:SS          milliseconds since then
        %tw   %tm   %tq   %th            weeks, months, quarters, halves of a year since then
"""

import datetime
import re

import numpy as np
import polars as pl

from models_store.tables.clock import DAY, MICROSECONDS

SPSS_FORMAT = re.compile("([A-Z]+)[0-9.]*")
SPSS_DATES = frozenset({"DATE", "ADATE", "EDATE", "JDATE", "SDATE", "MOYR", "QYR", "WKYR"})
SPSS_MOMENTS = frozenset({"DATETIME", "YMDHMS"})
SPSS_ELAPSED = frozenset({"TIME", "DTIME", "MTIME"})
STATA_FORMAT = re.compile("%-?(?:t([dcCwmqh])|d)(.*)")
STATA_CLOCK = re.compile("[HhMmSs:._ ]+(?:am|AM|a[.]m[.]|A[.]M[.])?")
# Stata's year has 52 weeks, the last of which is longer.
WEEKS_A_YEAR = 52
MONTHS_IN = {"m": 1, "q": 3, "h": 6}

UNIX = datetime.date(1970, 1, 1)
SPSS_BEGIN = (datetime.date(1582, 10, 14) - UNIX).days * DAY
STATA_BEGIN = (datetime.date(1960, 1, 1) - UNIX).days * DAY
# What is beyond the years that are read stays beyond them, and within 64 bits.
MOST_SECONDS = 20_000 * 366 * DAY


def temporal(column: pl.Series, form: str) -> pl.Series | None:
    """Return numbers as the dates, moments, times of day or durations that the format of their column shows.

    None where it shows none.
    """
    if not column.dtype.is_numeric():
        return None
    numbers = column.cast(pl.Float64).fill_nan(None)
    if stata := STATA_FORMAT.fullmatch(form):
        return _of_stata(numbers, stata[1] or "d", stata[2])
    spss = SPSS_FORMAT.fullmatch(form)
    return _of_spss(numbers, spss[1]) if spss else None


def _of_spss(seconds: pl.Series, form: str) -> pl.Series | None:
    if form in SPSS_DATES:
        return _moments(seconds + SPSS_BEGIN).dt.date()
    if form in SPSS_MOMENTS:
        return _moments(seconds + SPSS_BEGIN)
    if form not in SPSS_ELAPSED:
        return None
    # A clock ends at midnight; hours that do not are a duration.
    times = _times(seconds) if form == "TIME" else None
    return _microseconds(seconds).cast(pl.Duration("us")) if times is None else times


def _of_stata(numbers: pl.Series, unit: str, shown: str) -> pl.Series:
    if unit in "cC":
        times = _times(numbers / 1000) if STATA_CLOCK.fullmatch(shown) else None
        return _moments(numbers / 1000 + STATA_BEGIN) if times is None else times
    days = numbers if unit == "d" else _days(numbers, unit)
    return _moments(days * DAY + STATA_BEGIN).dt.date()


def _days(numbers: pl.Series, unit: str) -> pl.Series:
    """Return the days from 1960-01-01 to the first day of each week, month, quarter or half."""
    counted = numbers.floor().clip(-MOST_SECONDS // DAY, MOST_SECONDS // DAY).fill_null(0).to_numpy().astype(np.int64)
    years, weeks = np.divmod(counted, WEEKS_A_YEAR)
    months = years * 12 if unit == "w" else counted * MONTHS_IN[unit]
    firsts = (months.astype("timedelta64[M]") + np.datetime64("1960-01")).astype("datetime64[D]")
    days = (firsts - np.datetime64("1960-01-01")).astype(np.int64) + (weeks * 7 if unit == "w" else 0)
    return pl.Series(numbers.name, days).cast(pl.Float64).set(numbers.is_null(), None)


def _times(seconds: pl.Series) -> pl.Series | None:
    """Return times of day; None where a number is beyond the day."""
    microseconds = _microseconds(seconds)
    are_in_a_day = microseconds.is_between(0, DAY * MICROSECONDS, closed="left").all()
    return (microseconds * 1000).cast(pl.Time) if are_in_a_day else None


def _moments(seconds: pl.Series) -> pl.Series:
    return _microseconds(seconds).cast(pl.Datetime("us"))


def _microseconds(seconds: pl.Series) -> pl.Series:
    return (seconds.clip(-MOST_SECONDS, MOST_SECONDS) * MICROSECONDS).round().cast(pl.Int64)
