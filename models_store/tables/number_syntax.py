"""The syntax of numbers in text, for Python's `re` and for the regular expressions of polars.

`float` accepts more (1_000, nan, digits of other scripts), which nobody means in a table.
"""

import re


def _number(possessive: str) -> str:
    digits, any_digits = f"[0-9]+{possessive}", f"[0-9]*{possessive}"
    return rf"[-+]?({digits}\.?{any_digits}|\.{digits})([eE][-+]?{digits})?"


# Possessive: a long text that is almost a number is refused without backtracking.
NUMBER = re.compile(_number("+"), re.ASCII)
INFINITE = re.compile("[-+]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
# A number with a leading zero is a code, such as a zip code, and not the number without it.
LEADING_ZERO = re.compile(r"[-+]?0[0-9]", re.ASCII)
# A number with more digits than a float64 keeps is a code as well.
MOST_DIGITS = 15

# An integer of JSON that may be beyond 64 bits: orjson makes floats of those, which are no longer told apart.
_WIDE_INTEGER = re.compile(rb"(?<![0-9.])[0-9]{19,}+(?![.eE])")
_DIGITS_AS_ZEROS = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_WIDE = b"0" * 19

# The patterns below are for polars, whose engine (Rust's `regex`) never backtracks and knows no possessive quantifiers.
# Infinity is a number here, so that it is refused by name and not taken for a category.
POLARS_NUMBER = rf"^(?:{_number('')}|(?i:{INFINITE.pattern}))$"
POLARS_INTEGER = r"^[-+]?[0-9]+$"
# An integer that is written as Python writes it, and fits an int64.
POLARS_PLAIN_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"
# One such cell makes a column of integers one of codes: zip codes, or account numbers beyond an int64.
POLARS_CODE = r"^[-+]?(?:0[0-9]+|[0-9]{19,})$"


def may_hold_wide_integers(json: bytes) -> bool:
    """False if no integer in this JSON is beyond 64 bits."""
    # The search alone takes twenty times as long.
    return _WIDE in json.translate(_DIGITS_AS_ZEROS) and _WIDE_INTEGER.search(json) is not None


def number_in(text: str) -> float | None:
    """Return the number that a text is, infinity too; None if it is none."""
    bare = text.strip()
    return float(bare) if NUMBER.fullmatch(bare) or INFINITE.fullmatch(bare) else None
