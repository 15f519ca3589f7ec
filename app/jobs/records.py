"""Job records in SQL, shared by all worker processes: what was asked, how far it is, how it ended."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from app.errors import JobEnded, QueueFull, UnknownJob, Unprocessable
from app.jobs import leases, schema
from app.jobs.database import Database
from app.jobs.job import TERMINAL, Event, Job, Status
from app.jobs.leases import Holder
from app.jobs.schema import events, finishes, gate, jobs, make_tables, promotions, trials
from models_store.card import Promotion, Trial
from training.messages import IfBetter, Promote
from training.recipe.fit import most_epochs

# A training that has been cut off so often, or a search after the same trial, is not taken up once more.
MOST_RESUMPTIONS = 3
JOBS = sql.select(jobs, promotions.c.tolerance, promotions.c.decision).join_from(
    jobs, promotions, jobs.c.id == promotions.c.job, isouter=True
)


class Records:
    """The job records of one store, as long-lived as the app. All calls block; the event loop hands them to threads.

    Servers may share a database without sharing bundles: each sees the jobs of its own store. `queue` jobs may wait,
    and the newest `kept` ended jobs are remembered. Every call raises TrainingUnavailable where the database does not
    answer, and DiskFull where its disk is full.
    """

    def __init__(self, url: str, queue: int, *, kept: int = 1000, openings: int = 5) -> None:
        self._database = Database(url, lambda engine: make_tables(engine, self._store), openings)
        self._queue = queue
        self._kept = kept
        self._store = ""
        self._holder = Holder("")

    def open(self, store: str, place: str = "") -> None:
        """Make the tables if they are missing, and see only the jobs of this store from here on.

        Claim jobs at this `place`, where one process at a time does so.
        """
        self._store = store
        self._holder = Holder(place)
        self._database.open()

    def close(self) -> None:
        self._database.close()

    # -- submitting ------------------------------------------------------------------------------------------------

    def submit(
        self,
        recipe: dict[str, Any],
        *,
        promote: Promote,
        key: str | None,
        body: bytes,
        unless_under_way: bool = False,
    ) -> Job:
        """Return the new job, already durable; or the job that an earlier request with this idempotency key made.

        `unless_under_way`: or a job of the same pattern that has not ended.
        Raises QueueFull, and Unprocessable where the key came with another body before.
        """
        digest = hashlib.sha256(body).hexdigest()
        try:
            return self._insert(recipe, promote, key, digest, unless_under_way=unless_under_way)
        except IntegrityError:  # another request with this key was a moment earlier, in another process
            if key is None:
                raise
            with self._database.reading() as connection:
                found = self._by_key(connection, key, digest)
            if found is None:
                raise
            return found

    def _insert(
        self, recipe: dict[str, Any], promote: Promote, key: str | None, digest: str, *, unless_under_way: bool
    ) -> Job:
        with self._database.writing() as connection:
            connection.execute(sql.update(gate).where(gate.c.store == self._store).values(passed=gate.c.passed + 1))
            if key is not None and (known := self._by_key(connection, key, digest)) is not None:
                return known
            if unless_under_way and (other := self._under_way(connection, recipe["name"])) is not None:
                return other
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
                    promote=promote is True,
                    created=time.time(),
                    epochs=most_epochs(recipe["fit"]["epochs"]),
                    idempotency_key=key,
                    body_sha256=digest,
                )
            )
            if isinstance(promote, IfBetter):
                connection.execute(sql.insert(promotions).values(job=job, tolerance=promote.tolerance))
            _append(connection, job, [("queued", {"pattern": recipe["name"]})])
            self._forget_oldest(connection)
            return self._get(connection, job)

    def _by_key(self, connection: sql.Connection, key: str | None, digest: str) -> Job | None:
        query = JOBS.where(jobs.c.store == self._store, jobs.c.idempotency_key == key)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["body_sha256"] != digest:
            raise Unprocessable(
                "idempotency_key_reused",
                "this Idempotency-Key was used with another body; send that body again, or another key",
            )
        return Job.from_row(row)

    def _under_way(self, connection: sql.Connection, pattern: str) -> Job | None:
        """Return the newest job of the pattern that has not ended; None if all have."""
        of_pattern = JOBS.where(jobs.c.store == self._store, jobs.c.pattern == pattern)
        query = of_pattern.where(jobs.c.status.not_in(TERMINAL)).order_by(jobs.c.number.desc())
        row = connection.execute(query).mappings().first()
        return None if row is None else Job.from_row(row)

    def _forget_oldest(self, connection: sql.Connection) -> None:
        ended = sql.select(jobs.c.id).where(jobs.c.store == self._store, jobs.c.status.in_(TERMINAL))
        old = list(connection.execute(ended.order_by(jobs.c.number.desc()).offset(self._kept)).scalars())
        if old:
            for table in (events, trials, finishes, promotions, schema.leases):
                connection.execute(sql.delete(table).where(table.c.job.in_(old)))
            connection.execute(sql.delete(jobs).where(jobs.c.id.in_(old)))

    # -- reading ---------------------------------------------------------------------------------------------------

    def get(self, job: str) -> Job:
        """Raises UnknownJob."""
        _check_id(job)
        with self._database.reading() as connection:
            return self._get(connection, job)

    def recent(self, limit: int = 100) -> list[Job]:
        """Return the newest jobs, newest first."""
        query = JOBS.where(jobs.c.store == self._store).order_by(jobs.c.number.desc()).limit(limit)
        return self._jobs(query)

    def running(self) -> list[Job]:
        return self._jobs(JOBS.where(jobs.c.store == self._store, jobs.c.status == "running"))

    def events_after(self, job: str, number: int, limit: int = 500) -> list[Event]:
        """Return the events with a greater number, in order; none for an unknown job."""
        query = (
            sql.select(events)
            .join(jobs, jobs.c.id == events.c.job)
            .where(jobs.c.store == self._store, events.c.job == job, events.c.number > number)
            .order_by(events.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings()
            return [Event(row["number"], row["kind"], json.loads(row["data"])) for row in rows]

    def trials(self, job: str) -> list[Trial]:
        """Return the trials of a search that have ended, in order; none for any other job. Raises UnknownJob."""
        _check_id(job)
        with self._database.reading() as connection:
            self._get(connection, job)
            return self._trials(connection, job)

    def is_finishing(self, job: str) -> bool:
        """True if the best trial so far of a search is wanted."""
        with self._database.reading() as connection:
            return connection.execute(sql.select(finishes).where(finishes.c.job == job)).first() is not None

    def _trials(self, connection: sql.Connection, job: str) -> list[Trial]:
        query = sql.select(trials.c.data).where(trials.c.job == job).order_by(trials.c.number)
        return [Trial.model_validate_json(data) for data in connection.execute(query).scalars()]

    def _get(self, connection: sql.Connection, job: str) -> Job:
        query = JOBS.where(jobs.c.id == job, jobs.c.store == self._store)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise UnknownJob
        return Job.from_row(row)

    def _jobs(self, query: sql.Select[Any]) -> list[Job]:
        with self._database.reading() as connection:
            return [Job.from_row(row) for row in connection.execute(query).mappings()]

    # -- the life of a job -----------------------------------------------------------------------------------------

    def claim(self) -> Job | None:
        """Return the oldest queued job, now running and leased to this process; None if there is none.

        One that another process has claimed at the same moment is not looked past: the next call does.
        """
        queued = sql.select(jobs.c.id).where(jobs.c.store == self._store, jobs.c.status == "queued")
        with self._database.writing() as connection:
            job = connection.execute(queued.order_by(jobs.c.number).limit(1)).scalar()
            if job is None:
                return None
            now = time.time()
            started = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "queued")
            if connection.execute(started.values(status="running", started=now, heartbeat=now)).rowcount == 0:
                return None
            leases.give_up(connection, job)  # that of an earlier run, if a release without leases ended it
            leases.grant(connection, job, self._holder)
            return self._get(connection, job)

    def renew(self, job: str) -> bool:
        """Extend the lease of a running job; False if another process has taken the job up."""
        with self._database.writing() as connection:
            return leases.renew(connection, job, self._holder)

    def take_over(self) -> list[Job]:
        """Return the running jobs whose process is gone, now leased to this one."""
        try:
            with self._database.writing() as connection:
                return [self._get(connection, job) for job in leases.take_over(connection, self._store, self._holder)]
        except IntegrityError:  # another process took one at the same moment
            return []

    def unclaim(self, job: str) -> None:
        """Put a job that was claimed and never begun back into the queue."""
        with self._database.writing() as connection:
            if leases.renew(connection, job, self._holder):
                claimed = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "running")
                connection.execute(claimed.values(status="queued", started=None, heartbeat=None))
                leases.give_up(connection, job)

    def progress(self, job: str, happened: Sequence[tuple[str, dict[str, Any]]], **columns: object) -> None:
        """Record events of a running job, and new values of its columns, in one transaction.

        Does nothing to a job that does not run in this process.
        """
        with self._database.writing() as connection:
            self._note(connection, job, happened, columns)

    def add_trial(self, job: str, trial: Trial, happened: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Record a trial of a running search, and events, in one transaction.

        Does nothing to a job that does not run in this process.
        """
        this = sql.and_(trials.c.job == job, trials.c.number == trial.number)
        row = {"job": job, "number": trial.number, "data": trial.model_dump_json()}
        with self._database.writing() as connection:
            if self._note(connection, job, happened, {}):
                # A trial that another release of Optuna has chosen otherwise is run anew.
                connection.execute(sql.delete(trials).where(this))
                connection.execute(sql.insert(trials).values(row))

    def add_promotion(self, job: str, promotion: Promotion) -> None:
        """Record whether the version of a running job is promoted, and tell of it.

        Does nothing to a job that does not run in this process.
        """
        told = promotion.model_dump(mode="json")
        with self._database.writing() as connection:
            if self._note(connection, job, [("compared", told)], {}):
                of_job = sql.update(promotions).where(promotions.c.job == job)
                connection.execute(of_job.values(decision=json.dumps(told)))

    def resume(self, job: str) -> bool:
        """Put a job that was cut off back into the queue; False if it was so too often, and got no further.

        A job that has ended, that was asked to stop, or that another process has taken up is not put back.
        """
        with self._database.writing() as connection:
            if not leases.renew(connection, job, self._holder):
                return False
            found = self._get(connection, job)
            done = len(self._trials(connection, job))
            if self._resumed_at(connection, job).count(done) >= MOST_RESUMPTIONS:
                return False
            lost = sql.update(jobs).where(
                jobs.c.id == job, jobs.c.status == "running", jobs.c.cancel_requested.is_(False)
            )
            is_search = found.recipe.get("search") is not None
            # A training begins anew; the progress of a search stands.
            anew = {} if is_search else {"epoch": 0, "loss": None, "val_loss": None, "metrics": None}
            if not connection.execute(lost.values(status="queued", eta_s=None, **anew)).rowcount:
                return False
            leases.give_up(connection, job)
            _append(connection, job, [("resumed", {"trials": done} if is_search else {})])
        return True

    def _resumed_at(self, connection: sql.Connection, job: str) -> list[int]:
        """Return the number of trials at each resumption; 0 for a training that is no search."""
        query = sql.select(events.c.data).where(events.c.job == job, events.c.kind == "resumed")
        return [json.loads(data).get("trials", 0) for data in connection.execute(query).scalars()]

    def end(
        self,
        job: str,
        status: Status,
        code: str | None = None,
        message: str | None = None,
        version: int | None = None,
    ) -> bool:
        """Return False, and change nothing, if the job had ended already, or another process has taken it up."""
        kind = "published" if status == "succeeded" else status
        data: dict[str, Any] = {"code": code, "message": message} if code else {}
        if version is not None:
            data = {"version": version, **({"note": message} if message else {})}
        with self._database.writing() as connection:
            if not leases.renew(connection, job, self._holder) and leases.is_held(connection, job):
                return False
            still_open = sql.update(jobs).where(jobs.c.id == job, jobs.c.status.in_(("queued", "running")))
            ended = still_open.values(
                status=status, finished=time.time(), version=version, error_code=code, error_message=message, eta_s=None
            )
            if not connection.execute(ended).rowcount:
                return False
            leases.give_up(connection, job)
            _append(connection, job, [(kind, data)])
        return True

    def cancel(self, job: str) -> Job:
        """End a queued job at once, or ask a running one to stop. Raises UnknownJob and JobEnded."""
        _check_id(job)
        mine = sql.and_(jobs.c.id == job, jobs.c.store == self._store)
        with self._database.writing() as connection:
            # In this order: a job that starts between the two is caught by the second.
            queued = sql.update(jobs).where(mine, jobs.c.status == "queued")
            ended = connection.execute(queued.values(status="cancelled", finished=time.time())).rowcount
            if ended:
                _append(connection, job, [("cancelled", {})])
            running = sql.update(jobs).where(mine, jobs.c.status == "running")
            asked = connection.execute(running.values(cancel_requested=True)).rowcount
            found = self._get(connection, job)
        if not (ended or asked):
            raise JobEnded(found.status)
        return found

    def finish(self, job: str) -> Job:
        """Ask a running search to end with its best trial so far. Raises UnknownJob, JobEnded, and Unprocessable.

        A queued search has no trial yet, and is cancelled, unless it is one that was cut off.
        """
        found = self.get(job)
        if found.recipe.get("search") is None:
            raise Unprocessable("bad_parameter", "only a search has a best trial so far; leave out publish=best")
        if found.status == "queued" and not self.trials(job):
            return self.cancel(job)
        if found.has_ended:
            raise JobEnded(found.status)
        with self._database.writing() as connection:
            connection.execute(sql.delete(finishes).where(finishes.c.job == job))
            connection.execute(sql.insert(finishes).values(job=job))
        return found

    def _note(
        self,
        connection: sql.Connection,
        job: str,
        happened: Sequence[tuple[str, dict[str, Any]]],
        columns: dict[str, object],
    ) -> bool:
        """Record events of a job, and new values of its columns, if it runs in this process; False if it does not."""
        if not leases.renew(connection, job, self._holder):
            return False
        alive = sql.update(jobs).where(jobs.c.id == job, jobs.c.status == "running")
        if not connection.execute(alive.values(heartbeat=time.time(), **columns)).rowcount:
            return False
        _append(connection, job, happened)
        return True


def _append(connection: sql.Connection, job: str, happened: Sequence[tuple[str, dict[str, Any]]]) -> None:
    if not happened:
        return
    last = connection.execute(sql.select(sql.func.max(events.c.number)).where(events.c.job == job)).scalar() or 0
    rows = [
        {"job": job, "number": last + place, "kind": kind, "data": json.dumps(data)}
        for place, (kind, data) in enumerate(happened, start=1)
    ]
    connection.execute(sql.insert(events), rows)


def _check_id(job: str) -> None:
    """Raise UnknownJob for what cannot be an id; PostgreSQL would refuse some of it, such as a zero byte."""
    if re.fullmatch(r"[0-9a-f]{32}", job) is None:
        raise UnknownJob
