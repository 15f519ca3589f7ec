"""Trials side by side have the results that each would have alone, to rounding."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.card import Trial
from training.fitting.progress import Curves, Progress
from training.recipe.space import space_of
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

BOWL: dict[str, Any] = {
    "name": "bowl",
    "data": {
        "kind": "formula",
        "inputs": {"x": {"distribution": "uniform", "low": -1, "high": 1}},
        "outputs": {"y": "x ** 2"},
        "rows": 60,
    },
    "split": {"test": 0.2, "validation": 0.2},
    "network": {"layers": [{"units": 4, "activation": "tanh"}]},
    "fit": {"epochs": 9, "optimizer": {"name": "adam", "learning_rate": 0.05}},
}
SPACE = {
    "seed": [0, 1],
    "fit.optimizer.learning_rate": [0.01, 0.1, 1e9],
    "network.layers.*.units": [4, 6],
    "network.dropout": [0.0, 0.2],
}
MEMBERS: Mapping[str, Any] = {"split": {"validation": 0}, "network": {"members": 2}}


class Ignored:
    """A watch that lets all trials run to their end, and counts the pulses before it raises."""

    def __init__(self, pulses: float = np.inf) -> None:
        self._pulses = pulses
        self.told: set[int] = set()

    def epochs(self, number: int, done: int, curves: Curves) -> None:
        self.told.add(number)

    def report(self, number: int, step: int, value: float) -> bool:
        return False

    def pulse(self) -> None:
        self._pulses -= 1
        if self._pulses < 0:
            raise KeyboardInterrupt


def trials_of(changes: Mapping[str, Any], folds: int | None) -> tuple[Any, Any, list[Any]]:
    """Return what scores the trials of a grid, the runtime, and the trials."""
    from training.fitting.learn import Runtime  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.run import dataset_of, no_tables
    from training.search.choosing import Chooser
    from training.search.running import Candidate
    from training.search.scoring import Scoring

    spec = PatternSpec.parse(BOWL).overridden({**changes, "search": {"method": "grid", "space": SPACE, "folds": folds}})
    assert spec.search is not None
    scoring = Scoring.of(spec, spec.search, dataset_of(spec, no_tables))
    space = space_of(spec, spec.search)
    chooser = Chooser(space, spec.search, "rmse", 9)
    asked = [chooser.ask() for _ in range(chooser.trials)]
    candidates = [Candidate(one.number, space.recipe(one.point)) for one in asked]
    return scoring, Runtime("cpu", Progress(), Programs(64)), candidates


@pytest.mark.parametrize(
    ("changes", "folds"),
    [
        ({}, None),
        ({"fit": {"early_stopping": {"patience": 2}}}, None),
        ({"fit": {"early_stopping": {"patience": 2}}}, 3),
        (MEMBERS, None),
    ],
    ids=["plain", "stopping", "folds", "members"],
)
def test_trials_side_by_side_end_as_they_would_alone(changes: Mapping[str, Any], folds: int | None) -> None:
    from training.search.running import alone  # deferred: imports TensorFlow
    from training.search.side_by_side import side_by_side

    scoring, runtime, candidates = trials_of(changes, folds)
    watch = Ignored()
    together = {outcome.number: outcome for outcome in side_by_side(scoring, runtime)(candidates, watch)}
    assert len(together) == len(candidates) == 24
    for candidate in candidates:
        outcome, its = together[candidate.number], alone(candidate, scoring, runtime, Ignored())
        assert (outcome.state, outcome.error) == (its.state, its.error)
        if its.state == "complete":
            assert outcome.value == pytest.approx(its.value, rel=1e-3)
            assert outcome.epochs == its.epochs
            assert candidate.number in watch.told


def test_large_trials_run_one_after_another() -> None:
    from training.search.running import alone  # deferred: imports TensorFlow
    from training.search.side_by_side import side_by_side

    scoring, runtime, candidates = trials_of({}, None)
    some = candidates[:2]
    found = list(side_by_side(scoring, runtime, most_work=1)(some, Ignored()))
    expected = [alone(candidate, scoring, runtime, Ignored()) for candidate in some]
    assert [replace(outcome, seconds=0) for outcome in found] == [replace(outcome, seconds=0) for outcome in expected]


def test_folds_with_fewer_categories_stand_beside_wider_ones() -> None:
    from training.fitting.learn import Runtime  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.run import dataset_of
    from training.search.running import Candidate, alone
    from training.search.scoring import Scoring
    from training.search.side_by_side import side_by_side

    rng = np.random.default_rng(0)
    places, x = rng.integers(0, 20, 80), rng.normal(size=80)
    rows = pl.DataFrame({"place": [f"p{place}" for place in places], "x": x, "y": x + 0.1 * places})
    spec = PatternSpec.parse(
        {
            "name": "places",
            "data": {"kind": "table", "dataset": "0" * 32, "target": "y"},
            "network": {"members": 1, "layers": [{"units": 4}]},
            "fit": {"epochs": 5, "early_stopping": None},
            "search": {"folds": 3, "space": {"seed": [0, 1]}, "trials": 2},
        }
    )
    assert spec.search is not None
    scoring = Scoring.of(spec, spec.search, dataset_of(spec, lambda _: rows))
    made: list[Any] = []

    class Counting(Programs):
        def take(self, shape: Any, make: Any) -> Any:
            made.append(shape)
            return super().take(shape, make)

    runtime = Runtime("cpu", Progress(), Counting())
    bare = spec.overridden({"search": None})
    candidates = [Candidate(number, bare.overridden({"seed": number})) for number in range(2)]
    together = [outcome.value for outcome in side_by_side(scoring, runtime)(candidates, Ignored())]
    assert len(made) == 1
    expected = [alone(candidate, scoring, runtime, Ignored()).value for candidate in candidates]
    assert together == pytest.approx(expected, rel=1e-3)
    widths = {shape.model.n_inputs for shape in made[1:]}
    assert len(widths) > 1


def test_a_search_can_be_ended_while_trials_are_under_way() -> None:
    from training.search.side_by_side import side_by_side  # deferred: imports TensorFlow

    scoring, runtime, candidates = trials_of({"fit": {"epochs": 300}}, None)
    watch = Ignored(pulses=len(candidates) // 2 + 1)
    with pytest.raises(KeyboardInterrupt):
        list(side_by_side(scoring, runtime)(candidates, watch))
    assert 0 < len(watch.told) < len(candidates)


@pytest.mark.parametrize("pruning", ["halving", "hyperband"])
@pytest.mark.parametrize("folds", [None, 3])
def test_a_search_with_pruning_that_was_cut_off_within_a_batch_ends_as_it_would_have(
    pruning: str, folds: int | None
) -> None:
    from training.search.search import search  # deferred: imports TensorFlow

    space = {"fit.optimizer.learning_rate": {"low": 0.001, "high": 0.2, "log": True}, "network.layers.*.units": [4, 6]}
    wanted = {"method": "bayesian", "trials": 12, "space": space, "pruning": pruning, "folds": folds}
    spec = PatternSpec.parse(BOWL).overridden({"search": wanted})

    def run(known: list[Trial]) -> list[dict[str, Any]]:
        found = search(spec, device="cpu", known=known).card.search
        assert found is not None
        return [trial.model_dump(include={"number", "point", "state", "epochs"}) for trial in found.trials]

    from training.search.search import Listener

    told: list[Trial] = []
    listener = Listener(Progress(), lambda trial, best, of: told.append(trial))
    found = search(spec, device="cpu", listener=listener).card.search
    assert found is not None
    whole = [trial.model_dump(include={"number", "point", "state", "epochs"}) for trial in found.trials]
    assert {trial["state"] for trial in whole} == {"complete", "pruned"}
    assert run(told[:3]) == run(told[3:5]) == run(told[:10]) == whole
