"""How the file of a table is to be read, in the words of its owner; it is converted once, when it is read."""

import re
from dataclasses import dataclass, field
from typing import Literal, Self, cast, get_args

from models_store.errors import TableError

Delimiter = Literal[",", ";", "\t", "|", " "]
Header = Literal["present", "absent"]
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
DELIMITERS: dict[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
NAMES: dict[str, Delimiter] = {"tab": "\t", "\\t": "\t", "space": " ", "spaces": " "}
LONGEST_COMMENT = 8
QUOTED = re.compile('"[^"]*"')


@dataclass(frozen=True)
class CsvDialect:
    """The ids of datasets are hashes of its `key`: fields keep their names, order and defaults."""

    delimiter: Delimiter | None = None
    """`None`: the one that the header line shows. A space stands for any number of spaces and tabs."""
    decimal: Decimal = "."
    encoding: Charset = "utf-8"
    header: Header | None = field(default=None, repr=False)
    """`None`: present, unless the first row looks like data; then the file is refused."""
    comment: str | None = field(default=None, repr=False)
    """The beginning of lines that are no rows."""
    sheet: str | None = field(default=None, repr=False)
    """The name of the sheet of a workbook, which has a header as well, and nothing else of the above."""

    @property
    def key(self) -> str:
        """Its `repr`, and the fields that came later where they are said."""
        later = {name: getattr(self, name) for name in ("header", "comment", "sheet")}
        return "".join([repr(self), *(f" {name}={value!r}" for name, value in later.items() if value is not None)])

    @classmethod
    def of(
        cls,
        delimiter: str | None = None,
        decimal: str | None = None,
        encoding: str | None = None,
        header: str | None = None,
        comment: str | None = None,
        sheet: str | None = None,
    ) -> Self:
        """Make one of a caller's words. Raises TableError, which names the choices."""
        delimiter = NAMES.get(delimiter or "", delimiter)
        encoding = encoding.lower() if encoding is not None else "utf-8"
        if delimiter is not None and delimiter not in get_args(Delimiter):
            raise TableError("delimiter: expected one of , ; | tab and space")
        if decimal is not None and decimal not in get_args(Decimal):
            raise TableError("decimal: expected a point or a comma")
        if encoding not in get_args(Charset):
            raise TableError(f"encoding: expected one of {', '.join(get_args(Charset))}")
        if header is not None and header not in get_args(Header):
            raise TableError("header: expected present or absent")
        if comment is not None and not (comment.isprintable() and 0 < len(comment.strip()) <= LONGEST_COMMENT):
            raise TableError(f"comment: expected the beginning of comment lines, {LONGEST_COMMENT} characters at most")
        said = (cast(Delimiter | None, delimiter), cast(Decimal, decimal or "."), cast(Charset, encoding))
        return cls(*said, cast(Header | None, header), comment, sheet)


PLAIN = CsvDialect()


def delimiter_in(line: str) -> Delimiter:
    """Return the delimiter of a header line: a comma, unless there is none and semicolons or tabs alone stand there."""
    bare = QUOTED.sub("", line)
    found: list[Delimiter] = [delimiter for delimiter in (";", "\t") if delimiter in bare]
    return found[0] if len(found) == 1 and "," not in bare else ","
