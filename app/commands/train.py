"""`patterns train`: the trainer process at work, with a live bar for each training."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from app.commands.store import open_store
from app.commands.wording import headline, words
from app.jobs.recipes import recipe_of_pattern
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings, load_settings
from models_store.card import Card
from models_store.errors import StoreUnwritable
from models_store.storage.disk import writing
from models_store.storage.store import Store
from training.messages import (
    Cancelled,
    Compared,
    Epoch,
    EpochsDone,
    Evaluated,
    Event,
    Failed,
    FoldScored,
    Measure,
    Promote,
    Publish,
    Published,
    Started,
    TrialEnded,
    WorkDone,
)
from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec, catalogue

err = Console(stderr=True)


# -- recipes -------------------------------------------------------------------------------------------------------


def spec_named(name: str) -> PatternSpec:
    """Return the recipe in a file, or that of a pattern. Raises RecipeError, UnknownPattern."""
    if name.endswith((".yaml", ".yml", ".json")):
        if not Path(name).is_file():
            raise RecipeError(f"{name}: no such file")
        return PatternSpec.read(Path(name))
    return recipe_of_pattern(open_store(), name)


def missing_specs() -> list[PatternSpec]:
    """Return the recipes of the catalogue that the store has no good version of, and print which these are."""
    store = open_store()
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


# -- training and publishing ---------------------------------------------------------------------------------------


def train_all(specs: list[PatternSpec], *, promote: Promote) -> int:
    """Train and publish, one after another; return the number of failures."""
    return asyncio.run(_train_all(specs, promote)) if specs else 0


async def _train_all(specs: list[PatternSpec], promote: Promote) -> int:
    settings = load_settings()
    with writing():
        settings.store.mkdir(parents=True, exist_ok=True)
    failures = 0
    async for outcome in trainings(specs, lambda spec: publish(spec, settings, promote)):
        match outcome:
            case Trained():
                print_trained(outcome)
            case NotTrained(spec=spec, reason=reason):
                failures += 1
                err.print(f"[red]✗[/] {spec.name}: {words(reason)}")
    return failures


def publish(spec: PatternSpec, settings: Settings, promote: Promote) -> Publish:
    return Publish(
        id=uuid.uuid4().hex,
        recipe=spec.to_json(),
        device=settings.device,
        root=settings.store.absolute(),
        promote=promote,
        keep=settings.keep_versions,
        engine=settings.engine,
    )


def print_trained(trained: "Trained") -> None:
    card = trained.card
    err.print(f"[green]✓[/] {trained.spec.name} version {trained.version}: {headline(card.test.overall)}")
    err.print(f"  {card.baselines.verdict}", style="dim", markup=False, highlight=False)
    if card.promotion is not None:
        err.print(f"  {card.promotion.why}", style="bold", markup=False, highlight=False)
    if card.notes:
        err.print(f"  {card.notes[0]}", style="yellow", markup=False, highlight=False)


# -- following the trainer -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    spec: PatternSpec
    card: Card
    version: int | None
    """The published version; None where nothing was to be published."""


@dataclass(frozen=True)
class NotTrained:
    spec: PatternSpec
    reason: str


async def trainings(
    specs: list[PatternSpec], request_for: Callable[[PatternSpec], Publish | Measure]
) -> AsyncIterator[Trained | NotTrained]:
    """Train each recipe in turn, with a bar, and yield how it ended."""
    settings = load_settings()
    trainer = Trainer(settings.trainer_memory_mb, settings.ray)
    with _bars() as bars:
        starting = bars.add_task("starting TensorFlow (takes some seconds)", total=None, loss="")
        try:
            for spec in specs:
                bar = Bar(bars, starting, bars.add_task(spec.name, total=spec.fit.most_epochs, loss="", visible=False))
                outcome = await _follow(trainer, spec, request_for(spec), bar)
                bars.remove_task(bar.task)
                yield outcome
        finally:
            await trainer.stop()


async def _follow(trainer: Trainer, spec: PatternSpec, request: Publish | Measure, bar: "Bar") -> Trained | NotTrained:
    card: Card | None = None
    try:
        await trainer.submit(request)
        while True:
            event = await trainer.event()
            bar.show(event)
            match event:
                case Evaluated():
                    card = event.card
                    if isinstance(request, Measure):
                        return Trained(spec, card, None)
                case Compared(promotion=promotion):
                    assert card is not None  # evaluated comes before compared
                    card = card.model_copy(update={"promotion": promotion})
                case Published(version=version):
                    assert card is not None  # evaluated comes before published
                    return Trained(spec, card, version)
                case Failed(message=message):
                    return NotTrained(spec, message)
                case Cancelled():
                    return NotTrained(spec, "cancelled")
    except TrainerDied as error:
        return NotTrained(spec, str(error))


@dataclass(frozen=True)
class Bar:
    """The line of one training; `starting` is the line that is shown until the trainer is ready."""

    bars: Progress
    starting: TaskID
    task: TaskID

    def show(self, event: Event) -> None:
        match event:
            case Started():
                self.bars.update(self.starting, visible=False)
                self.bars.update(self.task, visible=True)
            case FoldScored(fold=fold, folds=folds):
                self.bars.update(self.task, loss=f"fold {fold} of {folds}")
            case TrialEnded(trial=trial, of=of):
                self.bars.update(self.task, loss=f"trial {trial.number + 1} of {of}")
            case EpochsDone(epochs=epochs, before=before):
                self.bars.update(self.task, completed=before + epochs[-1].epoch, loss=_losses(epochs[-1]))
            case WorkDone(done=done, of=of):
                self.bars.update(self.task, completed=done, total=of)


def _losses(epoch: Epoch) -> str:
    validation = "" if epoch.val_loss is None else f"  val_loss {epoch.val_loss:.3g}"
    return f"loss {epoch.loss:.3g}{validation}"


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
