"""What versions were asked, and how far their answers were off, in SQL, shared by all worker processes.

minutes, of each process, replaced as they grow -> hours, of all processes -> days -> forgotten
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sql

from app.drift.remembered import REMEMBERED_SECONDS, AnswerRecords, Remembered
from app.jobs.database import Database
from app.jobs.schema import asked, gate, make_tables, outcomes, shadowed
from app.telemetry.slots import SLOT_SECONDS
from models_store.arrays import Array

HOUR, DAY = 3600, 86400
# Seconds after which slots become hours, hours become days, and days are forgotten.
FOLDED_AFTER = ((SLOT_SECONDS, HOUR, 2 * HOUR), (HOUR, DAY, 2 * DAY))
FORGOTTEN_AFTER = 30 * DAY
# The writer of what was folded.
ALL = ""


class Kept(NamedTuple):
    """Counts of one version in some seconds: float64 (n,), whole numbers."""

    pattern: str
    version: int
    began: int
    seconds: int
    writer: str
    counts: Array
    champion: int = 0
    """The version that a shadow was compared with; 0 of other counts."""


class CountRecords:
    """All counts of one store, as long-lived as the app. All calls block.

    Every call raises TrainingUnavailable where the database does not answer, and DiskFull where its disk is full.
    """

    def __init__(self, url: str, *, openings: int = 5) -> None:
        self._database = Database(url, lambda engine: make_tables(engine, self._store), openings)
        self._store = ""

    def open(self, store: str) -> None:
        """Make the tables if they are missing, and see only what is of this store from here on."""
        self._store = store
        self._database.open()

    def close(self) -> None:
        self._database.close()

    @property
    def asked(self) -> "Counts":
        """What versions were asked, and what they answered."""
        return Counts(self._database, asked, self._store)

    @property
    def outcomes(self) -> "Counts":
        """How far their answers were off."""
        return Counts(self._database, outcomes, self._store)

    @property
    def shadowed(self) -> "Counts":
        """How far the answers of shadows were from the champion's."""
        return Counts(self._database, shadowed, self._store)

    @property
    def answered(self) -> AnswerRecords:
        """What the last requests were answered."""
        return AnswerRecords(self._database, self._store)

    def tell(self, request: Remembered, off: Kept) -> bool:
        """Add how far the answers to a request were off, once: False if that was told, or it is remembered no longer.

        Of several processes that are told of it at the same moment, one adds it.
        """
        with self._database.writing() as connection:
            is_first = self.answered.tell(connection, request)
            if is_first:
                self.outcomes.add_within(connection, off)
        return is_first

    def fold(self, now: float) -> None:
        """Put old slots together into hours, and old hours into days; forget what is older."""
        for counts in (self.asked, self.outcomes, self.shadowed):
            counts.fold(now)
        self.answered.forget(now - REMEMBERED_SECONDS)


