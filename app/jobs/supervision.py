"""One training while the trainer process has it: what it says becomes records, and what it may not do is stopped."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

from app.jobs.job import Job, Status
from app.jobs.patience import Patience
from app.jobs.records import Records
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings
from models_store.errors import PublishUnconfirmed

TIMED_OUT = "timed_out"
MOST_EPOCH_EVENTS = 10_000


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    status: Status
    code: str | None = None
    message: str | None = None
    version: int | None = None

    @property
    def was_imposed(self) -> bool:
        """It was ended from outside; nobody knows yet how far it had come."""
        return self.status in ("cancelled", "interrupted") or self.code in (TIMED_OUT, PublishUnconfirmed.code)


class Supervision:
    """Lives for one job. `follow` raises TrainerDied if the process is lost."""

    def __init__(self, job: Job, records: Records, trainer: Trainer, settings: Settings, patience: Patience) -> None:
        self._job = job
        self._records = records
        self._trainer = trainer
        self._settings = settings
        self._patience = patience
        self._began = time.monotonic()
        self._asked_to_stop: float | None = None
        self._saying: asyncio.Future[dict[str, Any]] | None = None

    async def follow(self) -> Outcome:
        await self._trainer.submit(self._request())
        checked = time.monotonic()
        try:
            while True:
                said = await self._next_said()
                if said is not None and (outcome := await self._heard(said)) is not None:
                    return outcome
                if time.monotonic() - checked >= self._patience.supervision_poll_seconds:
                    checked = time.monotonic()
                    if (outcome := await self._stopped(is_silent=said is None)) is not None:
                        return outcome
        finally:
            if self._saying is not None:
                self._saying.cancel()
                with contextlib.suppress(asyncio.CancelledError, TrainerDied):
                    await self._saying

    def _request(self) -> dict[str, Any]:
        return {
            "id": self._job.id,
            "spec": self._job.recipe,
            "root": str(self._settings.store.absolute()),
            "publish": True,
            "promote": self._job.promote,
            "keep": self._settings.keep_versions,
            "device": self._settings.device,
            "engine": self._settings.engine,
        }

    async def _next_said(self) -> dict[str, Any] | None:
        """None when it has said nothing for a while; half a line is kept for the next call."""
        if self._saying is None:
            self._saying = asyncio.ensure_future(self._trainer.event())
        done, _ = await asyncio.wait([self._saying], timeout=self._patience.supervision_poll_seconds)
        if not done:
            return None
        said, self._saying = self._saying.result(), None
        return said if said.get("id") == self._job.id else None

    async def _heard(self, said: dict[str, Any]) -> Outcome | None:
        match said["event"]:
            case "started":
                await self._note([("started", {"epochs": said["epochs"]})])
            case "fold":
                await self._note(
                    [("fold", {name: value for name, value in said.items() if name not in ("id", "event")})]
                )
            case "work":
                await self._note([], epoch=said["done"], epochs=said["of"], eta_s=self._eta(said["done"], said["of"]))
            case "epochs":
                await self._note_epochs(said["epochs"], said.get("before", 0), said.get("of"))
            case "evaluated":
                sets = ("train", "validation", "test")
                scores = {name: said["card"][name] and said["card"][name]["overall"] for name in sets}
                await self._note([("evaluated", {"metrics": scores})], metrics=json.dumps(scores))
            case "published":
                return Outcome("succeeded", version=said["version"])
            case "failed":
                return Outcome("failed", said["code"], said["message"])
            case "cancelled":
                return Outcome("cancelled")
        return None

    async def _note_epochs(self, epochs: list[dict[str, Any]], before: int, of: int | None) -> None:
        """`before`: the epochs of folds; the record counts all, the events those of the network that is published."""
        last = epochs[-1]
        done, of = before + last["epoch"], of or self._job.recipe["fit"]["epochs"]
        # Every epoch is told, up to a number that a database holds for a thousand jobs; then every second, third, …
        stride = -(-self._job.recipe["fit"]["epochs"] // MOST_EPOCH_EVENTS)
        told = [("epoch", epoch) for epoch in epochs if epoch["epoch"] % stride == 0 or stride == 1]
        columns = {name: last[name] for name in ("loss", "val_loss")}
        await self._note(told, **columns, epoch=done, epochs=of, eta_s=self._eta(done, of))

    def _eta(self, done: int, of: int) -> float | None:
        """Seconds, if each epoch takes as long as those before it; None while there are none."""
        return round((time.monotonic() - self._began) / done * (of - done), 2) if done else None

    async def _note(self, happened: list[tuple[str, dict[str, Any]]], **columns: object) -> None:
        await asyncio.to_thread(self._records.progress, self._job.id, happened, **columns)

    async def _stopped(self, *, is_silent: bool) -> Outcome | None:
        """An end from outside: a polite request to stop that was not followed in time, or the longest time passed."""
        if time.monotonic() - self._began > self._settings.train_seconds:
            await self._trainer.stop()
            return Outcome("failed", TIMED_OUT, f"it took longer than {self._settings.train_seconds:g} s")
        if self._asked_to_stop is not None:
            # While it talks, its obedience may be among what is not heard yet.
            if is_silent and time.monotonic() - self._asked_to_stop > self._patience.cancel_seconds:
                await self._trainer.stop()
                return Outcome("cancelled")
        elif (await asyncio.to_thread(self._records.get, self._job.id)).cancel_requested:
            await self._trainer.cancel(self._job.id)
            self._asked_to_stop = time.monotonic()
        return None
