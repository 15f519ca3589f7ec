"""`patterns train`: the trainer process at work, with a live bar for each training."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

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
from app.jobs.promotion import BY_RECIPE, AskedPromotion
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
    MeasureEach,
    Promote,
    Publish,
    PublishEach,
    Published,
    Started,
    TrainingEvent,
    TrialEnded,
    WorkDone,
)
from training.recipe.base import RecipeError
from training.recipe.extras import check_extras
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


def train_all(specs: list[PatternSpec], asked: AskedPromotion = BY_RECIPE) -> int:
    """Train and publish, side by side on the cluster if there is one; return the number of failures.

    Raises RecipeError, before anything is trained, where a recipe asks for what is not installed, or what is asked of
    the promotion does not go with it.
    """
    for spec in specs:
        check_extras(spec)
        asked.promote(spec)
    return asyncio.run(_train_all(specs, asked)) if specs else 0


async def _train_all(specs: list[PatternSpec], asked: AskedPromotion) -> int:
    settings = load_settings()
    with writing():
        settings.store.mkdir(parents=True, exist_ok=True)
    failures = 0
    async for outcome in _outcomes(specs, settings, lambda spec: publish(spec, settings, asked.promote(spec))):
        match outcome:
            case Trained():
                print_trained(outcome)
            case NotTrained(spec=spec, reason=reason):
                failures += 1
                err.print(f"[red]✗[/] {spec.name}: {words(reason)}")
    return failures


async def _outcomes(
    specs: list[PatternSpec], settings: Settings, request_for: Callable[[PatternSpec], Publish]
) -> AsyncIterator[Trained | NotTrained]:
    """Train on the cluster what is one call there; what sends trials or folds there follows, one after another."""
    whole = [spec for spec in specs if spec.search is None and spec.cross_validate is None]
    together = whole if settings.ray is not None and len(whole) > 1 else []
    if together:
        async for outcome in trainings_together(together, settings, request_for):
            yield outcome
    if rest := [spec for spec in specs if spec not in together]:
        async for outcome in trainings(rest, request_for):
            yield outcome


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


def print_trained(trained: Trained) -> None:
    card = trained.card
    err.print(f"[green]✓[/] {trained.spec.name} version {trained.version}: {headline(card.test.overall)}")
    err.print(f"  {card.baselines.verdict}", style="dim", markup=False, highlight=False)
    if card.promotion is not None:
        err.print(f"  {card.promotion.why}", style="bold", markup=False, highlight=False)
    if card.notes:
        err.print(f"  {card.notes[0]}", style="yellow", markup=False, highlight=False)


# -- following the trainer -----------------------------------------------------------------------------------------


async def trainings(
    specs: list[PatternSpec], request_for: Callable[[PatternSpec], Publish]
) -> AsyncIterator[Trained | NotTrained]:
    """Train each recipe in turn, with a bar, and yield how it ended."""
    async with _working(load_settings()) as (trainer, bars):
        starting = _starting(bars)
        for spec in specs:
            bar = Bar.of(spec, spec.name, bars, starting)
            outcome = await _follow(trainer, spec, request_for(spec), bar)
            bar.remove()
            yield outcome


async def _follow(trainer: Trainer, spec: PatternSpec, request: Publish, bar: "Bar") -> Trained | NotTrained:
    followed = Followed(spec)
    try:
        await trainer.submit(request)
        while True:
            event = await trainer.event()
            bar.show(event)
            if (outcome := followed.heard(event)) is not None:
                return outcome
    except TrainerDied as error:
        return NotTrained(spec, str(error))


async def trainings_together(
    specs: list[PatternSpec], settings: Settings, request_for: Callable[[PatternSpec], Publish]
) -> AsyncIterator[Trained | NotTrained]:
    """Have the cluster train all recipes, and yield how each ended, in whatever order they end."""
    async with _working(settings) as (trainer, bars):
        bar = bars.add_task("trainings on the cluster", total=len(specs), loss="")
        async for outcome in follow_each(trainer, specs, [request_for(spec) for spec in specs]):
            bars.advance(bar)
            yield outcome


async def follow_each(
    trainer: Trainer, specs: Sequence[PatternSpec], requests: Sequence[Publish]
) -> AsyncIterator[Trained | NotTrained]:
    """Follow trainings that are asked for together.

    If the cluster is lost, those that have not ended are asked for again, as long as others have ended since.
    """
    followed = {request.id: Followed(spec) for spec, request in zip(specs, requests, strict=True)}
    waiting = {request.id: request for request in requests}
    while waiting:
        together = PublishEach(
            id=uuid.uuid4().hex, trainings=tuple(waiting.values()), is_again=len(waiting) < len(requests)
        )
        left = len(waiting)
        try:
            async for training, outcome in _ended(trainer, together, followed):
                del waiting[training]
                yield outcome
        except TrainerDied as error:
            if not error.lost_cluster or len(waiting) == left:
                for training in waiting:
                    yield NotTrained(followed[training].spec, str(error))
                return


async def _ended(
    trainer: Trainer,
    together: PublishEach | MeasureEach,
    followed: Mapping[str, "Followed"],
    lines: Mapping[str, "Bar"] = MappingProxyType({}),
) -> AsyncIterator[tuple[str, Trained | NotTrained]]:
    """Ask for trainings together, and yield the id of each that ends, and how. Raises TrainerDied."""
    waiting = dict.fromkeys(training.id for training in together.trainings)
    await trainer.submit(together)
    while waiting:
        event = await trainer.event()
        if not isinstance(event, TrainingEvent):
            continue
        if event.id in lines:
            lines[event.id].show(event)
        # What the request itself ends with, all that wait for it end with.
        for training in [*waiting] if event.id == together.id else [event.id]:
            if (outcome := followed[training].heard(event)) is not None:
                del waiting[training]
                if training in lines:
                    lines[training].remove()
                yield training, outcome


async def measurements(
    recipes: Iterable[Sequence[PatternSpec]], request_for: Callable[[PatternSpec], Measure]
) -> AsyncIterator[Trained | NotTrained]:
    """Train the recipes of each sequence together, and yield how each ended. Publishes nothing."""
    async with _working(load_settings()) as (trainer, bars):
        starting = _starting(bars)
        for specs in recipes:
            asked = [(spec, request_for(spec)) for spec in specs]
            lines = {
                request.id: Bar.of(spec, f"{spec.name}, seed {spec.seed}", bars, starting) for spec, request in asked
            }
            async for outcome in measure_each(trainer, asked, lines):
                yield outcome


async def measure_each(
    trainer: Trainer, asked: Sequence[tuple[PatternSpec, Measure]], lines: Mapping[str, "Bar"]
) -> AsyncIterator[Trained | NotTrained]:
    """Follow trainings that are asked for together, with a bar for each by its id, and yield how they ended."""
    followed = {request.id: Followed(spec, publishes=False) for spec, request in asked}
    waiting = {**followed}
    together = MeasureEach(id=uuid.uuid4().hex, trainings=tuple(request for _, request in asked))
    try:
        async for training, outcome in _ended(trainer, together, followed, lines):
            del waiting[training]
            yield outcome
    except TrainerDied as error:
        for training, each in waiting.items():
            lines[training].remove()
            yield NotTrained(each.spec, str(error))


@dataclass
class Followed:
    """What is known of a training under way."""

    spec: PatternSpec
    publishes: bool = True
    card: Card | None = None

    def heard(self, event: Event) -> Trained | NotTrained | None:
        """Take in an event; return how the training ended, if it has."""
        match event:
            case Evaluated(card=card):
                self.card = card
                if not self.publishes:
                    return Trained(self.spec, card, None)
            case Compared(promotion=promotion):
                assert self.card is not None  # evaluated comes before compared
                self.card = self.card.model_copy(update={"promotion": promotion})
            case Published(version=version):
                assert self.card is not None  # evaluated comes before published
                return Trained(self.spec, self.card, version)
            case Failed(message=message):
                return NotTrained(self.spec, message)
            case Cancelled():
                return NotTrained(self.spec, "cancelled")
        return None


@dataclass(frozen=True)
class Bar:
    """The line of one training; `starting` is the line that is shown until the trainer is ready."""

    bars: Progress
    starting: TaskID
    task: TaskID

    @classmethod
    def of(cls, spec: PatternSpec, name: str, bars: Progress, starting: TaskID) -> Self:
        return cls(bars, starting, bars.add_task(name, total=spec.fit.most_epochs, loss="", visible=False))

    def remove(self) -> None:
        self.bars.remove_task(self.task)

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


@asynccontextmanager
async def _working(settings: Settings) -> AsyncIterator[tuple[Trainer, Progress]]:
    """Have a trainer at work, and bars to show of it; it is stopped in the end, however that comes."""
    trainer = Trainer(settings.trainer_memory_mb, settings.ray)
    with _bars() as bars:
        try:
            yield trainer, bars
        finally:
            await trainer.stop()


def _starting(bars: Progress) -> TaskID:
    """Show the line that stands until the trainer is ready."""
    return bars.add_task("starting TensorFlow (takes some seconds)", total=None, loss="")


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