class Counts:
    """The counts of one kind, in a table of their own."""

    def __init__(self, database: Database, table: sql.Table, store: str) -> None:
        self._database = database
        self._table = table
        self._store = store
        # What tells counts apart, beside the seconds.
        self._of_what = [name for name in ("pattern", "version", "champion") if name in table.c]

    def save(self, kept: Sequence[Kept]) -> None:
        """Record counts in place of what the same writer has recorded of the same seconds."""
        with self._database.writing() as connection:
            for one in kept:
                connection.execute(sql.delete(self._table).where(self._is(one), self._table.c.writer == one.writer))
            self._insert(connection, kept)

    def add(self, one: Kept) -> None:
        """Record counts in addition to what the same writer has recorded of the same seconds; nobody else writes it."""
        with self._database.writing() as connection:
            self.add_within(connection, one)

    def add_within(self, connection: sql.Connection, one: Kept) -> None:
        """Do as `add` does, as a part of a transaction."""
        mine = sql.and_(self._is(one), self._table.c.writer == one.writer)
        before = [_kept(row) for row in connection.execute(sql.select(self._table).where(mine)).mappings()]
        connection.execute(sql.delete(self._table).where(mine))
        self._insert(connection, [one._replace(counts=summed([one, *before]))])

    def since(self, moment: float, **of: str | int | None) -> list[Kept]:
        """Return what is kept since a moment, in seconds since 1970; what began before it is whole.

        Of everything, or of one `pattern`, `version` and `champion`.
        """
        query = sql.select(self._table).where(
            self._table.c.store == self._store, self._table.c.began + self._table.c.seconds > int(moment)
        )
        query = query.where(*(self._table.c[name] == value for name, value in of.items() if value is not None))
        with self._database.reading() as connection:
            return [_kept(row) for row in connection.execute(query.order_by(self._table.c.began)).mappings()]

    def fold(self, now: float) -> None:
        """Put old slots together into hours, and old hours into days; forget what is older."""
        with self._database.writing() as connection:
            # One process at a time: two would count the same slots twice.
            connection.execute(sql.update(gate).where(gate.c.store == self._store).values(passed=gate.c.passed + 1))
            for seconds, longer, age in FOLDED_AFTER:
                self._fold(connection, seconds, longer, int(now - age) // longer * longer)
            too_old = self._table.c.began + self._table.c.seconds < int(now - FORGOTTEN_AFTER)
            connection.execute(sql.delete(self._table).where(self._table.c.store == self._store, too_old))

    def _fold(self, connection: sql.Connection, seconds: int, longer: int, before: int) -> None:
        """Fold what began before a moment, which is a multiple of `longer`."""
        mine = sql.and_(self._table.c.store == self._store, self._table.c.began < before)
        old = sql.select(self._table).where(mine, self._table.c.seconds == seconds)
        parts: defaultdict[tuple[str, int, int, int], list[Kept]] = defaultdict(list)
        for row in connection.execute(old).mappings():
            one = _kept(row)
            parts[one.pattern, one.version, one.champion, one.began // longer * longer].append(one)
        folded: list[Kept] = []
        for (pattern, version, champion, began), part in parts.items():
            one = Kept(pattern, version, began, longer, ALL, summed(part), champion)
            # Something may have been folded into it before.
            query = sql.select(self._table).where(self._is(one), self._table.c.writer == ALL)
            before_it = [_kept(row) for row in connection.execute(query).mappings()]
            folded.append(one._replace(counts=summed([*part, *before_it])))
            connection.execute(sql.delete(self._table).where(self._is(one), self._table.c.writer == ALL))
        connection.execute(sql.delete(self._table).where(mine, self._table.c.seconds == seconds))
        self._insert(connection, folded)

    def _is(self, one: Kept) -> sql.ColumnElement[bool]:
        names = (*self._of_what, "began", "seconds")
        return sql.and_(
            self._table.c.store == self._store, *(self._table.c[name] == getattr(one, name) for name in names)
        )

    def _insert(self, connection: sql.Connection, kept: Iterable[Kept]) -> None:
        names = (*self._of_what, "began", "seconds", "writer")
        rows = [
            {name: getattr(one, name) for name in names}
            | {"store": self._store, "counts": zlib.compress(one.counts.astype("<f8").tobytes(), 1)}
            for one in kept
        ]
        if rows:
            connection.execute(sql.insert(self._table), rows)


def summed(kept: Sequence[Kept]) -> Array:
    """Return the sum of counts, float64 (n,); those of other histograms than the latest are left out."""
    latest = max(kept, key=lambda one: one.began)
    counts: Array = np.sum([one.counts for one in kept if len(one.counts) == len(latest.counts)], axis=0)
    return counts


def _kept(row: sql.RowMapping) -> Kept:
    counts = np.frombuffer(zlib.decompress(row["counts"]), dtype="<f8").astype(np.float64)
    of_slot = (row["pattern"], row["version"], row["began"], row["seconds"], row["writer"])
    return Kept(*of_slot, counts, row.get("champion", 0))
