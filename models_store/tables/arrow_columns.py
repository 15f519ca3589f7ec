"""Arrow columns in the few types that the rest of the package knows, whatever library wrote them and however.

extension types                          their storage
dictionaries, runs                       the value of each row
texts, and bytes that are all UTF-8      string or large_string
decimals                                 int64 where their type has no fraction, else float64
moments of any unit and zone, date64     timestamp("us"): the local time that a clock showed there
times of day, durations                  time64("us"), duration("us"); what is finer is rounded down
date32, integers, floats, booleans, null as they are
"""

from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models_store.tables.arrow_types import is_bytes, is_moment, is_text
from models_store.tables.clock import MOST_DAYS
from models_store.tables.moments import FIRST_DAY, LAST_DAY, MICROSECONDS_A_DAY

Counts = NDArray[np.int64]
# How many of a unit make a day.
A_DAY = {
    "s": MICROSECONDS_A_DAY // 1_000_000,
    "ms": MICROSECONDS_A_DAY // 1000,
    "us": MICROSECONDS_A_DAY,
    "ns": MICROSECONDS_A_DAY * 1000,
}
# Of 32 bits each; the first is the length of the text.
WORDS_A_VIEW = 4
NUL = "\0"


class TooMuchText(ValueError):
    """The texts of a column, each written out in every row that has it, take more bytes than may be."""

    def __init__(self, n_bytes: int) -> None:
        super().__init__(n_bytes)
        self.n_bytes = n_bytes


class OutOfRange(ValueError):
    """A moment that is not in the years 1 to 9999, or a duration that is longer; `row` counts from 0 in the column."""

    def __init__(self, row: int, *, is_duration: bool) -> None:
        super().__init__(row)
        self.row = row
        self.is_duration = is_duration


