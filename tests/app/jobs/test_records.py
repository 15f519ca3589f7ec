"""Job records: durable, in order, counted and numbered without gaps, on SQLite and PostgreSQL alike."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql

from app.errors import JobEnded, QueueFull, TrainingUnavailable, UnknownJob, Unprocessable
from app.jobs.job import TERMINAL, Event, Job
from app.jobs.records import Records
from app.jobs.schema import leases
from models_store.errors import DiskFull
from tests.app.jobs.conftest import OpenRecords, Outage
from tests.app.jobs.fakes import SCORES, recipe
from tests.app.jobs.postgres import Postgres

# A process that submits a job, and is killed at once.
SUBMIT_AND_DIE = """
import json, os, signal, sys
from app.jobs.records import Records
records = Records(sys.argv[1], 16)
records.open("here")
job = records.submit(json.loads(sys.argv[2]), promote=True, key=None, body=b"")
os.write(1, job.id.encode())
os.kill(os.getpid(), signal.SIGKILL)
"""


def submit(records: Records, name: str = "line", *, key: str | None = None, body: bytes = b"{}") -> Job:
    return records.submit(recipe(name).to_json(), promote=True, key=key, body=body)


def submit_to_end(records: Records) -> Job:
    job = submit(records)
    records.end(job.id, "succeeded", version=1)
    return records.get(job.id)


def heard(records: Records, job: str, after: int = 0) -> list[tuple[int, str]]:
    return [(event.number, event.kind) for event in records.events_after(job, after)]


def together(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all at the same time; return the result, or the exception, of each."""
    start = threading.Barrier(len(acts))

    def do(act: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return act()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is compared
            return error

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(do, acts))


# -- submitting ----------------------------------------------------------------------------------------------------


def test_what_was_submitted_is_what_everybody_reads(records: Records, open_records: OpenRecords) -> None:
    job = submit(records)
    assert (job.pattern, job.status, job.recipe, job.promote) == ("line", "queued", recipe().to_json(), True)
    assert records.get(job.id) == open_records().get(job.id) == job
    assert records.events_after(job.id, 0) == [Event(1, "queued", {"pattern": "line"})]


def test_a_job_outlives_the_process_that_submitted_it(fresh_url: str) -> None:
    command = [sys.executable, "-c", SUBMIT_AND_DIE, fresh_url, json.dumps(recipe().to_json())]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (-signal.SIGKILL, "")
    with closing(Records(fresh_url, 16)) as records:
        records.open("here")
        assert [job.id for job in records.recent()] == [process.stdout]


def test_jobs_are_claimed_in_the_order_in_which_they_came(records: Records, open_records: OpenRecords) -> None:
    submitted = [submit(records, name).id for name in ("c", "a", "b")]
    claimed = [records.claim(), open_records().claim(), records.claim()]
    assert [(job.id, job.status) for job in claimed if job] == [(job, "running") for job in submitted]
    assert records.claim() is None
    assert {job.id for job in records.running()} == set(submitted)


def test_only_so_many_may_wait(open_records: OpenRecords) -> None:
    records = open_records(queue=2)
    first, _ = submit(records), submit(records)
    with pytest.raises(QueueFull, match="2 trainings are waiting already"):
        submit(records)
    records.claim()
    third = submit(records)
    assert (records.get(first.id).status, third.status) == ("running", "queued")
    assert len(records.recent()) == 3


def test_a_crowd_fills_the_queue_to_the_last_place_and_no_further(open_records: OpenRecords) -> None:
    processes = open_records(queue=7), open_records(queue=7)
    outcomes = together([partial(submit, records) for records in islice(cycle(processes), 30)])
    assert Counter(type(outcome) for outcome in outcomes) == {Job: 7, QueueFull: 23}
    accepted = {job.id for job in outcomes if isinstance(job, Job)}
    assert {job.id for job in processes[0].recent()} == accepted


