"""`patterns search`: the trials of a search as they come, and the version that the best of them becomes."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.commands.card_tables import trials_table
from app.commands.train import Followed, NotTrained, Trained, print_trained, publish
from app.commands.wording import words
from app.jobs.promotion import BY_RECIPE, AskedPromotion
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings, load_settings
from models_store.card import Trial
from models_store.errors import PatternServerError
from models_store.storage.disk import writing
from training.messages import Event, Promote, Publish, Started, TrialEnded, TrialEpochs
from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec, parsed

err = Console(stderr=True)


class NotFound(PatternServerError):
    """A search that ended without a version."""


def space_of(written: list[str]) -> dict[str, object]:
    """Read `FIELD=VALUES` options, the values in YAML. Raises RecipeError."""
    space: dict[str, object] = {}
    for option in written:
        name, is_given, values = option.partition("=")
        try:
            space[name] = parsed(values)
        except ValueError:
            is_given = ""
        if not is_given:
            raise RecipeError("--space: say FIELD=VALUES, as in --space 'network.layers.*.units=[16, 32]'")
    return space


def search(spec: PatternSpec, asked: AskedPromotion = BY_RECIPE) -> tuple[Trained, "Board"]:
    """Have the trainer search, and publish the best. Raises NotFound with the reason where nothing was published."""
    board, promote = Board(spec), asked.promote(spec)
    settings = load_settings()
    with writing():
        settings.store.mkdir(parents=True, exist_ok=True)
    outcome = asyncio.run(_search(board, settings, promote))
    if isinstance(outcome, NotTrained):
        raise NotFound(outcome.reason)
    return outcome, board


async def _search(board: "Board", settings: Settings, promote: Promote) -> Trained | NotTrained:
    trainer = Trainer(settings.trainer_memory_mb, settings.ray)
    try:
        with Live(console=err, get_renderable=board.table, refresh_per_second=4, transient=True):
            return await follow(trainer, publish(board.spec, settings, promote), board)
    except TrainerDied as error:
        return NotTrained(board.spec, str(error))
    finally:
        with contextlib.suppress(ProcessLookupError):
            await trainer.stop()


async def follow(trainer: Trainer, request: Publish, board: "Board") -> Trained | NotTrained:
    """Follow a search to its end. One whose Ray cluster is lost goes on with the trials that it has.

    Raises TrainerDied, also where the cluster is lost again before another trial has ended.
    """
    while True:
        done = len(board.trials)
        try:
            return await _followed(trainer, request.model_copy(update={"trials": tuple(board.trials)}), board)
        except TrainerDied as error:
            if not error.lost_cluster or len(board.trials) == done:
                raise


async def _followed(trainer: Trainer, request: Publish, board: "Board") -> Trained | NotTrained:
    await trainer.submit(request)
    while True:
        if (outcome := board.heard(await trainer.event())) is not None:
            return outcome


@dataclass
class Board(Followed):
    """What is known of a search under way."""

    trials: list[Trial] = field(default_factory=list)
    best: int | None = None
    of: int = 0
    doing: str = "starting TensorFlow (takes some seconds)"
    began: float = field(default_factory=time.monotonic)

    @property
    def metric(self) -> str:
        return self.spec.search.metric if self.spec.search is not None else "auto"

    def heard(self, event: Event) -> Trained | NotTrained | None:
        """Take in an event; return how the search ended, if it has."""
        match event:
            case Started():
                self.doing, self.began = "the first trial", time.monotonic()
            case TrialEpochs(number=number, epoch=epoch):
                self.doing = f"trial {number}: epoch {epoch.epoch}, loss {epoch.loss:.3g}"
            case TrialEnded(trial=trial, best=best, of=of):
                self.trials.append(trial)
                self.best, self.of = best, of
                self.doing = "the best recipe is trained" if len(self.trials) == of else "further trials"
        return super().heard(event)

    def table(self) -> Table:
        """Return the best trials, the newest, and how long the others will take."""
        shown = trials_table(self.trials, self.best, self.metric)
        left = self.of - len(self.trials)
        seconds = (time.monotonic() - self.began) / max(1, len(self.trials)) * left
        eta = f", about {seconds:.0f} s left" if self.trials and left else ""
        shown.caption = f"{self.spec.name}: {len(self.trials)} of {self.of or '…'} trials{eta}; {words(self.doing)}"
        return shown


def print_found(out: Console, trained: Trained, board: Board) -> None:
    """Print the best trials, and what the published version is worth."""
    out.print(trials_table(board.trials, board.best, board.metric))
    print_trained(trained)
