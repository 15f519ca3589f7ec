"""Parquet files: columns by name, in any order, answered with a Parquet file."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet

from app.errors import BodyTooLarge, Malformed, Unprocessable
from app.formats import arrow_rows
from app.formats.expected import Expected
from app.formats.format import Content
from app.formats.reply import Reply
from models_store.tables import arrow_files, parquet_pages
from models_store.tables.arrow_files import NOT_READABLE
from models_store.tables.parquet_pages import NotAPage


def read(body: bytes, expected: Expected, max_rows: int) -> Content:
    """Return the rows, float64 (n_rows, n_columns) or a table, and the function that writes their answer.

    Sizes are checked before anything is decoded. Raises Malformed, TooManyRows, BodyTooLarge, or Unprocessable, which
    names the column.
    """

    def wanted(schema: Any) -> list[str]:
        return [name for name in schema.names if name in expected.names]

    try:
        _check_pages(body)
        limit = arrow_rows.limit(max_rows)
        file = arrow_files.of_parquet(pa.BufferReader(body), wanted, limit, keeps_encoded=True)
        return Content(arrow_rows.raw_of(file, expected), write)
    except (*NOT_READABLE, NotAPage):
        raise Malformed("the body is not a Parquet file") from None


def unpacks(_body: bytes) -> bool:
    """Return True: the pages of any file may be compressed."""
    return True


def write(reply: Reply) -> bytes:
    target = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_batches([arrow_rows.batch_of(reply)]), target)
    content: bytes = target.getvalue().to_pybytes()
    return content


def _check_pages(body: bytes) -> None:
    n_bytes = 0
    for page in parquet_pages.pages_of(body):
        n_bytes += page.unpacked
        if n_bytes > arrow_rows.MOST_BYTES:
            raise BodyTooLarge(arrow_rows.MOST_BYTES)
        if page.shares_beginnings:
            words = "texts encoded as DELTA_BYTE_ARRAY may unpack to any size; write the file with another encoding"
            raise Unprocessable("compressed", words)
