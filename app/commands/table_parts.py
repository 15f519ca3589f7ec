"""A table file as bodies of requests, a few thousand rows each: a file of any length is asked in constant memory.

Each part is a body that a server reads, so that the file is answered as the server answers it.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from app.commands.datasets import form_of
from app.commands.predict import WAY_OPTION
from app.dialects.ways import TO_ASK
from app.formats.expected import TO_IGNORE
from app.formats.media_types import ARROW, CSV, JSON
from models_store.errors import PatternServerError, TableError
from models_store.tables import csv_layout, inference
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.csv_files import with_commas
from models_store.tables.csv_layout import TAIL
from models_store.tables.files import check_said
from models_store.tables.unpacking import opened
from models_store.wording import counted

# A part has so many bytes of a text file, which is less than 100 000 rows, the most that a server takes by default.
TEXT_BYTES = 1 << 17
# A part of typed columns has so many rows, fewer if they are wide.
MOST_ROWS, MOST_CELLS, MOST_BYTES = 1 << 14, 1 << 20, 4 << 20
# Small reads of Parquet: the default would read a whole row group, which may be the whole file.
BUFFER_BYTES = 1 << 20
ARROW_FILE = b"ARROW1"
IGNORE_OPTION = "say --ignore-extra"
# Where an error is, as it begins to say; what follows may be a name from the file, such as `row 7`.
PLACE = re.compile(r"^((?:the body is not JSON: )?)(line|row) ([0-9]+)(?=[:,]| is outside)")
# Other parts of the file have such rows, too, so that their number is not told.
OTHERS = re.compile(r", and [0-9]+ more rows? (is|are)(?=;)")


@dataclass(frozen=True)
class Part:
    """Some rows of a file, as the body of a request."""

    body: bytes
    media_type: str
    share: float
    """How much of the file has been read with this part, up to 1."""
    rows_before: int = 0
    lines_before: int = 0
    """Lines of the file before this part, less those of the body's own header."""
    n_rows: int | None = None
    """The number of rows that the part must be answered with; None where the body says it."""

    def check(self, n_answers: int) -> None:
        """Raise Refused unless there is one answer for each line that holds a row."""
        if self.n_rows is not None and n_answers != self.n_rows:
            lines, rows = counted(self.n_rows, "line holds", "lines hold"), counted(n_answers, "row", "rows")
            raise Refused(f"from row 0 on: {lines} {rows}; a line must be one JSON value")

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Raise errors about a row or a line of the body as errors about that row or line of the file."""
        try:
            yield
        except PatternServerError as error:
            said = str(error).replace(TO_IGNORE, IGNORE_OPTION).replace(TO_ASK, WAY_OPTION)
            raise Refused(OTHERS.sub("", PLACE.sub(self._place, said))) from None

    def _place(self, found: re.Match[str]) -> str:
        before, what, number = found[1], found[2], int(found[3])
        if what == "line":  # the names of a file that has none are no line of it
            return f"{before}line {max(1, number + self.lines_before)}"
        return f"{before}row {number + self.rows_before}"


class Refused(PatternServerError):
    """Rows that cannot be answered; the message says where they are in the file."""

    code = "refused"


def check_file(path: Path, dialect: CsvDialect) -> None:
    """Raise TableError where there is no such file, or it is not to be read so."""
    if not path.is_file():
        raise TableError(f"{path.name}: no such file")
    check_said(form_of(path), dialect)


def parts(path: Path, dialect: CsvDialect, names: Sequence[str]) -> Iterator[Part]:
    """Yield the file part by part; columns without names are `names`, in order. Raises TableError."""
    form = form_of(path)
    if form == "csv":
        return _of_csv(path, dialect, names)
    return READERS.get(form, _of_others)(path, dialect)


# -- texts ---------------------------------------------------------------------------------------------------------


def _of_csv(path: Path, dialect: CsvDialect, unnamed: Sequence[str]) -> Iterator[Part]:
    layout = csv_layout.layout(path, dialect)
    dialect, names = layout.dialect, list(layout.names)
    if not layout.has_header and len(names) == len(unnamed):
        names = list(unnamed)
    # An index has no name in the file, and none in a request either.
    head = _line_of(
        ["" if layout.has_index and not place else name for place, name in enumerate(names) if name != TAIL]
    )
    # Its blocks are in UTF-8 whatever the file is in.
    is_plain = (dialect.delimiter, dialect.decimal) == (",", ".") and TAIL not in names
    size, read, rows = path.stat().st_size, 0, 0
    for block in layout.blocks(path, TEXT_BYTES):
        content = block.content if is_plain else with_commas(block, names, dialect)
        read += len(block.content)
        yield Part(head + content, CSV, min(1.0, read / size), rows, block.line - 2)
        rows += block.rows


def _line_of(names: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _of_json_lines(path: Path, _dialect: CsvDialect) -> Iterator[Part]:
    """A JSON value a line: records or rows."""
    size, read, line, rows = path.stat().st_size, 0, 0, 0
    with opened(path) as file:
        while lines := file.readlines(TEXT_BYTES):
            filled = [one for one in lines if one.strip()]
            read += sum(map(len, lines))
            if filled:
                # Lines of the file are lines of the body, the second one on: errors name line and column.
                body = b'{"inputs":[\n%s]}' % b",\n".join(one.rstrip(b"\r\n") for one in filled)
                yield Part(body, JSON, min(1.0, read / size), rows, line - 1, len(filled))
            line, rows = line + len(lines), rows + len(filled)


# -- typed columns -------------------------------------------------------------------------------------------------


def _of_parquet(path: Path, _dialect: CsvDialect) -> Iterator[Part]:
    with _read_as("Parquet"), pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        n_rows, n_columns = file.metadata.num_rows, len(file.schema_arrow.names)
        batches = file.iter_batches(max(1, min(MOST_ROWS, MOST_CELLS // max(1, n_columns))), use_threads=False)
        yield from _of_batches(batches, lambda rows: rows / max(1, n_rows))


def _of_arrow(path: Path, _dialect: CsvDialect) -> Iterator[Part]:
    """An Arrow file or an Arrow stream."""
    size = path.stat().st_size
    with _read_as("Arrow"), pa.OSFile(str(path)) as file:
        is_file = file.read(len(ARROW_FILE)) == ARROW_FILE
        file.seek(0)
        if is_file:
            reader = pa.ipc.open_file(file)
            n_batches = reader.num_record_batches
            batches = (reader.get_batch(place) for place in range(n_batches))
        else:
            batches = pa.ipc.open_stream(file)
        yield from _of_batches(batches, lambda _rows: min(1.0, file.tell() / size))


def _of_others(path: Path, dialect: CsvDialect) -> Iterator[Part]:
    """Read the whole file: formats that have no parts are small."""
    frame = inference.read(path, form_of(path), dialect)
    yield from _of_batches(frame.to_arrow().to_batches(), lambda rows: rows / frame.height)


READERS: Mapping[str, Callable[[Path, CsvDialect], Iterator[Part]]] = {
    "json-lines": _of_json_lines,
    "parquet": _of_parquet,
    "arrow": _of_arrow,
}


def _of_batches(batches: Iterable[Any], share: Callable[[int], float]) -> Iterator[Part]:
    rows = 0
    for batch in batches:
        for piece in _pieces(batch):
            yield Part(_stream(piece), ARROW, share(rows + len(piece)), rows)
            rows += len(piece)


def _pieces(batch: Any) -> Iterator[Any]:
    """Yield the rows of a batch in pieces that a server takes."""
    too_many = len(batch) > max(1, min(MOST_ROWS, MOST_CELLS // max(1, batch.num_columns)))
    if len(batch) > 1 and (too_many or batch.nbytes > MOST_BYTES):
        half = len(batch) // 2
        yield from _pieces(batch.slice(0, half))
        yield from _pieces(batch.slice(half))
    elif len(batch):
        yield batch


def _stream(batch: Any) -> bytes:
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, batch.schema) as stream:
        stream.write_batch(batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


@contextmanager
def _read_as(form: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, EOFError):
        raise TableError(f"the file cannot be read as {form}; is it whole, and of that format?") from None
