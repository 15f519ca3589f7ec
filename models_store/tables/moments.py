"""The grammar of dates and moments: all spellings that can be read in one way only.

2020-03-14 · 2020/3/14 · 14 Mar 2020 · Mar 14, 2020 · 01JAN2020     with or without a time, and a zone after it
2020-03 · 03/2020 · Mar 2020 · 2020-W14 · 2020Q1                    their first day
31/12/2020                                                          where the order of day and month is known
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from models_store.tables.clock import CLOCK, DAY, MICROSECONDS, OFFSET, SECOND, ZONE, micros_in, microseconds_of_day

DateOrder = Literal["day-first", "month-first"]
NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: number for number, name in enumerate(NAMES, 1)}
EPOCH = datetime.datetime(1970, 1, 1)
MICROSECONDS_A_DAY = DAY * MICROSECONDS
# Days since 1970 of the years 0001 to 9999, which ISO 8601 writes with four digits: from FIRST_DAY, before LAST_DAY.
FIRST_DAY, LAST_DAY = -719162, 2932897
# Of years with two digits, as POSIX has it: 69 is 1969, and 68 is 2068.
FIRST_SHORT_YEAR = 69
# Microseconds in the units of a number that counts since 1970.
UNITS = {"epoch": MICROSECONDS, "epoch_ms": 1000}
DATE_PARTS = frozenset({"year", "short_year", *UNITS})


@dataclass(frozen=True)
class DateForm:
    """One way to write a moment: a regular expression whose groups are named after the parts of the moment.

    It is for Python and for polars, whose engine (Rust's `regex`) has neither lookaround nor backreferences.
    """

    pattern: str

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    @property
    def for_polars(self) -> str:
        return f"^(?:{self.pattern})$"

    @property
    def has_date(self) -> bool:
        return not DATE_PARTS.isdisjoint(self.regex.groupindex)


def _in_any_case(names: str) -> str:
    """Return the pattern for letters of either case.

    Letter by letter: where Rust's engine ignores case, it takes a long s for an s, and Python's does not.
    """
    return re.sub("[a-z]", lambda found: f"[{found[0].upper()}{found[0]}]", names)


YEAR, MONTH, DAY_OF_MONTH = "(?P<year>[0-9]{4})", "(?P<month>[0-9]{1,2})", "(?P<day>[0-9]{1,2})"
# Where no day is written, numbers beyond these are codes rather than years.
LIKELY_YEAR = "(?P<year>(?:1[89]|20|21)[0-9]{2})"
MONTH_NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t|tember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
NAME = rf"(?P<name>{_in_any_case(MONTH_NAMES)})\.?"
WEEKDAY = rf"{_in_any_case('(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?')}\.?"
NTH = "(?:st|nd|rd|th)?"
AT = rf"(?:(?:[Tt]|  ?|, ?|:){CLOCK}{ZONE})?"
MARKS = ("-", "/", r"\.")

GRAMMAR = (
    *(DateForm(f"{YEAR}{mark}{MONTH}{mark}{DAY_OF_MONTH}{AT}") for mark in MARKS),
    DateForm(
        rf"(?P<year>[0-9]{{4}})(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})[Tt ](?P<hour>[0-9]{{2}}):?"
        rf"(?P<minute>[0-9]{{2}})(?::?{SECOND})?{ZONE}"
    ),
    # The brackets stand in a web server's log.
    DateForm(rf"\[?(?:{WEEKDAY},? )?{DAY_OF_MONTH}(?:st|nd|rd|th|\.)?[-/ ]?{NAME}(?:[-/ ]|, ?)?{YEAR}{AT}\]?"),
    DateForm(rf"(?:{WEEKDAY},? )?{NAME}[- ] ?{DAY_OF_MONTH}{NTH}(?:,? |-){YEAR}{AT}"),
    DateForm(rf"{YEAR}[-/ ]?{NAME}[-/ ]?{DAY_OF_MONTH}{AT}"),
    DateForm(rf"{WEEKDAY} {NAME}  ?{DAY_OF_MONTH} {CLOCK}(?: {OFFSET})? {YEAR}"),
    DateForm(f"{LIKELY_YEAR}[-/](?P<month>[0-9]{{2}})"),
    DateForm(f"{LIKELY_YEAR}[Mm]{MONTH}"),
    DateForm(f"{MONTH}[-/]{LIKELY_YEAR}"),
    DateForm(f"{NAME}(?:[-/ ]|, ?)?{LIKELY_YEAR}"),
    DateForm(f"{LIKELY_YEAR}[-/ ]?{NAME}"),
    DateForm(f"{LIKELY_YEAR}-?[Ww](?P<week>[0-9]{{2}})(?:-?(?P<weekday>[1-7]))?"),
    DateForm(f"{LIKELY_YEAR}[- ]?[Qq](?P<quarter>[1-4])"),
    DateForm(f"[Qq](?P<quarter>[1-4])[-/ ]{LIKELY_YEAR}"),
)
IN_ORDER: Mapping[DateOrder, tuple[DateForm, ...]] = {
    "day-first": tuple(DateForm(f"{DAY_OF_MONTH}{mark}{MONTH}{mark}{YEAR}{AT}") for mark in MARKS),
    "month-first": tuple(DateForm(f"{MONTH}{mark}{DAY_OF_MONTH}{mark}{YEAR}{AT}") for mark in MARKS),
}


@cache
def forms_in(order: DateOrder | None) -> tuple[DateForm, ...]:
    """Return the grammar, with the dates whose day and month come in this order, which then are the likely ones."""
    return (*(IN_ORDER[order] if order is not None else ()), *GRAMMAR)


def microseconds_in(text: str, forms: Sequence[DateForm] = GRAMMAR) -> int | None:
    """Return the microseconds since 1970-01-01 00:00 of a moment, by the first form that it has; else None."""
    for form in forms:
        found = form.regex.fullmatch(text)
        if found is not None and (moment := _moment(found.groupdict())) is not None:
            return moment
    return None


def iso_in(text: str, forms: Sequence[DateForm]) -> str | None:
    """Return a moment as 2020-03-14T10:00:00, or None where the text has none of the forms."""
    found = microseconds_in(text, forms)
    return None if found is None else (EPOCH + datetime.timedelta(microseconds=found)).isoformat()


def _moment(part: Mapping[str, str | None]) -> int | None:
    for name, unit in UNITS.items():
        if (count := part.get(name)) is not None:
            return _since_1970(int(count) * unit, micros_in(part.get("fraction")), is_before=count.startswith("-"))
    day, time = _day(part), microseconds_of_day(part)
    return None if day is None or time is None else day * MICROSECONDS_A_DAY + time


def _since_1970(whole: int, fraction: int, *, is_before: bool) -> int | None:
    found = whole - fraction if is_before else whole + fraction
    return found if FIRST_DAY <= found // MICROSECONDS_A_DAY < LAST_DAY else None


def _day(part: Mapping[str, str | None]) -> int | None:
    """Return the days since 1970-01-01 of the parts of a date; None for a day that there is not."""
    try:
        return (_date(part) - EPOCH.date()).days
    except ValueError:  # the 30th of February
        return None


def _date(part: Mapping[str, str | None]) -> datetime.date:
    written, short = part.get("year"), part.get("short_year")
    year = int(written) if written is not None else long_year(int(short or 0))
    if (week := part.get("week")) is not None:
        return datetime.date.fromisocalendar(year, int(week), int(part["weekday"] or 1))
    if (quarter := part.get("quarter")) is not None:
        return datetime.date(year, 3 * int(quarter) - 2, 1)
    if (day_of_year := part.get("day_of_year")) is not None:
        return _day_of_year(year, int(day_of_year))
    name = part.get("name")
    month = int(part.get("month") or 1) if name is None else MONTHS[name[:3].lower()]
    return datetime.date(year, month, int(part.get("day") or 1))


def _day_of_year(year: int, number: int) -> datetime.date:
    """Return a day of a year, from 1. `strptime` takes the 366th of any year, for the first of the next one."""
    first, last = datetime.date(year, 1, 1).toordinal(), datetime.date(year, 12, 31).toordinal()
    if not 1 <= number <= last - first + 1:
        raise ValueError(number)
    return datetime.date.fromordinal(first + number - 1)


def long_year(short: int) -> int:
    """Return a year of two digits with its century, as POSIX has it."""
    return short + (1900 if short >= FIRST_SHORT_YEAR else 2000)
