"""The heads that clients send again and again, by their bytes."""

from app.http.call import Head

END = b"\r\n\r\n"
# Heads that are kept, and the bytes of one. Those of a client differ in the length of the body alone.
MOST, LONGEST = 512, 1024
# Headers that are new in each request: a head with one is not seen again.
NEW_EACH_TIME = ("x-request-id", "traceparent")


class Heads:
    """The heads of small direct calls that all connections of the app share: parsed once, and found by their bytes.

    Of too many, the one that has been kept longest goes.
    """

    def __init__(self) -> None:
        self._by_bytes: dict[bytes, Head] = {}

    def __len__(self) -> int:
        return len(self._by_bytes)

    def of(self, data: bytes) -> tuple[Head, int] | None:
        """Return the head that `data` begins with and the place where its body begins; None if it is not known."""
        end = data.find(END) + len(END)
        head = self._by_bytes.get(data[:end])
        return None if head is None else (head, end)

    def keep(self, data: bytes, head: Head, n_received: int) -> None:
        """Keep a head if `data` is exactly it and `n_received` bytes of its body.

        Then the parser would read the same of the same bytes at the beginning of any request.
        """
        end = data.find(END) + len(END)
        if len(data) - end != n_received or end > LONGEST or any(name in head.headers for name in NEW_EACH_TIME):
            return
        if len(self._by_bytes) >= MOST:
            del self._by_bytes[next(iter(self._by_bytes))]
        self._by_bytes[data[:end]] = head
