"""Whole columns of dates, read by polars as `moments` reads a single one."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models_store.tables.clock import HOUR, MICROSECONDS, MINUTE
from models_store.tables.moments import (
    FIRST_DAY,
    FIRST_SHORT_YEAR,
    LAST_DAY,
    MICROSECONDS_A_DAY,
    MONTHS,
    UNITS,
    DateForm,
    microseconds_in,
)
from models_store.tables.text_columns import stripped

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Texts that are tried before all of them are: most columns are no dates.
FEW = 10
TIME_PARTS = frozenset({"hour", "minute", "second", "fraction", "half"})


def are_moments(texts: pl.Series, forms: Sequence[DateForm]) -> bool:
    """True if all texts, none of them null, are dates or moments in one of the forms."""
    if any(microseconds_in(text, forms) is None for text in stripped(texts.head(FEW)).to_list()):
        return False
    return bool(moments_of(texts, forms)[1].all())


def moments_of(texts: pl.Series, forms: Sequence[DateForm]) -> tuple[Integers, Mask]:
    """Return the microseconds since 1970-01-01 of texts (n,), none of them null, and which of them are moments (n,)."""
    texts = stripped(texts)
    found, known = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool)
    for form in forms:
        places = np.flatnonzero(~known)
        if not len(places):
            break
        rest = texts if len(places) == len(texts) else texts.gather(places)
        moments, are_so = _Parts(rest.str.extract_groups(form.for_polars).struct.unnest(), form).moments()
        found[places], known[places] = moments, are_so
    return found, known


class _Parts:
    """The parts of moments, as a column of texts each, null where a text has not the form."""

    def __init__(self, columns: pl.DataFrame, form: DateForm) -> None:
        # The groups are named in polars only if all of them are: in Python's order they are the same.
        self._columns = columns.rename(dict(zip(columns.columns, form.regex.groupindex, strict=True)))

    def moments(self) -> tuple[Integers, Mask]:
        for name, unit in UNITS.items():
            if name in self._columns.columns:
                return self._since_1970(name, unit)
        days, are_days = self._days()
        times, are_times = self._times()
        return days * MICROSECONDS_A_DAY + times, are_days & are_times & self._are_there()

    def _are_there(self) -> Mask:
        """True where a text has the form at all: some group of every form is never left out."""
        if any(column.null_count() == 0 for column in self._columns):
            return np.ones(self._columns.height, dtype=bool)
        return np.asarray(self._columns.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy())

    def _since_1970(self, name: str, unit: int) -> tuple[Integers, Mask]:
        whole, fraction = self._numbers(name, 0) * unit, self._fraction()
        is_before = self._columns[name].str.starts_with("-").fill_null(value=False).to_numpy()
        found = whole + np.where(is_before, -fraction, fraction)
        days = found // MICROSECONDS_A_DAY
        return found, (days >= FIRST_DAY) & (days < LAST_DAY) & self._are_there()

    def _times(self) -> tuple[Integers, Mask]:
        if TIME_PARTS.isdisjoint(self._columns.columns):
            return np.zeros(self._columns.height, dtype=np.int64), np.ones(self._columns.height, dtype=bool)
        hour, minute, second = (self._numbers(name, 0) for name in ("hour", "minute", "second"))
        hour, is_hour = self._hours(hour)
        is_valid = is_hour & (minute <= 59) & (second <= 59)
        return (hour * HOUR + minute * MINUTE + second) * MICROSECONDS + self._fraction(), is_valid

    def _hours(self, hour: Integers) -> tuple[Integers, Mask]:
        """Return hours of the day, where some of them are of its first or second half, and which of them there are."""
        halves = self._texts("half")
        if _is_absent(halves):
            return hour, hour <= 23
        has_half = halves.is_not_null().to_numpy()
        afternoon = halves.is_in(["P", "p"]).fill_null(value=False).to_numpy()
        is_hour = np.where(has_half, (hour >= 1) & (hour <= 12), hour <= 23)
        return np.where(has_half, hour % 12 + 12 * afternoon, hour), is_hour

    def _days(self) -> tuple[Integers, Mask]:
        """Return days since 1970-01-01, and which of them there are."""
        year = self._years()
        is_year = (year >= 1) & (year <= 9999)
        if "week" in self._columns.columns:
            days, is_valid = _days_of_weeks(year, self._numbers("week", 0), self._numbers("weekday", 1))
        elif "day_of_year" in self._columns.columns:
            days, is_valid = _days_from(year, 12, np.ones_like(year), self._numbers("day_of_year", 0))
        else:
            days, is_valid = _days_from(year, 1, self._months(), self._numbers("day", 1))
        return days, is_year & is_valid

    def _years(self) -> Integers:
        if "year" in self._columns.columns:
            return self._numbers("year", 0)
        # A time of day has no year; a day that there is does for it.
        short = self._numbers("short_year", 0)
        return short + np.where(short >= FIRST_SHORT_YEAR, 1900, 2000)

    def _months(self) -> Integers:
        if "quarter" in self._columns.columns:
            return 3 * self._numbers("quarter", 1) - 2
        if "name" not in self._columns.columns:
            return self._numbers("month", 1)
        names = self._columns["name"].str.to_lowercase().str.slice(0, 3)
        numbers = names.replace_strict(MONTHS, default=None, return_dtype=pl.Int64)
        return np.asarray(numbers.fill_null(1).to_numpy())

    def _fraction(self) -> Integers:
        digits = self._texts("fraction")
        return _integers(digits if _is_absent(digits) else digits.str.slice(0, 6).str.pad_end(6, "0"), 0)

    def _numbers(self, name: str, default: int) -> Integers:
        return _integers(self._texts(name), default)

    def _texts(self, name: str) -> pl.Series:
        if name in self._columns.columns:
            return self._columns[name]
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, self._columns.height)


def _is_absent(texts: pl.Series) -> bool:
    return texts.null_count() == len(texts)


def _integers(digits: pl.Series, default: int) -> Integers:
    """Return the numbers, `default` for null. Polars is asked for little: a call takes longer than a short column."""
    if _is_absent(digits):
        return np.full(len(digits), default, dtype=np.int64)
    numbers = digits.cast(pl.Int64)
    return np.asarray((numbers.fill_null(default) if numbers.null_count() else numbers).to_numpy())


def _days_from(year: Integers, months: int, month: Integers, day: Integers) -> tuple[Integers, Mask]:
    """Return the days since 1970 of the `day`, from 1, of a time of so many `months`, and which days there are."""
    begin = (year - 1970) * 12 + month - 1
    first, after = (place.astype("M8[M]").astype("M8[D]").astype(np.int64) for place in (begin, begin + months))
    return first + day - 1, (month >= 1) & (month <= 12) & (day >= 1) & (day <= after - first)


def _days_of_weeks(year: Integers, week: Integers, weekday: Integers) -> tuple[Integers, Mask]:
    """Return the days since 1970 of days in weeks of ISO 8601, whose first has the 4th of January."""
    fourth, _ = _days_from(year, 1, np.ones_like(year), np.full_like(year, 4))
    # 1970-01-01 was a Thursday.
    monday = fourth - (fourth + 3) % 7 + 7 * (week - 1)
    next_fourth, _ = _days_from(year + 1, 1, np.ones_like(year), np.full_like(year, 4))
    return monday + weekday - 1, (week >= 1) & (monday < next_fourth - (next_fourth + 3) % 7)
