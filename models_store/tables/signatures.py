"""What a file is by its first bytes: a table that is called by another name is named, and not blamed on its bytes."""

import re

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ZIP = b"PK\x03\x04"
SAS = bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11"
# The first release of Stata whose files are not XML-like at their beginning, to the last: 113 to 115.
OLD_STATA = re.compile(rb"[\x71-\x73][\x01\x02]\x01\x00")
ARFF = re.compile(rb"(?:\s*(?:%[^\n]*)?\n)*\s*@relation\b", re.IGNORECASE)
JSON = re.compile(rb'\s*(?:\{\s*(?:"|\})|\[\s*(?:[\[{"\]0-9-]))')
MARKUP = re.compile(rb"\s*<(?:\?xml|!doctype|html|table)\b", re.IGNORECASE)

AS_EXCEL = "name it .xlsx, or send it as application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
AS_ODS = "name it .ods, or send it as application/vnd.oasis.opendocument.spreadsheet"
AS_PARQUET = "name it .parquet, or send it as application/vnd.apache.parquet"
AS_ARROW = "name it .arrow, or send it as application/vnd.apache.arrow.stream"
AS_LINES = "name it .jsonl, or send it as application/x-ndjson"
AS_ARFF = "name it .arff, or send it as text/x-arff"
AS_SPSS = "name it .sav, or send it as application/x-spss-sav"
AS_STATA = "name it .dta, or send it as application/x-stata-dta"
AS_CSV = "save it as CSV UTF-8"

STARTS: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", f"a Parquet file; {AS_PARQUET}"),
    (b"ARROW1", f"an Arrow file; {AS_ARROW}"),
    (b"\xff\xff\xff\xff", f"an Arrow stream; {AS_ARROW}"),
    (b"$FL2", f"an SPSS file; {AS_SPSS}"),
    (b"$FL3", f"an SPSS file; {AS_SPSS}"),
    (b"<stata_dta>", f"a Stata file; {AS_STATA}"),
    (SAS, f"a SAS file; {AS_CSV}"),
    (b"HEADER RECORD*******", f"a SAS transport file; {AS_CSV}"),
    (b"RDX", "an R workspace; write the table with write.csv(table, file, row.names = FALSE)"),
    (b"X\n\x00\x00\x00", "an R object (rds); write the table with write.csv(table, file, row.names = FALSE)"),
    (b"\xd0\xcf\x11\xe0", f"an Excel file of before 2007; save it as .xlsx, or {AS_CSV}"),
    (b"SQLite format 3\x00", "an SQLite database; write one table of it as CSV"),
    (b"\x89HDF\r\n", f"an HDF5 file; {AS_CSV}"),
    (b"\x93NUMPY", f"a NumPy array; {AS_CSV}"),
    (b"%PDF-", f"a PDF; {AS_CSV}"),
    (b"BZh", "compressed with bzip2; unpack it, or compress it with gzip or zstd"),
    (b"\xfd7zXZ\x00", "compressed with xz; unpack it, or compress it with gzip or zstd"),
)


def named(start: bytes) -> str | None:
    """Return what a file is that begins so, with the way out; None where it may well be CSV."""
    for bytes_of, words in STARTS:
        if start.startswith(bytes_of):
            return words
    if start.startswith(ZIP):
        return _zip(start)
    if OLD_STATA.match(start):
        return f"a Stata file; {AS_STATA}"
    if ARFF.match(start):
        return f"an ARFF file; {AS_ARFF}"
    if JSON.match(start):
        return f"JSON; write a line for each row as JSON lines, and {AS_LINES}"
    return f"XML or HTML; {AS_CSV}" if MARKUP.match(start) else None


def _zip(start: bytes) -> str:
    if b"opendocument.spreadsheet" in start:
        return f"a spreadsheet (ods); {AS_ODS}"
    # The names of its parts stand in front of each of them.
    if b"xl/" in start or b"[Content_Types].xml" in start:
        return f"an Excel file; {AS_EXCEL}"
    return "a zip archive; unpack it, or compress the table with gzip or zstd"
