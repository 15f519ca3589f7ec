"""Formats of dates and times that a recipe names, in the directives of `strftime`: %d.%m.%y, %Y%m%d, %H%M.

format -> DateForm      read as the spellings that need no format are
"""

import re
from collections.abc import Set
from functools import lru_cache
from typing import Literal

from models_store.tables import clock, moments
from models_store.tables.moments import DATE_PARTS, DateForm

TWO_DIGITS, ONE_OR_TWO_DIGITS = "[0-9]{2}", "[0-9]{1,2}"
DIRECTIVES = {
    "Y": "(?P<year>[0-9]{4})",
    "y": f"(?P<short_year>{TWO_DIGITS})",
    "m": f"(?P<month>{TWO_DIGITS})",
    "b": moments.NAME,
    "B": moments.NAME,
    "d": f"(?P<day>{TWO_DIGITS})",
    "e": f"(?P<day>{TWO_DIGITS})",
    "j": "(?P<day_of_year>[0-9]{3})",
    "a": moments.WEEKDAY,
    "A": moments.WEEKDAY,
    "H": f"(?P<hour>{TWO_DIGITS})",
    "I": f"(?P<hour>{TWO_DIGITS})",
    "M": f"(?P<minute>{TWO_DIGITS})",
    "S": f"(?P<second>{TWO_DIGITS})",
    "f": clock.FRACTION,
    "p": clock.HALF,
    "z": clock.OFFSET,
    "Z": clock.OFFSET,
    "s": "(?P<epoch>-?[0-9]{1,12})",
    "Q": "(?P<epoch_ms>-?[0-9]{1,15})",
    "%": "%",
}
SHORTHANDS = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y"}
OF_DIGITS = frozenset("YymdejHIMSfsQ")
PIECE = re.compile(r"%(?P<directive>.?)|(?P<space> +)|(?P<text>[^% ]+)", re.DOTALL)


@lru_cache(maxsize=256)  # recipes name any
def form_of(written: str) -> DateForm:
    """Return the form of a format. Raises ValueError, which says what is wrong with it."""
    form = DateForm(_pattern(re.sub("%(.)", lambda found: SHORTHANDS.get(found[1], found[0]), written)))
    try:
        _check(form.regex.groupindex.keys())
    except re.error:
        raise ValueError("two directives mean the same part of a date") from None
    return form


def kind_of_format(written: str) -> Literal["date", "time"]:
    """Return the kind of column that has this format. Raises ValueError where it is none."""
    return "date" if form_of(written).has_date else "time"


def _pattern(written: str) -> str:
    pieces, before = [], ""
    for piece in PIECE.finditer(written):
        directive = piece["directive"]
        if directive is None:
            pieces.append(" +" if piece["space"] else re.escape(piece["text"]))
        elif directive not in DIRECTIVES:
            known = ", ".join(f"%{known}" for known in (*DIRECTIVES, *SHORTHANDS))
            raise ValueError(f"%{directive} is not known; there are {known}")
        elif before in OF_DIGITS:
            pieces.append(DIRECTIVES[directive])
        else:
            # 7.3.2020 for %d.%m.%Y, but 07032020 for %d%m%Y: what stands behind digits has all its own.
            pieces.append(DIRECTIVES[directive].replace(TWO_DIGITS, ONE_OR_TWO_DIGITS))
        before = directive or " "
    return "".join(pieces)


def _check(parts: Set[str]) -> None:
    if not parts & (DATE_PARTS | {"hour"}):
        raise ValueError("it needs a year (%Y, %y), an hour (%H, %I), or a number since 1970 (%s, %Q)")
    if parts & {"month", "name", "day", "day_of_year"} and not parts & {"year", "short_year"}:
        raise ValueError("a date needs a year (%Y, %y)")
    if "day" in parts and not parts & {"month", "name"}:
        raise ValueError("a day needs a month (%m, %b)")
