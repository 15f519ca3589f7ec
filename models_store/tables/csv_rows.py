"""A CSV file as blocks of whole rows whose structure is checked: polars fills up short rows silently.

file -> CsvDialect, names -> Block, Block, ...      in UTF-8, whatever its charset; never more than two blocks in memory
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from models_store.errors import TableError
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.unpacking import opened
from models_store.wording import shortened_name

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
# What stands between fields where spaces did, however many; and a comment line, once it is taken out.
JOINED, TAKEN_OUT = b"\x01", b"\x02"
SPACES, SPACED_END = re.compile(rb"[ \t]+"), re.compile(rb"[ \t]*\r?\n[ \t]*")
ONE_LINE = "only one line: curl keeps line ends with --data-binary"
COMMAS = CsvDialect(delimiter=",")
OTHERWISE = "save the file as UTF-8, or say what it is: --encoding windows-1252 (?encoding=windows-1252)"


@dataclass(frozen=True)
class Block:
    """`rows` whole rows in UTF-8, the first of them on `line` of the file, counted from 1."""

    content: bytes
    rows: int
    line: int


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


def blocks(
    path: Path,
    n_columns: int,
    size: int | None = None,
    dialect: CsvDialect = COMMAS,
    n_before: int = 0,
    *,
    has_header: bool = True,
) -> Iterator[Block]:
    """Yield all rows after the first `n_before` lines and the header, in blocks of about `size` bytes.

    Raises TableError, which names the first line that has not `n_columns` fields.
    """
    blank_line = 0
    for found in records(path, size or max(BLOCK_BYTES, n_columns * BYTES_A_COLUMN), dialect, n_before):
        first = 1 if has_header else 0
        has_header = False
        blank = found.blank[first:]
        n_rows = len(blank) if not blank.any() else int(blank.argmax())
        if blank_line == 0 and n_rows < len(blank):
            blank_line = found.line_of(first + n_rows)
        if blank_line and not (blank[n_rows:].all() and (n_rows == 0 or found.line_of(first) < blank_line)):
            raise TableError(f"line {blank_line}: empty, with more rows after it")
        wrong = np.flatnonzero(found.n_fields[first : first + n_rows] != n_columns)
        if len(wrong):
            row = first + int(wrong[0])
            count = found.n_fields[row]
            raise TableError(f"line {found.line_of(row)}: expected {n_columns} fields, found {count}")
        if n_rows:
            begin, end = found.begin_of(first), int(found.ends[first + n_rows - 1])
            yield Block(found.content[begin:end], n_rows, found.line_of(first))


@dataclass(frozen=True, eq=False)
class Records:
    """Whole records: `content`, the line of the file where it begins, and arrays (n_records,) of facts."""

    content: bytes
    line: int
    ends: NDArray[np.int64]
    """The offset in `content` behind each record."""
    n_fields: NDArray[np.int64]
    blank: NDArray[np.bool_]
    lines: NDArray[np.int64] | None = None
    """The line where each record begins, where comment lines were between them."""

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

    def without_comments(self) -> "Records":
        """Return the records that are not `TAKEN_OUT`. Raises TableError for a line within quotes that is."""
        if TAKEN_OUT not in self.content:
            return self
        begins = np.concatenate([[0], self.ends[:-1]])
        letters = np.frombuffer(self.content, dtype=np.uint8)
        kept = letters[begins] != TAKEN_OUT[0]
        marks = np.flatnonzero(letters == TAKEN_OUT[0])
        within = marks[~np.isin(marks, begins)]
        if len(within):
            raise TableError(
                f"line {_line_at(self.content, self.line, int(within[0]))}: within quotes a line begins as a comment "
                "does; write it otherwise, or say no --comment"
            )
        lines = self.line + np.searchsorted(np.flatnonzero(letters == LF), begins)
        ends = np.cumsum((self.ends - begins)[kept])
        content = self.content.replace(TAKEN_OUT + b"\n", b"")
        return Records(content, self.line, ends, self.n_fields[kept], self.blank[kept], lines[kept])

    def line_of(self, record: int) -> int:
        if self.lines is not None:
            return int(self.lines[record])
        return _line_at(self.content, self.line, self.begin_of(record))


def records(path: Path, size: int, dialect: CsvDialect, n_before: int = 0) -> Iterator[Records]:
    """Yield the records after the first `n_before` lines, comment lines aside, about `size` bytes at a time."""
    line, pending = 1, b""
    for read in pieces(path, size, dialect):
        is_last = not read
        _check_marks(read, dialect, line)
        content = pending + (read.removeprefix(BOM) if line == 1 and not pending else read)
        if is_last and content:
            content += b"\n"
        content, n_skipped = _after(content, n_before)
        line, n_before = line + n_skipped, n_before - n_skipped
        content = _prepared(content, dialect)
        found = Records.of(content, line, ord(separator_of(dialect)))
        pending = content[len(found.content) :]
        line += found.content.count(b"\n")
        found = found.without_comments() if dialect.comment else found
        if len(found.ends):
            yield found
        if not is_last and len(pending) > max(LONGEST_ROW, size):
            raise TableError(f"line {line}: the row does not end within {LONGEST_ROW >> 20} MB; is a quote left open?")
    if pending:
        raise TableError(f"line {line}: a quote is opened in this row and not closed")


def separator_of(dialect: CsvDialect) -> str:
    """Return the character that stands between fields once spaces are joined."""
    return JOINED.decode() if dialect.delimiter == " " else dialect.delimiter or ","


def _after(content: bytes, n_lines: int) -> tuple[bytes, int]:
    """Return what stands behind the first `n_lines` lines, and how many of them `content` has."""
    taken = content.split(b"\n", n_lines)
    return taken[-1], len(taken) - 1


def _check_marks(read: bytes, dialect: CsvDialect, line: int) -> None:
    """Raise TableError for the characters that `_prepared` puts in place of others."""
    marks = (JOINED if dialect.delimiter == " " else b"", TAKEN_OUT if dialect.comment else b"")
    for mark in filter(None, marks):
        if mark in read:
            raise TableError(f"line {_line_at(read, line, read.index(mark))}: a control character; this is no text")


def _prepared(content: bytes, dialect: CsvDialect) -> bytes:
    """Return whole lines with one mark for the spaces between two fields, and one for a comment; the rest is as it was.

    What it returns may be given to it again, with more behind it.
    """
    end = content.rfind(b"\n") + 1
    lines = content[:end]
    if dialect.comment:
        lines = re.sub(rb"(?m)^[ \t]*" + re.escape(dialect.comment.encode()) + rb"[^\n]*\n", TAKEN_OUT + b"\n", lines)
    if dialect.delimiter == " ":
        lines = _joined(lines)
    return lines + content[end:]


def _joined(lines: bytes) -> bytes:
    """Return lines with `JOINED` for spaces outside quotes, and none at the beginning or the end of a line."""
    parts = lines.split(b'"')
    parts[0] = parts[0].lstrip(b" \t")
    parts[::2] = [SPACES.sub(JOINED, SPACED_END.sub(b"\n", part)) for part in parts[::2]]
    return b'"'.join(parts)


def pieces(path: Path, size: int, dialect: CsvDialect) -> Iterator[bytes]:
    """Yield the file in UTF-8, about `size` bytes at a time; the last piece is empty, and no other."""
    with opened(path) as file:
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
