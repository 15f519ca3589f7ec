"""The choice of trials by Optuna. The same search and results lead to the same choices, also in another process.

Each choice is drawn by a sampler with a seed of its own, made of the search's seed and the trial's number. So a search
that was cut off is taken up by telling the results that are known: Optuna's own storage is not needed, nor could it do
this, because a sampler that is made anew there repeats what it has drawn before.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, prod

import numpy as np
import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from pydantic import JsonValue

from models_store.card import LOWER_IS_BETTER, SearchMetric, Trial
from training.recipe.search import MOST_TRIALS, Range, Search
from training.recipe.space import USUAL_TRIALS, Point, Space

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
REDUCTION = 3
# Of all epochs, the share that every trial may take before one is ended early.
FIRST_RUNG = 27
FEWEST_FOR_IMPORTANCE = 10
# Trials that are chosen at a time, without knowing each other's results: any number where none matters, and otherwise
# few, because each trial of TPE is the better the more results it knows.
WIDEST_BATCH, BATCH = 64, 8


@dataclass(frozen=True, eq=False)
class Asked:
    """A trial that is to be run."""

    number: int
    point: Point
    _trial: optuna.Trial

    def is_hopeless(self, step: int, value: float) -> bool:
        """Report a value of the running trial; True if the trial is to be ended."""
        self._trial.report(value, step)
        return self._trial.should_prune()


class Chooser:
    """The study of one search, in memory."""

    def __init__(self, space: Space, search: Search, metric: SearchMetric, epochs: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._search = search
        self._grid = {field: _texts(values) for field, values in space.grid.items()} if search.method == "grid" else {}
        self._asked = 0
        self._study = optuna.create_study(
            study_name=f"{space.spec.name}-{search.seed}",
            direction="minimize" if metric in LOWER_IS_BETTER else "maximize",
            pruner=_pruner(search, search.folds or epochs),
        )

    @property
    def trials(self) -> int:
        """The number of trials to run."""
        if not self._grid:
            return self._search.trials or USUAL_TRIALS
        return min(self._search.trials or MOST_TRIALS, prod(map(len, self._grid.values())))

    @property
    def batch(self) -> int:
        """The number of trials that are asked for before the results of the first of them are told."""
        is_by_itself = self._search.method in ("grid", "random") and pruning_of(self._search) == "none"
        return WIDEST_BATCH if is_by_itself else BATCH

    def ask(self) -> Asked:
        self._study.sampler = self._sampler(self._asked)
        trial = self._study.ask()
        self._asked += 1
        point: dict[str, JsonValue] = {}
        for field in self._space.dimensions:
            if self._space.is_chosen(field, point):
                point[field] = self._suggested(trial, field)
        return Asked(trial.number, point, trial)

    def tell(self, asked: Asked, result: Trial) -> None:
        # GridSampler would stop a loop of the study's own, which there is none of.
        self._study.sampler = RandomSampler(seed=0)
        is_complete = result.state == "complete"
        self._study.tell(asked.number, result.value if is_complete else None, STATES[result.state])

    def importance(self) -> dict[str, float]:
        """Return the share of each field in the differences between trials (PED-ANOVA); empty if too few tell."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len({trial.value for trial in complete}) < FEWEST_FOR_IMPORTANCE:
            return {}
        with warnings.catch_warnings(action="ignore"):
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {field: float(share) for field, share in found.items() if isfinite(share)}

    def _sampler(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence([self._search.seed, number]).generate_state(1)[0])
        with warnings.catch_warnings(action="ignore"):  # about `group`, which may still change
            match self._search.method:
                case "grid":
                    # One seed for all: the grid is shuffled once, and trial n is its n-th combination.
                    return GridSampler(self._grid, seed=self._search.seed)
                case "random":
                    return RandomSampler(seed=seed)
            # Of fields with conditions, those are modelled together that are chosen together. Trials of a batch are
            # taken for bad ones by those after them, so that these are others.
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _suggested(self, trial: optuna.Trial, field: str) -> JsonValue:
        dimension = self._space.dimensions[field]
        if isinstance(dimension, Range) and not self._grid:
            return _number(trial, field, dimension, is_whole=field in self._space.whole)
        # As texts, because Optuna takes no lists, and could not tell 1 from true.
        written = self._grid[field] if self._grid else _texts(self._space.listed(field))
        found: JsonValue = json.loads(trial.suggest_categorical(field, written))
        return found


def _texts(values: Sequence[JsonValue]) -> list[str]:
    return list(dict.fromkeys(map(json.dumps, values)))


def _number(trial: optuna.Trial, field: str, range_: Range, *, is_whole: bool) -> float:
    low, high, step = range_.low, range_.high, range_.step
    if step is not None:
        high = low + floor((high - low) / step + 1e-9) * step
    if is_whole:
        return trial.suggest_int(field, int(low), int(high), step=int(step or 1), log=range_.log)
    return trial.suggest_float(field, low, high, step=step, log=range_.log)


def _pruner(search: Search, steps: int) -> BasePruner:
    """Return what ends trials early; `steps` are the epochs of a trial, or its folds."""
    first = max(1, steps // FIRST_RUNG)
    makers: dict[str, Callable[[], BasePruner]] = {
        "none": NopPruner,
        "median": lambda: MedianPruner(n_startup_trials=5, n_warmup_steps=first),
        "halving": lambda: SuccessiveHalvingPruner(min_resource=first, reduction_factor=REDUCTION),
        "hyperband": lambda: HyperbandPruner(min_resource=first, max_resource=steps, reduction_factor=REDUCTION),
    }
    return makers[pruning_of(search)]()


def pruning_of(search: Search) -> str:
    return search.pruning or ("hyperband" if search.method == "hyperband" else "none")


def epochs_per_report(search: Search, epochs: int) -> int | None:
    """Return the most epochs between two values of a running trial; None where it cannot be ended early."""
    return None if pruning_of(search) == "none" or search.folds else max(1, epochs // FIRST_RUNG)
