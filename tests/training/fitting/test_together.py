"""Fits of one training together: each learns as it would alone, to rounding."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from training.data.dataset import Dataset
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

RECIPE: dict[str, Any] = {
    "name": "places",
    "data": {"kind": "table", "dataset": "0" * 32, "target": "y"},
    "split": {"test": 0.2},
    "network": {"layers": [{"units": 4}], "members": 3},
    "fit": {"epochs": 6},
}


def rows(target: str) -> pl.DataFrame:
    """Numbers and many categories, of which each draw of training rows knows others."""
    rng = np.random.default_rng(0)
    place, x = rng.integers(0, 24, 240), rng.normal(size=240)
    y = np.exp(2 * x + 0.1 * place) if target == "amount" else np.where(x + 0.1 * place > 1, "high", "low")
    return pl.DataFrame({"place": [f"p{each}" for each in place], "x": x, "y": y})


def tasks(target: str, changes: Mapping[str, Any]) -> list[tuple[PatternSpec, Dataset]]:
    """One for each of three seeds, which split the rows otherwise."""
    from training.run import dataset_of  # deferred: imports TensorFlow

    seeded = [PatternSpec.parse(RECIPE).overridden({**changes, "seed": seed}) for seed in range(3)]
    return [(spec, dataset_of(spec, lambda _: rows(target))) for spec in seeded]


def together(some: Sequence[tuple[PatternSpec, Dataset]], **kept: Any) -> list[Any]:
    from training.fitting.learn import Runtime  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.fitting.together import Task, learn_each

    runtime = Runtime("cpu", kept.get("progress", Progress()), kept.get("programs", Programs()))
    return list(learn_each((Task(*one) for one in some), runtime, lambda _, learned: learned, kept.get("workers", 1)))


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        ("label", {"fit": {"calibration": "temperature", "averaged_epochs": 2.0}}),
        ("label", {"network": {"members": 1}, "split": {"validation": 0.2}}),
        ("amount", {}),
        ("amount", {"fit": {"early_stopping": None}, "network": {"members": 1}, "scaling": {"targets": "log"}}),
    ],
    ids=["labels by members, with a temperature", "labels", "amounts, in two ways", "logarithms"],
)
def test_fits_together_learn_as_each_would_alone(target: str, changes: Mapping[str, Any]) -> None:
    from training.fitting.learn import Runtime, learn  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    made: list[Any] = []

    class Counting(Programs):
        def take(self, shape: Any, make: Any) -> Any:
            made.append(shape)
            return super().take(shape, make)

    some, programs = tasks(target, changes), Programs()
    for found, (spec, data) in zip(together(some, programs=Counting()), some, strict=True):
        alone = learn(spec, data, Runtime("cpu", Progress(), programs))
        assert found.spec == alone.spec
        assert found.history.curves.keys() == alone.history.curves.keys()
        assert (found.history.best_epoch, found.history.stopped_early) == (
            alone.history.best_epoch,
            alone.history.stopped_early,
        )
        for name, curve in alone.history.curves.items():
            np.testing.assert_allclose(found.history.curves[name], curve, rtol=2e-3, atol=1e-5, err_msg=name)
        asked = data.test.inputs
        np.testing.assert_allclose(found.predictor.predict(asked), alone.predictor.predict(asked), rtol=2e-3, atol=2e-3)
        assert (found.temperature is None) == (alone.temperature is None)
        if alone.temperature is not None:
            assert found.temperature == pytest.approx(alone.temperature, rel=2e-3)
        if alone.out_of_fold is not None:
            np.testing.assert_allclose(found.out_of_fold.answers, alone.out_of_fold.answers, rtol=5e-3, atol=2e-3)
            np.testing.assert_allclose(found.out_of_fold.spread, alone.out_of_fold.spread, rtol=5e-3, atol=2e-3)
    # One program for all, also for both ways to learn amounts.
    assert len(made) == 1


def test_a_fit_that_diverges_beside_others_is_raised() -> None:
    from training.fitting.fit import Diverged  # deferred: imports TensorFlow

    steady = {"early_stopping": None, "optimizer": {"name": "sgd", "learning_rate": 0.01}}
    some = tasks("amount", {"scaling": {"targets": "none"}, "network": {"members": 1}, "fit": steady})
    spec, data = some[1]
    some[1] = spec.overridden({"fit": {"optimizer": {"learning_rate": 1e9}}}), data
    with pytest.raises(Diverged, match=r"lower fit\.optimizer\.learning_rate"):
        together(some)


def test_workers_share_fits_that_are_not_alike() -> None:
    some = tasks("label", {"network": {"members": 1}, "fit": {"early_stopping": None}})
    spec, data = some[1]
    some[1] = spec.overridden({"network": {"layers": [{"units": 5}]}}), data
    one, two = together(some), together(some, workers=2)
    assert [each.architecture.layers[0].units for each in two] == [4, 5, 4]
    for found, other in zip(one, two, strict=True):
        assert np.array_equal(found.predictor.predict(data.test.inputs), other.predictor.predict(data.test.inputs))