# -- idempotency keys ----------------------------------------------------------------------------------------------


def test_the_same_key_and_body_is_the_same_job(records: Records) -> None:
    job = submit(records, key="k")
    records.claim()
    assert submit(records, key="k") == records.get(job.id)
    records.end(job.id, "failed", "diverged", "worse than the mean")
    assert submit(records, key="k") == records.get(job.id)
    assert len(records.recent()) == 1


def test_the_same_key_with_another_body_is_refused(records: Records) -> None:
    job = submit(records, key="k", body=b'{"pattern": "line"}')
    with pytest.raises(Unprocessable, match="used with another body; send that body again, or another key") as caught:
        submit(records, key="k", body=b'{"pattern": "other"}')
    assert caught.value.fault == "idempotency_key_reused"
    assert records.recent() == [job]


def test_without_a_key_every_request_is_a_job(records: Records) -> None:
    assert submit(records).id != submit(records).id


def test_a_known_key_is_answered_also_when_the_queue_is_full(open_records: OpenRecords) -> None:
    records = open_records(queue=1)
    job = submit(records, key="k")
    assert submit(records, key="k") == job
    with pytest.raises(QueueFull):
        submit(records, key="l")


def test_fifty_duplicates_at_once_are_one_job(open_records: OpenRecords) -> None:
    processes = open_records(), open_records()
    jobs = together([partial(submit, records, key="k") for records in islice(cycle(processes), 50)])
    (job,) = processes[0].recent()
    assert jobs == [job] * 50
    assert heard(processes[1], job.id) == [(1, "queued")]


# -- from state to state -------------------------------------------------------------------------------------------


def cancel(records: Records, job: str) -> object:
    try:
        return records.cancel(job)
    except JobEnded as told:
        return told


REACHED: dict[str, list[str]] = {
    "queued": [],
    "running": ["claim"],
    "succeeded": ["claim", "succeed"],
    "failed": ["claim", "fail"],
    "cancelled": ["cancel"],
    "interrupted": ["claim", "interrupt"],
}
ACTS: dict[str, Callable[[Records, str], object]] = {
    "claim": lambda records, _: records.claim(),
    "progress": lambda records, job: records.progress(job, [("epoch", {"epoch": 1})], epoch=1, loss=0.5),
    "succeed": lambda records, job: records.end(job, "succeeded", version=7),
    "fail": lambda records, job: records.end(job, "failed", "diverged", "worse than the mean"),
    "interrupt": lambda records, job: records.end(job, "interrupted", "interrupted", "the server stopped"),
    "end cancelled": lambda records, job: records.end(job, "cancelled"),
    "cancel": cancel,
}
ENDS = {"succeed": "succeeded", "fail": "failed", "interrupt": "interrupted", "end cancelled": "cancelled"}
AFTER: dict[str, dict[str, str]] = {
    "queued": {"claim": "running", "progress": "queued", **ENDS, "cancel": "cancelled"},
    "running": {"claim": "running", "progress": "running", **ENDS, "cancel": "running"},
    **{status: dict.fromkeys(ACTS, status) for status in TERMINAL},
}


def reach(records: Records, status: str) -> Job:
    job = submit(records)
    for act in REACHED[status]:
        ACTS[act](records, job.id)
    assert records.get(job.id).status == status
    return records.get(job.id)


def test_every_state_knows_what_becomes_of_it(records: Records) -> None:
    after: dict[str, dict[str, str]] = {status: {} for status in AFTER}
    for status in AFTER:
        for act, do in ACTS.items():
            job = reach(records, status).id
            do(records, job)
            after[status][act] = records.get(job).status
            records.end(job, "interrupted")
    assert after == AFTER


@pytest.mark.parametrize("status", TERMINAL)
def test_nothing_changes_a_job_that_has_ended(records: Records, status: str) -> None:
    job = reach(records, status)
    events = records.events_after(job.id, 0)
    for do in ACTS.values():
        do(records, job.id)
    assert (records.get(job.id), records.events_after(job.id, 0)) == (job, events)


