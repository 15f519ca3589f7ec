"""Arrow streams, Arrow files and Parquet files as batches of rows, their sizes checked before they are decoded.

pyarrow decodes them: of a damaged file polars allocates whatever it asks for, and ends the process if it cannot.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from models_store.tables.arrow_messages import DAMAGED, announced, footer_of
from models_store.tables.arrow_types import is_bytes, is_text

# Raised over bytes that are no such file; a MemoryError of pyarrow's is one of these as well.
NOT_READABLE = (pa.ArrowException, OSError, EOFError, StopIteration, UnicodeError, *DAMAGED)
# An Arrow file begins and ends with its name; before the last one stands the length of its footer.
FILE_NAME, FOOTER_LENGTH = b"ARROW1", 4
# The batches in which a Parquet file is decoded, so that decoding ends soon after a limit.
ROWS_AT_A_TIME = 4096

Check = Callable[[int, int, int], None]
"""Raises an error of its caller's where so many rows, columns and bytes are too much."""


class NotASchema(ValueError):
    """A stream begins with a message of another type."""


@dataclass(frozen=True, eq=False)
class Batches:
    """Record batches of one schema. They are read once, and each is validated as it is read."""

    schema: Any
    batches: Iterator[Any]


def of_arrow(source: Any, check: Check) -> Batches:
    """Read a stream or a file, whichever it is. Raises NotASchema, one of NOT_READABLE, and what `check` raises."""
    is_file = source.read(len(FILE_NAME)) == FILE_NAME
    source.seek(0)
    return _of_file(source, check) if is_file else _of_stream(source, check)


def of_parquet(
    source: Any, wanted: Callable[[Any], Sequence[str]], check: Check, *, keeps_encoded: bool = False
) -> Batches:
    """Read the columns that `wanted` names of the schema; the others may be of types that nothing here decodes.

    With `keeps_encoded`, texts stay dictionaries, where a text that the file holds once is not written out.
    """
    file = pyarrow.parquet.ParquetFile(source)
    schema, about = file.schema_arrow, file.metadata
    names = wanted(schema)
    check(about.num_rows, len(schema.names), 0)
    check(0, 0, sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups)))
    if keeps_encoded:
        # By field, not by name: a name may stand twice, and then it is the caller who refuses it.
        kept = [field for field in schema if field.name in names]
        texts = [field.name for field in kept if is_text(field.type) or is_bytes(field.type)]
        file = pyarrow.parquet.ParquetFile(source, read_dictionary=texts)
    columns = None if len(names) == len(schema.names) else names
    return Batches(schema, _checked(file.iter_batches(batch_size=ROWS_AT_A_TIME, columns=columns), schema, check))


def _of_stream(source: Any, check: Check) -> Batches:
    messages = pa.ipc.MessageReader.open_stream(source)
    first = messages.read_next_message()
    # pyarrow takes any message for a schema, and may end the process over it.
    if first.type != "schema":
        raise NotASchema(first.type)
    schema = pa.ipc.read_schema(first)
    announcing = _announcing(messages, len(schema.names), check)
    if not any(_has_dictionary(field.type) for field in schema):
        return Batches(schema, _checked((pa.ipc.read_record_batch(one, schema) for one in announcing), schema, check))
    for _ in announcing:  # all of them before any is decoded: a batch needs the dictionaries before it
        pass
    source.seek(0)
    return Batches(schema, _checked(pa.ipc.open_stream(source), schema, check))


def _of_file(source: Any, check: Check) -> Batches:
    """Read the batches where the footer says that they are: what else stands in the file is not looked at."""
    file = pa.ipc.open_file(source)
    messages = (_message_at(source, place) for place in _places(source))
    for _ in _announcing(messages, len(file.schema.names), check):
        pass
    batches = map(file.get_batch, range(file.num_record_batches))
    return Batches(file.schema, _checked(batches, file.schema, check))


def _has_dictionary(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return bool(pa.types.is_dictionary(kind)) or any(map(_has_dictionary, inner))


def _announcing(messages: Iterable[Any], n_columns: int, check: Check) -> Iterator[Any]:
    """Yield each message once its size is checked: it may unpack to far more than it is."""
    n_rows = n_bytes = 0
    for message in messages:
        found = announced(message)
        n_rows, n_bytes = n_rows + found.rows, n_bytes + found.n_bytes
        check(n_rows, n_columns, n_bytes)
        yield message


def _checked(batches: Iterable[Any], schema: Any, check: Check) -> Iterator[Any]:
    # In full, unless any bits are a value: a wrong place of a text would otherwise end the process.
    in_full = not all(pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in schema)
    n_rows = n_bytes = 0
    for batch in batches:
        batch.validate(full=in_full)
        n_rows, n_bytes = n_rows + len(batch), n_bytes + batch.nbytes
        # The sizes that a file states may be untrue: a text that it holds once may stand in every row.
        check(n_rows, len(batch.schema.names), n_bytes)
        yield batch


def _places(source: Any) -> list[int]:
    """Return where the messages of a file begin."""
    size = source.size()
    tail = FOOTER_LENGTH + len(FILE_NAME)
    source.seek(size - tail)
    length = int.from_bytes(source.read(FOOTER_LENGTH), "little", signed=True)
    source.seek(size - tail - length)
    return footer_of(source.read(length))


def _message_at(source: Any, place: int) -> Any:
    source.seek(place)
    return pa.ipc.read_message(source)
