"""The database of the job records behind SQLAlchemy: a SQLite file in the store, or PostgreSQL.

Its faults become errors of this project, and a SQLite file that was replaced is opened anew.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import TrainingUnavailable
from models_store.errors import DiskFull

OPENING_PAUSE_SECONDS = 0.1


class Database:
    """A pool of connections to one database, as long-lived as the app. All calls block.

    Every call raises TrainingUnavailable where the database does not answer, and DiskFull where its disk is full. A
    broken constraint is SQLAlchemy's IntegrityError, because only the caller knows what it means.
    """

    def __init__(self, url: str, make_tables: Callable[[sql.Engine], None], openings: int) -> None:
        self.engine = _engine(url)
        self._make_tables = make_tables
        self._openings = openings
        self._file: tuple[int, int] | None = None
        self._following = threading.Lock()

    def open(self) -> None:
        """Make the tables that are missing, in at most `openings` attempts."""
        with self._translated():
            self._make_ready()

    @contextmanager
    def reading(self) -> Iterator[sql.Connection]:
        with self._translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sql.Connection]:
        """A transaction: committed at the end, rolled back by any exception."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            self._follow_file()
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout) as error:
            if "disk is full" in str(error) or "No space left" in str(error):
                raise DiskFull from error
            raise TrainingUnavailable(
                f"the {self.engine.dialect.name} database of the job records cannot be reached or written "
                f"({_kind(error)}); predictions go on; check PATTERNS_DATABASE_URL"
            ) from error

    def _follow_file(self) -> None:
        """Open the SQLite file anew if it was deleted or replaced: else SQLite writes on into the one that is gone."""
        with self._following:
            if self._file is not None and self._file != _file_of(self.engine.url):
                self.engine.dispose()
                self._make_ready()

    def _make_ready(self) -> None:
        for attempt in range(self._openings):
            try:
                self._make_tables(self.engine)
                self._file = _file_of(self.engine.url) or self._file
                return
            except (DBAPIError, PoolTimeout):
                # Another process makes the same tables at this moment; the next attempt finds them.
                if attempt == self._openings - 1:
                    raise
                time.sleep(OPENING_PAUSE_SECONDS)


def _kind(error: DBAPIError | PoolTimeout) -> str:
    """The name of the driver's error; its text may tell addresses and what was to be written."""
    return type(error.orig if isinstance(error, DBAPIError) else error).__name__


def _file_of(address: sql.URL) -> tuple[int, int] | None:
    """Device and inode of a SQLite file; None if it does not exist, and for PostgreSQL."""
    if address.get_backend_name() != "sqlite" or not address.database:
        return None
    try:
        found = Path(address.database).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _engine(url: str) -> sql.Engine:
    address = sql.make_url(url)
    if address.get_backend_name() == "postgresql" and address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    # A database that no longer answers must not hold threads for minutes: 5 s to connect, 10 s for a statement, and as
    # long for a machine that does not acknowledge what it is sent, or is silent and does not answer when asked.
    timeouts = {
        "connect_timeout": 5,
        # What was acknowledged is on the disk, also where the cluster as a whole prefers to be quick.
        "options": "-c statement_timeout=10000 -c synchronous_commit=on",
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }
    arguments = timeouts if address.get_backend_name() == "postgresql" else {}
    engine = sql.create_engine(address, pool_pre_ping=True, connect_args=arguments)
    if address.get_backend_name() == "sqlite":
        sql.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Readers do not wait for the writer, writers wait 10 s for each other, and a commit survives a power cut."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
