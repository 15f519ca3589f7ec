"""gzip and deflate: bodies as they come, with an end to what they may become, and answers as they are asked for."""

import zlib

from app.errors import BodyTooLarge, Malformed, NotAcceptedType

# zlib's window sizes, which say what is around the data; HTTP's deflate is zlib's own format.
FORMATS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
# Numbers hardly compress, whatever time is spent on them.
LEVEL = 1
# Libraries offer to decompress whatever they ask for; below this, an answer gains nothing by it.
FEWEST_BYTES = 1024


def is_plain(content_encoding: str) -> bool:
    return content_encoding.strip().lower() in ("", "identity")


def decoded(body: bytes, content_encoding: str, limit: int) -> bytes:
    """Never more than `limit` bytes. BodyTooLarge, Malformed, NotAcceptedType."""
    if is_plain(content_encoding):
        return body
    wbits = FORMATS.get(content_encoding.strip().lower())
    if wbits is None:
        raise NotAcceptedType("Content-Encoding must be gzip or deflate, one of them, or left out")
    decoder = zlib.decompressobj(wbits)
    try:
        content = decoder.decompress(body, limit + 1)
    except zlib.error:
        raise Malformed("the body is not what its Content-Encoding says") from None
    if len(content) > limit:
        raise BodyTooLarge(limit)
    if not decoder.eof or decoder.unused_data:
        raise Malformed("the compressed body is cut off, or something follows it")
    return content


def encoding_for(accept_encoding: str, size: int) -> str:
    """gzip, deflate, or empty for an answer as it is: what is asked for by itself, or pays for one of this size."""
    if not accept_encoding:
        return ""
    offers = dict(_offer(part) for part in accept_encoding.lower().split(","))
    if len(offers) > 1 and size < FEWEST_BYTES:
        return ""
    best = max(("gzip", "deflate"), key=lambda name: offers.get(name, 0.0))
    return best if offers.get(best, 0.0) > offers.get("identity", 0.0) else ""


def encoded(content: bytes, encoding: str) -> bytes:
    return zlib.compress(content, LEVEL, FORMATS[encoding])


def _offer(part: str) -> tuple[str, float]:
    """`gzip;q=0.5` is worth 0.5, gzip alone 1, and what cannot be read nothing."""
    name, _, parameter = part.partition(";")
    key, _, value = parameter.partition("=")
    if not parameter.strip():
        return name.strip(), 1.0
    try:
        return name.strip(), float(value) if key.strip() == "q" else 1.0
    except ValueError:
        return name.strip(), 0.0
