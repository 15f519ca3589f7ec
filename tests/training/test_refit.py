"""The second fit of a training: on all rows, by the epochs of the first, which is the one that is measured."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.bundle import Bundle
from models_store.card import Score
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

N_ROWS = 150


def table(n_rows: int = N_ROWS, first: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(first)
    x = np.arange(first, first + n_rows, dtype=np.float64) / 100
    y = x + rng.normal(size=n_rows)
    return pl.DataFrame({"x": x, "kind": [f"k{place % 3}" for place in range(n_rows)], "y": y, "side": y > 0.7})


def spec(members: int = 3, **changes: Any) -> PatternSpec:
    recipe = {
        "name": "some",
        "data": {"kind": "table", "dataset": "0" * 32, "target": "y", **changes.pop("data", {})},
        "split": {"validation": 0.0, **changes.pop("split", {})},
        "network": {"layers": [{"units": 8}], "dropout": 0.0, "members": members},
        "fit": {"epochs": 12, "early_stopping": {"patience": 12}, **changes.pop("fit", {})},
    }
    return PatternSpec.parse(recipe | changes)


def trained(recipe: PatternSpec, progress: Progress | None = None, cores: int = 1) -> Bundle:
    from training.run import train  # deferred: imports TensorFlow

    tables = {"0" * 32: table(), "1" * 32: table(30, 5)}
    return train(recipe, read_table=tables.__getitem__, device="cpu", progress=progress, cores=cores)


class EachEpoch(Progress):
    """Keeps the work that it is told of; `epochs_per_report` lets a second fit go on in the midst of the first."""

    epochs_per_report = 1

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def work(self, done: int, of: int) -> None:
        self.told.append((done, of))


@pytest.fixture(scope="module")
def both() -> tuple[Bundle, Bundle]:
    """The same recipe with and without a second fit."""
    return trained(spec()), trained(spec(split={"refit": False}))


def test_what_is_measured_is_the_first_fit_and_what_is_served_the_second(both: tuple[Bundle, Bundle]) -> None:
    twice, once = both
    assert (twice.card.test, twice.card.train) == (once.card.test, once.card.train)
    assert twice.card.baselines == once.card.baselines
    assert twice.history["loss"] == once.history["loss"]
    assert twice.history["val_loss"] == pytest.approx(once.history["val_loss"], rel=1e-5)
    assert twice.predict(twice.golden_inputs).tolist() != once.predict(twice.golden_inputs).tolist()


def test_the_card_says_which_rows_the_served_network_was_fitted_on(both: tuple[Bundle, Bundle]) -> None:
    twice, once = (bundle.card.fitted for bundle in both)
    assert (once.rows, once.refit) == (120, None)
    assert twice.refit is not None
    assert (twice.rows, twice.refit.rows, twice.refit.epochs) == (120, N_ROWS, twice.best_epoch)


def test_the_ranges_on_the_card_and_the_golden_rows_are_those_of_all_rows(both: tuple[Bundle, Bundle]) -> None:
    card, seen = both[0].card, table()
    assert (card.inputs[0].minimum, card.inputs[0].maximum) == (seen["x"].min(), seen["x"].max())
    golden = both[0].golden_inputs.columns["x"]  # type: ignore[union-attr]
    assert {golden.min(), golden.max()} == {seen["x"].min(), seen["x"].max()}


def test_every_row_is_answered_by_the_member_that_left_it_out(both: tuple[Bundle, Bundle]) -> None:
    for bundle, n_rows in zip(both, (N_ROWS, 120), strict=True):
        found, measured = bundle.out_of_fold, bundle.card.out_of_fold
        assert found is not None and measured is not None and isinstance(measured.overall, Score)
        assert (found.answers.shape, found.spread.shape, measured.rows) == ((n_rows, 1), (n_rows, 1), n_rows)
        assert measured.overall.rmse == pytest.approx(np.sqrt(((found.answers - found.targets) ** 2).mean()))
        assert (found.spread > 0).all()


def test_the_second_fit_is_the_one_that_the_recipe_makes_of_all_rows(both: tuple[Bundle, Bundle]) -> None:
    from training.data import tables  # deferred: imports TensorFlow
    from training.fitting.chosen import chosen
    from training.fitting.fit import Extent
    from training.fitting.learn import Runtime, learn
    from training.fitting.program import Programs
    from training.refit import rows_of

    recipe = spec()
    assert recipe.data.kind == "table"
    data = tables.make(recipe, recipe.data, table())
    rows = rows_of(recipe, data)
    assert rows is not None
    assert sorted(rows.targets[:, 0]) == sorted(table()["y"])
    used, runtime = chosen(recipe, data), Runtime("cpu", Progress(), Programs())
    alone = learn(used, replace(data, train=rows), runtime, Extent([both[0].card.fitted.best_epoch]))
    asked = both[0].golden_inputs
    assert alone.predictor.predict(asked).tolist() == both[0].predict(asked).tolist()


def test_beside_the_first_fit_the_second_is_the_same_to_the_bit() -> None:
    # The rate is so high that the best epoch is not the last.
    recipe = spec(fit={"optimizer": {"name": "adam", "learning_rate": 0.05}})
    after, beside = trained(recipe), trained(recipe, EachEpoch(), cores=2)
    assert 1 < after.card.fitted.best_epoch < after.card.fitted.epochs
    for alone, together in zip(_weights(after), _weights(beside), strict=True):
        np.testing.assert_array_equal(alone, together)
    known = {"lineage", "fitted"}
    assert beside.card.model_dump(exclude=known) == after.card.model_dump(exclude=known)
    assert (beside.history, beside.evaluation) == (after.history, after.evaluation)
    assert after.out_of_fold is not None and beside.out_of_fold is not None
    np.testing.assert_array_equal(beside.out_of_fold.answers, after.out_of_fold.answers)


def _weights(bundle: Bundle) -> list[Any]:
    from models_store.networks.weights import read_weights

    return read_weights(bundle.predictor.network.to_bytes(), bundle.architecture)


@pytest.mark.parametrize(("cores", "n_programs"), [(1, 1), (2, 2)])
def test_both_fits_have_a_program_of_one_shape(cores: int, n_programs: int) -> None:
    from training.fitting.program import Program, Programs  # deferred: imports TensorFlow
    from training.run import train

    made: list[Program] = []

    class Counting(Programs):
        def take(self, shape: Any, make: Any) -> Any:
            def counted() -> Any:
                made.append(make())
                return made[-1]

            return super().take(shape, counted)

    train(spec(), read_table=lambda _: table(), device="cpu", programs=Counting(), cores=cores)
    assert (len(made), len({program.shape for program in made})) == (n_programs, 1)


def test_test_rows_of_a_table_of_their_own_stay_out() -> None:
    aside = trained(spec(data={"test": "1" * 32}))
    assert aside.card.fitted.refit is None
    validated = trained(spec(data={"test": "1" * 32}, split={"validation": 0.2}))
    assert validated.card.fitted.refit is not None
    assert (validated.card.fitted.rows, validated.card.fitted.refit.rows) == (120, N_ROWS)


def test_rows_that_a_cross_validation_has_given_to_the_first_fit_are_not_fitted_again() -> None:
    from training.data import tables
    from training.refit import rows_of  # deferred: imports TensorFlow

    changes: dict[str, Any] = {"data": {"test": "1" * 32}, "split": {"validation": 0.2}}
    recipes = [spec(**changes), spec(**changes, cross_validate={"folds": 3})]
    found = []
    for recipe in recipes:
        assert recipe.data.kind == "table"
        rows = rows_of(recipe, tables.make(recipe, recipe.data, table(), table(30, 5)))
        found.append(None if rows is None else len(rows))
    assert found == [N_ROWS, None]


def test_a_network_of_one_is_fitted_again_without_validation_rows() -> None:
    card = trained(spec(members=1, split={"validation": 0.25})).card
    assert card.fitted.refit is not None
    assert (card.fitted.rows, card.fitted.refit.rows, card.out_of_fold) == (90, N_ROWS, None)


def test_labels_are_fitted_again_after_a_cross_validation() -> None:
    bundle = trained(spec(data={"target": "side"}, cross_validate={"folds": 3}))
    refit, crossed = bundle.card.fitted.refit, bundle.card.cross_validation
    assert refit is not None and crossed is not None and bundle.out_of_fold is not None
    assert (refit.rows, refit.epochs) == (N_ROWS, crossed.epochs)
    assert bundle.out_of_fold.answers.sum(axis=1) == pytest.approx(1)


def test_the_epochs_of_both_fits_are_counted() -> None:
    listener = EachEpoch()
    fitted = trained(spec(), listener).card.fitted
    both = fitted.epochs + fitted.best_epoch
    assert (listener.told[0], listener.told[-1]) == ((0, 24), (both, both))


def test_epochs_of_fits_beside_each_other_count_once() -> None:
    listener = EachEpoch()
    fitted = trained(spec(), listener, cores=2).card.fitted
    assert listener.told[:2] == [(0, 24), (0, 12)]
    done, of = listener.told[-1]
    assert done == of and fitted.epochs <= done < fitted.epochs + fitted.best_epoch


class Cancelled(Exception):
    pass


class CancelledWhen(EachEpoch):
    """Ends a training in its first fit, or once there is work of the second."""

    def __init__(self, is_second: bool) -> None:
        super().__init__()
        self._is_second = is_second

    def epochs(self, done: int, curves: Any) -> None:
        if done == 5 and not self._is_second:
            raise Cancelled

    def pulse(self) -> None:
        if self._is_second and self.told and self.told[-1][0] > 0:
            raise Cancelled


@pytest.mark.parametrize("cores", [1, 2])
@pytest.mark.parametrize("is_second", [False, True])
def test_a_training_can_be_ended_in_each_of_its_fits(cores: int, is_second: bool) -> None:
    with pytest.raises(Cancelled):
        trained(spec(), CancelledWhen(is_second), cores)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("second-fit")]


@pytest.mark.parametrize("cores", [1, 2])
def test_a_second_fit_that_fails_fails_when_it_is_waited_for(cores: int) -> None:
    from training.data import tables
    from training.data.dataset import DataError
    from training.fitting.chosen import chosen
    from training.fitting.learn import Runtime, learn
    from training.fitting.program import Programs
    from training.refit import FirstFit, Followed, SecondFit  # deferred: imports TensorFlow

    recipe = spec(scaling={"method": "none"})
    assert recipe.data.kind == "table"
    data, beyond = (
        tables.make(recipe, recipe.data, one) for one in (table(), table().with_columns(pl.col("x") * 1e39))
    )
    told = FirstFit(EachEpoch())
    runtime = Runtime("cpu", told, Programs(), cores=cores)
    with SecondFit(data, beyond.train, runtime, told) as second:
        first = learn(chosen(recipe, data), data, replace(runtime, progress=Followed(told, second)))
        with pytest.raises(DataError, match="too large"):
            second.learned(first)


def test_a_bundle_keeps_its_answers_out_of_fold(both: tuple[Bundle, Bundle]) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    found = Bundle.from_files(both[0].to_files(), KerasNetwork.from_bytes).out_of_fold
    assert found is not None and both[0].out_of_fold is not None
    for name, values in vars(both[0].out_of_fold).items():
        np.testing.assert_array_equal(getattr(found, name), values)


def test_a_bundle_keeps_histograms_of_the_rows_it_was_fitted_on_and_of_answers(both: tuple[Bundle, Bundle]) -> None:
    profile = both[0].profile
    assert profile is not None and both[0].card.fitted.refit is not None
    rows = {one.name: int(own[:-1].sum()) for one, own, _ in profile.cells(profile.training)}
    assert rows.keys() == {*both[0].inputs, *both[0].outputs}
    assert {rows[name] for name in both[0].inputs} == {both[0].card.fitted.refit.rows}
