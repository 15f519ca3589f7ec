"""`patterns cross-validate`: scores a recipe on rows held out in turn. Publishes nothing."""

import asyncio
import uuid

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.commands.wording import folding_table
from app.processes.trainer import Trainer, TrainerDied
from app.settings import load_settings
from models_store.card import CrossValidation
from models_store.errors import PatternServerError, error_of
from models_store.wording import counted
from training.messages import CrossValidated, Event, Failed, FoldScored, ScoreFolds, Started
from training.recipe.spec import PatternSpec

err = Console(stderr=True)


def fold_scores(spec: PatternSpec) -> CrossValidation:
    """Have the trainer cross-validate a recipe. Raises the PatternServerError that it fails with."""
    return asyncio.run(_fold_scores(spec))


async def _fold_scores(spec: PatternSpec) -> CrossValidation:
    settings = load_settings()
    trainer = Trainer(settings.trainer_memory_mb, settings.ray)
    request = ScoreFolds(
        id=uuid.uuid4().hex, recipe=spec.to_json(), device=settings.device, root=settings.store.absolute()
    )
    spinner = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*spinner, console=err, transient=True) as shown:
        task = shown.add_task("starting TensorFlow (takes some seconds)")
        try:
            await trainer.submit(request)
            while True:
                event = await trainer.event()
                match event:
                    case CrossValidated(result=result):
                        return result
                    case Failed(code=code, message=message):
                        raise error_of(code, message)
                if doing := _doing(event):
                    shown.update(task, description=f"{spec.name}: {doing}")
        except TrainerDied as error:
            raise PatternServerError(str(error)) from error
        finally:
            await trainer.stop()


def _doing(event: Event) -> str:
    """Return what is shown from this event on; empty if it changes nothing."""
    match event:
        case Started():
            return "fitting the folds"
        case FoldScored(fold=fold, folds=folds, figures=figures):
            shown = [name for name in ("accuracy", "log_loss", "mae", "rmse") if name in figures]
            return f"fold {fold} of {folds}: {', '.join(f'{name} {figures[name]:.4g}' for name in shown)}"
    return ""


def folds_table(result: CrossValidation) -> Table:
    """A line for each figure: mean and standard deviation over folds, and each fold's own; then the baselines."""
    shown = folding_table("", "mean", "sd", "folds")
    for name, mean in result.mean.items():
        each = "  ".join(f"{fold.score.model_dump()[name]:.4g}" for fold in result.folds[:10])
        shown.add_row(name.replace("_", " "), f"{mean:.5g}", f"{result.sd[name]:.3g}", each)
    metric = "accuracy" if "accuracy" in result.mean else "rmse"
    for name, figure in result.baselines.items():
        if name != "network":
            shown.add_row(f"{metric}: {name}", f"{figure:.5g}", "", "", style="dim")
    shown.caption = f"recommended: {counted(result.epochs, 'epoch', 'epochs')}"
    return shown
