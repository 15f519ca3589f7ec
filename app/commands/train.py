"""`patterns train`: the trainer process at work, with a live bar for each training."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from app.commands.wording import headline, words
from app.jobs.recipes import recipe_of_pattern
from app.processes.trainer import Trainer, TrainerDied
from app.settings import load_settings
from models_store.card import Card
from models_store.errors import StoreUnwritable
from models_store.storage.disk import writing
from models_store.storage.store import Store
from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec, catalogue

err = Console(stderr=True)


def spec_named(name: str) -> PatternSpec:
    """A recipe file, or the recipe of a pattern."""
    if name.endswith((".yaml", ".yml", ".json")):
        if not Path(name).is_file():
            raise RecipeError(f"{name}: no such file")
        return PatternSpec.read(Path(name))
    return recipe_of_pattern(Store(load_settings().store, load_network=_never), name)


def missing_specs() -> list[PatternSpec]:
    """The catalogue, without what the store has a good version of; says what is left."""
    store = Store(load_settings().store, load_network=_never)
    _set_damaged_aside(store)
    present = {name for name in store.patterns() if store.versions(name)}
    missing = {name: spec for name, spec in catalogue().items() if name not in present}
    said = (
        f"the store lacks {', '.join(missing)}" if missing else "the store has all of the catalogue: nothing to train"
    )
    err.print(said, style="dim", highlight=False)
    return list(missing.values())


def _set_damaged_aside(store: Store) -> None:
    # Where the store cannot be written, nothing can be trained either; what it holds counts as it is.
    with contextlib.suppress(StoreUnwritable):
        for moved in store.recover():
            err.print(f"{moved} is damaged and was moved into {store.root / '.quarantine'}", markup=False)


def train(specs: list[PatternSpec], *, promote: bool) -> int:
    """How many failed."""
    return asyncio.run(_train_all(specs, promote)) if specs else 0


async def _train_all(specs: list[PatternSpec], promote: bool) -> int:
    settings = load_settings()
    with writing():
        settings.store.mkdir(parents=True, exist_ok=True)
    publish = {
        "publish": True,
        "promote": promote,
        "root": str(settings.store.absolute()),
        "keep": settings.keep_versions,
        "engine": settings.engine,
    }
    failures = 0
    async for spec, last in trainings(specs, {**publish, "device": settings.device}):
        if last["event"] == "published":
            card = Card.model_validate(last["card"])
            err.print(f"[green]✓[/] {spec.name} version {last['version']}: {headline(card.test.overall)}")
            err.print(f"  {card.baselines.verdict}", style="dim", markup=False, highlight=False)
            if card.notes:
                err.print(f"  {card.notes[0]}", style="yellow", markup=False, highlight=False)
        else:
            failures += 1
            err.print(f"[red]✗[/] {spec.name}: {words(last.get('message', last['event']))}")
    return failures


async def trainings(
    specs: list[PatternSpec], request: dict[str, Any]
) -> AsyncIterator[tuple[PatternSpec, dict[str, Any]]]:
    """Each recipe with the last word about it, and its card under "card", as they are done."""
    trainer = Trainer(load_settings().trainer_memory_mb)
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    with bars:
        starting = bars.add_task("starting TensorFlow (takes some seconds)", total=None, loss="")
        try:
            for spec in specs:
                bar = bars.add_task(spec.name, total=spec.fit.epochs, loss="", visible=False)
                await trainer.submit({"id": uuid.uuid4().hex, "spec": spec.to_json(), **request})
                last = await _follow(trainer, bars, starting, bar, publishes=request["publish"])
                bars.remove_task(bar)
                yield spec, last
        finally:
            await trainer.stop()


async def _follow(trainer: Trainer, bars: Progress, starting: Any, bar: Any, *, publishes: bool) -> dict[str, Any]:
    card: dict[str, Any] = {}
    while True:
        try:
            said = await trainer.event()
        except TrainerDied as error:
            return {"event": "failed", "message": str(error)}
        match said["event"]:
            case "started":
                bars.update(starting, visible=False)
                bars.update(bar, visible=True)
            case "fold":
                bars.update(bar, loss=f"fold {said['fold']} of {said['folds']}")
            case "epochs":
                last = said["epochs"][-1]
                validation = "" if last["val_loss"] is None else f"  val_loss {last['val_loss']:.3g}"
                bars.update(bar, completed=last["epoch"], loss=f"loss {last['loss']:.3g}{validation}")
            case "evaluated":
                card = said["card"]
                if not publishes:
                    return {**said, "card": card}
            case "published" | "failed" | "cancelled":
                return {**said, "card": card}


def _never(*_: object) -> Any:
    raise AssertionError("the command line reads cards, it loads no networks")
