"""The page for people: static files, read once, when this package is imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fastapi import Request, Response

PAGE = Path(__file__).parent
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# Nothing on the page comes from elsewhere or may be framed elsewhere; after an upgrade no old script meets a new page.
PAGE_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "vary": "accept",
}


@dataclass(frozen=True)
class PageFile:
    """A file of the page, in memory: a server that is upgraded in place never mixes two versions of it."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> Self:
        content = path.read_bytes()
        return cls(content, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 where the browser has it already."""
        headers = PAGE_HEADERS | {"etag": self.etag}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.media_type, headers=headers)


PAGE_FILES = {
    path.relative_to(PAGE).as_posix(): PageFile.read(path)
    for path in sorted(PAGE.rglob("*"))
    if path.suffix in MEDIA_TYPES
}
