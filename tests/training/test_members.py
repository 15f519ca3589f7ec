"""Trainings of networks with members: numbers, labels, texts and weights; folds, checkpoints, and both engines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.bundle import Bundle
from models_store.card import LabelScore, Score
from models_store.networks.onnx_network import OnnxNetwork
from training.fitting.progress import Progress, Weights
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

N_ROWS = 240


def table() -> pl.DataFrame:
    """A curve with noise, and what the sign of its number makes of it: a label, and a word in a text."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, N_ROWS)
    is_up = x + rng.normal(scale=0.3, size=N_ROWS) > 0
    return pl.DataFrame(
        {
            "x": x,
            "said": [f"{'fine' if up else 'poor'} thing number {place}, I say" for place, up in enumerate(is_up)],
            "weight": rng.uniform(0.5, 2, N_ROWS),
            "patient": np.arange(N_ROWS) % 40,
            "y": np.sin(2 * x) + rng.normal(scale=0.1, size=N_ROWS),
            "z": x**2,
            "kind": np.where(is_up, "up", "down"),
            "third": np.where(is_up, "up", np.where(x < -1, "far down", "down")),
        }
    )


def spec(target: Any = "y", drop: tuple[str, ...] = (), **changes: Any) -> PatternSpec:
    columns = {name: "drop" for name in ("y", "z", "kind", "third", "said", *drop) if name not in target}
    recipe = {
        "name": "some",
        "data": {
            "kind": "table",
            "dataset": "0" * 32,
            "target": target,
            "columns": {**columns, **changes.pop("columns", {})},
            "weight": "weight",
        },
        "split": {"validation": 0.0, **changes.pop("split", {})},
        "network": {"layers": [{"units": 16}], "dropout": 0.0, "members": 4},
        "fit": {"epochs": 40, "optimizer": {"learning_rate": 0.01}, "batch_size": 16, **changes.pop("fit", {})},
    }
    return PatternSpec.parse(recipe | changes)


def trained(recipe: PatternSpec, progress: Progress | None = None) -> Bundle:
    from training.run import train  # deferred: imports TensorFlow

    return train(recipe, read_table=lambda _: table(), device="cpu", progress=progress)


@pytest.fixture(scope="module")
def curve() -> Bundle:
    return trained(spec())


def test_members_learn_a_curve_and_need_no_validation_rows(curve: Bundle) -> None:
    score, fitted = curve.card.test.overall, curve.card.fitted
    assert isinstance(score, Score)
    assert score.rmse < 0.25
    assert (curve.architecture.members, curve.card.validation) == (4, None)
    assert fitted.parameters == curve.architecture.n_parameters == 4 * curve.architecture.member.n_parameters
    assert list(curve.history) == ["loss", "metric", "val_loss", "val_metric"]
    assert fitted.best_epoch == 1 + int(np.argmin(curve.history["val_loss"]))


def test_both_engines_read_the_members_from_one_file(curve: Bundle) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    files = curve.to_files()
    asked = curve.golden_inputs
    by_keras, by_onnx = (Bundle.from_files(files, load) for load in (KerasNetwork.from_bytes, OnnxNetwork.from_bytes))
    assert by_keras.predict(asked).tolist() == curve.predict(asked).tolist()
    np.testing.assert_allclose(by_onnx.predict(asked), curve.predict(asked), rtol=1e-5, atol=1e-5)
    assert by_onnx.architecture == curve.architecture


def test_the_same_seed_gives_the_same_members_to_the_bit(curve: Bundle) -> None:
    again, other = trained(spec()), trained(spec(seed=1))
    asked = curve.golden_inputs
    assert again.history == curve.history
    assert again.predict(asked).tolist() == curve.predict(asked).tolist() != other.predict(asked).tolist()


@pytest.mark.parametrize("target", ["kind", "third"])
def test_the_members_probabilities_are_averaged(target: str) -> None:
    bundle = trained(spec(target, columns={"said": "text"}, drop=(), fit={"class_weights": "balanced"}))
    score = bundle.card.test.overall
    assert isinstance(score, LabelScore)
    assert score.accuracy > 0.8
    assert bundle.predict(bundle.golden_inputs).sum(axis=1) == pytest.approx(1)


def test_several_outputs_and_groups() -> None:
    bundle = trained(spec(["y", "z"], split={"group": "patient"}))
    assert {name: score.rmse < 0.4 for name, score in bundle.card.test.outputs.items() if isinstance(score, Score)} == {
        "y": True,
        "z": True,
    }


def test_a_recipe_that_names_a_validation_share_validates_the_members_by_it() -> None:
    card = trained(spec(split={"validation": 0.2})).card
    assert card.validation is not None
    assert (card.validation.rows, card.fitted.rows) == (38, 154)


@pytest.mark.parametrize("early_stopping", [None, {"patience": 5}])
def test_members_are_cross_validated(early_stopping: Any) -> None:
    fit = {"epochs": 15, "early_stopping": early_stopping}
    crossed = trained(spec(fit=fit, cross_validate={"folds": 3})).card.cross_validation
    assert crossed is not None
    assert (len(crossed.folds), crossed.mean["rmse"] < 0.8, crossed.epochs <= 15) == (3, True, True)


def test_the_checkpoint_of_members_has_their_weights() -> None:
    kept: list[Weights] = []

    class Listening(Progress):
        def checkpoint(self, done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
            kept.append(weights())

    bundle = trained(spec(fit={"epochs": 5, "early_stopping": None}), Listening())
    assert [weight.shape for weight in kept[-1]] == bundle.architecture.weight_shapes


def test_fewer_rows_than_members_are_learned_all_the_same() -> None:
    data = {"kind": "formula", "rows": 6, "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 1}}}
    recipe = {
        "name": "line",
        "data": {**data, "outputs": {"y": "x"}},
        "network": {"members": 8},
        "fit": {"epochs": 200},
    }
    bundle = trained(PatternSpec.parse(recipe))
    assert (bundle.architecture.members, len(bundle.history["val_loss"])) == (8, 200)


@pytest.mark.parametrize("target", ["kind", "third"])
def test_answers_out_of_fold_are_as_sure_as_they_are_right(target: str) -> None:
    """Labels with noise, learned until members are too sure: a temperature changes how sure, and no label."""
    too_long = {"epochs": 60, "early_stopping": None, "averaged_epochs": 0.0}
    plain, calibrated = (
        trained(spec(target, fit={**too_long, "calibration": calibration})) for calibration in ("none", "temperature")
    )
    degree = calibrated.card.fitted.temperature
    assert degree is not None and degree > 1.2
    assert plain.card.fitted.temperature is None
    before, after = (bundle.card.out_of_fold for bundle in (plain, calibrated))
    assert before is not None and after is not None
    assert isinstance(before.overall, LabelScore) and isinstance(after.overall, LabelScore)
    assert after.overall.log_loss < before.overall.log_loss
    assert after.overall.accuracy == before.overall.accuracy
