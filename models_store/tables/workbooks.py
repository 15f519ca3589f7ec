"""The parts of a workbook (xlsx, ods), looked through before they are decoded: a few bytes may become gigabytes.

path -> Sheet, Sheet, ...      its name, how far its cells reach, and which of them are formulas
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from models_store.errors import TableError
from models_store.tables import file_limits
from models_store.wording import shortened_name

BYTES_AT_ONCE = 1 << 20
MOST_PARTS = 10_000
# The most that a spreadsheet program has; a cell beyond them would make a table of many empty columns or rows.
MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14
# A cell, or a row, is told within so many bytes; a longer one is cut, and counts as it begins.
LONGEST_TOKEN = 1 << 18
DAMAGED = "the file cannot be read as a workbook; is it whole, and of that format?"

SHEET = re.compile(rb"<(?:\w+:)?sheet\s([^>]*)>")
RELATION = re.compile(rb"<(?:\w+:)?Relationship\s([^>]*)>")
XLSX_TOKEN = re.compile(
    rb"<(?:\w+:)?(?P<what>row|c)\b(?P<attributes>[^>]*?)(?P<is_empty>/?)>"
    rb"(?:\s*(?P<formula><(?:\w+:)?f\b[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>))\s*(?P<value><(?:\w+:)?v>[^<]+<)?)?"
)
PLACE = re.compile(rb"""\br=["']([A-Za-z]{0,9})([0-9]{1,19})["']""")
ODS_TOKEN = re.compile(
    rb"<(?P<closing>/?)table:(?P<what>table-row|table|table-cell|covered-table-cell)(?P<attributes>\s[^>]*?)?(?P<is_empty>/?)>"
)
REPEATED = {what: re.compile(rb'table:number-%s-repeated="([0-9]{1,9})"' % what) for what in (b"rows", b"columns")}
TABLE_NAME = re.compile(rb'table:name="([^"]*)"')


@dataclass
class Sheet:
    """What is found of a sheet while its XML is read; rows and columns count from 1, 0 where there is no cell."""

    name: str
    n_rows: int = 0
    n_columns: int = 0
    formulas: dict[int, "Formulas"] = field(default_factory=dict)
    """By column."""

    def add(self, row: int, column: int) -> None:
        self.n_rows, self.n_columns = max(self.n_rows, row), max(self.n_columns, column)
        if self.n_rows > MOST_ROWS or self.n_columns > MOST_COLUMNS:
            raise TableError(
                f"the sheet {shortened_name(self.name)} has cells beyond row {MOST_ROWS} or column "
                f"{column_name(MOST_COLUMNS)}, where spreadsheets end; keep the table alone, from cell A1 on"
            )
        file_limits.check_size(self.n_rows, self.n_columns)

    def add_formula(self, row: int, column: int, *, has_value: bool) -> None:
        found = self.formulas.setdefault(column, Formulas(row))
        found.count += 1
        found.n_without_value += not has_value


@dataclass
class Formulas:
    """Formulas of one column: the row of the first, their number, and how many of them hold no value."""

    first_row: int
    count: int = 0
    n_without_value: int = 0


def sheets(path: Path) -> list[Sheet]:
    """Unpack all parts, and return the sheets. Raises TableError beyond the limits, or where it is no workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check_parts(archive)
            is_ods = "content.xml" in archive.namelist()
            return _of_ods(archive) if is_ods else _of_xlsx(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, OSError, ValueError):
        raise TableError(DAMAGED) from None


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Unpack each part and drop it: what the archive says of their sizes may be untrue."""
    if len(archive.infolist()) > MOST_PARTS:
        raise TableError(f"the workbook has {len(archive.infolist())} parts; {MOST_PARTS} are the most")
    n_bytes = 0
    for part in archive.infolist():
        for content in _content(archive, part.filename):
            n_bytes += len(content)
            file_limits.check_bytes(n_bytes)


def _content(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as part:
        while content := part.read(BYTES_AT_ONCE):
            yield content


def _tokens(archive: zipfile.ZipFile, name: str, token: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield the matches in a part, without holding all of it."""
    pending = b""
    for content in _content(archive, name):
        pending += content
        if b"<!DOCTYPE" in pending or b"<!ENTITY" in pending:
            raise TableError("the workbook defines entities in its XML, which no spreadsheet program does")
        # What begins near the end may be cut off there.
        end = pending.rfind(b"<", 0, max(0, len(pending) - LONGEST_TOKEN))
        place = 0
        for found in token.finditer(pending):
            if found.start() > end:
                break
            yield found
            place = found.end()
        pending = pending[max(place, end, 0) :]
        if len(pending) > BYTES_AT_ONCE + LONGEST_TOKEN:  # looked through again with each piece, it would take for ever
            pending = pending[-LONGEST_TOKEN:]
    yield from token.finditer(pending)


def _attribute(name: bytes, attributes: bytes) -> str | None:
    found = re.search(rb'(?:^|\s)(?:\w+:)?%s="([^"]*)"' % name, attributes)
    return unescape(found[1].decode(errors="replace")) if found else None


# -- xlsx ------------------------------------------------------------------------------------------------------------


def _of_xlsx(archive: zipfile.ZipFile) -> list[Sheet]:
    targets = {}
    for found in _tokens(archive, "xl/_rels/workbook.xml.rels", RELATION):
        targets[_attribute(b"Id", found[1])] = (_attribute(b"Target", found[1]) or "").removeprefix("/xl/")
    listed = []
    for found in _tokens(archive, "xl/workbook.xml", SHEET):
        target = targets.get(_attribute(b"id", found[1]))
        if target is not None and f"xl/{target}" in archive.namelist():
            listed.append(_xlsx_sheet(archive, _attribute(b"name", found[1]) or "", f"xl/{target}"))
    return listed


def _xlsx_sheet(archive: zipfile.ZipFile, name: str, part: str) -> Sheet:
    """Rows and cells that do not say their place follow those before them."""
    sheet = Sheet(name)
    row = column = 0
    for n_seen, found in enumerate(_tokens(archive, part, XLSX_TOKEN)):
        # Each cell may have a row of its own.
        file_limits.check_size(n_seen // 2, 1)
        place = PLACE.search(found["attributes"])
        if found["what"] == b"row":
            row, column = int(place[2]) if place else row + 1, 0
            continue
        column = _column(place[1]) if place else column + 1
        row = int(place[2]) if place else row
        if found["is_empty"]:
            continue
        sheet.add(row, column)
        if found["formula"]:
            sheet.add_formula(row, column, has_value=found["value"] is not None)
    return sheet


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def column_name(number: int) -> str:
    """Return the letters of a column, as a spreadsheet shows them: 1 is A, 27 is AA."""
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


# -- ods -------------------------------------------------------------------------------------------------------------


def _of_ods(archive: zipfile.ZipFile) -> list[Sheet]:
    listed: list[Sheet] = []
    row = column = n_rows = 0
    for n_seen, found in enumerate(_tokens(archive, "content.xml", ODS_TOKEN)):
        # A cell has two tokens at most, and its row two more.
        file_limits.check_size(n_seen // 4, 1)
        attributes, what = found["attributes"] or b"", found["what"]
        if what == b"table" and not found["closing"]:
            name = TABLE_NAME.search(attributes)
            listed.append(Sheet(unescape(name[1].decode(errors="replace")) if name else ""))
            row = n_rows = 0
        elif what == b"table-row" and not found["closing"]:
            row, column, n_rows = row + n_rows, 0, _repeated(b"rows", attributes)
        elif what.endswith(b"cell") and not found["closing"] and listed:
            n_columns = _repeated(b"columns", attributes)
            if b"office:value-type=" in attributes or not found["is_empty"]:
                listed[-1].add(row + n_rows, column + n_columns)
            if b"table:formula=" in attributes:
                has_value = b"office:value=" in attributes or b"office:string-value=" in attributes
                listed[-1].add_formula(row + 1, column + 1, has_value=has_value or not found["is_empty"])
            column += n_columns
    return listed


def _repeated(what: bytes, attributes: bytes) -> int:
    found = REPEATED[what].search(attributes)
    return max(1, int(found[1])) if found else 1
