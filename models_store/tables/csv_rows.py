"""A CSV file as blocks of whole rows whose structure is checked: polars fills up short rows silently.

file -> CsvDialect, names -> Block, Block, ...      in UTF-8, whatever its charset; never more than two blocks in memory
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from models_store.errors import TableError, shortened_name
from models_store.tables.csv_dialect import CsvDialect, delimiter_in

if TYPE_CHECKING:
    from _csv import Reader  # exists for type checkers alone

BLOCK_BYTES = 4 << 20
# Blocks of many columns are larger: polars has work to do for each column of a block, however few its rows.
BYTES_A_COLUMN = 4 << 10
# A quote that is left open is reported after this many bytes.
LONGEST_ROW = 16 << 20
LONGEST_NAME = 200
MOST_COLUMNS = 10_000
BOM = b"\xef\xbb\xbf"
QUOTE, LF, CR = b'"\n\r'
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
COMMAS = CsvDialect(delimiter=",")
# The name that pandas gives to a first column without a name.
UNNAMED = "Unnamed: 0"
OTHERWISE = "save the file as UTF-8, or say what it is: --encoding windows-1252 (?encoding=windows-1252)"
ONE_LINE = "only one line: curl keeps line ends with --data-binary"


@dataclass(frozen=True)
class Block:
    """`rows` whole rows in UTF-8, the first of them on `line` of the file, counted from 1."""

    content: bytes
    rows: int
    line: int


def settled(path: Path, dialect: CsvDialect) -> CsvDialect:
    """Return the dialect with the delimiter that the header shows, if it has none.

    Raises TableError for an Excel file, and for UTF-16 that is not said to be so.
    """
    with path.open("rb") as file:
        start = file.read(BLOCK_BYTES)
    _check_is_text(start, dialect)
    if dialect.delimiter is not None:
        return dialect
    line = start.decode(dialect.encoding, errors="replace").partition("\n")[0]
    return replace(dialect, delimiter=delimiter_in(line))


def _check_is_text(start: bytes, dialect: CsvDialect) -> None:
    if start.startswith(OLE) or (start.startswith(ZIP) and b"xl/" in start):
        raise TableError("this is an Excel file; save it as CSV UTF-8")
    is_wide = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start[:4].count(0) == 2
    if is_wide and dialect.encoding != "utf-16":
        raise TableError("this is UTF-16; save it as UTF-8, or read it with --encoding utf-16 (?encoding=utf-16)")


def header(path: Path, dialect: CsvDialect = COMMAS) -> list[str]:
    """Return the names of the columns: unique, and not empty except perhaps the first, which may be an index.

    Raises TableError, which names the column.
    """
    try:
        return _header(path, dialect)
    except TableError as error:
        if has_one_line(path):
            raise TableError(f"{error}; {ONE_LINE}") from None
        raise


def has_one_line(path: Path) -> bool:
    """True if the file has no line end, as `curl -d` sends it."""
    with path.open("rb") as file:
        line = file.readline(LONGEST_ROW)
    return bool(line) and not line.endswith(b"\n")


def _header(path: Path, dialect: CsvDialect) -> list[str]:
    first = next(_records(path, BLOCK_BYTES, dialect), None)
    if first is None:
        raise TableError("the file is empty; its first line must name the columns")
    end = int(first.ends[0])
    line = first.content[:end].decode().removesuffix("\n").removesuffix("\r")
    if not line.strip():
        raise TableError("line 1: empty, where the names of the columns belong")
    delimiter = dialect.delimiter or ","
    try:
        names = next(reader_of(line, delimiter))
    except csv.Error:  # its quotes were checked; a field may be longer than a row may be
        raise TableError("line 1: too long for the names of columns") from None
    names = [name.strip() for name in names]
    check_names([names[0] or UNNAMED, *names[1:]] if len(names) > 1 else names, "line 1: ")
    if len(names) == 1 and any(mark in names[0] for mark in ",;\t"):
        raise TableError("line 1: a single column, with commas, semicolons or tabs in its name; say --delimiter")
    return names


def reader_of(text: str, delimiter: str = ",") -> "Reader":
    """A strict reader of the csv module, that takes fields as long as a row may be."""
    csv.field_size_limit(LONGEST_ROW)  # of the whole process: set by every reader, so that none depends on another
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def check_names(names: list[str], where: str = "") -> None:
    """Raise TableError where the names of the columns are too many, empty, too long, or not unique."""
    if len(names) > MOST_COLUMNS:
        raise TableError(f"{where}{len(names)} columns; {MOST_COLUMNS} are the most")
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise TableError(f"{where}column {place} has no name (pandas leaves out its index with index=False)")
        if len(name) > LONGEST_NAME:
            raise TableError(f"{where}the name of column {place} is longer than {LONGEST_NAME} characters")
        if "\0" in name:
            raise TableError(f"{where}the name of column {place} holds a NUL character")
        # Compared without the whitespace around them: in a CSV request it is not part of a name.
        if name.strip() in seen:
            raise TableError(f"{where}two columns are called {shortened_name(name.strip())}")
        seen.add(name.strip())


def blocks(path: Path, n_columns: int, size: int | None = None, dialect: CsvDialect = COMMAS) -> Iterator[Block]:
    """Yield all rows after the header, in blocks of about `size` bytes.

    Raises TableError, which names the first line that has not `n_columns` fields.
    """
    blank_line = 0
    is_header = True
    for records in _records(path, size or max(BLOCK_BYTES, n_columns * BYTES_A_COLUMN), dialect):
        first = 1 if is_header else 0
        is_header = False
        blank = records.blank[first:]
        n_rows = len(blank) if not blank.any() else int(blank.argmax())
        if blank_line == 0 and n_rows < len(blank):
            blank_line = records.line_of(first + n_rows)
        if blank_line and not (blank[n_rows:].all() and (n_rows == 0 or records.line_of(first) < blank_line)):
            raise TableError(f"line {blank_line}: empty, with more rows after it")
        wrong = np.flatnonzero(records.n_fields[first : first + n_rows] != n_columns)
        if len(wrong):
            row = first + int(wrong[0])
            found = records.n_fields[row]
            raise TableError(f"line {records.line_of(row)}: expected {n_columns} fields, found {found}")
        if n_rows:
            begin, end = records.begin_of(first), int(records.ends[first + n_rows - 1])
            yield Block(records.content[begin:end], n_rows, records.line_of(first))


@dataclass(frozen=True, eq=False)
class _Records:
    """Whole records: `content`, the line of the file where it begins, and arrays (n_records,) of facts."""

    content: bytes
    line: int
    ends: NDArray[np.int64]
    """The offset in `content` behind each record."""
    n_fields: NDArray[np.int64]
    blank: NDArray[np.bool_]

    @classmethod
    def of(cls, content: bytes, line: int, delimiter: int) -> Self:
        """Find the records that end in `content`, perhaps none. Raises TableError where it is not CSV."""
        letters = np.frombuffer(content, dtype=np.uint8)
        outside = None
        if b'"' in content:
            quotes, outside = _quotes(letters)
            _check_quotes(letters, quotes, content, line, delimiter)
        ends = _where(letters, LF, outside) + 1
        length = int(ends[-1]) if len(ends) else 0
        content = content[:length]
        _check_letters(content, line)
        letters = letters[:length]
        delimiters = _where(letters, delimiter, outside)
        returns = _where(letters, CR, outside) if b"\r" in content else np.empty(0, dtype=np.int64)
        lonely = returns[letters[returns + 1] != LF]
        if len(lonely):
            raise TableError(f"line {_line_at(content, line, int(lonely[0]))}: a carriage return without a line feed")
        lengths = np.diff(ends, prepend=0)
        is_blank = (lengths == 1) | (lengths == 2) & (letters[ends - 2] == CR)
        n_fields = np.diff(np.searchsorted(delimiters, ends), prepend=0) + 1
        return cls(content, line, ends, n_fields, is_blank)

    def begin_of(self, record: int) -> int:
        return int(self.ends[record - 1]) if record else 0

    def line_of(self, record: int) -> int:
        return _line_at(self.content, self.line, self.begin_of(record))


def _records(path: Path, size: int, dialect: CsvDialect) -> Iterator[_Records]:
    line, pending = 1, b""
    delimiter = ord(dialect.delimiter or ",")
    for read in _pieces(path, size, dialect):
        is_last = not read
        content = pending + (read.removeprefix(BOM) if line == 1 and not pending else read)
        if is_last and content:
            content += b"\n"
        records = _Records.of(content, line, delimiter)
        if len(records.ends):
            yield records
        pending = content[len(records.content) :]
        line += records.content.count(b"\n")
        if not is_last and len(pending) > max(LONGEST_ROW, size):
            raise TableError(f"line {line}: the row does not end within {LONGEST_ROW >> 20} MB; is a quote left open?")
    if pending:
        raise TableError(f"line {line}: a quote is opened in this row and not closed")


def _pieces(path: Path, size: int, dialect: CsvDialect) -> Iterator[bytes]:
    """Yield the file in UTF-8, about `size` bytes at a time; the last piece is empty, and no other."""
    with path.open("rb") as file:
        if dialect.encoding == "utf-8":
            yield from iter(partial(file.read, size), b"")
        else:
            decoder = codecs.getincrementaldecoder(dialect.encoding)()
            try:
                pieces = (decoder.decode(read) for read in iter(partial(file.read, size), b""))
                yield from (piece.encode() for piece in pieces if piece)
                if rest := decoder.decode(b"", final=True):
                    yield rest.encode()
            except UnicodeError:
                raise TableError(f"the file is not {dialect.encoding}") from None
    yield b""


def _where(letters: NDArray[np.uint8], letter: int, outside: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the offsets of a letter that no quotes surround."""
    found = letters == letter
    return np.flatnonzero(found if outside is None else found & outside[: len(letters)])


