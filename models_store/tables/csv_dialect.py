"""How a CSV file is written, where it is not as RFC 4180 has it: converted once, when the file is read."""

import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from models_store.errors import TableError

Delimiter = Literal[",", ";", "\t", "|"]
Decimal = Literal[".", ","]
Encoding = Literal[
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
    """`delimiter` None: what the line with the names of the columns shows."""

    delimiter: Delimiter | None = None
    decimal: Decimal = "."
    encoding: Encoding = "utf-8"

    @classmethod
    def of(cls, delimiter: str | None = None, decimal: str | None = None, encoding: str | None = None) -> Self:
        """As somebody says it; TableError names what there is."""
        delimiter = "\t" if delimiter in ("tab", "\\t") else delimiter
        encoding = encoding.lower() if encoding is not None else "utf-8"
        if delimiter is not None and delimiter not in get_args(Delimiter):
            raise TableError("delimiter: one of , ; | and tab stands between fields")
        if decimal is not None and decimal not in get_args(Decimal):
            raise TableError("decimal: a point or a comma stands in numbers")
        if encoding not in get_args(Encoding):
            raise TableError(f"encoding: one of {', '.join(get_args(Encoding))}")
        return cls(cast(Delimiter | None, delimiter), cast(Decimal, decimal or "."), cast(Encoding, encoding))


PLAIN = CsvDialect()


def delimiter_in(line: str) -> Delimiter:
    """Between the names of columns: commas, unless there is none and something else stands there."""
    bare = QUOTED.sub("", line)
    found: list[Delimiter] = [delimiter for delimiter in (";", "\t") if delimiter in bare]
    return found[0] if len(found) == 1 and "," not in bare else ","
