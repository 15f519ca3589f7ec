"""A format of questions and answers: one object that reads a body, and knows how its answer is written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from app.formats.expected import Expected
from app.formats.reply import Reply
from models_store.tables.table import Raw


class Content(NamedTuple):
    """What a body holds: rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer."""

    rows: Raw
    write: Callable[[Reply], bytes]


def _never(_body: bytes, _expected: Expected) -> bool:
    return False


@dataclass(frozen=True)
class Format:
    """One media type. `read` raises Malformed, TooManyRows, or Unprocessable, which names row and column."""

    read: Callable[[bytes, Expected, int], Content]
    """body, expected columns, most rows"""
    has_arrays: bool = False
    """True if numbers of a formula are written as they are in memory."""
    is_array: Callable[[bytes, Expected], bool] = _never
    """True for a body of numbers as they are in memory, which is little to read."""
    unpacks: Callable[[bytes], bool] | None = None
    """True for a body that may unpack to far more than its bytes."""
