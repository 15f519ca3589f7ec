"""Uploaded tables, each named after the hash of its file, so that the same content is there once.

<root>/.datasets/<id>/{table.parquet, dataset.json}      written aside, then renamed, as bundles are
"""

import hashlib
import json
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_store.errors import DatasetDamaged, StoreUnwritable, TablesUnavailable, UnknownDataset
from models_store.storage import manifest
from models_store.storage.disk import Disk, writing
from models_store.storage.locks import LOCK, exclusively
from models_store.tables.column_facts import ColumnFacts, Form
from models_store.tables.csv_dialect import PLAIN, CsvDialect

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Datasets", "Form", "Stored"]

log = logging.getLogger("patterns.datasets")

ID = re.compile(r"[0-9a-f]{32}")
FORMAT = 1
TABLE, FACTS = "table.parquet", "dataset.json"
# In bytes: enough for as many columns as there may be, all of them with long names and examples.
LARGEST_FACTS = 64 << 20


@dataclass(frozen=True)
class Stored:
    """The facts of an uploaded table; `name` is what its uploader calls it, perhaps empty."""

    id: str
    name: str
    rows: int
    columns: tuple[ColumnFacts, ...]
    created: str
    """UTC, ISO 8601."""
    delimiter: str = ","
    """The character between the fields of a CSV file."""
    remarks: tuple[str, ...] = ()
    """What to know of how the file was read, such as lines that were taken for comments."""

    def to_json(self) -> dict[str, Any]:
        # Not `asdict`, which copies what is below: it takes longer than all the rest where there are many columns.
        return {**vars(self), "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> "Stored":
        columns = tuple(ColumnFacts.from_json(column) for column in saved["columns"])
        return cls(**{**saved, "columns": columns, "remarks": tuple(saved.get("remarks", ()))})


class Datasets:
    """The uploaded tables of a store. Stateless: every process that opens the root sees the same."""

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self._directory = root / ".datasets"
        self._disk = disk or Disk()

    # -- reading ---------------------------------------------------------------------------------------------------

    def ids(self) -> Sequence[str]:
        if not self._directory.is_dir():
            return []
        return sorted(entry.name for entry in self._directory.iterdir() if ID.fullmatch(entry.name) and entry.is_dir())

    def get(self, dataset: str) -> Stored:
        """Raises UnknownDataset, DatasetDamaged."""
        return self._facts(dataset)[0]

    def frame(self, dataset: str) -> "pl.DataFrame":
        """Read the whole table. Raises UnknownDataset, or DatasetDamaged if a bit of it has changed."""
        import polars as pl  # deferred: whoever serves needs it for tables only

        path = self._directory / dataset / TABLE
        try:
            if not _is_whole(path, self._facts(dataset)[1]):
                raise DatasetDamaged("its table was changed")
            return pl.read_parquet(path, glob=False, hive_partitioning=False)
        except FileNotFoundError as error:
            self._check_known(dataset)
            raise DatasetDamaged("its table is missing") from error
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DatasetDamaged("its table cannot be read") from error

    def list(self) -> Sequence[Stored]:
        """Facts of all tables that can be read, newest first."""
        found = []
        for dataset in self.ids():
            try:
                found.append(self.get(dataset))
            except UnknownDataset:  # deleted meanwhile
                continue
            except DatasetDamaged as error:
                log.error("dataset is damaged", extra={"dataset": dataset, "reason": str(error)})
        return sorted(found, key=lambda stored: stored.created, reverse=True)

    # -- writing ---------------------------------------------------------------------------------------------------

    def receiving(self) -> FileIO:
        """Open a file to upload into, beside the store. It has no name: nothing of it is left when the process ends.

        It has no buffer either: what the disk does not take is an error of its write, and not of its end.

        Raises TablesUnavailable where no table can be read.
        """
        _check_reader()
        with writing():
            self._make_root()
            return tempfile.TemporaryFile(dir=self.root, buffering=0)

    def add(self, path: Path, form: Form, name: str = "", dialect: CsvDialect = PLAIN) -> Stored:
        """Read the file at `path` and keep it as a table; one that is there already stays, under its first name.

        A damaged one is replaced. Raises TableError that says why a file is no table, DiskFull, StoreUnwritable, and
        TablesUnavailable where there is no polars.
        """
        dataset = _id_of(path, dialect)
        if (known := self._intact(dataset)) is not None:
            return known
        _check_reader()
        from models_store.tables import (
            csv_layout,  # deferred: whoever serves needs polars for tables only
            files,  # deferred: whoever serves needs polars for tables only
            inference,  # deferred: whoever serves needs polars for tables only
        )

        found = files.reading(path, form, self._decided(dataset, form, dialect))
        frame = found.frame
        created = datetime.now(UTC).isoformat(timespec="seconds")
        delimiter = csv_layout.layout(path, dialect).dialect.delimiter if form == "csv" else None
        columns = tuple(inference.facts(frame))
        stored = Stored(dataset, name, frame.height, columns, created, delimiter or ",", found.remarks)
        with self._writing():
            if (known := self._intact(dataset)) is not None:
                return known
            self._disk.check_space(self.root, int(frame.estimated_size()))
            with self._disk.aside(self.root) as aside:
                self._write(aside, frame, stored)
                self._disk.make_directory(self._directory)
                # Each time: an earlier one may have made the directory and failed here.
                self._disk.sync_directory(self.root)
                self._clear(dataset)
                self._disk.rename(aside, self._directory / dataset)
            self._disk.sync_directory(self._directory)
        log.info("dataset added", extra={"dataset": dataset, "rows": stored.rows})
        return stored

    def share(self, dataset: str) -> None:
        """Give a table to other servers: nothing to do, where all see this directory."""

    def delete(self, dataset: str) -> None:
        """Delete a table, damaged or not. Renamed away first: a table is there whole or not at all."""
        self._check_known(dataset)
        with self._writing():
            self._check_known(dataset)
            with self._disk.aside(self.root) as aside:
                self._disk.rename(self._directory / dataset, aside)
                self._disk.sync_directory(self._directory)
        log.info("dataset deleted", extra={"dataset": dataset})

    # -- parts of the above ----------------------------------------------------------------------------------------

    def _check_known(self, dataset: str) -> None:
        if not (ID.fullmatch(dataset) and (self._directory / dataset).is_dir()):
            raise UnknownDataset(self.ids())

    def _facts(self, dataset: str) -> tuple[Stored, str]:
        """The facts of a table, and the SHA-256 of its file. Raises UnknownDataset, DatasetDamaged."""
        self._check_known(dataset)
        try:
            written = manifest.read_regular(self._directory / dataset / FACTS, LARGEST_FACTS)
            if written is None:
                raise DatasetDamaged("its facts are no regular file")
            facts = json.loads(written)
            if written != manifest.sealed({key: value for key, value in facts.items() if key != "sha256"}):
                raise DatasetDamaged("its facts were changed")
            return Stored.from_json(facts["stored"]), str(facts["table"])
        except FileNotFoundError:
            self._check_known(dataset)
            raise DatasetDamaged("its facts are missing") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DatasetDamaged("its facts cannot be read") from error

    def _intact(self, dataset: str) -> Stored | None:
        """The facts of a table; None if it is not there, not any more, or not as it was uploaded."""
        try:
            stored, expected = self._facts(dataset)
            return stored if _is_whole(self._directory / dataset / TABLE, expected) else None
        except (UnknownDataset, DatasetDamaged, OSError):
            return None

    def _decided(self, dataset: str, form: Form, dialect: CsvDialect) -> CsvDialect:
        """Return the dialect; of a damaged table it was decided before that its first row names the columns."""
        if form not in ("csv", "workbook") or dialect.header is not None:
            return dialect
        try:
            self._facts(dataset)
        except (UnknownDataset, DatasetDamaged):
            return dialect
        return replace(dialect, header="present")

    def _clear(self, dataset: str) -> None:
        """Make room for the table where a damaged one of the same content is."""
        if (self._directory / dataset).exists():
            with self._disk.aside(self.root) as damaged:
                self._disk.rename(self._directory / dataset, damaged)
            log.warning("damaged dataset replaced", extra={"dataset": dataset})

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock of the store: it sweeps away half-written files while nobody holds it."""
        with writing():
            self._make_root()
        with exclusively(self.root / LOCK), writing():
            yield

    def _make_root(self) -> None:
        if not self.root.is_dir():
            self._disk.make_root(self.root)

    def _write(self, aside: Path, frame: "pl.DataFrame", stored: Stored) -> None:
        import polars as pl  # deferred: whoever serves needs it for tables only

        self._disk.make_directory(aside)
        with (aside / TABLE).open("xb") as file:
            try:
                frame.write_parquet(file)
            except pl.exceptions.PolarsError as error:
                # It does not say in a way to rely on whether the disk was full.
                self._disk.check_space(self.root, 0)
                raise StoreUnwritable("a table could not be written") from error
            os.fsync(file.fileno())
        facts = {"format": FORMAT, "stored": stored.to_json(), "table": _sha256(aside / TABLE)}
        self._disk.write_new(aside / FACTS, manifest.sealed(facts))
        self._disk.sync_directory(aside)


def _check_reader() -> None:
    if find_spec("polars") is None:
        raise TablesUnavailable


def _id_of(path: Path, dialect: CsvDialect) -> str:
    """The name of a table: the same file read in another way is another table."""
    content = _sha256(path)
    return (content if dialect == PLAIN else hashlib.sha256(f"{content} {dialect.key}".encode()).hexdigest())[:32]


def _is_whole(path: Path, expected: str) -> bool:
    """True for a regular file with this hash. Anything else, such as a pipe, would be waited for and is not opened."""
    return stat.S_ISREG(path.lstat().st_mode) and _sha256(path) == expected


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
