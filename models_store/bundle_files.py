"""The files of a bundle as they are read: what is wrong in one is BundleDamaged, with the file and the field.

bundle.json: card.train.rows: expected a valid integer
golden.json: not JSON (line 1, column 2)
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from models_store.errors import BundleDamaged, BundleUnreadable
from models_store.wording import shortened_name

Made = TypeVar("Made")

# What code that reads a parsed file raises where the file holds something else.
MISREAD = (LookupError, TypeError, ValueError, ArithmeticError, RecursionError)


@dataclass(frozen=True)
class SavedObject:
    """A file that holds a JSON object."""

    file: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, files: Mapping[str, bytes], file: str) -> Self:
        """Raises BundleDamaged."""
        with damage_at(file):
            fields = json.loads(content_of(files, file))
            if not isinstance(fields, dict):
                raise BundleDamaged("expected an object")
        return cls(file, fields)

    def read(self, field: str, make: Callable[[Any], Made]) -> Made:
        """Return what `make` makes of the field. Raises BundleDamaged."""
        with damage_at(self.file):
            value = self.fields[field]
        with damage_at(self.file, field):
            return make(value)


@contextmanager
def damage_at(*place: str) -> Iterator[None]:
    """Raise BundleDamaged that begins with the place, a file or a file and its field, if the block cannot read it.

    Blocks may be nested: an inner one names a smaller place.
    """
    try:
        yield
    except BundleUnreadable:
        raise  # the disk stumbled; that says nothing about what is on it
    except BundleDamaged as error:
        raise BundleDamaged(": ".join((*place, str(error)))) from error
    except MISREAD as error:
        inside, reason = _explained(error)
        raise BundleDamaged(": ".join((*_joined(place, inside), reason))) from error


def content_of(files: Mapping[str, bytes], file: str) -> bytes:
    """Raises BundleDamaged, to which `damage_at` adds the name of the file."""
    if file not in files:
        raise BundleDamaged("the file is missing")
    return files[file]


def _joined(place: tuple[str, ...], inside: tuple[str, ...]) -> tuple[str, ...]:
    """`file`, or `file: field`, and the place inside of that: `file: a.b`, `file: field.a.b`."""
    return (*place[:1], ".".join((*place[1:], *inside))) if place[1:] or inside else place


def _explained(error: Exception) -> tuple[tuple[str, ...], str]:
    """The place inside of what was read, and what is wrong there; never a value that was found."""
    match error:
        case ValidationError():
            first = error.errors(include_url=False, include_input=False)[0]
            reason = "missing" if first["type"] == "missing" else first["msg"].replace("Input should be", "expected")
            return tuple(shortened_name(str(part)) for part in first["loc"]), reason
        case KeyError():
            return (shortened_name(str(error.args[0])),), "missing"
        case json.JSONDecodeError():
            return (), f"not JSON (line {error.lineno}, column {error.colno})"
        case UnicodeDecodeError():
            return (), "not UTF-8"
        case RecursionError():
            return (), "nested too deeply"
    return (), "something in it is missing, or of another kind than expected"
