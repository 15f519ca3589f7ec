"""Names of patterns and aliases, and numbers of versions, as they are written everywhere: paths, recipes, requests."""

import re

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
NAME_RULE = "a lower-case letter, then up to 62 lower-case letters, digits and dashes"
RESERVED = frozenset({"stats", "docs"})
VERSION = re.compile(r"[1-9][0-9]{0,8}")
LARGEST_VERSION = 999_999_999


def is_name(text: str) -> bool:
    """True if a pattern or an alias may be called so."""
    return NAME.fullmatch(text) is not None and text not in RESERVED
