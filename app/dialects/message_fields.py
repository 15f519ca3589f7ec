"""The fields of a message, counted before it is parsed.

A field of two bytes may become an object of a hundred, so that a body within its limit would take a gigabyte.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

# A message's fields that are messages, by number, and whether those hold messages again.
Nested = Mapping[int, "Nested"]
LENGTH_DELIMITED = 2
# Bytes that follow the tag of a field of these wire types.
FIXED = {1: 8, 5: 4}
LONGEST_VARINT = 10


def has_more(body: bytes, descriptor: Any, most: int) -> bool:
    """True if the body, a message of this kind, has more than `most` fields, those of messages in it counted too.

    Fields of messages that hold no messages are not counted: they take little more than their bytes. What is no
    message is left to the parser.
    """
    fields = _fields(body, 0, len(body), _nested(descriptor))
    try:
        return any(number >= most for number, _ in enumerate(fields))
    except (IndexError, ValueError):
        return False


def _fields(body: bytes, place: int, end: int, nested: Nested) -> Iterator[None]:
    """Go through the fields. Raises IndexError or ValueError where the body is no message."""
    while place < end:
        yield
        tag, place = _varint(body, place)
        wire_type = tag & 7
        if wire_type == LENGTH_DELIMITED:
            length, place = _varint(body, place)
            within = nested.get(tag >> 3)
            if within:
                yield from _fields(body, place, min(place + length, end), within)
            place += length
        elif wire_type == 0:
            _, place = _varint(body, place)
        elif wire_type in FIXED:
            place += FIXED[wire_type]
        else:
            raise ValueError(f"wire type {wire_type}")


def _varint(body: bytes, place: int) -> tuple[int, int]:
    """Return the number that begins at this place, and the place after it."""
    first = body[place]
    if first < 0x80:
        return first, place + 1
    number = shift = 0
    for byte in body[place : place + LONGEST_VARINT]:
        number |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return number, place
        shift += 7
    raise ValueError("a number of too many bytes")


@cache
def _nested(descriptor: Any) -> Nested:
    """Return the fields that are messages. Those without messages in them have none, and are not gone through."""
    return {field.number: _nested(field.message_type) for field in descriptor.fields if field.message_type is not None}
