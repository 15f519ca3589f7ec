"""Job records in SQL: what was asked, how far it is, how it ended. Every worker process reads and writes the same.

queued -> running -> succeeded | failed | cancelled | interrupted        nothing leaves a terminal state
"""

import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import JobEnded, QueueFull, TrainingUnavailable, UnknownJob, Unprocessable
from models_store.errors import DiskFull

Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
TERMINAL = ("succeeded", "failed", "cancelled", "interrupted")
KEPT = 1000
OPENINGS = 5

tables = sql.MetaData()
jobs = sql.Table(
    "pattern_jobs",
    tables,
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("id", sql.String(32), nullable=False, unique=True),
    sql.Column("store", sql.String(32), nullable=False),
    sql.Column("pattern", sql.String(63), nullable=False),
    sql.Column("status", sql.String(16), nullable=False),
    sql.Column("recipe", sql.Text, nullable=False),
    sql.Column("promote", sql.Boolean, nullable=False),
    sql.Column("created", sql.Float, nullable=False),
    sql.Column("started", sql.Float),
    sql.Column("heartbeat", sql.Float),
    sql.Column("finished", sql.Float),
    sql.Column("epochs", sql.Integer, nullable=False),
    sql.Column("epoch", sql.Integer, nullable=False, default=0),
    sql.Column("loss", sql.Float),
    sql.Column("val_loss", sql.Float),
    sql.Column("eta_s", sql.Float),
    sql.Column("version", sql.Integer),
    sql.Column("metrics", sql.Text),
    sql.Column("error_code", sql.String(64)),
    sql.Column("error_message", sql.Text),
    sql.Column("cancel_requested", sql.Boolean, nullable=False, default=False),
    sql.Column("idempotency_key", sql.String(255)),
    sql.Column("body_sha256", sql.String(64)),
    sql.UniqueConstraint("store", "idempotency_key"),
    sql.Index("pattern_jobs_by_status", "store", "status", "number"),
)
events = sql.Table(
    "pattern_job_events",
    tables,
    sql.Column("job", sql.String(32), primary_key=True),
    sql.Column("number", sql.Integer, primary_key=True),
    sql.Column("kind", sql.String(16), nullable=False),
    sql.Column("data", sql.Text, nullable=False),
)
# Whoever changes this row in a transaction makes the others wait: one count of the queue at a time, on any database.
gate = sql.Table(
    "pattern_gate", tables, sql.Column("store", sql.String(32), primary_key=True), sql.Column("passed", sql.Integer)
)


@dataclass(frozen=True)
class Job:
    """A training run as it stands in the database."""

    id: str
    pattern: str
    status: Status
    recipe: dict[str, Any]
    promote: bool
    cancel_requested: bool
    row: dict[str, Any]

    @property
    def has_ended(self) -> bool:
        return self.status in TERMINAL

    def to_json(self) -> dict[str, Any]:
        """The shape of a job in the API; times are UTC, ISO 8601."""
        row = self.row
        error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
        return {
            "id": self.id,
            "pattern": self.pattern,
            "status": self.status,
            "progress": {name: row[name] for name in ("epoch", "epochs", "loss", "val_loss", "eta_s")},
            "version": row["version"],
            "metrics": json.loads(row["metrics"]) if row["metrics"] else None,
            "error": error,
            "times": {name: _iso(row[name]) for name in ("created", "started", "heartbeat", "finished")},
            "links": {
                "self": f"/train/{self.id}",
                "events": f"/train/{self.id}/events",
                "cancel": f"/train/{self.id}",
            },
        }


@dataclass(frozen=True)
class Event:
    number: int
    kind: str
    data: dict[str, Any]


