"""One training in the trainer process: its events become records, and it is stopped when it must end."""

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.jobs.job import Job, Status
from app.jobs.patience import Patience
from app.jobs.records import Records
from app.jobs.trials import best_of
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings
from models_store.card import Card, Trial
from models_store.errors import PublishUnconfirmed
from training.messages import (
    Cancelled,
    Compared,
    Epoch,
    EpochsDone,
    Evaluated,
    Event,
    Failed,
    FoldScored,
    Publish,
    Published,
    Started,
    TrainingEvent,
    TrialEnded,
    TrialEpochs,
    WorkDone,
)
from training.recipe.fit import most_epochs

TIMED_OUT = "timed_out"
MOST_EPOCH_EVENTS = 10_000


@dataclass(frozen=True)
class Outcome:
    """The end of a training."""

    status: Status
    code: str | None = None
    message: str | None = None
    """Why it failed; of one that succeeded, what else there is to know."""
    version: int | None = None
    may_go_on: bool = False
    """True if the training is not to blame, so that it may be begun anew."""

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {"status": self.status, "code": self.code, "message": self.message, "version": self.version}

    @property
    def was_imposed(self) -> bool:
        """True if it was ended from outside, and may have published all the same."""
        return self.status in ("cancelled", "interrupted") or self.code in (TIMED_OUT, PublishUnconfirmed.code)


