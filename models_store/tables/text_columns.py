"""Text columns of polars: the whitespace around their cells, and cells that mean a missing value."""

import polars as pl

from models_store.tables.table import MISSING

# The characters that `str.strip` takes away; polars (Rust) has another list.
SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
# The share of cells that look alike from which on their column does.
NEARLY_ALL = 0.8
ROWS_TO_COUNT_WORDS_IN = 10_000
ASCII_SPACE = [letter.encode() for letter in SPACE if letter.isascii() and letter not in "\n\r"]


def may_hold_space(content: bytes) -> bool:
    """False if no cell of this CSV file begins or ends with whitespace; line ends between rows are none."""
    is_plain = content.isascii() and b'"' not in content
    return not is_plain or any(letter in content for letter in ASCII_SPACE)


def stripped(texts: pl.Series) -> pl.Series:
    return texts.str.strip_chars(SPACE)


def all_stripped(fields: pl.DataFrame) -> pl.DataFrame:
    """Return `fields`, all of whose columns are texts, without whitespace around any cell."""
    return fields.select(pl.all().str.strip_chars(SPACE))


def sample(texts: pl.Series) -> pl.Series:
    """Return evenly spaced texts, as many as it takes to know how many words they have."""
    return texts.gather_every(-(-len(texts) // ROWS_TO_COUNT_WORDS_IN))


def without_missing(frame: pl.DataFrame, *, are_stripped: bool = False) -> pl.DataFrame:
    """Return `frame` with null for each text cell that is one of `table.MISSING`; other columns are as they were.

    `are_stripped`: no text has whitespace around it, so none is looked for.
    """
    bare = pl.col(pl.String) if are_stripped else pl.col(pl.String).str.strip_chars(SPACE)
    are_missing = frame.select(bare.is_in(list(MISSING)))
    # Only columns that have one are made anew: where there are many cells, this takes most of the time.
    have_one = are_missing.select(pl.all().any()).row(0) if are_missing.width else ()
    masks = [mask for mask, has_one in zip(are_missing, have_one, strict=True) if has_one]
    return frame.with_columns(pl.when(mask).then(None).otherwise(pl.col(mask.name)).alias(mask.name) for mask in masks)
