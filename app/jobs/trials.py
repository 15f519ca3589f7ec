"""The trials of a search as a client sees them: as JSON with the recipe of each, or as a table in CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from app.jobs.job import Job
from models_store.card import LOWER_IS_BETTER, Trial
from training.recipe.base import RecipeError
from training.recipe.space import recipe_at, with_validation
from training.recipe.spec import PatternSpec

FACTS = ("number", "state", "value", "epochs", "seconds")


def as_json(job: Job, trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the trials, and the number of the best; None if none has a score."""
    spec = PatternSpec.parse(job.recipe)
    if spec.search is not None:
        spec = with_validation(spec, spec.search).overridden({"search": None})
    told = [{**trial.model_dump(mode="json", exclude={"reports"}), "recipe": _recipe(spec, trial)} for trial in trials]
    return {"best": best_of(job, trials), "trials": told}


def as_csv(trials: Sequence[Trial]) -> str:
    """Return a line for each trial, with a column for each field that was chosen."""
    fields = list(dict.fromkeys(field for trial in trials for field in trial.point))
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow([*FACTS, *fields, "error"])
    for trial in trials:
        facts = [getattr(trial, name) for name in FACTS]
        chosen = [_cell(trial.point[field]) if field in trial.point else None for field in fields]
        lines.writerow([*facts, *chosen, trial.error])
    return written.getvalue()


def best_of(job: Job, trials: Sequence[Trial]) -> int | None:
    """Return the number of the best trial; None if none has a score."""
    metric = (job.recipe.get("search") or {}).get("metric", "auto")
    sign = 1 if metric == "auto" or metric in LOWER_IS_BETTER else -1
    scored = [(sign * trial.value, trial.number) for trial in trials if trial.value is not None]
    return min(scored)[1] if scored else None


def _recipe(spec: PatternSpec, trial: Trial) -> dict[str, Any] | None:
    """Return the recipe of a trial; None if its values do not go together, so that it failed."""
    try:
        return recipe_at(spec, trial.point).to_json()
    except RecipeError:
        return None


def _cell(value: JsonValue) -> JsonValue:
    return json.dumps(value) if value is None or isinstance(value, list | dict) else value
