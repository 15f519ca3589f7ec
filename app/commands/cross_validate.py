"""`patterns cross-validate`: how a recipe does on rows held out in turn. Publishes nothing."""

import asyncio
import uuid
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.commands.wording import folding_table
from app.processes.trainer import Trainer, TrainerDied
from app.settings import load_settings
from models_store.card import CrossValidation
from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec

err = Console(stderr=True)


def cross_validate(spec: PatternSpec) -> CrossValidation:
    """RecipeError with what the trainer says if it fails."""
    return asyncio.run(_cross_validate(spec))


async def _cross_validate(spec: PatternSpec) -> CrossValidation:
    settings = load_settings()
    trainer = Trainer(settings.trainer_memory_mb)
    spinner = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*spinner, console=err, transient=True) as shown:
        task = shown.add_task("starting TensorFlow (takes some seconds)")
        try:
            await trainer.submit(
                {
                    "id": uuid.uuid4().hex,
                    "spec": spec.to_json(),
                    "root": str(settings.store.absolute()),
                    "device": settings.device,
                    "publish": False,
                    "folds_only": True,
                }
            )
            while True:
                said = await trainer.event()
                match said["event"]:
                    case "started":
                        shown.update(task, description=f"{spec.name}: fitting the folds")
                    case "fold":
                        shown.update(task, description=f"{spec.name}: {_fold(said)}")
                    case "cross_validated":
                        return CrossValidation.model_validate(said["result"])
                    case "failed":
                        raise RecipeError(said["message"])
        except TrainerDied as error:
            raise RecipeError(str(error)) from error
        finally:
            await trainer.stop()


def _fold(said: dict[str, Any]) -> str:
    figures = ", ".join(f"{name} {said[name]:.4g}" for name in ("accuracy", "log_loss", "mae", "rmse") if name in said)
    return f"fold {said['fold']} of {said['folds']}: {figures}"


def table(result: CrossValidation) -> Table:
    """A line a figure: mean and standard deviation over folds, and each fold's own; then what needs no network."""
    shown = folding_table("", "mean", "sd", "folds")
    for name, mean in result.mean.items():
        each = "  ".join(f"{fold.score.model_dump()[name]:.4g}" for fold in result.folds[:10])
        shown.add_row(name.replace("_", " "), f"{mean:.5g}", f"{result.sd[name]:.3g}", each)
    metric = "accuracy" if "accuracy" in result.mean else "rmse"
    for name, figure in result.baselines.items():
        if name != "network":
            shown.add_row(f"{metric}: {name}", f"{figure:.5g}", "", "", style="dim")
    shown.caption = f"recommended: {result.epochs} epochs"
    return shown
