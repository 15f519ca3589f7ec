"""Text columns that are almost numbers or dates: taken for categories, they would silently ruin a model.

400 numbers and "12 kg"      one cell is to be mended        03/04/2020    day or month first?
$1,017 · 7 % · 7,86          to be written plainly           31/12/20      which is the year?
"""

import json
import re
import shlex
from collections.abc import Iterable, Sequence

import polars as pl

from models_store.tables.column_kinds import CLOCK_KINDS, is_a
from models_store.tables.date_formats import form_of
from models_store.tables.moment_columns import moments_of
from models_store.tables.moments import AT, GRAMMAR, IN_ORDER, MARKS, NAME, DateOrder, forms_in, microseconds_in
from models_store.tables.number_syntax import POLARS_CODE, POLARS_NUMBER
from models_store.tables.spelling import NOTHING
from models_store.tables.table import Kind
from models_store.tables.text_columns import NEARLY_ALL, stripped
from models_store.tables.ways_out import field, option
from models_store.wording import shortened_name

# Fewer different ones are codes, such as 1, 2 and 3A.
FEWEST_NUMBERS = 10
MARK = "[$€£¥]"
FORMATTED = rf"^[-+]?\s?{MARK}?\s?[-+]?(?:[0-9]+|[0-9]{{1,3}}(?:[,.'\s][0-9]{{3}})+)?(?:[.,][0-9]+)?\s?(?:%|{MARK})?$"
BARE_COMMA = "^[-+]?[0-9]*,[0-9]+$"
FIRST_TWO = "^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"


def _any_of(patterns: Iterable[str]) -> str:
    """Return a pattern for polars of texts that match one of these; no group of it has a name."""
    return "^(?:" + "|".join(re.sub(r"\(\?P<[a-z_]+>", "(?:", pattern) for pattern in patterns) + ")$"


PLAIN_DATE = _any_of(form.pattern for form in GRAMMAR)
WRITTEN_DATE = _any_of(form.pattern for form in IN_ORDER["day-first"])
SHORT_DATE = _any_of(
    [
        *(f"{_DAY}{mark}{_DAY}{mark}[0-9]{{2}}{AT}" for mark in MARKS),
        f"{_DAY}[-/ ]?{NAME}[-/ ]?'?[0-9]{{2}}{AT}",
        f"{NAME}[-/ ]'?[0-9]{{2}}",
    ]
)
LIKE_A_CLOCK = r"^[-+]?[0-9]+:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]+)?)?(?:\s?[AaPp]\.?[Mm]\.?)?$"
# Of dates whose years have two digits, the likely first.
SHORT_FORMATS = (
    *(f"{first}{mark}{second}{mark}%y" for mark in "/-." for first, second in (("%d", "%m"), ("%m", "%d"))),
    *(f"%d{mark}%b{mark}%y" for mark in ("-", " ", "/", "")),
    *(f"%b{mark}%y" for mark in ("-", " ", "/")),
)
DIGIT = "[0-9]"


def order_of(texts: pl.Series, said: DateOrder | None) -> DateOrder | None:
    """Return the order of day and month in the dates among `texts`: `said`, or the one that a day beyond 12 shows.

    None where there are no such dates, or nothing shows their order.
    """
    dates = _matching(texts, WRITTEN_DATE)
    if dates.is_empty() or said is not None:
        return None if dates.is_empty() else said
    is_day_first, is_month_first = (_is_any_beyond_12(dates.str.extract(FIRST_TWO, place)) for place in (1, 2))
    if is_day_first == is_month_first:
        return None
    return "day-first" if is_day_first else "month-first"


def _is_any_beyond_12(numbers: pl.Series) -> bool:
    return bool((numbers.cast(pl.UInt8) > 12).any())


def ambiguity_of(column: pl.Series, said: DateOrder | None, *, is_text: bool = False) -> str | None:
    """Say what is ambiguous about a column of texts that are not all dates, and the ways to settle it.

    None where the column is a category or a text without doubt. `said`: the order of day and month, if it is known.
    `is_text`: the file says that all cells are texts, so that digits are numbers only where its owner says so.
    """
    texts = stripped(column)
    texts = texts.set(texts.is_in(list(NOTHING)), None)
    distinct = texts.drop_nulls().unique(maintain_order=True)
    if distinct.is_empty():
        return None
    return (
        _ambiguity_of_dates(column.name, texts, distinct, said)
        or _ambiguity_of_times(column.name, texts, distinct)
        or _ambiguity_of_numbers(column.name, texts, distinct, is_text=is_text)
    )


def _ambiguity_of_dates(name: str, texts: pl.Series, distinct: pl.Series, said: DateOrder | None) -> str | None:
    written = _matching(distinct, WRITTEN_DATE)
    short = _matching(distinct, SHORT_DATE)
    looking = pl.concat([_matching(distinct, PLAIN_DATE), written, short])
    if not _are_nearly_all(texts, looking, distinct, 1 if len(written) + len(short) else FEWEST_NUMBERS):
        return None
    if len(short):
        likely = _format_of(short.to_list())
        return (
            f"{name}: looks like dates with years of two digits ({_cell(short[0])}); say data.date_format, such as "
            f"{{{name}: {json.dumps(likely)}}} (--date-format {shlex.quote(f'{name}={likely}')}), or {_write_iso(name)}"
        )
    order = order_of(written, said)
    if len(written) and order is None:
        if any(_shows_order(text) for text in written):
            return f"{name}: looks like dates, some of them day-first and some month-first; {_write_iso(name)}"
        return (
            f"{name}: looks like dates, and whether day or month comes first is not clear ({_cell(written[0])}); say "
            f"data.dates: day-first or month-first (--dates), or {_write_iso(name)}"
        )
    dates = looking.filter(moments_of(looking, forms_in(order))[1]).to_list()
    return _exception_to(name, "date", texts, dates) if len(dates) < len(distinct) else None


