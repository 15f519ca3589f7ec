"""A trainer whose trainings follow a script instead of a recipe, and the scripts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from app.processes.trainer import Trainer, TrainerDied
from models_store.bundle import Bundle
from models_store.storage.store import Store
from tests.fakes import line
from training.recipe.spec import PatternSpec

Request = dict[str, Any]
Script = Callable[["FakeTrainer", Request], Awaitable[None]]
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
        self.requests: list[Request] = []
        self.asked_to_stop = asyncio.Event()
        self.killed: list[str] = []
        """Ids of the trainings that were under way when it was stopped."""
        self._said: asyncio.Queue[dict[str, Any] | None] | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def is_started(self) -> bool:
        return self._said is not None

    async def start(self) -> None:
        self._said = self._said or asyncio.Queue()

    async def submit(self, request: Request) -> None:
        await self.start()
        script = self.scripts.pop(0) if self.scripts else trains
        self.requests.append(request)
        self.asked_to_stop.clear()
        self._life = asyncio.create_task(self._live(script, request))

    async def event(self) -> dict[str, Any]:
        said = await self._said.get() if self._said is not None else None
        if said is None:
            raise TrainerDied(-9)
        return said

    async def cancel(self, request: str) -> None:
        assert request == self.requests[-1]["id"]
        self.asked_to_stop.set()

    async def stop(self) -> None:
        life, said, self._life, self._said = self._life, self._said, None, None
        if life is not None and not life.done():
            self.killed.append(self.requests[-1]["id"])
            life.cancel()
            await asyncio.wait([life])
        if said is not None:
            said.put_nowait(None)

    async def _live(self, script: Script, request: Request) -> None:
        try:
            await script(self, request)
        except Killed:
            self._hear(None)

    # -- what scripts do -------------------------------------------------------------------------------------------

    def say(self, event: str, **facts: object) -> None:
        self._hear({"id": self.requests[-1]["id"], "event": event} | facts)

    def say_epochs(self, *numbers: int) -> None:
        """Tell of these epochs at once; the loss of epoch n is 1/n."""
        self.say("epochs", epochs=[{"epoch": number, "loss": 1 / number, "val_loss": None} for number in numbers])

    def publish(self) -> int:
        """Publish the fake result of the last request; return its version."""
        request = self.requests[-1]
        return self.store.publish(learned(request["spec"], request["id"]), promote=request["promote"])

    def _hear(self, said: dict[str, Any] | None) -> None:
        if self._said is not None:
            self._said.put_nowait(said)


def recipe(name: str = "line", *, epochs: int = 3, seed: int = 2) -> PatternSpec:
    data = {"kind": "sequence", "rows": 100, "inputs": {"x": 0}, "outputs": {"y": "x + 10"}}
    return PatternSpec.parse({"name": name, "data": data, "fit": {"epochs": epochs}, "seed": seed})


def learned(recipe: dict[str, Any], job: str | None = None) -> Bundle:
    """Return the fake result of a recipe: y = seed·x."""
    return replace(line(recipe["seed"], recipe["name"], job), recipe=recipe)


# -- scripts -------------------------------------------------------------------------------------------------------


async def trains(trainer: FakeTrainer, request: Request) -> None:
    """Train all epochs, and publish."""
    epochs = request["spec"]["fit"]["epochs"]
    trainer.say("started", epochs=epochs)
    for epoch in range(1, epochs + 1):
        trainer.say_epochs(epoch)
    trainer.say("evaluated", card=learned(request["spec"], request["id"]).card.model_dump(mode="json"))
    trainer.say("published", version=trainer.publish())


async def begins(trainer: FakeTrainer, request: Request) -> None:
    """Train one epoch, then say nothing more."""
    trainer.say("started", epochs=request["spec"]["fit"]["epochs"])
    trainer.say_epochs(1)


async def hangs(trainer: FakeTrainer, request: Request) -> None:
    """Begin, then ignore every request to stop."""
    await begins(trainer, request)
    await asyncio.Event().wait()


async def obeys(trainer: FakeTrainer, request: Request) -> None:
    """Begin, then stop when asked to."""
    await begins(trainer, request)
    await trainer.asked_to_stop.wait()
    trainer.say("cancelled")


async def is_killed(trainer: FakeTrainer, request: Request) -> None:
    await begins(trainer, request)
    raise Killed


async def publishes_and_is_killed(trainer: FakeTrainer, request: Request) -> None:
    """Begin, publish, and die before saying so."""
    await begins(trainer, request)
    trainer.publish()
    raise Killed


async def publishes_and_hangs(trainer: FakeTrainer, request: Request) -> None:
    await begins(trainer, request)
    trainer.publish()
    await asyncio.Event().wait()


async def diverges(trainer: FakeTrainer, request: Request) -> None:
    await begins(trainer, request)
    trainer.say("failed", code="diverged", message="the loss is not a finite number any more")


def waits_for(go: asyncio.Event) -> Script:
    """Return a script that begins, and publishes when `go` is set."""

    async def script(trainer: FakeTrainer, request: Request) -> None:
        await begins(trainer, request)
        await go.wait()
        trainer.say("published", version=trainer.publish())

    return script
