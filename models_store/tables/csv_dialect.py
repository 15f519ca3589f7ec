"""The delimiter, decimal sign and character set of a CSV file; it is converted once, when it is read."""

import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from models_store.errors import TableError

Delimiter = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
Charset = Literal[
    "utf-8",
    "utf-16",
    "latin-1",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "shift_jis",
    "gb18030",
]
DELIMITERS: dict[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
QUOTED = re.compile('"[^"]*"')


@dataclass(frozen=True)
class CsvDialect:
    """The ids of datasets are hashes of its `repr`: fields keep their names, order and defaults."""

    delimiter: Delimiter | None = None
    """`None`: the one that the header line shows."""
    decimal: Decimal = "."
    encoding: Charset = "utf-8"

    @classmethod
    def of(cls, delimiter: str | None = None, decimal: str | None = None, encoding: str | None = None) -> Self:
        """Make one of a caller's words. Raises TableError, which names the choices."""
        delimiter = "\t" if delimiter in ("tab", "\\t") else delimiter
        encoding = encoding.lower() if encoding is not None else "utf-8"
        if delimiter is not None and delimiter not in get_args(Delimiter):
            raise TableError("delimiter: expected one of , ; | and tab")
        if decimal is not None and decimal not in get_args(Decimal):
            raise TableError("decimal: expected a point or a comma")
        if encoding not in get_args(Charset):
            raise TableError(f"encoding: expected one of {', '.join(get_args(Charset))}")
        return cls(cast(Delimiter | None, delimiter), cast(Decimal, decimal or "."), cast(Charset, encoding))


PLAIN = CsvDialect()


def delimiter_in(line: str) -> Delimiter:
    """Return the delimiter of a header line: a comma, unless there is none and semicolons or tabs alone stand there."""
    bare = QUOTED.sub("", line)
    found: list[Delimiter] = [delimiter for delimiter in (";", "\t") if delimiter in bare]
    return found[0] if len(found) == 1 and "," not in bare else ","
