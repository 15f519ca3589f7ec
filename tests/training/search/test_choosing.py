"""Which trial is next: every method finds what there is to find, the same on every run, cut off or not."""

from collections.abc import Callable
from typing import Any

import pytest

from models_store.card import Trial
from training.recipe.space import Point, space_of
from training.recipe.spec import shipped
from training.search.choosing import Chooser

QUADRATIC = shipped()["quadratic"]
GRID = {
    "network.layers.*.units": [8, 16, 32, 64],
    "network.layers.*.activation": ["relu", "elu", "tanh"],
    "fit.optimizer.learning_rate": [0.001, 0.01],
}
BEST = {
    "network.layers.*.units": 32,
    "network.layers.*.activation": "elu",
    "fit.optimizer.learning_rate": 0.01,
}
METHODS = ["grid", "random", "bayesian", "hyperband"]


def distance(point: Point) -> float:
    """0 at the best of the grid, and the larger the more fields differ from it."""
    units = point["network.layers.*.units"]
    assert isinstance(units, int)
    return float(
        abs(units - 32) / 8
        + 2 * (point["network.layers.*.activation"] != "elu")
        + (point["fit.optimizer.learning_rate"] != 0.01)
    )


def run(score: Callable[[Point], float], known: list[Trial] | None = None, **search: Any) -> list[Trial]:
    """Run a search whose trials cost nothing."""
    spec = QUADRATIC.overridden({"search": search})
    assert spec.search is not None
    chooser = Chooser(space_of(spec, spec.search), spec.search, "rmse", epochs=27)
    trials: list[Trial] = []
    before = {trial.number: trial for trial in known or []}
    while len(trials) < chooser.trials:
        asked = chooser.ask()
        value = score(asked.point)
        steps = before[asked.number].reports if asked.number in before else [(step, value) for step in (1, 3, 9, 27)]
        reports: list[tuple[int, float]] = []
        is_pruned = False
        for step in steps:
            reports.append(step)
            if asked.is_hopeless(*step) and asked.number not in before:
                is_pruned = True
                break
        state: Any = "pruned" if is_pruned else "complete"
        trial = before.get(asked.number) or Trial(
            number=asked.number,
            state=state,
            value=None if is_pruned else value,
            point=dict(asked.point),
            epochs=0,
            seconds=0,
            reports=reports,
        )
        assert trial.point == asked.point
        chooser.tell(asked, trial)
        trials.append(trial)
    return trials


@pytest.mark.parametrize("method", METHODS)
def test_the_best_of_a_grid_of_24_is_found(method: str) -> None:
    trials = run(distance, method=method, space=GRID, trials=24 if method == "grid" else 60)
    assert min(trials, key=lambda trial: 99.0 if trial.value is None else trial.value).point == BEST


def test_a_grid_tries_each_combination_once() -> None:
    points = [tuple(trial.point.values()) for trial in run(distance, method="grid", space=GRID)]
    assert (len(points), len(set(points))) == (24, 24)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_chooses_the_same_trials_on_every_run(method: str) -> None:
    first = run(distance, method=method, space=GRID, trials=20, seed=7)
    assert run(distance, method=method, space=GRID, trials=20, seed=7) == first
    assert run(distance, method=method, space=GRID, trials=20, seed=8) != first


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pruning", [None, "median", "halving"])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(method: str, pruning: str | None) -> None:
    pruning = None if method == "hyperband" else pruning
    whole = run(distance, method=method, space=GRID, trials=20, pruning=pruning)
    assert run(distance, whole[:13], method=method, space=GRID, trials=20, pruning=pruning) == whole


def in_batches(**search: Any) -> list[list[Point]]:
    """Ask for three batches of trials, each before the results of the one before it are told."""
    spec = QUADRATIC.overridden({"search": search})
    assert spec.search is not None
    chooser = Chooser(space_of(spec, spec.search), spec.search, "rmse", epochs=9)
    batches: list[list[Point]] = []
    for _ in range(3):
        asked = [chooser.ask() for _ in range(chooser.batch)]
        for one in asked:
            point, value = dict(one.point), float(one.number % 5)
            chooser.tell(one, Trial(number=one.number, state="complete", value=value, point=point, epochs=0, seconds=0))
        batches.append([one.point for one in asked])
    return batches


@pytest.mark.parametrize("method", ["bayesian", "hyperband"])
def test_trials_that_are_chosen_together_differ_and_are_the_same_on_every_run(method: str) -> None:
    space = {**GRID, "fit.optimizer.learning_rate": {"low": 0.0001, "high": 0.1, "log": True}}
    batches = in_batches(method=method, space=space)
    assert batches == in_batches(method=method, space=space)
    assert [len({str(point) for point in batch}) for batch in batches] == [8, 8, 8]


def test_trials_whose_choice_needs_no_results_are_many_at_a_time() -> None:
    batches = in_batches(method="random", space={"seed": {"low": 0, "high": 10**6}})
    assert [len(batch) for batch in batches] == [64, 64, 64]


def test_hopeless_trials_are_ended_early() -> None:
    trials = run(distance, method="hyperband", space=GRID, trials=40)
    assert {trial.state for trial in trials} == {"complete", "pruned"}


def test_fields_with_conditions_are_chosen_where_these_hold() -> None:
    space = {
        "fit.optimizer.name": ["adam", "momentum"],
        "fit.optimizer.momentum": {"low": 0.1, "high": 0.9, "when": {"fit.optimizer.name": "momentum"}},
        "network.layers": [[16, 8], [32]],
    }
    trials = run(lambda point: float(point["fit.optimizer.name"] != "momentum"), space=space, trials=30)
    assert {
        ("fit.optimizer.momentum" in trial.point) is (trial.point["fit.optimizer.name"] == "momentum")
        for trial in trials
    } == {True}
    assert [16, 8] in [trial.point["network.layers"] for trial in trials]


def test_steps_of_a_range_end_within_it() -> None:
    space = {
        "fit.batch_size": {"low": 8, "high": 30, "step": 8},
        "network.dropout": {"low": 0, "high": 0.5, "step": 0.2},
    }
    trials = run(lambda point: 0.0, space=space, method="random", trials=40)
    assert {trial.point["fit.batch_size"] for trial in trials} == {8, 16, 24}
    assert {trial.point["network.dropout"] for trial in trials} == {0.0, 0.2, 0.4}


def test_the_importance_of_fields_adds_up_to_one() -> None:
    spec = QUADRATIC.overridden({"search": {"method": "grid", "space": GRID}})
    assert spec.search is not None
    chooser = Chooser(space_of(spec, spec.search), spec.search, "rmse", epochs=1)
    assert chooser.importance() == {}
    for trial in range(24):
        asked = chooser.ask()
        value = distance(asked.point) + trial / 1000
        chooser.tell(
            asked, Trial(number=trial, state="complete", value=value, point=dict(asked.point), epochs=0, seconds=0)
        )
    importance = chooser.importance()
    assert importance.keys() == GRID.keys()
    assert sum(importance.values()) == pytest.approx(1)
