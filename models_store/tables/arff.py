"""ARFF, the format of Weka, as polars frames: numbers, nominal values as texts, strings, and dates.

@relation weather
@attribute outlook {sunny, 'very rainy'}
@attribute temperature numeric
@data
sunny, 21.5                      or sparse, as {1 21.5}: what is left out is 0, or the first nominal value
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from models_store.errors import TableError
from models_store.tables.clock import OFFSET
from models_store.tables.csv_rows import LONGEST_ROW, check_names
from models_store.tables.date_formats import form_of
from models_store.tables.file_limits import check_size
from models_store.tables.moment_columns import moments_of
from models_store.tables.moments import MICROSECONDS_A_DAY, DateForm
from models_store.tables.number_syntax import NUMBER
from models_store.tables.reading import whole_where_exact
from models_store.tables.text_columns import without_missing
from models_store.tables.unpacking import opened
from models_store.wording import shortened_name

ATTRIBUTE = re.compile(
    r"@attribute\s+('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s{]+)\s*(.*)", re.IGNORECASE | re.DOTALL
)
PART = re.compile(r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^,'\"])*+(?:,|$)", re.DOTALL)
SPARSE = re.compile(r"\s*([0-9]{1,9})\s+(.*)", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
NUMERIC = ("numeric", "real", "integer")
ISO_MOMENT = "yyyy-MM-dd'T'HH:mm:ss"
# Letters of Java's SimpleDateFormat as directives of strftime.
ANY_ZONE = "%Z"
LETTERS = {
    "yyyy": "%Y", "y": "%Y", "yy": "%y", "MM": "%m", "M": "%m", "MMM": "%b", "MMMM": "%B", "dd": "%d", "d": "%d",
    "DDD": "%j", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M", "ss": "%S", "s": "%S",
    "SSS": "%f", "a": "%p", "EEE": "%a", "EEEE": "%A",
    **dict.fromkeys(("z", "zzz", "zzzz", "Z", "X", "XX", "XXX"), ANY_ZONE),
}  # fmt: skip
# At the end of a date, where its format says that there is one.
ZONE = rf"\s*{OFFSET}$"
JAVA = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|.", re.DOTALL)


@dataclass(frozen=True)
class Attribute:
    name: str
    values: tuple[str, ...] | None = None
    """The nominal values; None for another type."""
    is_numeric: bool = False
    form: DateForm | None = None
    """That of dates or times of day."""
    has_zone: bool = False
    """True if a zone stands behind each date."""

    @cached_property
    def known(self) -> frozenset[str]:
        """The nominal values, to look one up."""
        return frozenset(self.values or ())

    @property
    def default(self) -> str:
        """The value of a sparse row that does not name one."""
        return self.values[0] if self.values else "0"


def read_arff(path: Path) -> pl.DataFrame:
    """Read the whole file. Raises TableError, which names the line."""
    lines = _lines(path)
    attributes = _header(lines)
    check_names([attribute.name for attribute in attributes])
    columns: list[list[str | None]] = [[] for _ in attributes]
    for n_rows, (line, text) in enumerate(lines, start=1):
        check_size(n_rows, len(attributes))
        for column, cell in zip(columns, _row(text, attributes, line), strict=True):
            column.append(cell)
    series = zip(attributes, columns, strict=True)
    return pl.DataFrame([_typed(pl.Series(one.name, cells, pl.String), one) for one, cells in series])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield lines that are neither empty nor comments, with their numbers."""
    with opened(path) as file:
        number = 0
        while content := file.readline(LONGEST_ROW):
            number += 1
            try:
                text = content.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise TableError(f"line {number}: not UTF-8; save the file as UTF-8") from None
            if "\0" in text:
                raise TableError(f"line {number}: a NUL byte; this is no text")
            if text and not text.startswith("%"):
                yield number, text


def _header(lines: Iterator[tuple[int, str]]) -> list[Attribute]:
    attributes: list[Attribute] = []
    for line, text in lines:
        word = text.split(None, 1)[0].lower()
        if word == "@data":
            if not attributes:
                raise TableError(f"line {line}: @data comes before any @attribute")
            return attributes
        if word == "@attribute":
            attributes.append(_attribute(text, line))
        elif word != "@relation":
            raise TableError(f"line {line}: expected @relation, @attribute or @data")
    raise TableError("the file has no @data; is it whole, and ARFF?")


def _attribute(text: str, line: int) -> Attribute:
    found = ATTRIBUTE.fullmatch(text)
    if found is None:
        raise TableError(f"line {line}: expected @attribute NAME TYPE")
    name, said = _unquoted(found[1]), found[2].strip()
    kind = said.split(None, 1)[0].lower() if said else ""
    if said.startswith("{") and said.endswith("}"):
        return Attribute(name, values=tuple(_cells(said[1:-1], line)))
    if kind in NUMERIC:
        return Attribute(name, is_numeric=True)
    if kind == "string":
        return Attribute(name)
    if kind == "date":
        pattern = _unquoted(said[4:].strip()) or ISO_MOMENT
        return _of_dates(name, pattern)
    kinds = "numeric, real, integer, string, date and {nominal, values}"
    raise TableError(
        f"line {line}: attribute {shortened_name(name)} is of type {shortened_name(said)}; read are {kinds}"
    )