class Supervision:
    """Lives for one job."""

    def __init__(
        self,
        job: Job,
        records: Records,
        trainer: Trainer,
        settings: Settings,
        patience: Patience,
        outbox: Path | None = None,
    ) -> None:
        """`outbox`: see `Store.outbox`."""
        self._outbox = outbox
        self._comparisons = 0
        """How often what waits in the outbox was compared with a version that is no longer the champion."""
        self._job = job
        self._records = records
        self._trainer = trainer
        self._settings = settings
        self._patience = patience
        self._began = time.monotonic()
        self._asked_to_stop: float | None = None
        self._is_search = job.recipe.get("search") is not None
        self._asked_to_finish = False
        self._best: int | None = None
        """The number of a search's best trial so far."""
        self._over_time: float | None = None
        """When the trials of a search had taken as long as a training may."""
        self._early_end: str | None = None
        self._listening: asyncio.Future[Event] | None = None

    async def follow(self) -> Outcome:
        """Ask for the training and record it until it ends. Raises TrainerDied if the process is lost."""
        known = await asyncio.to_thread(self._records.trials, self._job.id)
        self._take_up(known)
        return await self._follow(self._request(known))

    async def compare_again(self) -> Outcome:
        """Ask for one more comparison of what waits in the outbox, and record it. Raises TrainerDied."""
        self._comparisons += 1
        return await self._follow(self._request(()))

    async def _follow(self, request: Publish) -> Outcome:
        await self._trainer.submit(request)
        checked = time.monotonic()
        try:
            while True:
                event = await self._next_event()
                if event is not None and (outcome := await self._heard(event)) is not None:
                    return outcome
                if time.monotonic() - checked >= self._patience.supervision_poll_seconds:
                    checked = time.monotonic()
                    if (outcome := await self._stopped(is_silent=event is None)) is not None:
                        return outcome
        finally:
            if self._listening is not None:
                self._listening.cancel()
                with contextlib.suppress(asyncio.CancelledError, TrainerDied):
                    await self._listening

    def _take_up(self, trials: Sequence[Trial]) -> None:
        """Count the time and the best of a search's trials before it was cut off."""
        self._began -= sum(trial.seconds for trial in trials)
        self._best = best_of(self._job, trials)

    def _request(self, trials: Sequence[Trial]) -> Publish:
        return Publish(
            id=self._job.id,
            recipe=self._job.recipe,
            device=self._settings.device,
            root=self._settings.store.absolute(),
            promote=self._job.promote,
            keep=self._settings.keep_versions,
            engine=self._settings.engine,
            outbox=None if self._outbox is None else self._outbox.absolute(),
            comparisons=self._comparisons,
            trials=tuple(trials),
        )

    async def _next_event(self) -> TrainingEvent | None:
        """Return the next event of this training; None after a silence. Half a line is kept for the next call."""
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._trainer.event())
        done, _ = await asyncio.wait([self._listening], timeout=self._patience.supervision_poll_seconds)
        if not done:
            return None
        event, self._listening = self._listening.result(), None
        return event if isinstance(event, TrainingEvent) and event.id == self._job.id else None

    async def _heard(self, event: TrainingEvent) -> Outcome | None:
        match event:
            case Started(epochs=epochs):
                await self._note([("started", {"epochs": epochs})])
            case FoldScored(fold=fold, folds=folds, figures=figures):
                await self._note([("fold", {"fold": fold, "folds": folds, **figures})])
            case TrialEpochs(number=number, epoch=epoch):
                await self._note([("trial_epoch", {"trial": number, **epoch.model_dump()})])
            case TrialEnded():
                await self._note_trial(event)
            case WorkDone(done=done, of=of):
                await self._note([], epoch=done, epochs=of, eta_s=self._eta(done, of))
            case EpochsDone(epochs=epochs, before=before, of=of):
                await self._note_epochs(epochs, before, of)
            case Evaluated(card=card):
                scores = _scores(card)
                self._early_end = None if card.search is None else card.search.early_end
                await self._note([("evaluated", {"metrics": scores})], metrics=json.dumps(scores))
            case Compared(promotion=promotion):
                await asyncio.to_thread(self._records.add_promotion, self._job.id, promotion)
            case Published(version=version):
                return Outcome("succeeded", message=self._early_end, version=version)
            case Failed(code=code, message=message):
                return Outcome("failed", code, message)
            case Cancelled():
                return Outcome("cancelled")
        return None

    async def _note_epochs(self, epochs: Sequence[Epoch], before: int, of: int | None) -> None:
        """Record epochs: the job counts those of the folds (`before`) too, its events only the published network's."""
        last = epochs[-1]
        planned = most_epochs(self._job.recipe["fit"]["epochs"])
        done, of = before + last.epoch, of or planned
        # Every epoch is told, up to a number that a database holds for a thousand jobs; then every second, third, …
        stride = -(-planned // MOST_EPOCH_EVENTS)
        told = [("epoch", epoch.model_dump()) for epoch in epochs if epoch.epoch % stride == 0 or stride == 1]
        await self._note(told, epoch=done, epochs=of, loss=last.loss, val_loss=last.val_loss, eta_s=self._eta(done, of))

    async def _note_trial(self, ended: TrialEnded) -> None:
        self._best = ended.best
        told = ended.trial.model_dump(mode="json", exclude={"reports"})
        happened = [("trial", {**told, "best": ended.best, "of": ended.of})]
        await asyncio.to_thread(self._records.add_trial, self._job.id, ended.trial, happened)

    def _eta(self, done: int, of: int) -> float | None:
        """Return the seconds left, if each epoch takes as long as those before it; None before the first."""
        return round((time.monotonic() - self._began) / done * (of - done), 2) if done else None

    async def _note(self, happened: list[tuple[str, dict[str, Any]]], **columns: object) -> None:
        await asyncio.to_thread(self._records.progress, self._job.id, happened, **columns)

    async def _stopped(self, *, is_silent: bool) -> Outcome | None:
        """End the training if it takes too long, or was asked to stop and has not done so in time."""
        if time.monotonic() - (self._over_time or self._began) > self._settings.train_seconds:
            return await self._end_over_time()
        if self._asked_to_stop is not None:
            # While events come, `cancelled` may be among those that wait to be read.
            if is_silent and time.monotonic() - self._asked_to_stop > self._patience.cancel_seconds:
                await self._trainer.stop()
                return Outcome("cancelled")
        elif (await asyncio.to_thread(self._records.get, self._job.id)).cancel_requested:
            await self._trainer.cancel(self._job.id)
            self._asked_to_stop = time.monotonic()
        elif self._is_search and not self._asked_to_finish:
            self._asked_to_finish = await asyncio.to_thread(self._records.is_finishing, self._job.id)
            if self._asked_to_finish:
                await self._trainer.finish(self._job.id, "asked")
        return None

    async def _end_over_time(self) -> Outcome | None:
        """Stop the training; or, once, end the trials of a search, and let its best be trained for as long again."""
        if self._best is not None and self._over_time is None and self._asked_to_stop is None:
            self._over_time = time.monotonic()
            await self._trainer.finish(self._job.id, "time_limit")
            await self._note([("finishing", {"why": "time_limit", "best": self._best})])
            return None
        await self._trainer.stop()
        longest = f"{self._settings.train_seconds:g} s"
        if self._is_search and self._best is None:
            message = f"the search took longer than {longest}, and none of its trials has a score"
        else:
            message = f"the training {'of the best trial ' if self._over_time else ''}took longer than {longest}"
        return Outcome("failed", TIMED_OUT, f"{message}; lower fit.epochs, or raise PATTERNS_TRAIN_SECONDS")


def _scores(card: Card) -> dict[str, Any]:
    """Return the scores over all outputs by set of rows, as JSON; None where there are no validation rows."""
    sets = {"train": card.train, "validation": card.validation, "test": card.test}
    return {name: measured and measured.overall.model_dump(mode="json") for name, measured in sets.items()}