class Records:
    """One for the app. All calls block; the event loop hands them to threads. Each store sees its own jobs, so that
    servers may share a database but not their bundles."""

    def __init__(self, url: str, queue: int) -> None:
        self._engine = _engine(url)
        self._queue = queue
        self._store = ""
        self._file: tuple[int, int] | None = None
        self._moving = threading.Lock()

    def open(self, store: str) -> None:
        """Make the tables if they are missing; from here on only the jobs of this store are seen."""
        self._store = store
        with self._translated():
            self._make_ready()

    def _make_ready(self) -> None:
        for attempt in range(OPENINGS):
            try:
                self._make_tables()
                self._file = _file_of(self._engine.url) or self._file
                return
            except (DBAPIError, PoolTimeout):
                # Another process makes the same tables at this moment; the next look finds them.
                if attempt == OPENINGS - 1:
                    raise
                time.sleep(0.1)

    def _make_tables(self) -> None:
        tables.create_all(self._engine, checkfirst=True)
        with self._engine.begin() as connection:
            if connection.execute(sql.select(gate).where(gate.c.store == self._store)).first() is None:
                connection.execute(sql.insert(gate).values(store=self._store, passed=0))

    def close(self) -> None:
        self._engine.dispose()

    # -- asking for trainings --------------------------------------------------------------------------------------

    def submit(self, recipe: dict[str, Any], *, promote: bool, key: str | None, body: bytes) -> Job:
        """The new job, durable on return; with a key that was used before, the job that it made then."""
        digest = hashlib.sha256(body).hexdigest()
        with self._translated():
            try:
                return self._insert(recipe, promote, key, digest)
            except IntegrityError:  # another request with this key was a moment earlier, in another process
                if key is None:
                    raise
                with self._engine.connect() as connection:
                    found = self._by_key(connection, key, digest)
                if found is None:
                    raise
                return found

    def _insert(self, recipe: dict[str, Any], promote: bool, key: str | None, digest: str) -> Job:
        with self._engine.begin() as connection:
            connection.execute(sql.update(gate).where(gate.c.store == self._store).values(passed=gate.c.passed + 1))
            if key is not None and (known := self._by_key(connection, key, digest)) is not None:
                return known
            waiting = sql.select(sql.func.count()).where(jobs.c.store == self._store, jobs.c.status == "queued")
            if connection.execute(waiting).scalar_one() >= self._queue:
                raise QueueFull(self._queue)
            job = uuid.uuid4().hex
            connection.execute(
                sql.insert(jobs).values(
                    id=job,
                    store=self._store,
                    pattern=recipe["name"],
                    status="queued",
                    recipe=json.dumps(recipe),
                    promote=promote,
                    created=time.time(),
                    epochs=recipe["fit"]["epochs"],
                    idempotency_key=key,
                    body_sha256=digest,
                )
            )
            self._append(connection, job, [("queued", {"pattern": recipe["name"]})])
            self._forget_oldest(connection)
            return self._get(connection, job)

    def _by_key(self, connection: sql.Connection, key: str | None, digest: str) -> Job | None:
        query = sql.select(jobs).where(jobs.c.store == self._store, jobs.c.idempotency_key == key)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["body_sha256"] != digest:
            raise Unprocessable("idempotency_key_reused", "this Idempotency-Key was used with another body")
        return _job(row)

    def _forget_oldest(self, connection: sql.Connection) -> None:
        ended = sql.select(jobs.c.id).where(jobs.c.store == self._store, jobs.c.status.in_(TERMINAL))
        old = list(connection.execute(ended.order_by(jobs.c.number.desc()).offset(KEPT)).scalars())
        if old:
            connection.execute(sql.delete(events).where(events.c.job.in_(old)))
            connection.execute(sql.delete(jobs).where(jobs.c.id.in_(old)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, job: str) -> Job:
        _check_id(job)
        with self._translated(), self._engine.connect() as connection:
            return self._get(connection, job)

    def recent(self, limit: int = 100) -> list[Job]:
        """Newest first."""
        query = sql.select(jobs).where(jobs.c.store == self._store).order_by(jobs.c.number.desc()).limit(limit)
        with self._translated(), self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    def events_after(self, job: str, number: int, limit: int = 500) -> list[Event]:
        query = (
            sql.select(events)
            .join(jobs, jobs.c.id == events.c.job)
            .where(jobs.c.store == self._store, events.c.job == job, events.c.number > number)
            .order_by(events.c.number)
            .limit(limit)
        )
        with self._translated(), self._engine.connect() as connection:
            return [
                Event(row["number"], row["kind"], json.loads(row["data"]))
                for row in connection.execute(query).mappings()
            ]

    def running(self) -> list[Job]:
        query = sql.select(jobs).where(jobs.c.store == self._store, jobs.c.status == "running")
        with self._translated(), self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(query).mappings()]

    # -- the life of a job -----------------------------------------------------------------------------------------

    def claim(self) -> Job | None:
        """The oldest queued job, now running; None if there is none. Only the process that leads calls this."""
        oldest = (
            sql.select(jobs.c.id).where(jobs.c.store == self._store, jobs.c.status == "queued").order_by(jobs.c.number)
        )
        with self._translated(), self._engine.begin() as connection:
            job = connection.execute(oldest.limit(1)).scalar()
            if job is None:
                return None
            now = time.time()
            started = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "queued")
            if connection.execute(started.values(status="running", started=now, heartbeat=now)).rowcount == 0:
                return None
            return self._get(connection, job)

    def unclaim(self, job: str) -> None:
        """Back into the queue: it was claimed and never begun."""
        with self._translated(), self._engine.begin() as connection:
            claimed = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "running")
            connection.execute(claimed.values(status="queued", started=None, heartbeat=None))

    def progress(self, job: str, happened: Sequence[tuple[str, dict[str, Any]]], **columns: object) -> None:
        """Events of a running job, and what they change in its record, in one transaction."""
        with self._translated(), self._engine.begin() as connection:
            alive = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "running")
            if connection.execute(alive.values(heartbeat=time.time(), **columns)).rowcount:
                self._append(connection, job, happened)

    def end(
        self,
        job: str,
        status: Status,
        code: str | None = None,
        message: str | None = None,
        version: int | None = None,
    ) -> bool:
        """False if the job had ended already; its first end stands."""
        kind = "published" if status == "succeeded" else status
        data = {"version": version} if version is not None else {"code": code, "message": message} if code else {}
        with self._translated(), self._engine.begin() as connection:
            still_open = sql.update(jobs).where(jobs.c.id == job, jobs.c.status.in_(("queued", "running")))
            ended = still_open.values(
                status=status, finished=time.time(), version=version, error_code=code, error_message=message, eta_s=None
            )
            if not connection.execute(ended).rowcount:
                return False
            self._append(connection, job, [(kind, data)])
        return True

    def cancel(self, job: str) -> Job:
        """A queued job ends at once; a running one is asked to. JobEnded if it has ended."""
        _check_id(job)
        mine = sql.and_(jobs.c.id == job, jobs.c.store == self._store)
        with self._translated(), self._engine.begin() as connection:
            # In this order: a job that starts between the two is caught by the second.
            queued = sql.update(jobs).where(mine, jobs.c.status == "queued")
            ended = connection.execute(queued.values(status="cancelled", finished=time.time())).rowcount
            if ended:
                self._append(connection, job, [("cancelled", {})])
            running = sql.update(jobs).where(mine, jobs.c.status == "running")
            asked = connection.execute(running.values(cancel_requested=True)).rowcount
            found = self._get(connection, job)
        if not (ended or asked):
            raise JobEnded(found.status)
        return found

    # -- parts -----------------------------------------------------------------------------------------------------

    def _get(self, connection: sql.Connection, job: str) -> Job:
        query = sql.select(jobs).where(jobs.c.id == job, jobs.c.store == self._store)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise UnknownJob
        return _job(row)

    def _append(self, connection: sql.Connection, job: str, happened: Sequence[tuple[str, dict[str, Any]]]) -> None:
        if not happened:
            return
        last = connection.execute(sql.select(sql.func.max(events.c.number)).where(events.c.job == job)).scalar() or 0
        rows = [
            {"job": job, "number": last + place, "kind": kind, "data": json.dumps(data)}
            for place, (kind, data) in enumerate(happened, start=1)
        ]
        connection.execute(sql.insert(events), rows)

    def _follow_file(self) -> None:
        """SQLite writes on into a file that was deleted or replaced; what it is told from now on is in the new one."""
        with self._moving:
            if self._file is not None and self._file != _file_of(self._engine.url):
                self._engine.dispose()
                self._make_ready()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            self._follow_file()
            yield
        except IntegrityError:
            raise  # whoever provokes one knows what it means
        except (DBAPIError, PoolTimeout) as error:
            if "disk is full" in str(error) or "No space left" in str(error):
                raise DiskFull from error
            raise TrainingUnavailable("the database of the job records cannot be reached or written") from error


def _check_id(job: str) -> None:
    """No id of ours looks otherwise, and not every database can be asked for every text."""
    if re.fullmatch(r"[0-9a-f]{32}", job) is None:
        raise UnknownJob


def _job(row: sql.RowMapping) -> Job:
    return Job(
        row["id"],
        row["pattern"],
        row["status"],
        json.loads(row["recipe"]),
        row["promote"],
        row["cancel_requested"],
        dict(row),
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _file_of(address: sql.URL) -> tuple[int, int] | None:
    """Which file it is now; None if there is none, as with PostgreSQL."""
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
    # A database that no longer answers must not hold threads for minutes.
    patience = {"connect_timeout": 5, "options": "-c statement_timeout=10000"}
    waits = patience if address.get_backend_name() == "postgresql" else {}
    engine = sql.create_engine(address, pool_pre_ping=True, connect_args=waits)
    if address.get_backend_name() == "sqlite":
        sql.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Readers do not wait for the writer, writers wait for each other, and what was committed survives a power cut."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
