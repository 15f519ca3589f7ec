"""Uploads are read by a process that may take so much memory, one after another, and say there what they say here."""

import asyncio
import signal
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet
import pytest

from app.processes.table_reader import GROWTH, ITSELF_MB, Reader
from models_store.errors import StoreUnwritable, TableError
from models_store.storage.datasets import Datasets, Form, Stored

pytestmark = pytest.mark.anyio
CSV = b"size,colour\n1,red\n2,blue\n3,red\n"


class CountingReader(Reader):
    """Knows how many tables were being read at once."""

    reading = most = 0

    async def _read(self, *asked: object) -> tuple[int, bytes]:
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            return await super()._read(*asked)  # type: ignore[arg-type]
        finally:
            self.reading -= 1


async def add(reader: Reader, place: Path, content: bytes, form: Form = "csv", name: str = "shirts") -> Stored:
    with await asyncio.to_thread(_written, place, content) as file:
        return await reader.add(file, form, name)


def _written(place: Path, content: bytes) -> BinaryIO:
    place.write_bytes(content)
    return place.open("rb")


async def test_a_table_is_stored_as_it_would_be_here(tmp_path: Path) -> None:
    reader = CountingReader(tmp_path / "store", 16)
    contents = [CSV + f"{n},red\n".encode() for n in range(3)]
    stored = await asyncio.gather(
        *(add(reader, tmp_path / str(place), content, name="-x") for place, content in enumerate(contents))
    )
    datasets = Datasets(tmp_path / "store")
    assert [datasets.get(table.id) for table in stored] == stored
    assert {(table.rows, table.name) for table in stored} == {(4, "-x")}
    assert reader.most == 1


async def test_a_refusal_is_of_the_same_kind_and_says_the_same(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"^line 5: expected 2 fields, found 1$"):
        await add(Reader(tmp_path / "store", 16), tmp_path / "file", CSV + b"4\n")
    (tmp_path / "occupied").touch()
    with pytest.raises(StoreUnwritable, match=r"^the store cannot be written \([A-Z][a-z ]+\); what it holds"):
        await add(Reader(tmp_path / "occupied", 16), tmp_path / "file", CSV)


async def test_a_text_that_a_file_holds_once_may_not_fill_the_memory(tmp_path: Path) -> None:
    """6 GB in every row, of 300 bytes."""
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), ["x" * 1_500_000])
    target = pa.BufferOutputStream()
    pyarrow.parquet.write_table(
        pa.table({"x": column}), target, compression="zstd", dictionary_pagesize_limit=1 << 30, store_schema=False
    )
    with pytest.raises(TableError, match="memory"):
        await add(Reader(tmp_path / "store", 16), tmp_path / "file", target.getvalue().to_pybytes(), "parquet")
    assert Datasets(tmp_path / "store").ids() == []


@pytest.mark.parametrize(
    ("ended_by", "said"),
    [
        (signal.SIGABRT, f"SIGABRT; most likely it takes more than {ITSELF_MB + GROWTH} MB of memory"),
        (signal.SIGKILL, f"SIGKILL; most likely it takes more than {ITSELF_MB + GROWTH} MB of memory"),
        (signal.SIGSEGV, "SIGSEGV; most likely the file is damaged; write it again, or save it as CSV"),
        (signal.SIGFPE, "SIGFPE; most likely the file is damaged"),
    ],
)
async def test_a_process_that_a_signal_ends_is_no_fault_of_the_server(
    tmp_path: Path, ended_by: signal.Signals, said: str
) -> None:
    class EndedReader(Reader):
        async def _read(self, *asked: object) -> tuple[int, bytes]:
            return -ended_by, b""

    with pytest.raises(TableError, match=f"^reading the table was ended by the signal {said}"):
        await add(EndedReader(tmp_path, 1), tmp_path / "file", CSV)
