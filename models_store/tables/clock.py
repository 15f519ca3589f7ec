"""Times of day and durations: how they are written, and their seconds.

time        13:31   13:31:05.25   1:31 PM   13:31:00+02          seconds since midnight
duration    85:00:00   3 days 13:00:00   -1 days +23:00:00   P3DT13H   seconds, signed
"""

import re
from collections.abc import Mapping
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = 1_000_000
MINUTE, HOUR, DAY = 60, 3600, 86_400
# A float64 tells microseconds apart in durations up to so many seconds; in longer ones, milliseconds.
SECONDS_OF_MICROSECONDS, MILLISECOND = 1 << 32, 1000
# Ten thousand years: no timestamps are farther apart.
MOST_DAYS = 3_652_059

# Patterns for Python and for polars, whose engine (Rust's `regex`) has neither lookaround nor backreferences.
FRACTION = "(?P<fraction>[0-9]{1,9})"
SECOND = rf"(?P<second>[0-9]{{2}})(?:[.,]{FRACTION})?"
HALF = r"(?P<half>[AaPp])\.?[Mm]\.?"
CLOCK = rf"(?P<hour>[0-9]{{1,2}})(?::(?P<minute>[0-9]{{2}})(?::{SECOND})?)?(?: ?{HALF})?"
# The zone is not converted: the time that a clock showed there counts.
OFFSET = "(?:(?:UTC|GMT)?[-+][0-9]{2}(?::?[0-9]{2})?|[Zz]|[A-Z]{3,5})"
ZONE = rf"(?: ?{OFFSET}(?: ?\([A-Za-z ]+\)|\[[A-Za-z0-9_/+-]+\])?)?"
TIME = re.compile(f"{CLOCK}{ZONE}", re.ASCII)
HOURS = re.compile(
    r"(?P<sign>[-+]?)(?P<hours>[0-9]{1,8}):(?P<minutes>[0-5][0-9]):(?P<seconds>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,9}))?",
    re.ASCII,
)
# Written by pandas, PostgreSQL, DuckDB, and Python (with a comma).
DAYS = re.compile(
    r"(?P<sign>[-+]?)(?P<days>[0-9]{1,7}) days?(?:,? (?P<time_sign>[-+]?)(?P<hours>[0-9]{1,2})"
    r":(?P<minutes>[0-5][0-9])(?::(?P<seconds>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,9}))?)?)?",
    re.ASCII,
)
# ISO 8601, without months and years, whose lengths differ.
ISO_DURATION = re.compile(
    r"(?P<sign>[-+]?)P(?=[-+0-9T])(?:(?P<weeks>[-+]?[0-9]{1,7})W)?(?:(?P<days>[-+]?[0-9]{1,7})D)?"
    r"(?:T(?=[-+0-9])(?:(?P<hours>[-+]?[0-9]{1,9})H)?(?:(?P<minutes>[-+]?[0-9]{1,11})M)?"
    r"(?:(?P<seconds>[-+]?[0-9]{1,12})(?:[.,](?P<fraction>[0-9]{1,9}))?S)?)?",
    re.ASCII,
)


def time_seconds(text: str) -> float | None:
    """Return the seconds since midnight of a time of day; None where the text is none."""
    found = TIME.fullmatch(text)
    if found is None or (found["minute"] is None and found["half"] is None):
        return None
    microseconds = microseconds_of_day(found.groupdict())
    return None if microseconds is None else seconds_in(microseconds)


def microseconds_of_day(part: Mapping[str, str | None]) -> int | None:
    """Return the microseconds since midnight of the parts of a clock time, 0 where there are none.

    None where there is no such time.
    """
    hour, minute, second = (int(part.get(name) or 0) for name in ("hour", "minute", "second"))
    half = part.get("half")
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return (hour * HOUR + minute * MINUTE + second) * MICROSECONDS + micros_in(part.get("fraction"))


def time_of(seconds: float) -> str:
    """Return seconds since midnight as 13:31:00, with six decimals where it is no whole second."""
    whole, micros = divmod(round(seconds * MICROSECONDS), MICROSECONDS)
    return _clock(whole) + (f".{micros:06}" if micros else "")


def duration_seconds(text: str) -> float | None:
    """Return the seconds of a duration; None where the text is none.

    Days have a sign of their own: `-3 days 13:00:00` is -59 hours, as PostgreSQL, DuckDB, pandas and Python have it.
    """
    found = HOURS.fullmatch(text) or DAYS.fullmatch(text) or ISO_DURATION.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    sign = -1 if part["sign"] == "-" else 1
    of_days = (int(part.get("weeks") or 0) * 7 + int(part.get("days") or 0)) * DAY
    is_negative = (part["seconds"] or "").startswith("-")
    whole = int(part.get("hours") or 0) * HOUR + int(part["minutes"] or 0) * MINUTE + int(part["seconds"] or 0)
    of_time = whole * MICROSECONDS + micros_in(part["fraction"]) * (-1 if is_negative else 1)
    if found.re is DAYS:
        microseconds = sign * of_days * MICROSECONDS + (-of_time if part["time_sign"] == "-" else of_time)
    else:
        microseconds = sign * (of_days * MICROSECONDS + of_time)
    return seconds_in(microseconds) if is_storable(microseconds) else None


def duration_of(seconds: float) -> str:
    """Return seconds as 13:00:00 or 3 days 13:00:00; negative ones in hours, -85:00:00, which all programs read alike.

    They have six decimals where they are no whole seconds.
    """
    microseconds = abs(round(seconds * MICROSECONDS))
    if microseconds > SECONDS_OF_MICROSECONDS * MICROSECONDS:
        microseconds = round(microseconds / MILLISECOND) * MILLISECOND
    whole, micros = divmod(microseconds, MICROSECONDS)
    fraction = f".{micros:06}" if micros else ""
    if seconds < 0:
        return f"-{_clock(whole)}{fraction}" if microseconds else _clock(0)
    days, rest = divmod(whole, DAY)
    return (f"{days} day{'' if days == 1 else 's'} " if days else "") + _clock(rest) + fraction


def is_storable(microseconds: int) -> bool:
    """True if a duration is no longer than the years 1 to 9999."""
    return abs(microseconds) <= MOST_DAYS * DAY * MICROSECONDS


def micros_in(fraction: str | None) -> int:
    """Return the microseconds in the decimals of a second; what is finer is cut off, as from a timestamp of a file."""
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


@overload
def seconds_in(microseconds: int) -> float: ...


@overload
def seconds_in(microseconds: NDArray[np.int64]) -> NDArray[np.float64]: ...


def seconds_in(microseconds: Any) -> Any:
    """Return seconds of whole microseconds: one way for all formats, so that all agree to the last bit."""
    return microseconds * 1.0 / MICROSECONDS


def _clock(whole: int) -> str:
    return f"{whole // HOUR:02}:{whole // MINUTE % 60:02}:{whole % 60:02}"
