"""The page for people: a few static files, served as they are."""

from pathlib import Path

PAGE = Path(__file__).parent
PAGE_FILES = frozenset({"index.html", "page.css", "page.js", "icon.svg"})
# Nothing on the page comes from elsewhere or may be framed elsewhere; after an upgrade no old script meets a new page.
PAGE_HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "vary": "accept",
}
