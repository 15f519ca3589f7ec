"""How a CSV file is laid out, as its first lines show: what stands before the names, between fields, and at line ends.

path, CsvDialect -> Layout      the names of the columns, and all that is needed to read the rows below them
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from models_store.errors import TableError
from models_store.tables import csv_rows
from models_store.tables.csv_dialect import DELIMITERS, CsvDialect, Delimiter, delimiter_in
from models_store.tables.csv_rows import BLOCK_BYTES, CR, ONE_LINE, Block, Records, check_names, reader_of
from models_store.tables.number_syntax import NUMBER
from models_store.tables.signatures import named
from models_store.tables.unpacking import compression_of, opened

# The name that pandas gives to a first column without a name.
UNNAMED = "Unnamed: 0"
# The field behind a delimiter at the end of each line. No name of a file can be this one.
TAIL = "\0"
NO_HEADER = "if the first line is a row and not names, say --no-header (?header=absent)"
SAYS_DELIMITER = re.compile(r'"?sep=(\\t|.)"?', re.IGNORECASE)
FIRST_ROWS = 1000
TEXT_FORMS_START = 1 << 16


@dataclass(frozen=True)
class Layout:
    """`names` of all fields of a row; an index without a name is `UNNAMED`, and what ends each line is `TAIL`."""

    dialect: CsvDialect
    n_before: int
    names: tuple[str, ...]
    has_index: bool
    remarks: tuple[str, ...]

    @property
    def has_header(self) -> bool:
        return self.dialect.header != "absent"

    def blocks(self, path: Path, size: int | None = None) -> Iterator[Block]:
        """Yield the rows of the file, as `csv_rows.blocks` does."""
        return csv_rows.blocks(path, len(self.names), size, self.dialect, self.n_before, has_header=self.has_header)


def layout(path: Path, dialect: CsvDialect) -> Layout:
    """Return the layout of a file. Raises TableError where the file is none, or its names cannot be such."""
    lines = _first_lines(path, dialect)
    n_before, dialect, remarks = _preamble(lines, dialect)
    try:
        dialect = replace(dialect, delimiter=dialect.delimiter or _delimiter_of(lines[n_before:], dialect))
        first = next(csv_rows.records(path, BLOCK_BYTES, dialect, n_before), None)
        if first is None:
            raise TableError("the file is empty; its first line must name the columns")
        return _layout(first, dialect, n_before, remarks)
    except TableError as error:
        if has_one_line(path):
            raise TableError(f"{error}; {ONE_LINE}") from None
        raise


def header(path: Path, dialect: CsvDialect = csv_rows.COMMAS) -> list[str]:
    """Return the names of the columns. Raises TableError, which names the column."""
    return list(layout(path, dialect).names)


def has_one_line(path: Path) -> bool:
    """True if the file has no line end, as `curl -d` sends it."""
    with opened(path) as file:
        line = file.readline(csv_rows.LONGEST_ROW)
    return bool(line) and not line.endswith(b"\n")


# -- before the names ------------------------------------------------------------------------------------------------


def _first_lines(path: Path, dialect: CsvDialect) -> list[str]:
    """Return the lines of the first block, as far as they can be read. Raises TableError for what is no CSV."""
    with opened(path) as file:
        start = file.read(TEXT_FORMS_START)
    if (kind := named(start)) is not None:
        inside = f"compressed with {compression}, and inside " if (compression := compression_of(path)) else ""
        raise TableError(f"this is {inside}{kind}" if inside else f"this is {kind}")
    is_wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start[:4].count(0) == 2
    if is_wide and dialect.encoding != "utf-16":
        raise TableError("this is UTF-16; save it as UTF-8, or read it with --encoding utf-16 (?encoding=utf-16)")
    text = start.decode(dialect.encoding, errors="replace").removeprefix("\ufeff")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _preamble(lines: Sequence[str], dialect: CsvDialect) -> tuple[int, CsvDialect, tuple[str, ...]]:
    """Return the number of lines before the names, the dialect that they tell, and what is to be said of them."""
    if (said := SAYS_DELIMITER.fullmatch(lines[0].strip(" "))) is not None:
        delimiter = "\t" if said[1] == "\\t" else said[1]
        if delimiter not in get_args(Delimiter):
            raise TableError(f"line 1: says sep={said[1]}; a delimiter is one of , ; | tab and space")
        return 1, replace(dialect, delimiter=dialect.delimiter or cast(Delimiter, delimiter)), ()
    n_comments = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if dialect.comment is not None or not 0 < n_comments < len(lines) - 1:
        return 0, dialect, ()
    if _are_names(lines[n_comments - 1], lines[n_comments:], dialect):
        return 0, dialect, ()
    which = "line 1 was" if n_comments == 1 else f"lines 1 to {n_comments} were"
    return n_comments, dialect, (f"{which} taken for a comment, and left out",)


def _are_names(line: str, below: Sequence[str], dialect: CsvDialect) -> bool:
    """True if a line that begins with `#` may hold the names, as `#id,size` does: it has as many fields as a row."""
    delimiter = dialect.delimiter or _delimiter_of(below, dialect)
    first, second = (_fields(one, delimiter) for one in below[:2])
    has_numbers = [any(NUMBER.fullmatch(field.strip()) for field in fields) for fields in (first, second)]
    return len(_fields(line, delimiter)) == len(first) and has_numbers != [False, True]


def _delimiter_of(lines: Sequence[str], dialect: CsvDialect) -> Delimiter:
    if dialect.comment is not None:
        lines = [line for line in lines if not line.lstrip().startswith(dialect.comment)]
    first = lines[0] if lines else ""
    found = delimiter_in(first)
    bare = [_fields(line, " ") for line in lines[:FIRST_ROWS] if line.strip()]
    # The last line may be cut off where the first block ends.
    counts = {len(fields) for fields in bare[1 : -1 if len(bare) > 2 else None]}
    has_other = any(delimiter in first for delimiter in DELIMITERS if delimiter != " ")
    n_names = len(bare[0]) if bare else 0
    is_spaced = not has_other and len(counts) == 1 and counts <= {n_names, n_names + 1} and min(counts) > 1
    return " " if is_spaced and n_names > 0 else found


def _fields(line: str, delimiter: Delimiter) -> list[str]:
    try:
        return next(reader_of(" ".join(line.split()) if delimiter == " " else line, delimiter), [])
    except csv.Error:
        return []


# -- names -----------------------------------------------------------------------------------------------------------


def _layout(first: Records, dialect: CsvDialect, n_before: int, remarks: tuple[str, ...]) -> Layout:
    where = f"line {first.line_of(0)}: "
    if first.blank[0]:
        raise TableError(f"{where}empty, where the names of the columns belong")
    names = _names(first, dialect, where)
    n_names = len(names)
    if dialect.header == "absent":
        names = [f"column_{place}" for place in range(1, n_names + 1)]
    has_tail = _end_with_delimiters(first, dialect)
    if has_tail and n_names > 1 and names[-1] == "":
        names = [*names[:-1], TAIL]
    elif has_tail and _rows_have(first, n_names + 1):
        names = [*names, TAIL]
    elif _rows_have(first, n_names + 1) and _begin_with_names(first):
        names = ["", *names]
    has_index = names[0] == "" and len(names) > 1
    if has_index:
        names = [UNNAMED, *names[1:]]
    kept = [name for name in names if name != TAIL]
    try:
        check_names(kept, where)
    except TableError as error:
        n_numbers = sum(NUMBER.fullmatch(name) is not None for name in kept)
        raise TableError(f"{error}; {NO_HEADER}" if n_numbers * 2 > len(kept) else str(error)) from None
    if len(kept) == 1 and any(mark in kept[0] for mark in ",;\t"):
        raise TableError(f"{where}a single column, with commas, semicolons or tabs in its name; say --delimiter")
    if TAIL in names:
        remarks = (*remarks, "each line ends with a delimiter; the empty field behind it was left out")
    return Layout(dialect, n_before, tuple(names), has_index, remarks)


def _names(first: Records, dialect: CsvDialect, where: str) -> list[str]:
    line = first.content[: int(first.ends[0])].decode().removesuffix("\n").removesuffix("\r")
    try:
        names = next(reader_of(line, csv_rows.separator_of(dialect)))
    except csv.Error:  # its quotes were checked; a field may be longer than a row may be
        raise TableError(f"{where}too long for the names of columns") from None
    return [name.strip() for name in names]


def _rows_have(first: Records, n_fields: int) -> bool:
    """True if all rows of the first block have so many fields, and there are some."""
    counts = first.n_fields[1:][~first.blank[1:]]
    return len(counts) > 0 and bool((counts == n_fields).all())


def _end_with_delimiters(first: Records, dialect: CsvDialect) -> bool:
    """True if each row of the first block ends with a delimiter, which joined spaces never do."""
    letters = np.frombuffer(first.content, dtype=np.uint8)
    ends = first.ends[1:][~first.blank[1:]] - 2
    ends = np.where(letters[ends] == CR, ends - 1, ends)
    return len(ends) > 0 and bool((letters[ends] == ord(csv_rows.separator_of(dialect))).all())


def _begin_with_names(first: Records) -> bool:
    """True if names and rows begin with a quote, as R writes them with the names of rows in front and none above."""
    return all(first.content[begin : begin + 1] == b'"' for begin in (0, *first.ends[:-1].tolist()))
