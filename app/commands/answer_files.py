"""Answers to many rows, written as they come: CSV, JSON lines, Parquet, Arrow or npy, by the ending of the file.

A file is there whole or not at all: it is written aside and renamed.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from app.formats.csv_rows import csv_of
from models_store.errors import PatternServerError
from models_store.wording import shortened_name

Columns = Mapping[str, NDArray[Any]]
"""Answers by the name of their column, (n_rows,) each: numbers as float64, labels in the type of the data."""
# Rows of a row group of Parquet, and of a batch of Arrow.
ROWS_OF_A_GROUP = 1 << 17


class NoPlace(PatternServerError):
    """A file that answers cannot be written to: its ending names no format, or its folder is not there."""


class Writer(Protocol):
    def write(self, columns: Columns) -> None: ...

    def close(self) -> None:
        """Write what is left. The file itself is closed by its owner."""


@contextmanager
def writing_to(path: Path | None, labels: Sequence[str]) -> Iterator[Writer]:
    """Write answers into the file, or as CSV to standard output. `labels` are those of a classification, else none.

    Raises NoPlace.
    """
    if path is None:
        writer: Writer = CsvWriter(sys.stdout.buffer)
        yield writer
        writer.close()
        return
    check_place(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open("wb") as file:
            writer = NpyWriter(file, labels) if path.suffix.lower() == ".npy" else WRITERS[path.suffix.lower()](file)
            yield writer
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise NoPlace for a file whose ending names no format, or whose folder is not there."""
    if path.suffix.lower() not in (*WRITERS, ".npy"):
        raise NoPlace(f"--out: the name of the file must end with {', '.join((*WRITERS, '.npy'))}")
    if not path.parent.is_dir():
        raise NoPlace(f"--out: there is no folder {shortened_name(path.parent.name)}; make it first")


class CsvWriter:
    """A header, and a line a row, as the server answers a CSV."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._has_header = False

    def write(self, columns: Columns) -> None:
        self._file.write(csv_of(columns, has_header=not self._has_header))
        self._has_header = True

    def close(self) -> None:
        self._file.flush()


class JsonLinesWriter:
    """A record a line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, columns: Columns) -> None:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        lines = (orjson.dumps(dict(zip(columns, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        self._file.write(b"".join(lines))

    def close(self) -> None:
        self._file.flush()


class GroupWriter:
    """Parquet or Arrow: row groups or batches of many rows, so that small ones are gathered first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._gathered: list[Any] = []
        self._target: Any = None

    def write(self, columns: Columns) -> None:
        arrays = [pa.array(column) for column in columns.values()]
        self._gathered.append(pa.record_batch(arrays, names=list(columns)))
        if sum(map(len, self._gathered)) >= ROWS_OF_A_GROUP:
            self._write_gathered()

    def close(self) -> None:
        self._write_gathered()
        if self._target is not None:
            self._target.close()

    def _write_gathered(self) -> None:
        if self._gathered:
            table = pa.Table.from_batches(self._gathered).combine_chunks()
            self._target = self._target or self._opened(table.schema)
            self._target.write_table(table)
            self._gathered.clear()

    def _opened(self, schema: Any) -> Any:
        """Return a writer of tables of this schema, at the beginning of the file."""
        raise NotImplementedError


class ParquetWriter(GroupWriter):
    def _opened(self, schema: Any) -> Any:
        return pyarrow.parquet.ParquetWriter(self._file, schema)


class ArrowWriter(GroupWriter):
    """An Arrow file, not a stream: what pandas calls Feather and polars IPC."""

    def _opened(self, schema: Any) -> Any:
        return pa.ipc.new_file(self._file, schema)


class NpyWriter:
    """One array, (n_rows, n_columns). How many rows there are is written into its header at the end.

    An array has one type, so beside probabilities there is no place for the labels: they are the whole answer, as in
    the npy answers of a server.
    """

    def __init__(self, file: BinaryIO, labels: Sequence[str]) -> None:
        self._file = file
        self._has_labels = bool(labels)
        # An array of texts has the longest of them for its width, and the longest may come last.
        self._texts = np.array(labels).dtype if labels else np.dtype(str)
        self._shape = (0, 0)
        self._dtype = np.dtype(np.float64)

    def write(self, columns: Columns) -> None:
        _, *probabilities = columns.values()
        rows = np.stack(probabilities if self._has_labels and probabilities else list(columns.values()), axis=1)
        if rows.dtype == object:
            rows = rows.astype(self._texts)
        if not self._shape[0]:
            self._dtype, self._shape = rows.dtype, (0, rows.shape[1])
            self._file.write(self._header())
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._shape = (self._shape[0] + len(rows), self._shape[1])

    def close(self) -> None:
        self._file.seek(0)
        self._file.write(self._header())

    def _header(self) -> bytes:
        """Return the header, which NumPy pads so that the number of rows may grow in its place."""
        header = io.BytesIO()
        described = {"descr": npy_format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": self._shape}
        npy_format.write_array_header_1_0(header, described)
        return header.getvalue()


WRITERS: Mapping[str, Callable[[BinaryIO], Writer]] = {
    ".csv": CsvWriter,
    ".jsonl": JsonLinesWriter,
    ".parquet": ParquetWriter,
    ".arrow": ArrowWriter,
}
