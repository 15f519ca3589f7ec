"""Sizes that the pages of a Parquet file announce, read before they are decoded: its footer may say others.

Footer and pages begin with headers in Thrift's compact protocol, of which numbers, structures and lists of structures
are read here: pyarrow ends the process over some wrong footers when it is asked about a column in them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

# Types of Thrift's compact protocol; the first two are booleans, whose value is the type.
BOOLEANS, BYTE, INTEGERS, BINARY, LISTS, STRUCT = (1, 2), 3, (4, 5, 6), 8, (9, 10), 12
# Fields of the footer, FileMetaData, and of what is in it (parquet.thrift).
ROW_GROUPS, COLUMNS, OF_COLUMN, N_VALUES, LENGTH, FIRST_PAGE, DICTIONARY = 4, 1, 3, 5, 7, 9, 11
# Fields of PageHeader, and of the headers in it of data pages of both versions.
UNPACKED, PACKED, DATA, DATA_V2 = 2, 3, 5, 8
ENCODING, ENCODING_V2 = 2, 4
# Texts that share beginnings, each beginning held once: a page of it unpacks to any size.
DELTA_BYTE_ARRAY = 7
MOST_DEEP, MOST_BITS = 8, 63
# Bytes; the file ends with the length of its footer and a mark.
LONGEST_FOOTER, END = 1 << 21, 8
MOST_PAGES = 50_000
# The size of a list that is written after its head.
LONG_LIST = 15
Header = dict[int, Any]


class NotAPage(ValueError):
    """Bytes that are no header of a page."""


@dataclass(frozen=True)
class Page:
    unpacked: int
    """Bytes, as its header says."""
    shares_beginnings: bool


def pages_of(content: bytes) -> Iterator[Page]:
    """Yield the pages of all columns of a file. Raises NotAPage, also where there are very many."""
    length = int.from_bytes(content[-END:-4], "little")
    if not 0 < length <= min(LONGEST_FOOTER, len(content) - END):
        raise NotAPage
    footer, _ = _struct(content, len(content) - END - length)
    chunks = [chunk.get(OF_COLUMN) for group in _structs(footer, ROW_GROUPS) for chunk in _structs(group, COLUMNS)]
    pages = (page for chunk in chunks for page in _pages(content, *_place_of(chunk)))
    yield from islice(pages, MOST_PAGES)
    if next(pages, None) is not None:
        raise NotAPage


def _structs(header: Header, field: int) -> list[Header]:
    found = header.get(field, [])
    if not isinstance(found, list):
        raise NotAPage
    return found


def _place_of(chunk: Any) -> tuple[int, int]:
    """Return where the pages of a column begin, and the bytes that they take."""
    if not isinstance(chunk, dict) or type(chunk.get(FIRST_PAGE)) is not int or type(chunk.get(LENGTH)) is not int:
        raise NotAPage
    dictionary = chunk.get(DICTIONARY)
    if chunk.get(N_VALUES) == 0:  # no page is looked for, and the places may be anything
        return 0, 0
    has_dictionary = type(dictionary) is int and dictionary > 0
    return min(chunk[FIRST_PAGE], dictionary) if has_dictionary else chunk[FIRST_PAGE], chunk[LENGTH]


def _pages(content: bytes, begin: int, length: int) -> Iterator[Page]:
    place, end = begin, begin + length
    if begin < 0 or length < 0 or end > len(content):
        raise NotAPage
    while place < end:
        header, place = _struct(content, place)
        unpacked, packed = header.get(UNPACKED), header.get(PACKED)
        if type(unpacked) is not int or type(packed) is not int or min(unpacked, packed) < 0:
            raise NotAPage
        yield Page(unpacked, _encoding(header) == DELTA_BYTE_ARRAY)
        place += packed


def _encoding(header: Header) -> int | None:
    for field, encoding in ((DATA, ENCODING), (DATA_V2, ENCODING_V2)):
        if isinstance(inner := header.get(field), dict):
            return inner.get(encoding)
    return None


def _struct(content: bytes, place: int, depth: int = 0) -> tuple[Header, int]:
    """Return the numbers and structures of a structure by their field, and the place after it."""
    found: Header = {}
    field = 0
    while depth < MOST_DEEP:
        head, place = _byte(content, place)
        if head == 0:
            return found, place
        kind, step = head & 15, head >> 4
        if step:
            field += step
        else:
            field, place = _integer(content, place)
        if kind in BOOLEANS:
            continue
        if kind == BYTE:
            place += 1
        elif kind in INTEGERS:
            found[field], place = _integer(content, place)
        elif kind == STRUCT:
            found[field], place = _struct(content, place, depth + 1)
        elif kind == BINARY:
            length, place = _unsigned(content, place)
            place += length
        elif kind in LISTS:
            found[field], place = _list(content, place, depth + 1)
        else:
            break
    raise NotAPage


def _list(content: bytes, place: int, depth: int) -> tuple[list[Header], int]:
    """Return the structures of a list, or an empty one of other values, and the place after it."""
    head, place = _byte(content, place)
    kind, size = head & 15, head >> 4
    if size == LONG_LIST:
        size, place = _unsigned(content, place)
    found: list[Header] = []
    for _ in range(size):
        if kind == STRUCT:
            one, place = _struct(content, place, depth)
            found.append(one)
        elif kind in INTEGERS or kind == BINARY:
            length, place = _unsigned(content, place)
            place += length if kind == BINARY else 0
        elif kind in (*BOOLEANS, BYTE):
            _, place = _byte(content, place)
        else:
            raise NotAPage
    return found, place


def _byte(content: bytes, place: int) -> tuple[int, int]:
    if place >= len(content):
        raise NotAPage
    return content[place], place + 1


def _unsigned(content: bytes, place: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, MOST_BITS, 7):
        byte, place = _byte(content, place)
        number |= (byte & 127) << shift
        if byte < 128:
            return number, place
    raise NotAPage


def _integer(content: bytes, place: int) -> tuple[int, int]:
    """Return a signed number, which is written in zigzag: 0, -1, 1, -2."""
    number, place = _unsigned(content, place)
    return number >> 1 ^ -(number & 1), place