def _format_of(texts: Sequence[str]) -> str:
    """Return a format that dates with years of two digits may have."""
    formats = (f"{date}{time}" for date in SHORT_FORMATS for time in ("", " %H:%M", " %H:%M:%S"))
    return next((written for written in formats if _all_have(written, texts)), SHORT_FORMATS[0])


def _all_have(written: str, texts: Sequence[str]) -> bool:
    return all(microseconds_in(text, [form_of(written)]) is not None for text in texts)


def _ambiguity_of_times(name: str, texts: pl.Series, distinct: pl.Series) -> str | None:
    looking = _matching(distinct, LIKE_A_CLOCK)
    short = looking.filter(looking.str.count_matches(":", literal=True) == 1)
    beyond = [text for text in short if not is_a("time", text)]
    if not _are_nearly_all(texts, looking, distinct, FEWEST_NUMBERS):
        return None
    if beyond:
        return (
            f"{name}: looks like times, some of them beyond 24:00 ({_cell(beyond[0])}), and whether they are hours "
            "and minutes or minutes and seconds is not clear; write hours:minutes:seconds, such as 85:00:00, "
            f"or {_give_up(name)}"
        )
    kind, good = max(((kind, [text for text in distinct if is_a(kind, text)]) for kind in CLOCK_KINDS), key=_n_good)
    return _exception_to(name, kind, texts, good)


def _n_good(found: tuple[Kind, list[str]]) -> int:
    return len(found[1])


def _ambiguity_of_numbers(name: str, texts: pl.Series, distinct: pl.Series, *, is_text: bool) -> str | None:
    plain = _matching(distinct, POLARS_NUMBER)
    formatted = _matching(distinct.filter(distinct.str.contains(DIGIT)), FORMATTED)
    formatted = formatted.filter(~formatted.is_in(plain.to_list()))
    if plain.str.contains(POLARS_CODE).any() or not _are_nearly_all(
        texts, pl.concat([plain, formatted]), distinct, FEWEST_NUMBERS
    ):
        return None
    if formatted.is_empty():
        if len(plain) == len(distinct):
            return None
        return _exception_to(name, "number", texts, plain.to_list(), is_text=is_text)
    if len(_matching(formatted, BARE_COMMA)) == len(formatted):
        return (
            f"{name}: looks like numbers with decimal commas ({_cell(formatted[0])}); read the file with --decimal , "
            f"(?decimal=,); if they part thousands, write the numbers without them; or {_give_up(name)}"
        )
    return (
        f"{name}: looks like numbers written with currencies, % or thousands separators ({_cell(formatted[0])}); "
        f"write them plainly, or {_give_up(name)}"
    )


def _shows_order(text: str) -> bool:
    """True if a day beyond 12 shows which of the two is the day."""
    return any(microseconds_in(text, forms) is None for forms in IN_ORDER.values())


def _matching(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.filter(texts.str.contains(pattern))


def _are_nearly_all(texts: pl.Series, looking: pl.Series, distinct: pl.Series, fewest: int) -> bool:
    """True if nearly all cells look so, and at least `fewest` different ones."""
    if len(looking) < fewest:
        return False
    n_looking = int(texts.is_in(looking.to_list()).sum())
    n_needed = FEWEST_NUMBERS if len(looking) < len(distinct) else fewest
    return len(looking) >= n_needed and n_looking >= NEARLY_ALL * (len(texts) - texts.null_count())


def _exception_to(name: str, kind: Kind, texts: pl.Series, good: list[str], *, is_text: bool = False) -> str:
    """Say how many cells are of the kind, and name the first that is not."""
    is_good = texts.is_in(good).fill_null(value=True)
    row = (~is_good).arg_max()
    assert row is not None
    n_present = len(texts) - texts.null_count()
    n_good = n_present - int((~is_good).sum())
    cell = _cell(texts[row])
    way = f"say that it means nothing (data.missing: [{cell}], --missing-value)"
    if is_text:
        way += f" and that the others are numbers ({field(name, 'number')}, {option(name, 'number')})"
    else:
        way = f"mend it, or {way}"
    return (
        f"{name}: {n_good} of {n_present} values are {kind}s, and {cell} in data row {row + 1} is none; "
        f"{way}, or {_give_up(name)}"
    )


def _write_iso(name: str) -> str:
    return f"write 2020-12-31, or {_give_up(name)}"


def _give_up(name: str) -> str:
    return f"say what the column is ({field(name, 'category')}, or drop; {option(name, 'category')})"


def _cell(text: str) -> str:
    return json.dumps(shortened_name(text), ensure_ascii=False)
