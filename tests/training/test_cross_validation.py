"""Cross-validation: every row is held out once, folds decide nothing about their own scores, and epochs are chosen."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Array
from training.data.dataset import DataError, Dataset, Rows, joined
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

BEND = {
    "name": "bend",
    "data": {
        "kind": "formula",
        "inputs": {"x": {"distribution": "uniform", "low": -2, "high": 2}},
        "outputs": {"y": "where(x > 0, x, 0)"},
        "rows": 100,
    },
    "network": {"layers": [{"units": 8}]},
    "fit": {"epochs": 40, "optimizer": {"name": "rmsprop", "learning_rate": 0.01}},
    "cross_validate": {"folds": 4, "smoothing": 0.5},
}


def runtime(progress: Progress) -> Any:
    """A CPU, and programs that no other test has compiled."""
    from training.fitting.learn import Runtime  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    return Runtime("cpu", progress, Programs())


def crossed(spec: PatternSpec, workers: int = 1) -> Any:
    from training.cross_validation import cross_validate  # deferred: imports TensorFlow

    data = Dataset.make(spec)
    return cross_validate(spec, data, joined(data.fitted, data.test), runtime(Progress()), workers)


@pytest.mark.parametrize(
    ("stopping", "planned"), [(None, 9 * 40), ({"monitor": "loss", "patience": 2, "mode": "max"}, 5 * 40)]
)
def test_progress_counts_the_epochs_of_all_folds_and_of_what_is_fitted_after_them(stopping: Any, planned: int) -> None:
    from training.cross_validation import cross_validate  # deferred: imports TensorFlow

    class Told(Progress):
        def work(self, done: int, of: int) -> None:
            told.append((done, of))

    told: list[tuple[int, int]] = []
    spec = PatternSpec.parse(BEND).overridden({"fit": {"early_stopping": stopping}})
    data = Dataset.make(spec)
    result = cross_validate(spec, data, data.fitted, runtime(Told()), 2, fits_after=1)
    shares = [done / of for done, of in told]
    assert told[0] == (0, planned)
    assert shares == sorted(shares)
    assert told[-1][1] == told[-1][0] + result.epochs


@pytest.fixture(scope="module")
def bend() -> Any:
    return crossed(PatternSpec.parse(BEND))


def test_each_fold_is_scored_at_the_epoch_where_the_smoothed_average_turns(bend: Any) -> None:
    assert [fold.rows for fold in bend.folds] == [25, 25, 25, 25]
    assert (bend.metric, len(bend.curve), len(bend.smoothed)) == ("mae", 40, 40)
    assert bend.epochs == 1 + int(np.argmin(bend.smoothed))
    assert {fold.best_epoch for fold in bend.folds} == {bend.epochs}
    # The folds' average curve at that epoch is the mean of their scores there: the same rows, measured twice.
    assert bend.mean["mae"] == pytest.approx(bend.curve[bend.epochs - 1], rel=1e-4)
    maes = [fold.score.mae for fold in bend.folds]
    assert (bend.mean["mae"], bend.sd["mae"]) == pytest.approx((np.mean(maes), np.std(maes, ddof=1)))


def test_folds_fitted_side_by_side_give_the_same(bend: Any) -> None:
    assert crossed(PatternSpec.parse(BEND), workers=2) == bend


def test_a_recipe_that_stops_early_watches_rows_of_its_own() -> None:
    spec = PatternSpec.parse(BEND).overridden(
        {"split": {"validation": 0.25}, "fit": {"epochs": 200, "early_stopping": {"patience": 5}}}
    )
    found = crossed(spec)
    best = [fold.best_epoch for fold in found.folds]
    assert found.epochs == round(np.median(best))
    assert len(found.curve) < 200


def test_what_a_fold_holds_out_decides_nothing_about_its_network() -> None:
    """Other targets in the rows that the first fold holds out: its network is the same, only its score is another."""
    from training.cross_validation import Folding  # deferred: imports TensorFlow

    spec = PatternSpec.parse(BEND).overridden(
        {"split": {"validation": 0.25}, "fit": {"epochs": 60, "early_stopping": {"patience": 5}}}
    )
    data = Dataset.make(spec)
    rows = joined(data.fitted, data.test)
    folding = Folding(spec, data, rows, runtime(Progress()))
    outputs = rows.targets.copy()
    outputs[folding.splits[0][1]] += 5
    other = Folding(spec, data, Rows(rows.inputs, outputs), runtime(Progress()))
    before, after = (next(each.scored(spec, [0])) for each in (folding, other))
    assert before.curve.values.tolist() == after.curve.values.tolist()
    assert before.fold.best_epoch == after.fold.best_epoch
    assert before.fold.score != after.fold.score


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {"rows": 25}, "cross_validate": {"folds": 15}, "fit": {"epochs": 3}},
        {"fit": {"epochs": 3, "early_stopping": {"monitor": "loss"}}},
    ],
    ids=["folds of one row, which have no R²", "early stopping without rows to watch"],
)
def test_a_recipe_that_is_valid_can_be_cross_validated(changes: dict[str, Any]) -> None:
    found = crossed(PatternSpec.parse(BEND).overridden(changes))
    assert found.mean.keys() >= {"rmse", "mae"}
    assert len(found.curve) == 3


def test_the_curve_is_of_folds_whose_metric_has_one_unit() -> None:
    from training.cross_validation import Curve, of_one_unit  # deferred: imports TensorFlow

    raw, other, logarithm = (Curve(np.ones(2), are_logarithms) for are_logarithms in (False, False, True))
    assert of_one_unit([raw, logarithm, other]) == [raw, other]
    assert of_one_unit([logarithm, raw]) == [raw]
    assert of_one_unit([logarithm]) == [logarithm]


def test_the_card_says_of_a_curve_that_it_is_of_logarithms(bend: Any) -> None:
    found = crossed(PatternSpec.parse(BEND).overridden({"scaling": {"targets": "log"}, "fit": {"epochs": 3}}))
    assert (found.are_logarithms, found.curve_folds) == (True, None)
    assert (bend.are_logarithms, bend.curve_folds) == (False, None)


def test_repeats_fold_otherwise_each_time() -> None:
    found = crossed(
        PatternSpec.parse(BEND).overridden({"cross_validate": {"folds": 2, "repeats": 2}, "fit": {"epochs": 3}})
    )
    assert [fold.rows for fold in found.folds] == [50, 50, 50, 50]
    assert len({fold.score.mae for fold in found.folds}) == 4


def test_the_served_network_is_fitted_on_all_training_rows_for_the_recommended_epochs() -> None:
    from training.run import train  # deferred: imports TensorFlow

    spec = PatternSpec.parse(BEND).overridden({"split": {"test": 0.2, "validation": 0.2}})
    card = train(spec, device="cpu").card
    assert card.cross_validation is not None
    assert (card.fitted.rows, card.fitted.epochs) == (80, card.cross_validation.epochs)
    assert sum(fold.rows for fold in card.cross_validation.folds) == 80
    assert (card.validation, card.test.rows) == (None, 20)


def test_more_folds_than_rows_are_refused() -> None:
    with pytest.raises(
        DataError,
        match=r"cross_validate\.folds: 100 folds need as many rows, and there are 50 rows; ask for fewer folds",
    ):
        crossed(PatternSpec.parse(BEND).overridden({"data": {"rows": 50}, "cross_validate": {"folds": 100}}))


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(0, 0.99))
def test_the_moving_average_starts_with_the_curve_and_stays_within_it(values: list[float], smoothing: float) -> None:
    from training.cross_validation import moving_average  # deferred: imports TensorFlow

    curve: Array = np.array(values)
    smoothed = moving_average(curve, smoothing)
    assert smoothed[0] == curve[0]
    assert (smoothed >= curve.min() - 1e-9).all()
    assert (smoothed <= curve.max() + 1e-9).all()
    if smoothing == 0:
        assert smoothed.tolist() == curve.tolist()