def plain(column: Any, most_bytes: int) -> Any:
    """Return an array of a known type in one of the types above; bytes that are no texts stay `large_binary`.

    The array has been validated in full. Raises TooMuchText beyond `most_bytes` of texts, and OutOfRange.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(column.storage, most_bytes)
    if pa.types.is_dictionary(kind):
        return _spread(plain(column.dictionary, most_bytes), column.indices, most_bytes)
    if pa.types.is_run_end_encoded(kind):
        return _spread(plain(column.values, most_bytes), _runs(column), most_bytes)
    if pa.types.is_decimal(kind):
        return _numbers_of_decimals(column)
    if pa.types.is_string_view(kind):
        return _of_views(column, most_bytes).cast(pa.large_string())
    if is_bytes(kind):
        return _texts_of_bytes(column, most_bytes)
    if pa.types.is_time(kind):
        return _times(column)
    if pa.types.is_duration(kind):
        return _durations(column)
    return _moments(column) if is_moment(kind) else column


# -- dictionaries, runs and texts ----------------------------------------------------------------------------------


def _spread(values: Any, places: Any, most_bytes: int) -> Any:
    """Return the value at each place; a text that is held once may stand in every row."""
    if pa.types.is_null(values.type):
        return pa.nulls(len(places))
    if is_text(values.type) or is_bytes(values.type):
        _check_length(pc.sum(pc.binary_length(values).take(places)).as_py() or 0, most_bytes)
        if pa.types.is_string(values.type):  # 2 GiB is all that it may hold
            values = values.cast(pa.large_string())
    return values.take(places)


def _runs(column: Any) -> Any:
    """Return the number of the run that each row is in."""
    numbers = pa.array(np.arange(len(column.values)))
    runs = pa.RunEndEncodedArray.from_arrays(column.run_ends, numbers)
    return pc.run_end_decode(runs.slice(column.offset, len(column)))


def _of_views(column: Any, most_bytes: int) -> Any:
    """Return views whose texts take at most `most_bytes`, with nothing where they are null.

    Views of null are never validated, and pyarrow reads them all the same, wherever they point.
    """
    is_null = ~np.asarray(column.is_valid())
    _, content, *texts = column.buffers()
    end = column.offset + len(column)
    views = np.frombuffer(content or b"", "<i4", end * WORDS_A_VIEW if content else -1)
    views = views.reshape(-1, WORDS_A_VIEW)[column.offset :].copy()
    views[is_null] = 0
    # A view is 16 bytes, whatever the length of its text.
    _check_length(int(views[:, 0].sum(dtype=np.int64)), most_bytes)
    if not is_null.any():
        return column
    valid = pa.array(~is_null).buffers()[1]
    return pa.Array.from_buffers(column.type, len(column), [valid, pa.py_buffer(views), *texts])


def _check_length(n_bytes: int, most_bytes: int) -> None:
    if n_bytes > most_bytes:
        raise TooMuchText(n_bytes)


def _texts_of_bytes(column: Any, most_bytes: int) -> Any:
    """Return bytes as texts, as programs write them that know no other; as `large_binary` where they are none."""
    if pa.types.is_binary_view(column.type):
        column = _of_views(column, most_bytes)
    content = column.cast(pa.large_binary())
    try:
        texts = content.cast(pa.large_string())
    except pa.ArrowInvalid:
        return content
    return content if pc.any(pc.match_substring(texts, NUL)).as_py() else texts


# -- numbers -------------------------------------------------------------------------------------------------------


def _numbers_of_decimals(column: Any) -> Any:
    if column.type.scale <= 0:
        with suppress(pa.ArrowInvalid):  # beyond 64 bits
            return column.cast(pa.int64())
    # By way of their digits: pyarrow's own way to a float64 rounds twice.
    return column.cast(pa.string()).cast(pa.float64())


# -- times ---------------------------------------------------------------------------------------------------------

# By NumPy: polars takes no zone such as +05:30, and pyarrow rounds what is negative up.


def _moments(column: Any) -> Any:
    """Return the local time that a clock showed there, without a zone, in microseconds; a date32 as it is."""
    counts, a_day = _local_counts(column)
    _check_range(column, counts, FIRST_DAY * a_day, LAST_DAY * a_day - 1)
    return column if pa.types.is_date32(column.type) else _in_microseconds(column, counts, a_day, pa.timestamp("us"))


def _local_counts(column: Any) -> tuple[Counts, int]:
    """Return the counts of a column's own unit, 0 for null, and how many of them make a day."""
    if pa.types.is_date32(column.type):
        return _counts(column), 1
    if pa.types.is_date64(column.type):
        return _counts(column), A_DAY["ms"]
    counts, a_day = _counts(column), A_DAY[column.type.unit]
    # Too far away, no local time is known; such a moment is refused as it is.
    is_near = ((counts >= FIRST_DAY * a_day) & (counts < LAST_DAY * a_day)).all()
    if column.type.tz is None or not is_near:
        return counts, a_day
    return _counts(pc.local_timestamp(column)), a_day


def _times(column: Any) -> Any:
    return _in_microseconds(column, _counts(column), A_DAY[column.type.unit], pa.time64("us"))


def _durations(column: Any) -> Any:
    counts, a_day = _counts(column), A_DAY[column.type.unit]
    _check_range(column, counts, -MOST_DAYS * a_day, MOST_DAYS * a_day)
    return _in_microseconds(column, counts, a_day, pa.duration("us"))


def _counts(column: Any) -> Counts:
    counts = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64()).fill_null(0)
    return np.asarray(counts.to_numpy(zero_copy_only=False), dtype=np.int64)


def _check_range(column: Any, counts: Counts, first: int, last: int) -> None:
    is_bad = (counts < first) | (counts > last)
    if is_bad.any():
        raise OutOfRange(int(is_bad.argmax()), is_duration=pa.types.is_duration(column.type))


def _in_microseconds(column: Any, counts: Counts, a_day: int, kind: Any) -> Any:
    if a_day <= MICROSECONDS_A_DAY:
        counts = counts * (MICROSECONDS_A_DAY // a_day)
    else:
        counts = counts // (a_day // MICROSECONDS_A_DAY)
    return pa.array(counts, kind, mask=~np.asarray(column.is_valid()))
