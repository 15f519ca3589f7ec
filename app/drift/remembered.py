"""The answers to the last requests of a store, in SQL, until their outcomes are told or newer ones take their place."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from app.drift.outcomes import said_of
from app.jobs.database import Database
from app.jobs.schema import answered
from app.telemetry.answer_log import Logged
from models_store.arrays import Array

# As long as the counts of what is asked.
REMEMBERED_SECONDS = 30 * 86400


class Remembered(NamedTuple):
    """What one request was answered."""

    pattern: str
    request_id: str
    version: int
    answered: float
    """Seconds since 1970."""
    is_told: bool
    """True if its outcomes were told: its answers are forgotten then."""
    said: Array
    """Numbers in raw units, float64 (n_rows, n_outputs), or the places of the most probable labels, (n_rows, 1)."""


class AnswerRecords:
    """The remembered answers of one store. All calls block, and raise what those of a Database raise."""

    def __init__(self, database: Database, store: str) -> None:
        self._database = database
        self._store = store

    def save(self, logged: Sequence[Logged]) -> None:
        """Record answers. Of a pattern's requests with the same id, the one that was answered last is remembered."""
        # Sorted, so that two processes that write the same ids wait for each other in the same order.
        latest = {(one.request_id, one.bundle.pattern): one for one in sorted(logged, key=lambda one: one.answered)}
        with self._database.writing() as connection:
            connection.execute(self._newest(), [self._row(latest[key]) for key in sorted(latest)])

    def _newest(self) -> sql.Executable:
        """Return the statement that records a row, in place of an older one with its id."""
        dialect = postgresql if self._database.engine.dialect.name == "postgresql" else sqlite
        insert = dialect.insert(answered)
        others = {column.name: insert.excluded[column.name] for column in answered.c if not column.primary_key}
        newest: sql.Executable = insert.on_conflict_do_update(
            index_elements=list(answered.primary_key.columns),
            set_=others,
            where=answered.c.answered < insert.excluded.answered,
        )
        return newest

    def _row(self, one: Logged) -> dict[str, object]:
        said = said_of(one.answers, one.bundle)
        return {
            "store": self._store,
            "request": one.request_id,
            "pattern": one.bundle.pattern,
            "version": one.version,
            "answered": one.answered,
            "is_told": False,
            "outputs": said.shape[1],
            "said": said.astype("<f8").tobytes(),
        }

    def find(self, request_id: str) -> list[Remembered]:
        """Return what is remembered of requests with an id: one for each pattern."""
        query = sql.select(answered).where(answered.c.store == self._store, answered.c.request == request_id)
        with self._database.reading() as connection:
            return [_remembered(row) for row in connection.execute(query).mappings()]

    def tell(self, connection: sql.Connection, one: Remembered) -> bool:
        """Note that the outcomes of a request were told; False if they had been, or it is remembered no longer."""
        untold = sql.and_(
            answered.c.store == self._store,
            answered.c.request == one.request_id,
            answered.c.pattern == one.pattern,
            answered.c.answered == one.answered,
            answered.c.is_told == sql.false(),
        )
        return connection.execute(sql.update(answered).where(untold).values(is_told=True, said=b"")).rowcount == 1

    def prune(self, most: int) -> None:
        """Forget all but the newest requests."""
        mine = answered.c.store == self._store
        newest = sql.select(answered.c.answered).where(mine).order_by(answered.c.answered.desc())
        beyond = newest.offset(most).limit(1).scalar_subquery()
        with self._database.writing() as connection:
            connection.execute(sql.delete(answered).where(mine, answered.c.answered <= beyond))

    def forget(self, before: float) -> None:
        """Forget what was answered before a moment, in seconds since 1970."""
        too_old = sql.and_(answered.c.store == self._store, answered.c.answered < before)
        with self._database.writing() as connection:
            connection.execute(sql.delete(answered).where(too_old))


def _remembered(row: sql.RowMapping) -> Remembered:
    said = np.frombuffer(row["said"], dtype="<f8").astype(np.float64)
    return Remembered(
        row["pattern"],
        row["request"],
        row["version"],
        row["answered"],
        row["is_told"],
        said.reshape(-1, row["outputs"]),
    )
