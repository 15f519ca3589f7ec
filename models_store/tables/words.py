"""Words and terms of a text, as a text column's encoder counts them.

words             "Simply wonderful" -> simply, wonderful
words-and-pairs   and simpl-, wonde- (how words begin), "simpl wonde" (how two neighbours do)
"""

import re
from itertools import pairwise
from typing import Literal

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
# So many letters tell wonder, wonderful and wonders from most other words, and are the same in all three.
BEGINNING = 5

Terms = Literal["words", "words-and-pairs"]


def words_of(text: str) -> list[str]:
    """Return the words in order, in lower case; an apostrophe may stand within a word."""
    return WORD.findall(text.lower())


def terms_of(text: str, terms: Terms) -> list[str]:
    """Return what is counted of a text: its words; with pairs, also how words begin, and how two neighbours do.

    No term is spelled as one of another sort: a beginning ends with a dash, and a pair has a space.
    """
    words = words_of(text)
    if terms == "words":
        return words
    beginnings = [word[:BEGINNING] for word in words]
    long_ones = [f"{beginning}-" for beginning in beginnings if len(beginning) == BEGINNING]
    return [*words, *long_ones, *(f"{first} {second}" for first, second in pairwise(beginnings))]


def is_word(term: str) -> bool:
    return WORD.fullmatch(term) is not None