def _of_dates(name: str, pattern: str) -> Attribute:
    directives = _directives(pattern, name)
    try:
        form = form_of(directives.removesuffix(ANY_ZONE).rstrip())
    except ValueError as error:
        raise TableError(
            f"attribute {shortened_name(name)}: its dates are written as {shortened_name(pattern)}, which is not read: "
            f"in directives of strftime, {error}"
        ) from None
    return Attribute(name, form=form, has_zone=directives.endswith(ANY_ZONE))


def _directives(pattern: str, name: str) -> str:
    """Return a pattern of Java's SimpleDateFormat in directives of strftime."""
    directives = ""
    for part in JAVA.finditer(pattern):
        if part[1] is not None:
            directives += (part[1].replace("''", "'") or "'").replace("%", "%%")
        elif part[2] is None:
            directives += part[0].replace("%", "%%")
        elif part[0] in LETTERS:
            directives += LETTERS[part[0]]
        else:
            raise TableError(
                f"attribute {shortened_name(name)}: its dates have {part[0]} in their format, and are not read"
            )
    return directives


# -- rows ------------------------------------------------------------------------------------------------------------


def _row(text: str, attributes: list[Attribute], line: int) -> list[str | None]:
    if text.startswith("{") and text.endswith("}"):
        return _sparse(text[1:-1], attributes, line)
    parts = _parts(text, line)
    if len(parts) != len(attributes):
        raise TableError(f"line {line}: expected {len(attributes)} values, found {len(parts)}")
    return [_cell(part, attribute, line) for part, attribute in zip(parts, attributes, strict=True)]


def _sparse(text: str, attributes: list[Attribute], line: int) -> list[str | None]:
    row: list[str | None] = [attribute.default for attribute in attributes]
    for part in _parts(text, line) if text.strip() else ():
        found = SPARSE.fullmatch(part)
        if found is None or int(found[1]) >= len(attributes):
            raise TableError(f"line {line}: expected an index of an attribute (from 0) and its value in a sparse row")
        row[int(found[1])] = _cell(found[2], attributes[int(found[1])], line)
    return row


def _cell(part: str, attribute: Attribute, line: int) -> str | None:
    """Return a value of a row, None for a question mark without quotes.

    Raises TableError for what is none of the nominal values, or no number.
    """
    bare = part.strip()
    if bare == "?":
        return None
    cell = _unquoted(bare)
    if attribute.values is not None and cell not in attribute.known:
        raise TableError(
            f"line {line}: attribute {shortened_name(attribute.name)}: {shortened_name(cell)} is none of its values"
        )
    if attribute.is_numeric and not NUMBER.fullmatch(cell):
        raise TableError(
            f"line {line}: attribute {shortened_name(attribute.name)}: {shortened_name(cell)} is no number"
        )
    return cell


def _cells(text: str, line: int) -> list[str]:
    return [_unquoted(part.strip()) for part in _parts(text, line)]


def _parts(text: str, line: int) -> list[str]:
    """Split at commas outside quotes."""
    parts, place = [], 0
    while True:
        found = PART.match(text, place)
        if found is None:
            raise TableError(f"line {line}: a quote is opened and not closed")
        parts.append(found[0].removesuffix(",") if found.end() < len(text) or found[0].endswith(",") else found[0])
        if not found[0].endswith(","):
            return parts
        place = found.end()


def _unquoted(text: str) -> str:
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    return ESCAPED.sub(lambda found: ESCAPES.get(found[1], found[1]), text[1:-1])


def _typed(cells: pl.Series, attribute: Attribute) -> pl.Series:
    if attribute.is_numeric:
        return whole_where_exact(cells.cast(pl.Float64))
    if attribute.form is None:
        return cells
    if attribute.has_zone:  # not converted: the local time that a clock showed there counts
        cells = cells.str.replace(ZONE, "")
    return _moments(without_missing(cells.to_frame()).to_series(), attribute.form)


def _moments(cells: pl.Series, form: DateForm) -> pl.Series:
    """Return dates, moments or times of day, as the form has them. Raises TableError, which names the row."""
    are_there = cells.is_not_null().to_numpy()
    counts, known = np.zeros(len(cells), dtype=np.int64), ~are_there
    counts[are_there], known[are_there] = moments_of(cells.drop_nulls(), [form])
    if not known.all():
        raise TableError(
            f"attribute {shortened_name(cells.name)}: not all of its dates are written as its format says: see data "
            f"row {int(known.argmin()) + 1}"
        )
    microseconds = pl.Series(cells.name, counts).set(cells.is_null(), None)
    if not form.has_date:
        return (microseconds % MICROSECONDS_A_DAY * 1000).cast(pl.Time)
    moments = microseconds.cast(pl.Datetime("us"))
    return moments if "hour" in form.regex.groupindex else moments.dt.date()
