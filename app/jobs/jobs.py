"""Trainings: submitted in any process, run one after another by the process that leads, seen by all.

submit -> records (durable) -> 202
lead:  lock on the store -> take up what dead leaders left running -> claim -> supervise -> end
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from app.errors import Draining, NoTrainer, Overloaded
from app.jobs.job import Event, Job
from app.jobs.patience import USUAL, Patience
from app.jobs.records import Records
from app.jobs.supervision import Outcome, Supervision
from app.jobs.trials import best_of
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings
from app.telemetry import metrics
from models_store.card import Trial
from models_store.errors import (
    BucketUnavailable,
    ChampionMoved,
    DatasetDamaged,
    PatternServerError,
    StoreUnwritable,
    UnknownDataset,
)
from models_store.storage.checkpoints import Checkpoints
from models_store.storage.datasets import Datasets
from models_store.storage.locks import FileLock
from models_store.storage.store import Store
from models_store.wording import counted
from training.messages import IfBetter, Promote
from training.recipe.extras import check_extras
from training.recipe.spec import PatternSpec

log = logging.getLogger("patterns.jobs")

STOPPED = Outcome(
    "interrupted", "interrupted", "the server process that ran this training stopped before its end", may_go_on=True
)


class LeaseLost(Exception):
    """Another process has taken up the job that this one runs, because this one was silent for too long."""


class Jobs:
    """The trainings of one store, as long-lived as the app. `lead` runs as a task beside the routes.

    Every call raises TrainingUnavailable where the database does not answer, DiskFull where its disk is full, and
    StoreUnwritable where the store is read-only.
    """

    def __init__(
        self,
        records: Records,
        store: Store,
        trainer: Trainer,
        settings: Settings,
        patience: Patience = USUAL,
        most_listeners: int = 200,
        datasets: Datasets | None = None,
    ) -> None:
        self.patience = patience
        self._records = records
        self._store = store
        self._datasets = datasets or Datasets(settings.store)
        self._trainer = trainer
        self._settings = settings
        self._most_listeners = most_listeners
        self._checkpoints = Checkpoints(settings.store)
        self._lock = FileLock(settings.store / ".trainer.lock")
        self._submitted = asyncio.Event()
        self._is_open = False
        self._opening = asyncio.Lock()
        self.is_draining = False
        self.listeners = 0
        self._given_up: dict[str, Outcome] = {}
        """How jobs that disk or database made this process give up are to end."""

    def drain(self) -> None:
        """Take no more trainings: the server is about to stop."""
        self.is_draining = True

    # -- asked by routes -------------------------------------------------------------------------------------------

    def check_trainer(self) -> None:
        """Raise NoTrainer where nobody would ever train what is submitted."""
        if (reason := self._settings.why_untrained) is not None:
            raise NoTrainer(reason)

    async def submit(
        self, spec: PatternSpec, *, promote: Promote, key: str | None, body: bytes, unless_under_way: bool = False
    ) -> Job:
        """Return the job when it is in the database; a known idempotency key returns the job of its first request.

        `unless_under_way`: a job of the same pattern that has not ended is returned instead of a new one.
        Raises Draining, QueueFull, RecipeError where the recipe asks for what is not installed, and Unprocessable where
        the key came with another body before.
        """
        if self.is_draining:
            raise Draining
        check_extras(spec)
        await self._open()
        submit = partial(self._records.submit, promote=promote, key=key, body=body, unless_under_way=unless_under_way)
        job = await asyncio.to_thread(submit, spec.to_json())
        self._submitted.set()
        return job

    async def get(self, job: str) -> Job:
        """Raises UnknownJob."""
        await self._open()
        return await asyncio.to_thread(self._records.get, job)

    async def recent(self) -> list[Job]:
        """Return the last hundred, newest first."""
        await self._open()
        return await asyncio.to_thread(self._records.recent)

    async def cancel(self, job: str) -> Job:
        """End a queued job at once, or ask a running one to stop. Raises UnknownJob and JobEnded."""
        await self._open()
        return await asyncio.to_thread(self._records.cancel, job)

    async def finish(self, job: str) -> Job:
        """Ask a search to end with its best trial so far. Raises UnknownJob, JobEnded, and Unprocessable."""
        await self._open()
        return await asyncio.to_thread(self._records.finish, job)

    async def trials(self, job: str) -> list[Trial]:
        """Return the trials of a search that have ended; none for any other job. Raises UnknownJob."""
        await self._open()
        return await asyncio.to_thread(self._records.trials, job)

    async def events_after(self, job: str, number: int) -> list[Event]:
        await self._open()
        return await asyncio.to_thread(self._records.events_after, job, number)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Count one listener while this lasts. Raises Overloaded where there are as many as may be."""
        if self.listeners >= self._most_listeners:
            raise Overloaded
        self.listeners += 1
        try:
            yield
        finally:
            self.listeners -= 1

    def close(self) -> None:
        self._records.close()

    # -- leading ---------------------------------------------------------------------------------------------------

    async def lead(self) -> None:
        """Run jobs whenever this process holds the lock, until cancelled. Waits out faults of disk and database.

        Return at once where nothing is trained here.
        """
        if not self._settings.trains:
            return
        try:
            while True:
                try:
                    await self._open()
                    if await asyncio.to_thread(self._lock.acquire):
                        await self._work()
                except (PatternServerError, OSError) as error:
                    log.warning("no trainings for now", extra={"reason": str(error)})
                except Exception:
                    log.exception("bug")
                # A training that nobody follows must not publish.
                await self._trainer.stop()
                await asyncio.sleep(self.patience.leader_poll_seconds)
        finally:
            await self._trainer.stop()
            self._lock.release()

    async def _open(self) -> None:
        async with self._opening:
            if self._is_open:
                return
            if not os.access(self._settings.store, os.W_OK):
                raise StoreUnwritable("it is read-only")
            await asyncio.to_thread(lambda: self._records.open(self._store.identity(), self._lock.place()))
            self._is_open = True

    async def _work(self) -> None:
        await self._take_up_orphans()
        if self._settings.has_warm_trainer:
            await self._trainer.start()
        looked = time.monotonic()
        while True:
            if time.monotonic() - looked >= self.patience.lease_poll_seconds:
                await self._take_up_orphans()
                looked = time.monotonic()
            # Cleared before looking into the queue, so that a job submitted meanwhile ends the wait below.
            self._submitted.clear()
            # A draining server leaves queued jobs to the next one.
            job = None if self.is_draining else await self._claim()
            if job is not None:
                await self._run(job)
                continue
            # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience.queue_poll_seconds):
                    await self._submitted.wait()

    async def _take_up_orphans(self) -> None:
        """End the running jobs whose process is gone, or put them back into the queue."""
        for orphan in await asyncio.to_thread(self._records.take_over):
            await self._end_unless_published(orphan, self._given_up.pop(orphan.id, STOPPED))

    async def _claim(self) -> Job | None:
        """Claim the oldest queued job; if this is cancelled meanwhile, put the job back into the queue."""
        claiming = asyncio.ensure_future(asyncio.to_thread(self._records.claim))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(PatternServerError, OSError):
                if (job := await claiming) is not None:
                    await asyncio.to_thread(self._records.unclaim, job.id)
            raise

    async def _run(self, job: Job) -> None:
        try:
            await self._end_unless_published(job, await self._outcome(job))
        except TrainerDied as error:
            ended = f"the trainer process ended too early (exit status {error.status})"
            why = str(error) if error.lost_cluster else ended
            await self._end_unless_published(job, Outcome("interrupted", "interrupted", why))
            await self._trainer.stop()
        except LeaseLost:
            log.warning("another server has taken up a training", extra={"job": job.id, "pattern": job.pattern})
            await self._trainer.stop()
        except (PatternServerError, OSError) as error:
            # It goes on when the fault has passed: there is nowhere to write it down before.
            why = f"this training was given up: {error}"
            self._given_up[job.id] = Outcome("interrupted", "interrupted", why, may_go_on=True)
            raise
        except asyncio.CancelledError:
            await self._trainer.stop()
            # If this fails, the next leader finds the job running, and takes it up.
            with contextlib.suppress(PatternServerError, OSError):
                await self._end_unless_published(job, STOPPED)
            raise
        except Exception as error:
            why = f"this training was given up: {type(error).__name__}"
            self._given_up[job.id] = Outcome("interrupted", "interrupted", why)
            raise

    async def _outcome(self, job: Job) -> Outcome:
        """Follow the training for as long as this process has its lease. Raises LeaseLost and TrainerDied."""
        following, keeping = asyncio.create_task(self._follow(job)), asyncio.create_task(self._keep(job))
        try:
            await asyncio.wait([following, keeping], return_when=asyncio.FIRST_COMPLETED)
            return following.result() if following.done() else keeping.result()
        finally:
            for task in (following, keeping):
                task.cancel()
            await asyncio.gather(following, keeping, return_exceptions=True)

    async def _follow(self, job: Job) -> Outcome:
        """Follow the training to its end, and to where its version is to be."""
        outbox = self._store.outbox(job.id)
        await asyncio.to_thread(self._fetch_tables, job)
        training = Supervision(job, self._records, self._trainer, self._settings, self.patience, outbox)
        outcome = await training.follow()
        while outbox is not None and outcome.version is not None:
            try:
                version = await self._delivered(job)
            except ChampionMoved as error:
                log.info("compares again", extra={"job": job.id, "reason": str(error)})
                await asyncio.to_thread(self._fetch_champion, job)
                outcome = await training.compare_again()
            else:
                return Outcome("cancelled") if version is None else replace(outcome, version=version)
        return outcome

    def _fetch_champion(self, job: Job) -> None:
        """Fetch the version that was made the champion elsewhere, and its tables, if the bucket answers now."""
        with contextlib.suppress(BucketUnavailable):
            self._store.fetch(job.pattern)
        self._fetch_tables(job)

    def _fetch_tables(self, job: Job) -> None:
        """Look the tables up, which fetches those that were uploaded elsewhere; the trainer says what is missing."""
        for recipe in (job.recipe, *self._recipes_beside(job)):
            data = recipe.get("data", {})
            tables = (data["dataset"], data.get("test")) if data.get("kind") == "table" else ()
            for dataset in filter(None, tables):
                with contextlib.suppress(UnknownDataset, DatasetDamaged):
                    self._datasets.get(dataset)

    def _recipes_beside(self, job: Job) -> list[dict[str, Any]]:
        """Return the recipe of the champion, where the new version is to be compared with it on rows new to both."""
        if not isinstance(job.promote, IfBetter):
            return []
        with contextlib.suppress(PatternServerError):  # the trainer says what keeps the two from being compared
            return [self._store.describe(job.pattern, self._store.champion(job.pattern)).recipe]
        return []

    async def _delivered(self, job: Job) -> int | None:
        """Return the version of what was trained, once the bucket has it; None if that is no longer wanted."""
        while True:
            try:
                return await asyncio.to_thread(self._store.deliver, job.pattern, job.id, promote=_told(job))
            except BucketUnavailable as error:
                if await self._is_cancelled(job):
                    return None
                log.warning("waits for the bucket", extra={"job": job.id, "reason": str(error)})
                await asyncio.sleep(self.patience.bucket_poll_seconds)

    async def _is_cancelled(self, job: Job) -> bool:
        return (await asyncio.to_thread(self._records.get, job.id)).cancel_requested

    async def _keep(self, job: Job) -> NoReturn:
        """Renew the lease of a job. Raises LeaseLost, and an error where the database does not answer in time."""
        pause = self.patience.lease_poll_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                # Three quarters of the lease have passed then.
                async with asyncio.timeout(2 * pause):
                    is_mine = await asyncio.to_thread(self._records.renew, job.id)
            except TimeoutError:
                raise TimeoutError("the database did not renew the lease of the training in time") from None
            if not is_mine:
                raise LeaseLost

    async def _end_unless_published(self, job: Job, outcome: Outcome) -> None:
        """End the job; it has succeeded if its version is in the store, even if it was stopped or lost afterwards.

        One that was cut off goes back into the queue: a search with the trials that it has, another training where it
        is not to blame.
        """
        version = outcome.version
        if outcome.was_imposed:
            version = await self._published_all_the_same(job)
        if version is None:
            await self._end_unpublished(job, outcome)
            return
        if outcome.version is None and await asyncio.to_thread(self._is_promoted, job, version):
            await asyncio.to_thread(self._store.promote_if_unaliased, job.pattern, version)
        note = outcome.message if outcome.status == "succeeded" else None
        await self._end(job, Outcome("succeeded", message=note, version=version))

    async def _published_all_the_same(self, job: Job) -> int | None:
        """Return the version of a job that was ended from outside; None if it has none.

        Of one that was cancelled, what the bucket is too far away to take is thrown away: it would hold up the queue.
        What is to be compared again has none yet: that is done where the training goes on.
        """
        try:
            return await asyncio.to_thread(self._store.deliver, job.pattern, job.id, promote=_told(job))
        except (BucketUnavailable, ChampionMoved) as error:
            if await self._is_cancelled(job):
                await asyncio.to_thread(self._store.discard, job.id)
            elif isinstance(error, BucketUnavailable):
                raise
            return None

    def _is_promoted(self, job: Job, version: int) -> bool:
        """True if the version, which the job has published, was to become the champion."""
        promote = _told(job)
        return self._store.describe(job.pattern, version).card.was_promoted if promote is None else promote

    async def _end_unpublished(self, job: Job, outcome: Outcome) -> None:
        is_search = job.recipe.get("search") is not None
        if outcome.status == "interrupted":
            if (outcome.may_go_on or is_search) and await asyncio.to_thread(self._records.resume, job.id):
                log.info("training taken up again", extra={"job": job.id, "pattern": job.pattern})
                return
            if await self._is_cancelled(job):
                outcome = Outcome("cancelled")
        if outcome.status == "interrupted" or (outcome.status == "failed" and is_search):
            reached = await asyncio.to_thread(self._reached, job)
            outcome = replace(outcome, message=f"{outcome.message}{reached}")
        await self._end(job, outcome)

    def _reached(self, job: Job) -> str:
        """Say what there is of a training that ended too early."""
        if job.recipe.get("search"):
            return self._tried(job)
        row, kept = self._records.get(job.id).row, self._checkpoints.read(job.id)
        best = f", and the weights of epoch {kept.best_epoch} are kept" if kept is not None else ""
        epochs = counted(row["epochs"], "epoch", "epochs")
        return f"; it had done {row['epoch']} of {epochs}{best}; submit it again to train it anew"

    def _tried(self, job: Job) -> str:
        trials = self._records.trials(job.id)
        best = best_of(job, trials)
        if best is None:
            return ""
        kept = counted(len(trials), "trial is", "trials are")
        return f"; {kept} kept, the best is trial {best}: GET /train/{job.id}/trials has its recipe"

    async def _end(self, job: Job, outcome: Outcome) -> None:
        if await asyncio.to_thread(self._records.end, job.id, **outcome.facts):
            metrics.TRAININGS.labels(outcome.status).inc()
            log.info("training ended", extra={"job": job.id, "pattern": job.pattern, "outcome": outcome.facts})
            if outcome.status == "succeeded" and _told(job) is None:
                await self._count_promotion(job)

    async def _count_promotion(self, job: Job) -> None:
        promotion = (await asyncio.to_thread(self._records.get, job.id)).promotion
        if promotion is not None:  # a server that was killed may not have come to record it
            metrics.PROMOTIONS.labels(job.pattern, promotion["outcome"]).inc()


def _told(job: Job) -> bool | None:
    """Return whether the job's version is to be the champion; None where a comparison decides it."""
    return job.promote if isinstance(job.promote, bool) else None
