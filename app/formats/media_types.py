"""Media types of bodies: their names, and the headers in which clients state them."""

import re
from functools import lru_cache

from app.errors import NotAcceptedType

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
# The first is SageMaker's.
JSON_LINES = ("application/jsonlines", "application/x-ndjson", "application/jsonl")

# RFC 9110, 12.4.2: from 0 to 1; more digits than three are read as well.
Q_VALUE = re.compile(r"0?\.[0-9]+|0\.?|1(\.0*)?", re.ASCII)


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """Return the media type without its parameters, in lower case.

    Raises NotAcceptedType where a charset other than UTF-8 is named.
    """
    for name, value in parameters_of(content_type):
        if name == "charset" and value not in ("utf-8", "utf8", "us-ascii"):
            raise NotAcceptedType("the charset must be UTF-8")
    return content_type.partition(";")[0].strip().lower()


def parameters_of(value: str) -> list[tuple[str, str]]:
    """Return the parameters of a header's value in lower case: `text/csv; Header="absent"` has (header, absent)."""
    pairs = (parameter.partition("=") for parameter in value.lower().split(";")[1:])
    return [(name.strip(), given.strip(' "')) for name, _, given in pairs]


def offers(accept: str) -> dict[str, float]:
    """Return what a header such as Accept lists, in its order, each with its quality from 0 to 1.

    `text/csv;q=0.5, */*` is {"text/csv": 0.5, "*/*": 1.0}; a quality that cannot be read is 0.
    """
    return {part.partition(";")[0].strip().lower(): _quality(part) for part in accept.split(",") if part.strip()}


def _quality(part: str) -> float:
    stated = dict(parameters_of(part)).get("q", "1")
    return float(stated) if Q_VALUE.fullmatch(stated) else 0.0


@lru_cache(maxsize=64)
def preferred(accept: str, available: tuple[str, ...]) -> str | None:
    """Return the available media type that Accept prefers, or None if it accepts none of them.

    The highest quality wins, then the place in Accept, then the place among the available. A type has the quality of
    the range that names it most closely (RFC 9110, 12.5.1): itself, `text/*`, `*/*`.
    """
    listed = offers(accept)
    places = {media_range: place for place, media_range in enumerate(listed)}
    ranges = {kind: _closest(kind, listed) for kind in available}
    accepted = [(kind, by) for kind, by in ranges.items() if by is not None and listed[by] > 0]
    return min(accepted, key=lambda pair: (-listed[pair[1]], places[pair[1]]), default=(None, None))[0]


def _closest(media_type: str, listed: dict[str, float]) -> str | None:
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((media_range for media_range in ranges if media_range in listed), None)
