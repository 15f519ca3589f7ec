"""A trainer whose trainings follow a script instead of a recipe, and the scripts."""

import asyncio
import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from app.processes.trainer import Trainer, TrainerDied
from models_store.bundle import Bundle
from models_store.card import EarlyEnd, Searched, Trial
from models_store.errors import DiskFull
from models_store.storage.store import Store
from tests.disks import StrickenDisk, fails
from tests.fakes import LinearNetwork, line
from training.messages import (
    Cancelled,
    Epoch,
    EpochsDone,
    Evaluated,
    Event,
    Failed,
    MeasureEach,
    Publish,
    PublishEach,
    Published,
    Started,
    TrainingRequest,
    TrialEnded,
    event_of,
    to_line,
)
from training.recipe.spec import PatternSpec

Script = Callable[["FakeTrainer", Publish], Awaitable[None]]
EXACT = {"rmse": 0.0, "mae": 0.0, "median_error": 0.0, "r2": 1.0, "max_error": 0.0}
SCORES = {"train": EXACT, "validation": None, "test": EXACT}


class Killed(Exception):
    """Ends the fake process, wherever its script is."""


class FakeTrainer(Trainer):
    """A task instead of a process: it speaks the worker's protocol, publishes into the store, and can be killed."""

    def __init__(self, store: Store, *scripts: Script) -> None:
        super().__init__()
        self.store = store
        self.scripts = list(scripts)
        """The scripts of the next trainings; when there is none left, a training goes well."""
        self.requests: list[Publish] = []
        self.asked_to_stop = asyncio.Event()
        self.asked_to_finish = asyncio.Event()
        self.finishing: list[EarlyEnd] = []
        """Why searches were asked to end with their best trial."""
        self.killed: list[str] = []
        """Ids of the trainings that were under way when it was stopped."""
        self._lines: asyncio.Queue[str | None] | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def is_started(self) -> bool:
        return self._lines is not None

    async def start(self) -> None:
        self._lines = self._lines or asyncio.Queue()

    async def submit(self, request: TrainingRequest | PublishEach | MeasureEach) -> None:
        assert isinstance(request, TrainingRequest)
        assert isinstance(request, Publish)
        await self.start()
        script = self.scripts.pop(0) if self.scripts else trains
        self.requests.append(request)
        self.asked_to_stop.clear()
        self._life = asyncio.create_task(self._live(script, request))

    async def event(self) -> Event:
        line = await self._lines.get() if self._lines is not None else None
        if line is None:
            raise TrainerDied(-9)
        return event_of(line)

    async def cancel(self, training: str) -> None:
        assert training == self.requests[-1].id
        self.asked_to_stop.set()

    async def finish(self, search: str, why: EarlyEnd) -> None:
        assert search == self.requests[-1].id
        self.finishing.append(why)
        self.asked_to_finish.set()

    async def stop(self) -> None:
        life, lines, self._life, self._lines = self._life, self._lines, None, None
        if life is not None and not life.done():
            self.killed.append(self.requests[-1].id)
            life.cancel()
            await asyncio.wait([life])
        if lines is not None:
            lines.put_nowait(None)

    async def _live(self, script: Script, request: Publish) -> None:
        try:
            await script(self, request)
        except Killed:
            self.write(None)

    # -- what scripts do -------------------------------------------------------------------------------------------

    def say(self, event: Event) -> None:
        self.write(to_line(event))

    def say_epochs(self, *numbers: int, before: int = 0, of: int | None = None) -> None:
        """Tell of these epochs at once; the loss of epoch n is 1/n."""
        epochs = tuple(
            Epoch(epoch=number, loss=1 / number, val_loss=None, metric=None, val_metric=None) for number in numbers
        )
        self.say(EpochsDone(id=self.requests[-1].id, epochs=epochs, before=before, of=of))

    def say_trials(self, *numbers: int, of: int = 4) -> None:
        """Tell of these trials; the value of trial n is n + 1, so that the first is the best."""
        for number in numbers:
            self.say(TrialEnded(id=self.requests[-1].id, trial=trial(number), best=0, of=of))

    def evaluate_early(self) -> Evaluated:
        """Return the event with the card of a search that ended after two of its trials."""
        request, trials = self.requests[-1], [trial(0), trial(1)]
        known = {"method": "grid", "metric": "rmse", "folds": None, "best": 0, "trials": trials, "seconds": 1.0}
        found = Searched.model_validate({**known, "planned": 4, "ended_early": self.finishing[0]})
        card = learned(request.recipe, request.id).card.model_copy(update={"search": found})
        return Evaluated(id=request.id, card=card)

    def publish(self) -> Published:
        """Publish the fake result of the last request; return the event that tells of it."""
        request = self.requests[-1]
        version = self.store.publish(learned(request.recipe, request.id), promote=request.promote is True)
        return Published(id=request.id, version=version)

    def write(self, line: str | None) -> None:
        """Write a line of the process' output, or its end."""
        if self._lines is not None:
            self._lines.put_nowait(line)


