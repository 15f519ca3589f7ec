"""Fits side by side: each learns as it would alone, to rounding, whatever the others do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from training.data.dataset import Dataset
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

RECIPE: dict[str, Any] = {
    "name": "plane",
    "data": {
        "kind": "formula",
        "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 4}, "z": {"distribution": "normal"}},
        "outputs": {"y": "x ** 2 - 3 * z"},
        "rows": 90,
        "seed": 3,
    },
    "split": {"test": 0.2, "validation": 0.2},
    "network": {"layers": [{"units": 8, "activation": "tanh"}, {"units": 4, "activation": "elu"}]},
    "fit": {"epochs": 7, "batch_size": 16},
}
STOPPING = {"early_stopping": {"patience": 2}}
MEMBERS = {"network": {"members": 3}, "split": {"validation": 0}}
RATES: list[Mapping[str, Any]] = [
    {"seed": seed, "fit": {"optimizer": {"name": "adam", "learning_rate": rate, "weight_decay": decay}}}
    for seed, rate, decay in [(0, 0.001, 0.0), (1, 0.05, 0.1), (2, 0.3, 0.0), (0, 0.01, 0.01), (7, 0.02, 0.0)]
]


def fits_of(recipe: PatternSpec, changes: Sequence[Mapping[str, Any]]) -> list[tuple[PatternSpec, Dataset]]:
    return [(spec, Dataset.make(spec)) for change in changes for spec in [recipe.overridden(change)]]


def together(fits: Sequence[tuple[PatternSpec, Dataset]], per_call: int | None = None) -> list[tuple[Any, Any]]:
    """Fit side by side; return the curves of each, and its answers to its test rows."""
    from training.fitting.learn import Prepared  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.fitting.side_by_side import SideBySide, groups

    prepared = [Prepared.of(spec, data) for spec, data in fits]
    assert groups(prepared, "/CPU:0") == [[*range(len(fits))]]
    running = SideBySide(prepared, "/CPU:0", Programs(), slots=len(fits) + 1)
    curves: list[list[Any]] = [[] for _ in fits]
    while not running.have_ended.all():
        for place, new in running.run(per_call).items():
            curves[place].append(new)
    assert running.have_finite_weights().all()
    found = []
    for place, (fit, (_, data)) in enumerate(zip(prepared, fits, strict=True)):
        outputs = running.outputs([place], fit.encoding.encoder.encode(data.test.inputs))[0]
        whole = {name: np.concatenate([each[name] for each in curves[place]]) for name in curves[place][0]}
        found.append((whole, fit.encoding.decoder.decode(outputs)))
    return found


def alone(spec: PatternSpec, data: Dataset) -> tuple[Any, Any]:
    from training.fitting.learn import Runtime, learn  # deferred: imports TensorFlow
    from training.fitting.program import Programs
    from training.fitting.progress import Progress

    learned = learn(spec, data, Runtime("cpu", Progress(), Programs()))
    return learned.history.curves, learned.predictor.predict(data.test.inputs)


def assert_alike(fits: Sequence[tuple[PatternSpec, Dataset]], per_call: int | None = None) -> None:
    for (curves, answers), fit in zip(together(fits, per_call), fits, strict=True):
        its_curves, its_answers = alone(*fit)
        assert curves.keys() == its_curves.keys()
        for name, curve in its_curves.items():
            np.testing.assert_allclose(curves[name], curve, rtol=2e-3, err_msg=name)
        np.testing.assert_allclose(answers, its_answers, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fit": STOPPING},
        {"fit": {"early_stopping": {"patience": 1, "monitor": "val_metric", "restore_best": False}}},
        {"fit": {"schedule": {"name": "cosine", "warmup": 0.2}, "loss": "huber"}},
        {"fit": {"batch_size": 1000}, "network": {"dtype": "float64"}, "split": {"validation": 0}},
        {**MEMBERS, "fit": STOPPING},
        {**MEMBERS, "fit": {**STOPPING, "averaged_epochs": 2.0}},
    ],
    ids=["plain", "stopping", "metric", "schedule", "one batch", "members", "averages"],
)
def test_fits_that_differ_in_seed_rate_and_decay_learn_as_they_would_alone(changes: Mapping[str, Any]) -> None:
    assert_alike(fits_of(PatternSpec.parse(RECIPE).overridden(changes), RATES))


@pytest.mark.parametrize("changes", [{}, MEMBERS], ids=["one", "members"])
def test_each_fit_drops_the_outputs_that_it_would_drop_alone(changes: Mapping[str, Any]) -> None:
    dropout = [{"network": {"dropout": rate}, "seed": seed} for rate, seed in [(0.0, 1), (0.3, 1), (0.5, 2)]]
    assert_alike(fits_of(PatternSpec.parse(RECIPE).overridden(changes), dropout))
