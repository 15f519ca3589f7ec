"""What an Arrow column is of, by its type alone, however its values are held: in dictionaries, runs, or extensions."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# That of the longest decimals, of 256 bits.
LARGEST_SCALE = 76


def value_type(kind: Any) -> Any:
    """Return the type of the values that stand in the rows: without dictionary, runs and extension."""
    if isinstance(kind, pa.BaseExtensionType):
        return value_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return value_type(kind.value_type)
    return kind


def is_number(kind: Any) -> bool:
    """True for integers, floats and decimals, as for the other types below."""
    kind = value_type(kind)
    # pyarrow writes out as many zeros as a decimal's scale says, and ends the process where it cannot.
    is_decimal = pa.types.is_decimal(kind) and abs(kind.scale) <= LARGEST_SCALE
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or is_decimal)


def is_text(kind: Any) -> bool:
    kind = value_type(kind)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: Any) -> bool:
    kind = value_type(kind)
    is_binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return bool(is_binary or pa.types.is_fixed_size_binary(kind))


def is_moment(kind: Any) -> bool:
    """True for dates and moments, unless nobody here knows their time zone."""
    kind = value_type(kind)
    return bool(pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and not has_unknown_zone(kind)))


def is_time(kind: Any) -> bool:
    return bool(pa.types.is_time(value_type(kind)))


def is_duration(kind: Any) -> bool:
    return bool(pa.types.is_duration(value_type(kind)))


def has_unknown_zone(kind: Any) -> bool:
    kind = value_type(kind)
    if not pa.types.is_timestamp(kind) or kind.tz is None:
        return False
    try:
        pc.local_timestamp(pa.array([0], kind))
    except pa.ArrowInvalid:
        return True
    return False


def is_boolean(kind: Any) -> bool:
    return bool(pa.types.is_boolean(value_type(kind)))


def is_null(kind: Any) -> bool:
    return bool(pa.types.is_null(value_type(kind)))


def is_known(kind: Any) -> bool:
    """True for the types that `plain` takes; bytes may turn out to be no text."""
    kinds = (is_number, is_text, is_bytes, is_moment, is_time, is_duration, is_boolean, is_null)
    return any(is_one(kind) for is_one in kinds)