def test_of_two_ends_at_once_one_stands(records: Records, open_records: OpenRecords) -> None:
    job, other = submit(records), open_records()
    ends = [partial(records.end, job.id, "failed"), partial(other.end, job.id, "succeeded", version=1)]
    stood = together(ends * 4)
    assert Counter(stood) == {True: 1, False: 7}
    assert records.get(job.id).status == ("failed" if True in stood[::2] else "succeeded")
    assert len(records.events_after(job.id, 0)) == 2


def test_a_queued_job_is_cancelled_at_once(records: Records) -> None:
    cancelled = records.cancel(submit(records).id)
    assert (cancelled.status, cancelled.cancel_requested, records.claim()) == ("cancelled", False, None)
    assert heard(records, cancelled.id) == [(1, "queued"), (2, "cancelled")]


def test_a_running_job_is_asked_to_stop(records: Records) -> None:
    job = submit(records).id
    records.claim()
    assert [(asked.status, asked.cancel_requested) for asked in (records.cancel(job), records.cancel(job))] == [
        ("running", True),
        ("running", True),
    ]
    assert heard(records, job) == [(1, "queued")]


@pytest.mark.parametrize("status", TERMINAL)
def test_what_has_ended_cannot_be_cancelled(records: Records, status: str) -> None:
    job = reach(records, status)
    with pytest.raises(JobEnded, match=f"has ended already: {status}"):
        records.cancel(job.id)


@pytest.mark.parametrize("job", ["0" * 32, "", "ü", "x" * 1000])
def test_a_job_that_there_never_was_is_unknown(records: Records, job: str) -> None:
    for act in (records.get, records.cancel):
        with pytest.raises(UnknownJob):
            act(job)
    assert records.events_after(job, 0) == []


def test_a_job_that_there_cannot_be_is_unknown(postgres: Postgres) -> None:
    with closing(Records(postgres.shared, 16)) as records:
        records.open("here")
        for act in (records.get, records.cancel):
            with pytest.raises(UnknownJob):
                act("\0")


# -- leases --------------------------------------------------------------------------------------------------------


def expire(records: Records, job: str) -> None:
    """Let the lease of a job end, as if its process had been silent for long."""
    with records._database.writing() as connection:
        connection.execute(sql.update(leases).where(leases.c.job == job).values(until=leases.c.until - 60))


@pytest.fixture
def elsewhere(records: Records, open_records: OpenRecords) -> Records:
    """The same records, in a process on another machine."""
    other = open_records()
    other.open(records._store, "elsewhere")
    return other


def test_a_running_job_is_left_alone_until_its_lease_has_ended(records: Records, elsewhere: Records) -> None:
    job = submit(records).id
    records.claim()
    assert elsewhere.take_over() == []
    expire(records, job)
    assert [taken.id for taken in elsewhere.take_over()] == [job]
    assert (elsewhere.renew(job), records.renew(job)) == (True, False)
    assert elsewhere.resume(job)
    assert [claimed and claimed.id for claimed in (records.claim(), elsewhere.claim())] == [job, None]


def test_a_process_at_the_same_place_takes_over_at_once(records: Records, open_records: OpenRecords) -> None:
    job = submit(records).id
    records.claim()
    assert [taken.id for taken in open_records().take_over()] == [job]


def test_a_renewed_lease_is_not_taken(records: Records, elsewhere: Records) -> None:
    for renews in (records.renew, lambda job: records.progress(job, [])):
        job = submit(records).id
        records.claim()
        expire(records, job)
        renews(job)
        assert elsewhere.take_over() == []
        records.end(job, "interrupted")


