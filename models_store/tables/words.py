"""Words of a text, as a text column's encoder counts them."""

import re

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def words_of(text: str) -> list[str]:
    """Return the words in order, in lower case; an apostrophe may stand within a word."""
    return WORD.findall(text.lower())
