"""Media types of bodies: their names, and the headers in which clients state them."""

from functools import lru_cache

from app.errors import NotAcceptedType
from app.formats import compression

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"


@lru_cache(maxsize=64)
def media_type_of(content_type: str) -> str:
    """Return the media type without its parameters, in lower case.

    Raises NotAcceptedType where a charset other than UTF-8 is named.
    """
    media_type, _, parameters = content_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "utf8", "us-ascii"):
            raise NotAcceptedType("the charset must be UTF-8")
    return media_type.strip().lower()


def check_plain(content_encoding: str) -> None:
    """Refuse compressed bodies: what a few bytes unpack to has no limit. Raises NotAcceptedType."""
    if not compression.is_plain(content_encoding):
        raise NotAcceptedType("the body must be sent without Content-Encoding")
