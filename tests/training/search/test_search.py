"""Searches with real networks: the best trial is trained, no trial sees the test rows, and a cut changes nothing."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from models_store.bundle import Bundle
from models_store.card import Searched, Trial
from models_store.errors import PatternServerError
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

LINE: dict[str, Any] = {
    "name": "line",
    "data": {
        "kind": "formula",
        "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 10}},
        "outputs": {"y": "3 * x + 1"},
        "rows": 60,
    },
    "split": {"test": 0.2, "validation": 0.2},
    "network": {"layers": [{"units": 4, "activation": "linear"}]},
    "fit": {"epochs": 6, "optimizer": {"name": "adam", "learning_rate": 0.05}},
}
RATES = [1e-6, 0.1, 1e-5, 1e-7]
WITH_MEMBERS: dict[str, Any] = {"split": {"validation": 0}, "network": {"members": 3}}
SPACE = {"fit.optimizer.learning_rate": RATES}


def recipe(**search: Any) -> PatternSpec:
    return PatternSpec.parse({**LINE, "search": {"method": "grid", "space": SPACE, **search}})


def found(spec: PatternSpec, **options: Any) -> tuple[Bundle, Searched]:
    from training.search.search import search  # deferred: imports TensorFlow

    bundle = search(spec, device="cpu", **options)
    assert bundle.card.search is not None
    return bundle, bundle.card.search


def facts(searched: Searched) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in searched.trials]


@pytest.fixture(scope="module")
def whole() -> tuple[Bundle, Searched]:
    return found(recipe())


def test_the_recipe_of_the_best_trial_is_trained(whole: tuple[Bundle, Searched]) -> None:
    bundle, searched = whole
    assert len(searched.trials) == 4
    assert PatternSpec.parse(bundle.recipe) == PatternSpec.parse(
        {**LINE, "fit": {"epochs": 6, "optimizer": {"name": "adam", "learning_rate": 0.1}}}
    )
    assert searched.trials[searched.best].point == {"fit.optimizer.learning_rate": 0.1}


def test_the_score_of_the_best_trial_is_that_of_the_network_that_is_published(whole: tuple[Bundle, Searched]) -> None:
    bundle, searched = whole
    validation = bundle.card.validation
    assert validation is not None
    assert searched.trials[searched.best].value == pytest.approx(validation.overall.model_dump()["rmse"], rel=1e-5)


def test_the_card_says_how_many_trials_there_were(whole: tuple[Bundle, Searched]) -> None:
    assert whole[0].card.notes[-1].startswith("The recipe is the best of 4 trials (grid search, rmse ")
    assert "on validation rows" in whole[0].card.notes[-1]


def test_no_trial_sees_the_test_rows(whole: tuple[Bundle, Searched]) -> None:
    from training.run import dataset_of, no_tables  # deferred: imports TensorFlow
    from training.search.scoring import Scoring

    for spec in (recipe(), recipe(folds=3), recipe().overridden(WITH_MEMBERS)):
        assert spec.search is not None
        data = dataset_of(spec, no_tables)
        scoring = Scoring.of(spec, spec.search, data)
        held_back = {tuple(row) for row in np.asarray(data.test.inputs).tolist()}
        for number in range(scoring.fits):
            part, held_out = scoring.part(spec, number)
            used = [part.train, held_out, *([part.validation] if part.validation else [])]
            assert not held_back & {tuple(row) for rows in used for row in np.asarray(rows.inputs).tolist()}


def test_a_search_that_was_cut_off_ends_with_the_same_trials(whole: tuple[Bundle, Searched]) -> None:
    told: list[int] = []

    def listen(trial: Trial, best: int | None, of: int) -> None:
        told.append(trial.number)

    from training.search.search import Listener  # deferred: imports TensorFlow

    bundle, searched = found(recipe(), known=whole[1].trials[:3], listener=Listener(Progress(), listen))
    assert told == [3]
    assert facts(searched) == facts(whole[1])
    assert np.array_equal(bundle.predict(bundle.golden_inputs), whole[0].predict(bundle.golden_inputs))


def test_a_search_that_is_to_finish_trains_the_best_so_far() -> None:
    from training.search.search import Listener  # deferred: imports TensorFlow

    told: list[Trial] = []

    def listen(trial: Trial, best: int | None, of: int) -> None:
        told.append(trial)

    # Those of four units run side by side, and those of five after them, or before them.
    spec = recipe(space={"fit.optimizer.learning_rate": RATES[:2], "network.layers.*.units": [4, 5]})
    listener = Listener(Progress(), listen, finishing=lambda: "time_limit" if len(told) == 2 else None)
    bundle, searched = found(spec, listener=listener)
    assert searched.trials == sorted(told, key=lambda trial: trial.number)
    assert len({trial.point["network.layers.*.units"] for trial in told}) == 1
    assert bundle.recipe["fit"]["optimizer"]["learning_rate"] == 0.1
    assert (searched.planned, searched.ended_early) == (4, "time_limit")
    assert bundle.card.notes[-1].endswith(
        "The search ended after 2 of 4 trials, because its server lets no training take longer "
        "(PATTERNS_TRAIN_SECONDS)."
    )


def test_a_search_whose_time_is_over_gives_up_the_trials_under_way() -> None:
    from training.search.search import Listener  # deferred: imports TensorFlow

    told: list[int] = []
    listener = Listener(Progress(), lambda trial, best, of: told.append(trial.number))
    spec = recipe(space={"network.layers.*.units": [4, 5, 6]}, seconds=1e-9)
    searched = found(spec, listener=listener)[1]
    assert [trial.number for trial in searched.trials] == told
    assert (len(told), searched.ended_early) == (1, "seconds")


def test_a_search_that_is_to_finish_before_its_first_trial_says_why() -> None:
    from training.search.search import Listener  # deferred: imports TensorFlow

    with pytest.raises(PatternServerError, match="before its first trial had, because its best so far was asked for"):
        found(recipe(), listener=Listener(Progress(), finishing=lambda: "asked"))


def test_folds_score_each_trial_on_all_rows_but_the_test_rows() -> None:
    bundle, searched = found(recipe(folds=3, space={"fit.optimizer.learning_rate": [1e-6, 0.1]}))
    assert searched.trials[searched.best].point == {"fit.optimizer.learning_rate": 0.1}
    assert [trial.epochs for trial in searched.trials] == [18, 18]
    assert "on 3 folds" in bundle.card.notes[-1]


def test_a_recipe_without_validation_rows_gets_some_and_keeps_its_test_rows(whole: tuple[Bundle, Searched]) -> None:
    spec = PatternSpec.parse({**recipe().to_json(), "split": {"test": 0.2}})
    bundle, searched = found(spec)
    assert bundle.recipe["split"]["validation"] == 0.2
    assert bundle.recipe["fit"]["early_stopping"]["patience"] == 6
    assert bundle.card.lineage.data_sha256 == whole[0].card.lineage.data_sha256
    validation = bundle.card.validation
    assert validation is not None
    assert searched.trials[searched.best].value == pytest.approx(validation.overall.model_dump()["rmse"], rel=1e-5)


def test_hopeless_trials_end_early() -> None:
    trials = found(recipe(pruning="halving", seed=1))[1].trials
    assert sorted(trial.epochs for trial in trials)[0] < 6
    assert {trial.state for trial in trials} == {"complete", "pruned"}


def test_trials_of_the_same_recipe_are_fitted_once() -> None:
    space = {"network.layers.0.units": [4], "network.layers.*.units": [5, 6]}
    assert sorted(trial.epochs for trial in found(recipe(space=space))[1].trials) == [0, 6]


def test_a_trial_that_diverges_is_not_the_end_of_the_search() -> None:
    trials = found(recipe(space={"fit.optimizer.learning_rate": [1e9, 0.1]}))[1].trials
    assert sorted(trial.state for trial in trials) == ["complete", "failed"]
    assert [trial.error for trial in trials if trial.error] == [
        "the loss is not finite after epoch 6; lower fit.optimizer.learning_rate"
    ]


def test_trials_may_be_run_anywhere_and_end_in_any_order(whole: tuple[Bundle, Searched]) -> None:
    from training.search.running import Candidate, MakeRun, Outcome, Run, Watch  # deferred: imports TensorFlow
    from training.search.search import Listener

    told: list[int] = []
    asked: list[list[int]] = []

    def elsewhere(scoring: Any, runtime: Any) -> Run:
        def run(candidates: Sequence[Candidate], watch: Watch) -> Iterator[Outcome]:
            asked.append([candidate.number for candidate in candidates])
            for candidate in reversed(candidates):
                watch.pulse()
                yield Outcome(candidate.number, "complete", whole[1].trials[candidate.number].value, 6, 0.0)

        return run

    def listen(trial: Trial, best: int | None, of: int) -> None:
        told.append(trial.number)

    make_run: MakeRun = elsewhere
    known = [whole[1].trials[1]]
    bundle, searched = found(recipe(), make_run=make_run, known=known, listener=Listener(Progress(), listen))
    assert (asked, told) == ([[0, 2, 3]], [3, 2, 0])
    assert facts(searched) == facts(whole[1])
    assert bundle.recipe == whole[0].recipe


def test_a_search_without_a_score_says_why() -> None:
    with pytest.raises(PatternServerError) as failed:
        found(recipe(space={"fit.optimizer.learning_rate": [1e9]}))
    assert str(failed.value).startswith("none of 1 trial has a score; the last: the loss is not finite")
