"""What a fit chooses to learn of numbers: each kind of target is answered better than by the squares of its errors."""

from typing import Any

import numpy as np
import pytest

from models_store.encoding.outputs import OutputDecoder
from models_store.tables.table import Table
from training.data.dataset import Dataset, Rows
from training.fitting.chosen import settled
from training.fitting.fit import Diverged
from training.fitting.learn import LOGARITHMS, Choice, Learned, Runtime, learn
from training.fitting.program import Programs
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras
PROGRAMS = Programs()
RECIPE: dict[str, Any] = {
    "name": "t",
    "data": {"kind": "table", "dataset": "0" * 32, "target": "y"},
    "network": {"layers": [{"units": 32}], "members": 4},
    "fit": {"epochs": 40},
}
X = np.random.default_rng(1).uniform(-1, 1, (800, 3))
ASKED = Table({f"x{place}": values for place, values in enumerate(np.random.default_rng(2).uniform(-1, 1, (400, 3)).T)})


def learned(targets: np.ndarray, **fields: Any) -> Learned:
    table = Table({f"x{place}": values for place, values in enumerate(X.T)})
    rows = Rows(table, targets.astype(np.float64)[:, None])
    data = Dataset(dict.fromkeys(table.columns, "number"), ("y",), rows, None, rows.take(slice(10)))
    return learn(PatternSpec.parse({**RECIPE, **fields}), data, Runtime("cpu", Progress(), PROGRAMS))


def usual(targets: np.ndarray) -> Learned:
    return learned(targets, scaling={"targets": "none"})


def error(found: Learned, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found.predictor.answers(ASKED)[:, 0] - truth) ** 2)))


def of(x: np.ndarray) -> np.ndarray:
    """The mean of amounts over five decades, and of counts."""
    return np.asarray(np.exp(2.5 + 4 * x[:, 0] + x[:, 1] * x[:, 2]))


def has_logarithms(found: Learned) -> bool:
    decoder = found.predictor.decoder
    return isinstance(decoder, OutputDecoder) and decoder.logarithm is not None


ASKED_ROWS = np.stack([*ASKED.columns.values()], axis=1)


def test_amounts_over_five_decades_are_learned_by_their_logarithms_and_better() -> None:
    targets = of(X) * np.exp(0.3 * np.random.default_rng(3).normal(size=len(X)))
    found, truth = learned(targets), of(ASKED_ROWS) * np.exp(0.3**2 / 2)
    assert has_logarithms(found)
    assert found.spec.scaling.targets == "log"
    assert settled(PatternSpec.parse(RECIPE), found.spec, 4)["scaling.targets"] == "log"
    assert error(found, truth) < 0.8 * error(usual(targets), truth)
    assert found.out_of_fold is not None
    assert found.out_of_fold.answers.sum() == pytest.approx(targets.sum(), rel=0.05)
    assert (found.predictor.answers(ASKED) >= 0).all()


def test_counts_are_learned_by_their_logarithms_and_better() -> None:
    targets = np.random.default_rng(4).poisson(of(X))
    found, truth = learned(targets), of(ASKED_ROWS)
    assert has_logarithms(found)
    assert error(found, truth) < error(usual(targets), truth)
    assert (found.predictor.answers(ASKED) >= 0).all()


def test_numbers_with_heavy_tails_are_learned_by_hubers_loss_and_better() -> None:
    def mean(x: np.ndarray) -> np.ndarray:
        return np.asarray(3 * np.sin(3 * x[:, 0]) + 2 * x[:, 1])

    rng = np.random.default_rng(5)
    targets = mean(X) + np.where(rng.uniform(size=len(X)) < 0.05, 20, 1) * rng.normal(size=len(X))
    found, truth = learned(targets), mean(ASKED_ROWS)
    assert found.spec.fit.loss == "huber"
    assert error(found, truth) < 0.9 * error(usual(targets), truth)


def test_numbers_that_are_neither_are_learned_as_ever_to_the_bit() -> None:
    targets = 10 * X[:, 0] + np.random.default_rng(6).normal(size=len(X))
    found = learned(targets)
    assert not has_logarithms(found)
    assert np.array_equal(found.predictor.answers(ASKED), usual(targets).predictor.answers(ASKED))
    assert not {"scaling.targets", "fit.loss"} & settled(PatternSpec.parse(RECIPE), found.spec, 4).keys()


def test_a_recipe_of_an_earlier_release_learns_the_numbers_themselves() -> None:
    earlier = PatternSpec.parse(RECIPE).to_json()
    del earlier["scaling"]["targets"]
    assert PatternSpec.parse(earlier).scaling.targets == "none"
    assert PatternSpec.parse(RECIPE).scaling.targets == "auto"
    assert PatternSpec.parse({**RECIPE, "scaling": {"method": "minmax"}}).scaling.targets == "auto"


def test_a_way_that_diverges_leaves_the_other_one() -> None:
    rng = np.random.default_rng(5)
    targets = X[:, 0] + np.where(rng.uniform(size=len(X)) < 0.05, 20, 1) * rng.normal(size=len(X))
    # Without a bend in the network, squares grow by a factor with each step at this rate, and Huber's loss does not.
    steep = {"epochs": 30, "batch_size": 16, "optimizer": {"name": "sgd", "learning_rate": 5.0}}
    straight = {"network": {"layers": [], "members": 4}, "fit": {"loss": "auto", **steep}}
    with pytest.raises(Diverged, match="not finite"):
        learned(targets, **straight, scaling={"targets": "none"})
    assert learned(targets, **straight).spec.fit.loss == "huber"


def test_a_try_that_diverges_leaves_the_usual_way() -> None:
    table = Table({f"x{place}": values for place, values in enumerate(X.T)})
    rows = Rows(table, of(X)[:, None])
    data = Dataset(dict.fromkeys(table.columns, "number"), ("y",), rows, None, rows.take(slice(10)))
    choice = Choice.of(PatternSpec.parse(RECIPE), data)
    assert choice.way is LOGARITHMS
    found = usual(of(X))
    assert choice.kept([Diverged("the loss is not finite"), found]) is found
