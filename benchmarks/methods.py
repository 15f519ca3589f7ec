"""How many trials Bayesian search needs, beside random search, to a score of the best hundredth of all recipes.

python -m benchmarks.methods quadratic
python -m benchmarks.methods houses.csv price --seeds 40 --trials 120

Every recipe of a grid is trained once, and both methods then search the table of their scores, drawn and told as
`patterns search` does, batches included; a rate between two of the grid has the score of the nearer one. So a seed
takes a second, and the methods are compared on the very same scores. Both draw the same first ten trials: where these
reach the score, neither method is the better one. Imports TensorFlow.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import JsonValue
from scipy.stats import binomtest

from models_store.card import LOWER_IS_BETTER, SearchMetric, Trial
from models_store.networks.keras_network import use_threads
from training.data.tables import ReadTable
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.recipe.search import Search, SearchMethod
from training.recipe.space import USUAL_TRIALS, Point, space_of, with_validation
from training.recipe.spec import PatternSpec, catalogue
from training.run import no_tables
from training.search.choosing import Asked, Chooser
from training.search.search import Listener, Searching
from training.search.side_by_side import side_by_side

MOST_ROWS, EPOCHS = 3_000, 20
METHODS: tuple[SearchMethod, ...] = ("bayesian", "random")
BEST = 0.01  # share of all recipes that have the score, or a better one
MOST_PROGRAMS = 64
RATE = "fit.optimizer.learning_rate"
RATES = tuple(float(rate) for rate in np.geomspace(0.0005, 0.05, 10))
# The grid has the rates above; those who search it may choose any between them.
ANY_RATE: dict[str, JsonValue] = {"low": RATES[0], "high": RATES[-1], "log": True}
SHAPES: Mapping[str, JsonValue] = {
    "network.layers": [1, 2, 3],
    "network.layers.*.units": [16, 32, 64],
    "network.layers.*.activation": ["relu", "elu", "silu"],
}


@dataclass(frozen=True, eq=False)
class Task:
    """A recipe, its rows, and what is searched besides shapes and rates."""

    spec: PatternSpec
    read_table: ReadTable
    further: Mapping[str, JsonValue]


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a grid of recipes, each trained: the lower, the better."""

    spec: PatternSpec
    space: Mapping[str, JsonValue]
    """What those who search the table may choose from."""
    metric: SearchMetric
    of_points: Mapping[tuple[str, ...], float]

    @classmethod
    def trained(cls, task: Task) -> "Scores":
        shapes = {**SHAPES, **task.further}
        search = Search.model_validate({"method": "grid", "space": {**shapes, RATE: [*RATES]}})
        spec, listener = with_validation(task.spec, search), Listener(Progress())
        runtime = Runtime("cpu", listener.progress, Programs(MOST_PROGRAMS))
        searching = Searching(spec, search, runtime, listener, task.read_table, side_by_side)
        scored = {_key(trial.point): _score(trial, searching.metric) for trial in searching.trials(())}
        return cls(spec, {**shapes, RATE: ANY_RATE}, searching.metric, scored)

    def __getitem__(self, point: Point) -> float:
        rate = point[RATE]
        assert isinstance(rate, float)
        nearest = min(RATES, key=lambda other: abs(np.log(other / rate)))
        return self.of_points[_key({**point, RATE: nearest})]


def _key(point: Point) -> tuple[str, ...]:
    return tuple(f"{field}={point[field]}" for field in sorted(point))


def _score(trial: Trial, metric: SearchMetric) -> float:
    return np.inf if trial.value is None else _sign(metric) * trial.value


def _sign(metric: SearchMetric) -> float:
    return 1.0 if metric in LOWER_IS_BETTER else -1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", help="a pattern of the catalogue that is a formula, or a CSV file")
    parser.add_argument("target", nargs="?", help="the column of the CSV file that is to be learned")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--trials", type=int, default=120, help="the most trials of a search")
    asked = parser.parse_args()
    use_threads(2)
    scores = Scores.trained(of_file(Path(asked.pattern), asked.target) if asked.target else of_catalogue(asked.pattern))
    print(json.dumps(compared(scores, range(asked.seeds), asked.trials)))


def of_catalogue(name: str) -> Task:
    spec = catalogue()[name].overridden({"data": {"rows": MOST_ROWS}, "fit": {"epochs": EPOCHS}})
    return Task(spec, no_tables, {"scaling.method": ["standard", "minmax"]})


def of_file(path: Path, target: str) -> Task:
    rows = pl.read_csv(path).sample(fraction=1, shuffle=True, seed=0).head(MOST_ROWS)
    recipe = {
        "name": "table",
        "data": {"kind": "table", "dataset": "0" * 32, "target": target},
        "network": {"members": 1},
        "fit": {"epochs": EPOCHS},
    }
    return Task(PatternSpec.parse(recipe), lambda _: rows, {"network.dropout": [0.0, 0.2]})


def compared(scores: Scores, seeds: Sequence[int], trials: int) -> dict[str, Any]:
    """Return the trials that each method needed, and sign tests; a search that did not get there needed them all."""
    curves = [tuple(best_so_far(scores, method, seed, trials) for method in METHODS) for seed in seeds]
    score = sorted(scores.of_points.values())[max(0, int(BEST * len(scores.of_points)) - 1)]
    needed = [(_reached(bayesian, score), _reached(random, score)) for bayesian, random in curves]
    usual = min(USUAL_TRIALS, trials) - 1
    return {
        "score": score,
        "trials_needed": needed,
        "median_needed": [float(np.median([one[place] for one in needed])) for place in range(2)],
        "fewer_trials": _sign_test([random - bayesian for bayesian, random in needed]),
        "better_after_usual": _sign_test([random[usual] - bayesian[usual] for bayesian, random in curves]),
    }


def best_so_far(scores: Scores, method: SearchMethod, seed: int, trials: int) -> list[float]:
    """Search the table; return the best score after each trial."""
    search = Search.model_validate({"method": method, "trials": trials, "seed": seed, "space": scores.space})
    chooser = Chooser(space_of(scores.spec, search), search, scores.metric, EPOCHS)
    found: list[float] = []
    while len(found) < trials:
        for one in [chooser.ask() for _ in range(min(chooser.batch, trials - len(found)))]:
            found.append(scores[one.point])
            chooser.tell(one, _ended(one, found[-1], scores.metric))
    return [float(best) for best in np.minimum.accumulate(found)]


def _ended(asked: Asked, score: float, metric: SearchMetric) -> Trial:
    facts = {"number": asked.number, "point": asked.point, "epochs": EPOCHS, "seconds": 0.0}
    if not np.isfinite(score):
        return Trial.model_validate({**facts, "state": "failed", "value": None})
    return Trial.model_validate({**facts, "state": "complete", "value": _sign(metric) * score})


def _reached(curve: Sequence[float], score: float) -> int:
    """Return the number of trials after which a search had a score as good; one more than all if it never had."""
    return next((number for number, best in enumerate(curve, start=1) if best <= score), len(curve) + 1)


def _sign_test(gains: Sequence[float]) -> dict[str, float]:
    """Return for how many seeds Bayesian search did better and worse, and how likely that is by chance alone."""
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    p = binomtest(better, better + worse).pvalue if better + worse else 1.0
    return {"better": better, "worse": worse, "p": float(p)}


if __name__ == "__main__":
    main()
