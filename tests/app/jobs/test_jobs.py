"""Trainings one after another in the process that leads, and how they end when a process is killed or lost."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from obstore.store import MemoryStore
from pydantic import SecretStr

from app.errors import Draining, QueueFull
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.patience import Patience
from app.jobs.records import MOST_RESUMPTIONS, Records
from app.settings import Settings
from app.telemetry import metrics
from models_store.card import Promotion
from models_store.errors import BucketUnavailable, PublishUnconfirmed, StoreUnwritable, UnknownDataset
from models_store.storage.aliases import CHAMPION
from models_store.storage.bucket import Bucket, Record
from models_store.storage.checkpoints import Checkpoint, Checkpoints
from models_store.storage.datasets import Datasets, Stored
from models_store.storage.locks import FileLock
from models_store.storage.shared_store import SharedStore
from models_store.storage.store import Store
from tests.app.jobs.conftest import HOUR, IMPATIENT, LOOKS, SHORT, MakeJobs, Outage, until
from tests.app.jobs.fakes import (
    FakeTrainer,
    Script,
    begins,
    diverges,
    hangs,
    is_killed,
    learned,
    obeys,
    publishes_and_hangs,
    publishes_and_is_killed,
    recipe,
    trains,
    waits_for,
)
from tests.app.jobs.test_records import expire
from tests.disks import HastyDisk, UnconfirmingDisk
from tests.fakes import LinearNetwork, line
from training.messages import Compared, IfBetter, Publish, Published

pytestmark = pytest.mark.anyio

STOPPED = {"code": "interrupted", "message": "the server process that ran this training stopped before its end"}


class SlowRecords(Records):
    """Records that claim a job, and return it only when `go` is set."""

    claimed = threading.Event()
    go = threading.Event()

    def claim(self) -> Job | None:
        job = super().claim()
        self.claimed.set()
        self.go.wait()
        return job


@pytest.fixture
def jobs(make_jobs: MakeJobs) -> Jobs:
    return make_jobs()


@pytest.fixture
def records(settings: Settings, store: Store) -> Iterator[Records]:
    """The same records, opened by a process before this one."""
    records = Records(settings.jobs_url, settings.train_queue)
    records.open(store.identity(), FileLock(settings.store / ".trainer.lock").place())
    yield records
    records.close()


@asynccontextmanager
async def leading(jobs: Jobs) -> AsyncIterator[None]:
    """Lead in the background, as a server does, and stop at the end."""
    lead = asyncio.create_task(jobs.lead())
    try:
        yield
    finally:
        lead.cancel()
        await asyncio.wait([lead])
        assert lead.cancelled()


async def submit(jobs: Jobs, name: str = "line", *, promote: bool = True) -> str:
    return (await jobs.submit(recipe(name), promote=promote, key=None, body=b"")).id


async def once(jobs: Jobs, job: str, holds: Callable[[Job], bool]) -> Job:
    """Return the job as soon as `holds` is true of it."""
    for _ in range(LOOKS):
        if holds(found := await jobs.get(job)):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(found)


async def ended(jobs: Jobs, job: str) -> dict[str, Any]:
    """Wait until the job has ended; return its status, version and error."""
    said = (await once(jobs, job, lambda job: job.has_ended)).to_json()
    return {name: said[name] for name in ("status", "version", "error")}


async def begun(jobs: Jobs, job: str) -> None:
    """Wait until its first epoch is recorded."""
    await once(jobs, job, lambda job: job.row["epoch"] == 1)


def succeeded(version: int) -> dict[str, Any]:
    return {"status": "succeeded", "version": version, "error": None}


def interrupted(message: str, epochs: int, best: str = "") -> dict[str, Any]:
    """The outcome of a job that was interrupted after so many of the recipe's three epochs."""
    told = f"{message}; it had done {epochs} of 3 epochs{best}; submit it again to train it anew"
    return {"status": "interrupted", "version": None, "error": {"code": "interrupted", "message": told}}