def test_clocks_of_machines_do_not_matter(
    records: Records, elsewhere: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(records)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    records.claim()
    monkeypatch.undo()
    assert elsewhere.take_over() == []


def test_who_has_lost_a_job_changes_nothing_of_it_any_more(records: Records, elsewhere: Records) -> None:
    job = submit(records).id
    records.claim()
    expire(records, job)
    elsewhere.take_over()
    before = elsewhere.get(job)
    records.progress(job, [("epoch", {"epoch": 1})], epoch=1)
    records.unclaim(job)
    assert (records.resume(job), records.end(job, "succeeded", version=1)) == (False, False)
    assert (elsewhere.get(job), heard(records, job)) == (before, [(1, "queued")])
    assert elsewhere.end(job, "succeeded", version=2)


def test_of_many_that_take_over_one_has_the_job(records: Records, open_records: OpenRecords) -> None:
    many = [open_records() for _ in range(6)]
    for number, process in enumerate(many):
        process.open(records._store, f"machine {number}")
    job = submit(records).id
    for _ in range(3):
        holder = [process for process in (records, *many) if process.claim()]
        expire(records, job)
        taken = together([process.take_over for process in many])
        assert sorted(map(len, taken)) == [0] * 5 + [1]
        assert len(holder) == 1
        (taker,) = [process for process, jobs in zip(many, taken, strict=True) if jobs]
        assert taker.resume(job)


def test_a_job_of_an_earlier_release_has_no_lease_and_is_taken_by_one(
    records: Records, elsewhere: Records, open_records: OpenRecords
) -> None:
    job = submit(records).id
    records.claim()
    with records._database.writing() as connection:
        connection.execute(sql.delete(leases))
    taken = together([elsewhere.take_over, open_records().take_over])
    assert [found.id for jobs in taken for found in jobs] == [job]


def test_a_crowd_claims_each_job_once(records: Records, open_records: OpenRecords) -> None:
    submitted = [submit(records).id for _ in range(6)]
    many = [open_records() for _ in range(6)]
    claimed = [job.id for _ in range(6) for job in together([process.claim for process in many]) if job]
    assert sorted(claimed) == sorted(submitted)


# -- events --------------------------------------------------------------------------------------------------------


def test_events_are_numbered_without_gaps_and_resume_after_any(records: Records) -> None:
    job = submit(records).id
    records.claim()
    for first in range(1, 700, 100):
        epochs = [("epoch", {"epoch": epoch}) for epoch in range(first, first + 100)]
        records.progress(job, epochs, epoch=first + 99)
    records.end(job, "succeeded", version=3)
    whole = [Event(1, "queued", {"pattern": "line"})]
    whole += [Event(epoch + 1, "epoch", {"epoch": epoch}) for epoch in range(1, 701)]
    whole += [Event(702, "published", {"version": 3})]
    page = records.events_after(job, 0)
    assert page + records.events_after(job, page[-1].number) == whole
    assert [records.events_after(job, number) for number in (700, 702, 900)] == [whole[700:], [], []]


def test_events_from_several_sides_get_numbers_of_their_own(records: Records) -> None:
    job = submit(records).id
    records.claim()
    two = [("epoch", {"epoch": 1}), ("epoch", {"epoch": 2})]
    assert together([partial(records.progress, job, two)] * 10) == [None] * 10
    assert heard(records, job) == [(1, "queued"), *[(number, "epoch") for number in range(2, 22)]]


def test_progress_without_events_is_a_sign_of_life(records: Records) -> None:
    job = submit(records).id
    records.claim()
    before = records.get(job)
    records.progress(job, [])
    after = records.get(job)
    assert after.row["heartbeat"] > before.row["heartbeat"]
    assert after.row == {**before.row, "heartbeat": after.row["heartbeat"]}


# -- as JSON -------------------------------------------------------------------------------------------------------


def as_json(job: Job, **changed: object) -> dict[str, Any]:
    progress = {"epoch": 0, "epochs": 3, "loss": None, "val_loss": None, "eta_s": None}
    return {
        "id": job.id,
        "pattern": "line",
        "status": "queued",
        "progress": progress,
        "version": None,
        "metrics": None,
        "error": None,
        "links": {"self": f"/train/{job.id}", "events": f"/train/{job.id}/events", "cancel": f"/train/{job.id}"},
        **changed,
    }


def timeless(job: Job) -> dict[str, Any]:
    return {name: value for name, value in job.to_json().items() if name != "times"}


def test_a_job_has_the_shape_of_the_api_all_its_life(records: Records) -> None:
    job = submit(records)
    assert timeless(job) == as_json(job)
    records.claim()
    records.progress(job.id, [], epoch=2, loss=0.5, val_loss=0.25, eta_s=1.5, metrics=json.dumps(SCORES))
    progress = {"epoch": 2, "epochs": 3, "loss": 0.5, "val_loss": 0.25, "eta_s": 1.5}
    running = records.get(job.id)
    assert timeless(running) == as_json(job, status="running", progress=progress, metrics=SCORES)
    records.end(job.id, "succeeded", version=4)
    ended = as_json(job, status="succeeded", progress={**progress, "eta_s": None}, metrics=SCORES, version=4)
    assert timeless(records.get(job.id)) == ended


def test_a_failed_job_says_why(records: Records) -> None:
    job = submit(records)
    records.claim()
    records.end(job.id, "failed", "diverged", "worse than predicting the mean")
    error = {"code": "diverged", "message": "worse than predicting the mean"}
    assert timeless(records.get(job.id)) == as_json(job, status="failed", error=error)
    assert records.events_after(job.id, 1) == [Event(2, "failed", error)]


def test_times_are_utc_and_in_their_order(records: Records) -> None:
    job = submit(records).id
    assert [name for name, time in times(records.get(job)).items() if time] == ["created"]
    records.claim()
    assert [name for name, time in times(records.get(job)).items() if time] == ["created", "started", "heartbeat"]
    records.end(job, "succeeded", version=1)
    known = [datetime.fromisoformat(time) for time in times(records.get(job)).values() if time]
    assert len(known) == 4
    assert known == sorted(known)
    assert {str(time.tzinfo) for time in known} == {"UTC"}


def times(job: Job) -> dict[str, str | None]:
    said: dict[str, str | None] = job.to_json()["times"]
    return said


# -- many jobs, several stores -------------------------------------------------------------------------------------


def test_recent_jobs_come_newest_first(records: Records) -> None:
    submitted = [submit(records, name) for name in ("a", "b", "c")]
    assert records.recent() == submitted[::-1]
    assert records.recent(limit=2) == submitted[:0:-1]


def test_the_oldest_ended_jobs_are_forgotten_with_their_events(open_records: OpenRecords) -> None:
    records = open_records(kept=2)
    waiting = submit(records)
    running = submit(records)
    ended = [submit_to_end(records) for _ in range(4)]
    newest = submit(records)
    assert records.recent() == [newest, *ended[:1:-1], running, waiting]
    assert [len(records.events_after(job.id, 0)) for job in ended] == [0, 0, 2, 2]


def test_a_store_forgets_only_its_own_jobs(open_records: OpenRecords) -> None:
    here, there = open_records("here", kept=1), open_records("there", kept=1)
    kept = submit_to_end(there)
    newest = [submit_to_end(here) for _ in range(3)][-1]
    last = submit(here)
    assert (here.recent(), there.recent()) == ([last, newest], [kept])


def test_two_stores_in_one_database_do_not_see_each_other(open_records: OpenRecords) -> None:
    here, there = open_records("here", queue=1), open_records("there", queue=1)
    job = submit(here, key="k")
    assert (there.recent(), there.claim(), there.running()) == ([], None, [])
    for act in (there.get, there.cancel):
        with pytest.raises(UnknownJob):
            act(job.id)
    other = submit(there, key="k", body=b"another")
    assert (here.recent(), there.recent()) == ([job], [other])


def test_events_of_another_store_are_not_seen_either(open_records: OpenRecords) -> None:
    job = submit(open_records("here"))
    assert open_records("there").events_after(job.id, 0) == []


# -- opening, and databases that are not there ---------------------------------------------------------------------


def test_a_fresh_database_may_be_opened_by_many_at_once(fresh_url: str) -> None:
    many = [Records(fresh_url, 16) for _ in range(6)]
    assert together([partial(records.open, "here") for records in many]) == [None] * 6
    jobs = together([partial(submit, records, key="k") for records in many])
    assert jobs == many[0].recent() * 6
    for records in many:
        records.close()


@pytest.mark.parametrize("address", ["sqlite:////nowhere/jobs.sqlite3", "postgresql://127.0.0.1:1/jobs"])
def test_a_database_that_cannot_be_reached_says_so(address: str) -> None:
    said = rf"^the {address.partition(':')[0]} database of .* reached or written \(OperationalError\); .*_DATABASE_URL$"
    with closing(Records(address, 16, openings=2)) as records, pytest.raises(TrainingUnavailable, match=said):
        records.open("here")


DURING_AN_OUTAGE: dict[str, Callable[[Records, str], object]] = {
    "submit": lambda records, _: submit(records),
    "get": lambda records, job: records.get(job),
    "recent": lambda records, _: records.recent(),
    "running": lambda records, _: records.running(),
    **ACTS,
}


def test_an_outage_is_told_and_survived(records: Records, outage: Outage) -> None:
    job = submit(records)
    records.claim()
    with outage():
        for act in DURING_AN_OUTAGE.values():
            with pytest.raises(TrainingUnavailable):
                act(records, job.id)
    assert [(known.id, known.status) for known in records.recent()] == [(job.id, "running")]
    assert heard(records, job.id) == [(1, "queued")]


def test_connections_that_the_server_has_closed_are_replaced(postgres: Postgres) -> None:
    with closing(Records(postgres.shared, 16)) as records:
        records.open("here")
        job = submit(records)
        postgres.disconnect(postgres.shared)
        assert records.get(job.id) == job


def test_a_full_disk_is_told_and_what_there_is_can_be_read(sqlite_url: str) -> None:
    with closing(Records(sqlite_url, 1000)) as records:
        records.open("here")
        job = submit(records)
        # A file that may not grow is like a full disk.
        sql.event.listen(records._database.engine, "connect", lambda file, _: file.execute("PRAGMA max_page_count=1"))
        records._database.engine.dispose()
        with pytest.raises(DiskFull):
            for _ in range(1000):
                submit(records)
        assert records.get(job.id) == job
        assert [heard(records, known.id) for known in records.recent()] == [[(1, "queued")]] * len(records.recent())


@pytest.mark.parametrize("replaced", [False, True])
def test_what_is_accepted_is_in_the_file_that_is_there_and_not_in_one_that_was_deleted(
    sqlite_url: str, replaced: bool
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with closing(Records(sqlite_url, 16)) as records, closing(Records(sqlite_url, 16)) as later:
        records.open("here")
        lost = submit(records)
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        if replaced:
            path.touch()
        job = submit(records)
        later.open("here")
        assert records.recent() == later.recent() == [job]
        with pytest.raises(UnknownJob):
            records.get(lost.id)


def test_a_database_without_rights_says_so(postgres: Postgres) -> None:
    postgres.execute("CREATE ROLE guest LOGIN")
    address = postgres.address("postgres", user="guest")
    with closing(Records(address, 16)) as records, pytest.raises(TrainingUnavailable):
        records.open("here")


def test_a_file_that_is_no_database_says_so(sqlite_url: str) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).write_bytes(b"not a database" * 1000)
    with closing(Records(sqlite_url, 16)) as records, pytest.raises(TrainingUnavailable):
        records.open("here")
