"""Columns of texts as the narrowest type that all of their cells have: Int64, Float64, or String as they stand there.

What is seen of some cells is joined with what is seen of others, so that a file may be narrowed block by block.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from models_store.tables.number_syntax import POLARS_CODE, POLARS_INTEGER, POLARS_NUMBER, POLARS_PLAIN_INTEGER
from models_store.tables.text_columns import all_stripped, without_missing

# They show of most columns of texts that they are no numbers.
FIRST_ROWS = 16


def narrowed(column: pl.Series) -> pl.Series:
    """Return a text column with the dtype that it would have in a CSV file."""
    cells = Cells.of(column.to_frame(), has_space=True)
    (found,) = seen_in(cells.bare)
    return narrow(cells, [found.dtype]).to_series()


@dataclass(frozen=True)
class Seen:
    """Facts of all cells of a column that are not missing, in one block or several."""

    are_plain_integers: bool
    are_integers: bool
    are_numbers: bool
    has_codes: bool
    are_missing: bool

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(
            self.are_plain_integers and other.are_plain_integers,
            self.are_integers and other.are_integers,
            self.are_numbers and other.are_numbers,
            self.has_codes or other.has_codes,
            self.are_missing and other.are_missing,
        )

    @property
    def dtype(self) -> type[pl.DataType]:
        if self.are_missing:
            return pl.Float64
        if self.are_plain_integers:
            return pl.Int64
        are_codes = self.are_integers and self.has_codes
        return pl.Float64 if self.are_numbers and not are_codes else pl.String


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells as texts, as they stand in the file and without whitespace around them; in `bare` missing ones are null."""

    fields: pl.DataFrame
    bare: pl.DataFrame

    @classmethod
    def of(cls, fields: pl.DataFrame, *, has_space: bool) -> "Cells":
        if has_space:
            return cls(fields, without_missing(all_stripped(fields), are_stripped=True))
        bare = without_missing(fields, are_stripped=True)
        return cls(bare, bare)

    def texts(self, names: list[str]) -> pl.DataFrame:
        """Return columns as they stand in the file, missing cells as null."""
        return self.bare.select(names) if self.fields is self.bare else without_missing(self.fields.select(names))


def seen_in(bare: pl.DataFrame) -> list[Seen]:
    # Each pattern is matched only in columns that still can match it all: there are many cells.
    numbers = _matching(bare, _matching(bare.head(FIRST_ROWS), bare.columns, POLARS_NUMBER), POLARS_NUMBER)
    integers = _matching(bare, numbers, POLARS_INTEGER)
    plain = _matching(bare, integers, POLARS_PLAIN_INTEGER)
    others = bare.select(name for name in integers if name not in plain)
    codes = {column.name for column in others if column.str.contains(POLARS_CODE).any()}
    return [
        Seen(
            are_plain_integers=column.name in plain,
            are_integers=column.name in integers,
            are_numbers=column.name in numbers,
            has_codes=column.name in codes,
            are_missing=column.null_count() == len(column),
        )
        for column in bare
    ]


def _matching(texts: pl.DataFrame, names: Iterable[str], pattern: str) -> dict[str, None]:
    """Return the names of the columns all of whose cells match or are missing, in order."""
    names = list(names)
    matching = texts.select(pl.col(names).str.contains(pattern).all()).row(0) if names else ()
    return {name: None for name, matches in zip(names, matching, strict=True) if matches}


def narrow(cells: Cells, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    """Return text columns as they stand in the file, the others cast."""
    texts = [name for name, dtype in zip(cells.bare.columns, dtypes, strict=True) if dtype == pl.String]
    return with_dtypes(cells.bare.with_columns(cells.texts(texts)), dtypes)


def with_dtypes(part: pl.DataFrame, dtypes: list[type[pl.DataType]]) -> pl.DataFrame:
    """Cast the columns that are of another dtype; all that become one dtype together, which is fast for many."""
    names: dict[type[pl.DataType], list[str]] = {}
    for name, found, dtype in zip(part.columns, part.dtypes, dtypes, strict=True):
        if found != dtype:
            names.setdefault(dtype, []).append(name)
    return part.with_columns(pl.col(several).cast(dtype) for dtype, several in names.items())