def _quotes(letters: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the offsets of quotes, and a mask of the letters outside them.

    A letter is outside where an even number of quotes stands up to it: a doubled quote closes and opens.
    """
    found = letters == QUOTE
    # The count is modulo 256, which is even.
    return np.flatnonzero(found), np.cumsum(found, dtype=np.uint8) & 1 == 0


def _check_letters(content: bytes, line: int) -> None:
    nul = content.find(b"\0")
    if nul >= 0:
        raise TableError(f"line {_line_at(content, line, nul)}: a NUL byte; this is no text")
    if content.isascii():
        return
    try:
        content.decode()
    except UnicodeDecodeError as error:
        where = _line_at(content, line, error.start)
        raise TableError(f"line {where}: not UTF-8; {OTHERWISE}") from None
    mark = content.find(BOM)
    if mark >= 0:
        # Polars drops it at the beginning of whatever bytes it reads.
        where = _line_at(content, line, mark)
        raise TableError(f"line {where}: a byte order mark; it may stand at the beginning of a file only")


def _check_quotes(
    letters: NDArray[np.uint8], quotes: NDArray[np.int64], content: bytes, line: int, delimiter: int
) -> None:
    """Raise TableError unless quotes open at the beginning of a field, close at its end, and are doubled inside."""
    opening, closing = quotes[0::2], quotes[1::2]
    # The first letter stands behind the end of a line as well.
    before = np.where(opening == 0, LF, letters[opening - 1])
    wrong = opening[~np.isin(before, (delimiter, LF, QUOTE))]
    if not len(wrong):
        closing = closing[closing + 1 < len(letters)]
        wrong = closing[~np.isin(letters[closing + 1], (delimiter, LF, CR, QUOTE))]
    if len(wrong):
        where = _line_at(content, line, int(wrong[0]))
        raise TableError(f"line {where}: a quote in the middle of a field; write such a field in quotes, and it twice")


def _line_at(content: bytes, line: int, place: int) -> int:
    return line + content.count(b"\n", 0, place)