def recipe(name: str = "line", *, epochs: int = 3, seed: int = 2) -> PatternSpec:
    data = {"kind": "sequence", "rows": 100, "inputs": {"x": 0}, "outputs": {"y": "x + 10"}}
    return PatternSpec.parse({"name": name, "data": data, "fit": {"epochs": epochs}, "seed": seed})


def searching(name: str = "line", **search: Any) -> PatternSpec:
    """Return a recipe with a search of four trials."""
    space = {"fit.optimizer.learning_rate": [0.1, 0.2, 0.3, 0.4]}
    return recipe(name).overridden({"search": {"method": "grid", "space": space, **search}})


def trial(number: int) -> Trial:
    point: dict[str, JsonValue] = {"fit.optimizer.learning_rate": (number + 1) / 10}
    return Trial(
        number=number, state="complete", value=number + 1, point=point, epochs=3, seconds=0.5, reports=[(3, 1.0)]
    )


def learned(recipe: dict[str, Any], job: str | None = None) -> Bundle:
    """Return the fake result of a recipe: y = seed·x."""
    return replace(line(recipe["seed"], recipe["name"], job), recipe=recipe)


# -- scripts -------------------------------------------------------------------------------------------------------


async def trains(trainer: FakeTrainer, request: Publish) -> None:
    """Train all epochs, and publish."""
    epochs = PatternSpec.parse(request.recipe).fit.most_epochs
    trainer.say(Started(id=request.id, epochs=epochs))
    for epoch in range(1, epochs + 1):
        trainer.say_epochs(epoch)
    trainer.say(Evaluated(id=request.id, card=learned(request.recipe, request.id).card))
    trainer.say(trainer.publish())


async def begins(trainer: FakeTrainer, request: Publish) -> None:
    """Train one epoch, then say nothing more."""
    trainer.say(Started(id=request.id, epochs=PatternSpec.parse(request.recipe).fit.most_epochs))
    trainer.say_epochs(1)


async def hangs(trainer: FakeTrainer, request: Publish) -> None:
    """Begin, then ignore every request to stop."""
    await begins(trainer, request)
    await asyncio.Event().wait()


async def obeys(trainer: FakeTrainer, request: Publish) -> None:
    """Begin, then stop when asked to."""
    await begins(trainer, request)
    await trainer.asked_to_stop.wait()
    trainer.say(Cancelled(id=request.id))


async def searches(trainer: FakeTrainer, request: Publish) -> None:
    """Run the trials that are not known yet, and publish."""
    trainer.say(Started(id=request.id, epochs=3))
    trainer.say_trials(*range(len(request.trials), 4))
    trainer.say(trainer.publish())


async def searches_until_finished(trainer: FakeTrainer, request: Publish) -> None:
    """Run two trials, and publish when asked to finish."""
    trainer.say(Started(id=request.id, epochs=3))
    trainer.say_trials(0, 1)
    await trainer.asked_to_finish.wait()
    trainer.say(trainer.evaluate_early())
    trainer.say(trainer.publish())


async def publishes_the_best_never(trainer: FakeTrainer, request: Publish) -> None:
    """Run two trials, and train the best without an end when asked to finish."""
    trainer.say(Started(id=request.id, epochs=3))
    trainer.say_trials(0, 1)
    await asyncio.Event().wait()


async def searches_on_a_full_disk(trainer: FakeTrainer, request: Publish) -> None:
    """Run the trials that are not known yet, and find no room for the version."""
    trainer.say(Started(id=request.id, epochs=3))
    trainer.say_trials(*range(len(request.trials), 4))
    full = Store(trainer.store.root, LinearNetwork.from_bytes, disk=StrickenDisk(3, fails(errno.ENOSPC)))
    with pytest.raises(DiskFull) as told:
        full.publish(learned(request.recipe, request.id), promote=request.promote is True)
    trainer.say(Failed(id=request.id, code=told.value.code, message=str(told.value)))


async def is_killed_searching(trainer: FakeTrainer, request: Publish) -> None:
    """Run two trials more than are known, and die."""
    trainer.say(Started(id=request.id, epochs=3))
    trainer.say_trials(*range(len(request.trials), min(4, len(request.trials) + 2)))
    raise Killed


async def is_killed(trainer: FakeTrainer, request: Publish) -> None:
    await begins(trainer, request)
    raise Killed


async def publishes_and_is_killed(trainer: FakeTrainer, request: Publish) -> None:
    """Begin, publish, and die before saying so."""
    await begins(trainer, request)
    trainer.publish()
    raise Killed


async def publishes_and_hangs(trainer: FakeTrainer, request: Publish) -> None:
    await begins(trainer, request)
    trainer.publish()
    await asyncio.Event().wait()


async def diverges(trainer: FakeTrainer, request: Publish) -> None:
    await begins(trainer, request)
    trainer.say(Failed(id=request.id, code="diverged", message="the loss is not a finite number any more"))


def waits_for(go: asyncio.Event) -> Script:
    """Return a script that begins, and publishes when `go` is set."""

    async def script(trainer: FakeTrainer, request: Publish) -> None:
        await begins(trainer, request)
        await go.wait()
        trainer.say(trainer.publish())

    return script
