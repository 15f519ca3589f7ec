"""Searches as jobs: each trial is recorded, and a search that is cut off is taken up with the trials that it has."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from app.errors import JobEnded, UnknownJob, Unprocessable
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.records import MOST_RESUMPTIONS, Records
from app.settings import Settings
from models_store.card import Trial
from models_store.errors import DiskFull
from models_store.storage.store import Store
from tests.app.jobs.conftest import LOOKS, SHORT, MakeJobs, Outage, until
from tests.app.jobs.fakes import (
    FakeTrainer,
    Script,
    hangs,
    is_killed_searching,
    obeys,
    publishes_the_best_never,
    recipe,
    searches,
    searches_on_a_full_disk,
    searches_until_finished,
    searching,
    trial,
)

pytestmark = pytest.mark.anyio
ALL = [trial(number) for number in range(4)]


@pytest.fixture
def jobs(make_jobs: MakeJobs) -> Jobs:
    return make_jobs()


@asynccontextmanager
async def leading(jobs: Jobs) -> AsyncIterator[None]:
    lead = asyncio.create_task(jobs.lead())
    try:
        yield
    finally:
        lead.cancel()
        await asyncio.wait([lead])


async def submit(jobs: Jobs) -> str:
    return (await jobs.submit(searching(), promote=True, key=None, body=b"")).id


async def tried(jobs: Jobs, job: str, trials: int) -> None:
    """Wait until so many trials are recorded."""
    for _ in range(LOOKS):
        if len(await jobs.trials(job)) >= trials:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("there are no trials")


async def once(jobs: Jobs, job: str, holds: Callable[[Job], bool]) -> Job:
    """Return the job as soon as `holds` is true of it."""
    for _ in range(LOOKS):
        if holds(found := await jobs.get(job)):
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(found)


async def ended(jobs: Jobs, job: str) -> Job:
    return await once(jobs, job, lambda found: found.has_ended)


async def kinds(jobs: Jobs, job: str) -> list[str]:
    return [event.kind for event in await jobs.events_after(job, 0)]


async def test_each_trial_is_an_event_and_is_kept(jobs: Jobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [searches]
    async with leading(jobs):
        job = await submit(jobs)
        assert (await ended(jobs, job)).status == "succeeded"
    assert await kinds(jobs, job) == ["queued", "started", *["trial"] * 4, "published"]
    assert await jobs.trials(job) == ALL
    told = (await jobs.events_after(job, 2))[0].data
    assert told == {**trial(0).model_dump(mode="json", exclude={"reports"}), "best": 0, "of": 4}


async def test_a_search_whose_trainer_is_killed_goes_on_with_the_trials_it_has(
    jobs: Jobs, trainer: FakeTrainer, store: Store
) -> None:
    trainer.scripts = [is_killed_searching, searches]
    async with leading(jobs):
        job = await submit(jobs)
        assert (await ended(jobs, job)).status == "succeeded"
    assert [list(request.trials) for request in trainer.requests] == [[], ALL[:2]]
    assert (await kinds(jobs, job))[2:6] == ["trial", "trial", "resumed", "started"]
    assert await jobs.trials(job) == ALL
    assert store.versions("line") == [1]


async def test_a_search_goes_on_after_its_server_is_gone(
    make_jobs: MakeJobs, store: Store, trainer: FakeTrainer
) -> None:
    first, lost = make_jobs(), FakeTrainer(store, searches_until_finished)
    dying = make_jobs(trainer=lost)
    async with leading(dying):
        job = await submit(first)
        await tried(first, job, 2)
    assert (await first.get(job)).status == "queued"
    trainer.scripts = [searches]
    async with leading(first):
        assert (await ended(first, job)).status == "succeeded"
    assert [list(request.trials) for request in trainer.requests] == [ALL[:2]]


async def test_a_search_that_is_killed_again_and_again_at_the_same_trial_is_interrupted(
    jobs: Jobs, trainer: FakeTrainer
) -> None:
    trainer.scripts = [is_killed_searching] * 20
    async with leading(jobs):
        job = await submit(jobs)
        assert (await ended(jobs, job)).status == "interrupted"
    assert (await kinds(jobs, job)).count("resumed") == 1 + MOST_RESUMPTIONS
    assert await jobs.trials(job) == ALL


async def test_a_search_that_is_to_finish_publishes_its_best(jobs: Jobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [searches_until_finished]
    async with leading(jobs):
        job = await submit(jobs)
        await tried(jobs, job, 2)
        assert (await jobs.finish(job)).status == "running"
        assert (await jobs.finish(job)).status == "running"
        assert (await ended(jobs, job)).status == "succeeded"
    with pytest.raises(JobEnded):
        await jobs.finish(job)


EARLY_END = (
    "The search ended after 2 of 4 trials, because its server lets no training take longer (PATTERNS_TRAIN_SECONDS)."
)


async def test_a_search_that_takes_too_long_publishes_its_best_and_says_so(
    make_jobs: MakeJobs, trainer: FakeTrainer
) -> None:
    trainer.scripts = [searches_until_finished]
    jobs = make_jobs(train_seconds=2.0)
    async with leading(jobs):
        job = await submit(jobs)
        told = (await ended(jobs, job)).to_json()
    assert (told["status"], told["version"], told["error"], told["note"]) == ("succeeded", 1, None, EARLY_END)
    assert trainer.finishing == ["time_limit"]
    assert (await kinds(jobs, job))[2:] == ["trial", "trial", "finishing", "evaluated", "published"]
    assert (await jobs.events_after(job, 6))[0].data == {"version": 1, "note": EARLY_END}


async def test_the_time_of_trials_before_a_search_was_cut_off_counts(make_jobs: MakeJobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [is_killed_searching, searches_until_finished]
    # Each trial says that it has taken half a second.
    jobs = make_jobs(train_seconds=0.9)
    async with leading(jobs):
        assert (await ended(jobs, await submit(jobs))).status == "succeeded"
    assert trainer.finishing == ["time_limit"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param(
            hangs,
            "the search took longer than 1 s, and none of its trials has a score; lower fit.epochs, or raise "
            "PATTERNS_TRAIN_SECONDS",
            id="no trial",
        ),
        pytest.param(
            publishes_the_best_never,
            "the training of the best trial took longer than 1 s; lower fit.epochs, or raise PATTERNS_TRAIN_SECONDS; "
            "2 trials are kept, the best is trial 0: GET /train/{job}/trials has its recipe",
            id="no end",
        ),
    ],
)
async def test_a_search_that_has_nothing_to_publish_in_its_time_fails(
    make_jobs: MakeJobs, trainer: FakeTrainer, script: Script, said: str
) -> None:
    trainer.scripts = [script]
    jobs = make_jobs(train_seconds=1)
    async with leading(jobs):
        job = await submit(jobs)
        error = (await ended(jobs, job)).to_json()["error"]
    assert error == {"code": "timed_out", "message": said.format(job=job)}
    assert trainer.killed == [job]


async def test_a_search_goes_on_after_its_database_was_lost(
    make_jobs: MakeJobs, url: str, outage: Outage, trainer: FakeTrainer
) -> None:
    trainer.scripts = [searches_until_finished, searches]
    jobs = make_jobs(database_url=SecretStr(url))
    async with leading(jobs):
        job = await submit(jobs)
        await tried(jobs, job, 2)
        with outage():
            await until(lambda: not trainer.is_started)
            trainer.say_trials(2)
        assert (await ended(jobs, job)).status == "succeeded"
    assert [list(request.trials) for request in trainer.requests] == [[], ALL[:2]]
    assert (await kinds(jobs, job))[2:7] == ["trial", "trial", "resumed", "started", "trial"]
    assert await jobs.trials(job) == ALL


async def test_a_search_goes_on_when_the_disk_of_its_database_has_room_again(
    settings: Settings, store: Store, trainer: FakeTrainer
) -> None:
    class Full(Records):
        """Records that find no room for the second trial, once."""

        is_full = True

        def add_trial(self, job: str, trial: Trial, happened: Sequence[tuple[str, dict[str, Any]]]) -> None:
            if trial.number == 1 and self.is_full:
                self.is_full = False
                raise DiskFull
            super().add_trial(job, trial, happened)

    trainer.scripts = [searches_until_finished, searches]
    jobs = Jobs(Full(settings.jobs_url, settings.train_queue), store, trainer, settings, SHORT)
    async with leading(jobs):
        job = await submit(jobs)
        assert (await ended(jobs, job)).status == "succeeded"
    assert [list(request.trials) for request in trainer.requests] == [[], ALL[:1]]
    assert await jobs.trials(job) == ALL
    jobs.close()


async def test_a_search_whose_version_finds_no_room_keeps_its_trials(
    jobs: Jobs, trainer: FakeTrainer, store: Store
) -> None:
    trainer.scripts = [searches_on_a_full_disk]
    async with leading(jobs):
        job = await submit(jobs)
        error = (await ended(jobs, job)).to_json()["error"]
    kept = f"; 4 trials are kept, the best is trial 0: GET /train/{job}/trials has its recipe"
    assert (error["code"], error["message"].endswith(kept)) == ("disk_full", True)
    assert await jobs.trials(job) == ALL
    assert store.patterns() == []


async def test_a_search_that_is_cancelled_is_not_taken_up_again(jobs: Jobs, trainer: FakeTrainer) -> None:
    trainer.scripts = [obeys]
    async with leading(jobs):
        job = await submit(jobs)
        await once(jobs, job, lambda found: found.row["epoch"] == 1)
        await jobs.cancel(job)
        assert (await ended(jobs, job)).status == "cancelled"


async def test_a_queued_search_has_no_best_and_is_cancelled(jobs: Jobs) -> None:
    assert (await jobs.finish(await submit(jobs))).status == "cancelled"


async def test_only_a_search_can_be_finished(jobs: Jobs) -> None:
    job = (await jobs.submit(recipe(), promote=True, key=None, body=b"")).id
    with pytest.raises(Unprocessable, match="only a search has a best trial"):
        await jobs.finish(job)
    assert await jobs.trials(job) == []
    with pytest.raises(UnknownJob):
        await jobs.trials("0" * 32)


def test_trials_are_forgotten_with_their_job(records: Records) -> None:
    records._kept = 1
    old = records.submit(searching().to_json(), promote=True, key=None, body=b"")
    assert records.claim() is not None
    records.add_trial(old.id, trial(0), [])
    records.add_trial(old.id, trial(0), [])
    assert records.trials(old.id) == ALL[:1]
    records.end(old.id, "succeeded", version=1)
    for _ in range(2):
        newer = records.submit(recipe().to_json(), promote=True, key=None, body=b"")
        records.end(newer.id, "succeeded", version=1)
    records.submit(recipe().to_json(), promote=True, key=None, body=b"")
    with pytest.raises(UnknownJob):
        records.trials(old.id)
    with records._database.reading() as connection:
        assert records._trials(connection, old.id) == []
