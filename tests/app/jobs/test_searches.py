"""Searches as jobs: each trial is recorded, and a search that is cut off is taken up with the trials that it has."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from app.errors import JobEnded, UnknownJob, Unprocessable
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.records import MOST_RESUMPTIONS, Records
from models_store.storage.store import Store
from tests.app.jobs.conftest import LOOKS, MakeJobs
from tests.app.jobs.fakes import (
    FakeTrainer,
    is_killed_searching,
    obeys,
    recipe,
    searches,
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
