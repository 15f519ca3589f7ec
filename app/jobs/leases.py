"""Leases of jobs: which process runs a job, and until when nobody else may take it up.

All times are read from the clock of the database, so that those of the machines may differ. A process that ends loses
its leases after `LEASE_SECONDS`. The next one at the same place, which has the lock that the dead one held, takes them
at once.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sql

from app.jobs.schema import jobs, leases

# Long enough for a database that is started anew or a process that stands still for a while.
LEASE_SECONDS = 15.0


@dataclass(frozen=True)
class Holder:
    """A process that runs jobs, under the lock at a place: no two processes at one place run jobs at the same time."""

    place: str
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


def grant(connection: sql.Connection, job: str, holder: Holder) -> None:
    """Give the lease of a job that has none. Raises IntegrityError if another process gave one at the same moment."""
    connection.execute(sql.insert(leases).values(job=job, **_terms(connection, holder)))


def renew(connection: sql.Connection, job: str, holder: Holder) -> bool:
    """Extend the lease, and keep others from taking it until the transaction ends; False if it is not this holder's."""
    mine = sql.update(leases).where(leases.c.job == job, leases.c.holder == holder.name)
    return bool(connection.execute(mine.values(until=_now(connection) + LEASE_SECONDS)).rowcount)


def take_over(connection: sql.Connection, store: str, holder: Holder) -> list[str]:
    """Take the leases of all running jobs of a store whose process is gone, and return these jobs.

    Raises IntegrityError if another process does so at the same moment, with a job that had no lease.
    """
    here = leases.c.place == holder.place
    running = sql.select(jobs.c.id).where(jobs.c.store == store, jobs.c.status == "running")
    free = sql.or_(here, leases.c.until < _now(connection))
    lost = sql.select(leases.c.job).where(leases.c.job.in_(running), free)
    # Those without a lease were begun by an earlier release.
    unleased = running.where(jobs.c.id.not_in(sql.select(leases.c.job)))
    taken = [job for job in connection.execute(lost).scalars() if _take(connection, job, free, holder)]
    for job in connection.execute(unleased).scalars().all():
        grant(connection, job, holder)
        taken.append(job)
    return taken


def give_up(connection: sql.Connection, job: str) -> None:
    connection.execute(sql.delete(leases).where(leases.c.job == job))


def is_held(connection: sql.Connection, job: str) -> bool:
    return connection.execute(sql.select(leases).where(leases.c.job == job)).first() is not None


def _take(connection: sql.Connection, job: str, free: sql.ColumnElement[bool], holder: Holder) -> bool:
    """Take a lease that has ended, unless it has been renewed or taken in the meantime."""
    taking = sql.update(leases).where(leases.c.job == job, free)
    return bool(connection.execute(taking.values(**_terms(connection, holder))).rowcount)


def _terms(connection: sql.Connection, holder: Holder) -> dict[str, Any]:
    return {"holder": holder.name, "place": holder.place, "until": _now(connection) + LEASE_SECONDS}


def _now(connection: sql.Connection) -> sql.ColumnElement[float]:
    """Return the time on the database's clock, in seconds since 1970: that of the statement, not of its transaction."""
    if connection.dialect.name == "sqlite":
        return (sql.func.julianday("now", type_=sql.Float) - 2440587.5) * 86400.0
    return sql.cast(sql.extract("epoch", sql.func.clock_timestamp()), sql.Float)
