"""Requests and answers of the Open Inference Protocol, either of which may be compressed with gzip or deflate."""

from dataclasses import dataclass
from typing import Self

from app.answering.plan import MOST_BYTES_ON_LOOP, reads_on_loop
from app.dialects.oip import bodies
from app.errors import BodyTooLarge
from app.formats import compression
from app.formats.expected import Expected
from app.http.call import Call

HEADER_LENGTH = "inference-header-content-length"


@dataclass(frozen=True, eq=False)
class Sent:
    """A request as it came; `cost` is how much work its body is to read, in bytes of JSON."""

    body: bytes
    content_encoding: str
    accept_encoding: str
    header_length: str
    cost: int

    @classmethod
    async def of(cls, call: Call, expected: Expected, max_body_bytes: int) -> Self:
        """Receive a request; a small body is decompressed at once. Raises Malformed or NotAcceptedType."""
        headers = call.head.headers
        encoding, accepted = headers.get("content-encoding", ""), headers.get("accept-encoding", "")
        header_length = headers.get(HEADER_LENGTH, "")
        body = await call.body()
        if not reads_on_loop(len(body)):
            is_plain = compression.is_plain(encoding)
            cost = bodies.cost(body, header_length, expected) if is_plain else len(body)
            return cls(body, encoding, accepted, header_length, cost)
        if not encoding:
            return cls(body, "", accepted, header_length, len(body))
        try:
            plain = compression.decoded(body, encoding, MOST_BYTES_ON_LOOP)
        except BodyTooLarge:  # unpacked, it may be as large as any
            return cls(body, encoding, accepted, header_length, max_body_bytes)
        return cls(plain, "", accepted, header_length, len(plain))

    @property
    def wants_compression(self) -> bool:
        """True if an answer as large as the question would be compressed."""
        return bool(compression.encoding_for(self.accept_encoding, self.cost))

    def plain(self, max_body_bytes: int) -> bytes:
        """Return the body uncompressed. Raises BodyTooLarge, Malformed or NotAcceptedType."""
        return compression.decoded(self.body, self.content_encoding, max_body_bytes)


def compressed(content: bytes, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """Return the content as the client wants it, and the headers that say how it is compressed."""
    encoding = compression.encoding_for(accept_encoding, len(content))
    if not encoding:
        return content, {}
    return compression.encoded(content, encoding), {"content-encoding": encoding, "vary": "accept-encoding"}
