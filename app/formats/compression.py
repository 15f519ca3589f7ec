"""gzip and deflate: bodies that unpack to a limited size, and answers compressed where clients ask for it."""

import zlib

from app.errors import BodyTooLarge, Malformed, NotAcceptedType
from app.formats.media_types import offers

# zlib's window bits, which choose the container of the data; HTTP's deflate is zlib's own format.
FORMATS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# Numbers hardly compress, whatever time is spent on them.
LEVEL = 1
# Client libraries accept compressed answers to every request; below this size, an answer gains nothing by it.
FEWEST_BYTES = 1024


def is_plain(content_encoding: str) -> bool:
    return not content_encoding or content_encoding.strip().lower() in ("", "identity")


def check_plain(content_encoding: str) -> None:
    """Raise NotAcceptedType for a compressed body: the few bytes that come may unpack to any size."""
    if not is_plain(content_encoding):
        raise NotAcceptedType("the body must be sent without Content-Encoding")


def decoded(body: bytes, content_encoding: str, limit: int) -> bytes:
    """Return the body unpacked, at most `limit` bytes.

    Raises BodyTooLarge beyond the limit, Malformed where the body is not whole or not compressed as its header says,
    and NotAcceptedType for other encodings.
    """
    if is_plain(content_encoding):
        return body
    wbits = FORMATS.get(content_encoding.strip().lower())
    if wbits is None:
        raise NotAcceptedType("Content-Encoding must be gzip or deflate, one of them, or left out")
    decoder = zlib.decompressobj(wbits)
    try:
        content = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise Malformed("the body is not compressed as its Content-Encoding says") from None
    if len(content) > limit:
        raise BodyTooLarge(limit)
    if not decoder.eof or decoder.unused_data:
        raise Malformed("the compressed body is cut off, or something follows it")
    return content


def encoding_for(accept_encoding: str, size: int) -> str:
    """Return gzip, deflate, or an empty text for an answer of `size` bytes that is sent as it is.

    An encoding that is asked for alone is meant; of several only where it pays for the size.
    """
    if not accept_encoding:
        return ""
    listed = offers(accept_encoding)
    if len(listed) > 1 and size < FEWEST_BYTES:
        return ""
    best = max(("gzip", "deflate"), key=lambda name: listed.get(name, 0.0))
    return best if listed.get(best, 0.0) > listed.get("identity", 0.0) else ""


def encoded(content: bytes, encoding: str) -> bytes:
    return zlib.compress(content, LEVEL, FORMATS[encoding])