async def kinds(jobs: Jobs, job: str) -> list[str]:
    return [event.kind for event in await jobs.events_after(job, 0)]


# -- one after another ---------------------------------------------------------------------------------------------


async def test_jobs_run_in_order_and_publish(jobs: Jobs, trainer: FakeTrainer, store: Store) -> None:
    submitted = [await submit(jobs, name) for name in ("b", "a", "b")]
    async with leading(jobs):
        outcomes = [await ended(jobs, job) for job in submitted]
    assert outcomes == [succeeded(1), succeeded(1), succeeded(2)]
    assert [request.id for request in trainer.requests] == submitted
    assert (store.versions("a"), store.versions("b"), trainer.killed) == ([1], [1, 2], [])
    whole = ["queued", "started", "epoch", "epoch", "epoch", "evaluated", "published"]
    assert [await kinds(jobs, job) for job in submitted] == [whole] * 3


async def test_one_job_runs_at_a_time(jobs: Jobs, trainer: FakeTrainer) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go)]
    async with leading(jobs):
        first, second = await submit(jobs), await submit(jobs)
        await begun(jobs, first)
        assert [(await jobs.get(job)).status for job in (first, second)] == ["running", "queued"]
        go.set()
        assert await ended(jobs, second) == succeeded(2)


async def test_a_new_job_is_begun_without_waiting_for_the_next_look(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(patience=replace(SHORT, queue_poll_seconds=HOUR))
    async with leading(jobs):
        await ended(jobs, await submit(jobs))
        await asyncio.sleep(0.1)
        assert await ended(jobs, await submit(jobs)) == succeeded(2)


async def test_the_process_is_there_before_the_first_job_if_it_is_to_be_warm(
    make_jobs: MakeJobs, trainer: FakeTrainer
) -> None:
    async with leading(make_jobs(trainer_warm=True)):
        await until(lambda: trainer.is_started)
    assert (trainer.is_started, trainer.requests) == (False, [])


async def test_what_is_not_to_be_promoted_is_not(jobs: Jobs, store: Store) -> None:
    async with leading(jobs):
        outcomes = [await ended(jobs, await submit(jobs, promote=promote)) for promote in (True, False)]
    assert (outcomes, store.aliases("line")) == ([succeeded(1), succeeded(2)], {CHAMPION: 1})


async def test_what_comparisons_came_to_is_counted(jobs: Jobs, trainer: FakeTrainer) -> None:
    known = Promotion(champion=1, promoted=False, outcome="not_sure", why="Not promoted.", tolerance=0)

    async def compares(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(Compared(id=request.id, promotion=known))
        await trains(trainer, request)

    trainer.scripts = [compares, compares, trains]
    counted = metrics.PROMOTIONS.labels("compared", "not_sure")
    async with leading(jobs):
        for promote in (IfBetter(), IfBetter(), True):
            job = await jobs.submit(recipe("compared"), promote=promote, key=None, body=b"")
            assert (await ended(jobs, job.id))["status"] == "succeeded"
        await until(lambda: [next(iter(metric.samples)).value for metric in counted.collect()] == [2])


async def test_the_tables_of_a_champion_that_is_compared_are_fetched_from_where_they_were_uploaded(
    store: Store, trainer: FakeTrainer, settings: Settings
) -> None:
    class Asked(Datasets):
        ids_asked: ClassVar[list[str]] = []

        def get(self, dataset: str) -> Stored:
            self.ids_asked.append(dataset)
            raise UnknownDataset([])

    store.publish(replace(line(), recipe={"data": {"kind": "table", "dataset": "0" * 32, "test": "1" * 32}}))
    records = Records(settings.jobs_url, settings.train_queue)
    jobs = Jobs(records, store, trainer, settings, SHORT, datasets=Asked(settings.store))
    async with leading(jobs):
        await ended(jobs, await submit(jobs))
        assert Asked.ids_asked == []
        store.set_alias("line", CHAMPION, 1)
        job = await jobs.submit(recipe(), promote=IfBetter(), key=None, body=b"")
        await ended(jobs, job.id)
    assert Asked.ids_asked == ["0" * 32, "1" * 32]
    jobs.close()


# -- failures, losses and requests to stop -------------------------------------------------------------------------


async def test_a_training_that_fails_says_why_and_changes_nothing(
    jobs: Jobs, trainer: FakeTrainer, store: Store
) -> None:
    trainer.scripts = [trains, diverges]
    async with leading(jobs):
        await ended(jobs, await submit(jobs))
        failed = await ended(jobs, await submit(jobs))
    error = {"code": "diverged", "message": "the loss is not a finite number any more"}
    assert failed == {"status": "failed", "version": None, "error": error}
    assert (store.versions("line"), store.champion("line"), trainer.killed) == ([1], 1, [])


async def test_a_killed_trainer_interrupts_its_job_and_not_the_next(jobs: Jobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [is_killed]
    async with leading(jobs):
        lost, following = await submit(jobs), await submit(jobs)
        assert await ended(jobs, lost) == interrupted("the trainer process ended too early (exit status -9)", 1)
        assert await ended(jobs, following) == succeeded(1)
    assert await kinds(jobs, lost) == ["queued", "started", "epoch", "interrupted"]


async def test_a_trainer_that_published_with_its_last_breath_has_succeeded(
    jobs: Jobs, trainer: FakeTrainer, store: Store
) -> None:
    trainer.scripts = [publishes_and_is_killed]
    async with leading(jobs):
        assert await ended(jobs, await submit(jobs)) == succeeded(1)
        assert await ended(jobs, await submit(jobs)) == succeeded(2)
    assert store.versions("line") == [1, 2]


async def test_a_trainer_that_talks_nonsense_interrupts_its_job_and_not_the_next(
    jobs: Jobs, trainer: FakeTrainer
) -> None:
    async def nonsense(trainer: FakeTrainer, request: Publish) -> None:
        trainer.write('{"event": "published", "id": "' + request.id + '"}\n')

    trainer.scripts = [nonsense]
    async with leading(jobs):
        lost, following = await submit(jobs), await submit(jobs)
        assert (await ended(jobs, lost))["status"] == "interrupted"
        assert await ended(jobs, following) == succeeded(1)


@pytest.mark.parametrize(("script", "patience", "n_killed"), [(obeys, SHORT, 0), (hangs, IMPATIENT, 1)])
async def test_a_running_job_is_cancelled_and_the_next_begun(
    make_jobs: MakeJobs, trainer: FakeTrainer, store: Store, script: Script, patience: Patience, n_killed: int
) -> None:
    jobs = make_jobs(patience=patience)
    trainer.scripts = [script]
    async with leading(jobs):
        running, following = await submit(jobs, "a"), await submit(jobs, "b")
        await begun(jobs, running)
        assert (await jobs.cancel(running)).status == "running"
        assert await ended(jobs, running) == {"status": "cancelled", "version": None, "error": None}
        assert await ended(jobs, following) == succeeded(1)
    assert (store.patterns(), trainer.killed) == (["b"], [running] * n_killed)
    assert await kinds(jobs, running) == ["queued", "started", "epoch", "cancelled"]


async def test_a_queued_job_that_is_cancelled_never_runs(jobs: Jobs, trainer: FakeTrainer) -> None:
    cancelled, following = await submit(jobs), await submit(jobs)
    assert (await jobs.cancel(cancelled)).status == "cancelled"
    async with leading(jobs):
        await ended(jobs, following)
    assert [request.id for request in trainer.requests] == [following]


async def test_a_job_that_takes_too_long_fails(make_jobs: MakeJobs, trainer: FakeTrainer) -> None:
    jobs = make_jobs(train_seconds=0.1)
    trainer.scripts = [hangs]
    async with leading(jobs):
        job = await submit(jobs)
        message = "the training took longer than 0.1 s; lower fit.epochs, or raise PATTERNS_TRAIN_SECONDS"
        error = {"code": "timed_out", "message": message}
        assert await ended(jobs, job) == {"status": "failed", "version": None, "error": error}
    assert trainer.killed == [job]


@pytest.mark.parametrize("why", ["cancelled", "timed out"])
async def test_a_training_that_was_stopped_after_it_had_published_has_succeeded(
    make_jobs: MakeJobs, trainer: FakeTrainer, why: str
) -> None:
    jobs = make_jobs(patience=IMPATIENT, train_seconds=0.1 if why == "timed out" else HOUR)
    trainer.scripts = [publishes_and_hangs]
    async with leading(jobs):
        job = await submit(jobs)
        if why == "cancelled":
            await begun(jobs, job)
            await jobs.cancel(job)
        assert await ended(jobs, job) == succeeded(1)


# -- with a bucket -------------------------------------------------------------------------------------------------


class Moody(Bucket):
    """A bucket that answers nothing while it is away."""

    is_away = False

    def record(self, pattern: str) -> tuple[Record, str | None]:
        self._look()
        return super().record(pattern)

    def put_files(self, pattern: str, contents: list[bytes]) -> None:
        self._look()
        super().put_files(pattern, contents)

    def _look(self) -> None:
        if self.is_away:
            raise BucketUnavailable("away")


async def publishes_into_its_outbox(trainer: FakeTrainer, request: Publish) -> None:
    assert request.outbox is not None
    waiting = Store(request.outbox, LinearNetwork.from_bytes, disk=HastyDisk())
    version = waiting.publish(learned(request.recipe, request.id))
    await begins(trainer, request)
    trainer.say(Published(id=request.id, version=version))


@pytest.mark.parametrize("script", [publishes_into_its_outbox, obeys])
async def test_while_the_bucket_is_away_a_training_can_be_cancelled_and_the_next_goes_on(
    settings: Settings, trainer: FakeTrainer, script: Script
) -> None:
    bucket = Moody(MemoryStore())
    shared = SharedStore(settings.store, LinearNetwork.from_bytes, bucket, disk=HastyDisk())
    patience = replace(SHORT, bucket_poll_seconds=0.02)
    jobs = Jobs(Records(settings.jobs_url, settings.train_queue), shared, trainer, settings, patience)
    trainer.scripts = [script, publishes_into_its_outbox]
    async with leading(jobs):
        cancelled, following = await submit(jobs), await submit(jobs)
        bucket.is_away = True
        await begun(jobs, cancelled)
        assert (await jobs.cancel(cancelled)).status == "running"
        assert await ended(jobs, cancelled) == {"status": "cancelled", "version": None, "error": None}
        assert not shared.outbox(cancelled).exists()
        await begun(jobs, following)
        bucket.is_away = False
        assert await ended(jobs, following) == succeeded(1)
    assert (shared.version_of("line", cancelled), shared.version_of("line", following)) == (None, 1)
    jobs.close()


async def compares_into_its_outbox(trainer: FakeTrainer, request: Publish) -> None:
    """Leave a version that is promoted in place of the champion that is known here."""
    assert request.outbox is not None
    champion = trainer.store.champion("line")
    known = Promotion(champion=champion, promoted=True, outcome="better", why="Promoted.", tolerance=0)
    bundle = learned(request.recipe, request.id)
    outbox = Store(request.outbox, LinearNetwork.from_bytes, disk=HastyDisk())
    if outbox.patterns():
        outbox.delete_pattern("line")
    else:
        await begins(trainer, request)
    outbox.publish(replace(bundle, card=bundle.card.model_copy(update={"promotion": known})))
    trainer.say(Compared(id=request.id, promotion=known))
    trainer.say(Published(id=request.id, version=1))


@asynccontextmanager
async def sharing(settings: Settings, trainer: FakeTrainer, tmp_path: Path) -> AsyncIterator[tuple[Jobs, SharedStore]]:
    """Jobs of a server that has fetched version 1, and the store of another server, which has made 2 the champion."""
    bucket = Bucket(MemoryStore())
    shared = SharedStore(settings.store, LinearNetwork.from_bytes, bucket, disk=HastyDisk())
    other = SharedStore(tmp_path / "other", LinearNetwork.from_bytes, bucket, disk=HastyDisk())
    shared.publish(line())
    other.publish(line())
    jobs = Jobs(Records(settings.jobs_url, settings.train_queue), shared, trainer, settings, SHORT)
    yield jobs, other
    jobs.close()


async def test_what_was_compared_with_a_champion_that_another_server_has_replaced_is_compared_again(
    settings: Settings, trainer: FakeTrainer, tmp_path: Path
) -> None:
    trainer.scripts = [compares_into_its_outbox] * 2
    async with sharing(settings, trainer, tmp_path) as (jobs, other):
        job = (await jobs.submit(recipe(), promote=IfBetter(), key=None, body=b"")).id
        async with leading(jobs):
            assert await ended(jobs, job) == succeeded(3)
        assert [request.comparisons for request in trainer.requests] == [0, 1]
        promotion = (await jobs.get(job)).promotion
        assert promotion is not None and promotion["champion"] == 2
        told = [event.data["champion"] for event in await jobs.events_after(job, 0) if event.kind == "compared"]
        assert told == [1, 2]
    other.pull()
    assert other.champion("line") == 3


async def test_what_is_to_be_compared_again_when_its_server_died_is_compared_by_the_next(
    settings: Settings, records: Records, trainer: FakeTrainer, tmp_path: Path
) -> None:
    async with sharing(settings, trainer, tmp_path) as (jobs, other):
        orphan = (await jobs.submit(recipe(), promote=IfBetter(), key=None, body=b"")).id
        records.claim()
        known = Promotion(champion=1, promoted=True, outcome="better", why="", tolerance=0)
        bundle = learned(recipe().to_json(), orphan)
        left = replace(bundle, card=bundle.card.model_copy(update={"promotion": known}))
        Store(settings.store / ".outbox" / orphan, LinearNetwork.from_bytes, disk=HastyDisk()).publish(left)
        trainer.scripts = [compares_into_its_outbox] * 2
        async with leading(jobs):
            assert await ended(jobs, orphan) == succeeded(3)
    other.pull()
    assert other.champion("line") == 3


# -- servers that stop, and those that come after ------------------------------------------------------------------


async def test_a_server_that_stops_leaves_what_runs_and_what_waits_to_the_next(
    make_jobs: MakeJobs, trainer: FakeTrainer, store: Store
) -> None:
    trainer.scripts = [hangs]
    jobs = make_jobs()
    async with leading(jobs):
        running, waiting = await submit(jobs), await submit(jobs)
        await begun(jobs, running)
    assert [(await jobs.get(job)).status for job in (running, waiting)] == ["queued", "queued"]
    assert (await jobs.get(running)).to_json()["progress"]["epoch"] == 0
    assert (trainer.killed, store.patterns()) == ([running], [])
    async with leading(make_jobs()):
        assert [await ended(jobs, job) for job in (running, waiting)] == [succeeded(1), succeeded(2)]
    assert (await kinds(jobs, running))[:5] == ["queued", "started", "epoch", "resumed", "started"]


async def test_a_server_that_stops_while_it_claims_a_job_leaves_none_running(
    settings: Settings, store: Store, trainer: FakeTrainer, jobs: Jobs
) -> None:
    job = await submit(jobs)
    records = SlowRecords(settings.jobs_url, settings.train_queue)
    lead = asyncio.create_task(Jobs(records, store, trainer, settings, SHORT).lead())
    await until(records.claimed.is_set)
    lead.cancel()
    await asyncio.sleep(0)
    records.go.set()
    await asyncio.wait([lead])
    assert (await jobs.get(job)).status in ("queued", "interrupted")


async def test_a_job_whose_server_died_is_begun_again_at_the_next_start(jobs: Jobs, records: Records) -> None:
    orphan = await submit(jobs)
    records.claim()
    async with leading(jobs):
        assert await ended(jobs, orphan) == succeeded(1)
        assert await ended(jobs, await submit(jobs)) == succeeded(2)
    assert (await kinds(jobs, orphan))[:3] == ["queued", "resumed", "started"]


async def test_a_job_that_was_to_be_cancelled_when_its_server_died_is_cancelled(jobs: Jobs, records: Records) -> None:
    orphan = await submit(jobs)
    records.claim()
    await jobs.cancel(orphan)
    async with leading(jobs):
        assert await ended(jobs, orphan) == {"status": "cancelled", "version": None, "error": None}
    assert await kinds(jobs, orphan) == ["queued", "cancelled"]


def die_often(records: Records, job: str) -> None:
    """Claim the job and be lost, as often as it is taken up again; and once more."""
    for _ in range(MOST_RESUMPTIONS):
        records.claim()
        assert records.resume(job)
    records.claim()


async def test_a_job_whose_server_dies_each_time_is_interrupted(jobs: Jobs, records: Records) -> None:
    orphan = await submit(jobs)
    die_often(records, orphan)
    async with leading(jobs):
        assert await ended(jobs, orphan) == interrupted(STOPPED["message"], 0)
        assert await ended(jobs, await submit(jobs)) == succeeded(1)
    assert await kinds(jobs, orphan) == ["queued", *["resumed"] * MOST_RESUMPTIONS, "interrupted"]


@pytest.mark.parametrize(
    ("promote", "published_since", "champion"),
    [
        pytest.param(True, 0, 2, id="promoted now"),
        pytest.param(False, 0, 1, id="not to be promoted"),
        pytest.param(True, 1, 3, id="a newer one is champion already"),
    ],
)
async def test_a_job_whose_server_died_in_the_moment_it_had_published_has_succeeded(
    jobs: Jobs, records: Records, store: Store, promote: bool, published_since: int, champion: int
) -> None:
    store.publish(line())
    orphan = await submit(jobs, promote=promote)
    records.claim()
    with pytest.raises(PublishUnconfirmed):
        Store(store.root, LinearNetwork.from_bytes, disk=UnconfirmingDisk()).publish(line(job=orphan))
    for _ in range(published_since):
        store.publish(line())
    async with leading(jobs):
        assert await ended(jobs, orphan) == succeeded(2)
    assert store.aliases("line") == {CHAMPION: champion}
    assert await kinds(jobs, orphan) == ["queued", "published"]


@pytest.mark.parametrize(("promoted", "champion"), [(True, 2), (False, 1)])
async def test_a_comparison_whose_server_died_in_the_moment_it_had_published_stands(
    jobs: Jobs, records: Records, store: Store, promoted: bool, champion: int
) -> None:
    store.publish(line())
    orphan = (await jobs.submit(recipe(), promote=IfBetter(), key=None, body=b"")).id
    records.claim()
    published = line(job=orphan)
    known = Promotion(champion=1, promoted=promoted, outcome="not_worse", why="", tolerance=0)
    published = replace(published, card=published.card.model_copy(update={"promotion": known}))
    with pytest.raises(PublishUnconfirmed):
        Store(store.root, LinearNetwork.from_bytes, disk=UnconfirmingDisk()).publish(published)
    async with leading(jobs):
        assert await ended(jobs, orphan) == succeeded(2)
    assert store.aliases("line") == {CHAMPION: champion}


async def test_a_version_that_was_rolled_back_stays_so_when_its_job_is_found_again(
    jobs: Jobs, records: Records, store: Store
) -> None:
    store.publish(line())
    orphan = await submit(jobs)
    records.claim()
    store.publish(line(job=orphan))
    store.rollback("line")
    async with leading(jobs):
        assert await ended(jobs, orphan) == succeeded(2)
    assert store.aliases("line") == {CHAMPION: 1}


async def test_a_training_that_was_cut_off_says_what_is_kept_of_it(
    jobs: Jobs, records: Records, settings: Settings
) -> None:
    orphan = await submit(jobs)
    die_often(records, orphan)
    Checkpoints(settings.store).write(orphan, Checkpoint(2, 1, [np.zeros(3)]))
    async with leading(jobs):
        kept = ", and the weights of epoch 1 are kept"
        assert await ended(jobs, orphan) == interrupted(STOPPED["message"], 0, kept)


async def test_of_two_servers_on_a_store_one_trains_and_the_other_takes_over(make_jobs: MakeJobs, store: Store) -> None:
    trainers = FakeTrainer(store, trains, trains, hangs), FakeTrainer(store)
    first, second = (make_jobs(trainer) for trainer in trainers)
    lead = asyncio.create_task(first.lead())
    assert await ended(first, await submit(first)) == succeeded(1)
    async with leading(second):
        assert await ended(second, await submit(second)) == succeeded(2)
        running, waiting = await submit(second), await submit(first)
        await begun(second, running)
        assert trainers[1].requests == []
        lead.cancel()
        assert await ended(second, running) == succeeded(3)
        assert await ended(second, waiting) == succeeded(4)
    assert [request.id for request in trainers[1].requests] == [running, waiting]


# -- servers on several machines, each with a lock of its own ------------------------------------------------------


@pytest.fixture
def make_machine(make_jobs: MakeJobs, url: str, tmp_path: Path) -> Callable[..., Jobs]:
    """Make jobs as a server on a machine of this name would, on the same store and database."""

    def make_machine(name: str, trainer: FakeTrainer, patience: Patience = SHORT) -> Jobs:
        directory = tmp_path / name
        directory.mkdir()
        return make_jobs(trainer, patience, store=directory, database_url=SecretStr(url))

    return make_machine


async def test_several_machines_train_side_by_side_and_each_job_once(
    make_machine: Callable[..., Jobs], store: Store
) -> None:
    go = asyncio.Event()
    trainers = FakeTrainer(store, waits_for(go)), FakeTrainer(store, waits_for(go))
    first, second = make_machine("one", trainers[0]), make_machine("two", trainers[1])
    async with leading(first), leading(second):
        submitted = [await submit(first, name) for name in "abcdef"]
        await until(lambda: all(trainer.requests for trainer in trainers))
        go.set()
        assert [await ended(second, job) for job in submitted] == [succeeded(1)] * 6
    trained = [request.id for trainer in trainers for request in trainer.requests]
    assert sorted(trained) == sorted(submitted)


async def test_a_machine_that_was_silent_for_too_long_gives_its_training_up(
    make_machine: Callable[..., Jobs], store: Store
) -> None:
    trainers = FakeTrainer(store, hangs), FakeTrainer(store)
    often = replace(SHORT, lease_poll_seconds=0.2)
    silent, other = (
        make_machine("silent", trainers[0], replace(often, lease_poll_seconds=1)),
        make_machine("other", trainers[1], often),
    )
    async with leading(silent):
        job = await submit(silent)
        await begun(silent, job)
        expire(silent._records, job)
        async with leading(other):
            assert await ended(other, job) == succeeded(1)
            await until(lambda: trainers[0].killed == [job])
    assert (await kinds(other, job))[:5] == ["queued", "started", "epoch", "resumed", "started"]
    assert (await kinds(other, job)).count("published") == 1
    assert store.versions("line") == [1]


# -- draining, refusing, and faults that pass ----------------------------------------------------------------------


async def test_a_draining_server_takes_no_new_jobs(jobs: Jobs) -> None:
    job = await submit(jobs)
    jobs.drain()
    with pytest.raises(Draining):
        await submit(jobs)
    assert [known.id for known in await jobs.recent()] == [job]


async def test_a_draining_server_begins_no_job_that_it_would_interrupt(jobs: Jobs, trainer: FakeTrainer) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go), hangs]
    async with leading(jobs):
        running, waiting = await submit(jobs), await submit(jobs)
        await begun(jobs, running)
        jobs.drain()
        go.set()
        assert await ended(jobs, running) == succeeded(1)
        await asyncio.sleep(0.2)
    assert (await jobs.get(waiting)).status == "queued"


async def test_a_full_queue_refuses(make_jobs: MakeJobs) -> None:
    jobs = make_jobs(train_queue=1)
    await submit(jobs)
    with pytest.raises(QueueFull):
        await submit(jobs)


async def test_a_store_that_cannot_be_written_refuses_and_is_waited_for(jobs: Jobs, store: Store) -> None:
    shutil.rmtree(store.root)
    async with leading(jobs):
        with pytest.raises(StoreUnwritable):
            await submit(jobs)
        store.root.mkdir()
        assert await ended(jobs, await submit(jobs)) == succeeded(1)


async def test_a_training_whose_database_goes_away_begins_again_when_it_is_back(
    make_jobs: MakeJobs, url: str, outage: Outage, trainer: FakeTrainer
) -> None:
    trainer.scripts = [hangs]
    jobs = make_jobs(database_url=SecretStr(url))
    async with leading(jobs):
        running, waiting = await submit(jobs), await submit(jobs)
        await begun(jobs, running)
        with outage():
            await until(lambda: not trainer.is_started)
            await asyncio.sleep(0.1)
        assert await ended(jobs, running) == succeeded(1)
        assert await ended(jobs, waiting) == succeeded(2)
    assert trainer.killed == [running]
    assert "resumed" in await kinds(jobs, running)


async def test_what_is_published_during_an_outage_is_known_afterwards(
    make_jobs: MakeJobs, url: str, outage: Outage, trainer: FakeTrainer
) -> None:
    go = asyncio.Event()
    trainer.scripts = [waits_for(go)]
    jobs = make_jobs(patience=replace(SHORT, supervision_poll_seconds=HOUR), database_url=SecretStr(url))
    async with leading(jobs):
        job = await submit(jobs)
        await begun(jobs, job)
        with outage():
            go.set()
            await until(lambda: not trainer.is_started)
        assert await ended(jobs, job) == succeeded(1)


async def test_a_server_stops_also_when_its_database_is_gone(
    make_jobs: MakeJobs, url: str, outage: Outage, trainer: FakeTrainer
) -> None:
    trainer.scripts = [hangs]
    jobs = make_jobs(patience=replace(SHORT, supervision_poll_seconds=HOUR), database_url=SecretStr(url))
    lead = asyncio.create_task(jobs.lead())
    await begun(jobs, await submit(jobs))
    with outage():
        lead.cancel()
        stopped, _ = await asyncio.wait([lead], timeout=30)
    lead.cancel()
    await asyncio.wait([lead])
    assert stopped == {lead}


async def test_a_server_stops_also_when_a_job_comes_at_that_moment(make_jobs: MakeJobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [hangs]
    jobs = make_jobs()
    lead = asyncio.create_task(jobs.lead())
    await asyncio.sleep(0.2)
    await submit(jobs)
    lead.cancel()
    stopped, _ = await asyncio.wait([lead], timeout=10)
    lead.cancel()
    await asyncio.wait([lead])
    assert stopped == {lead}
