"""Members learn side by side, each as if it were alone, and none from the rows that it leaves out."""

from typing import Any

import numpy as np
import pytest

from models_store.networks.architecture import Architecture, Layer
from training.fitting.members import NONE, validating
from training.fitting.progress import History, Progress
from training.recipe.fit import EarlyStopping, Fit

N_ROWS, MEMBERS = 50, 3
LINE = Layer(1, "linear")
LEFT_OUT = np.equal.outer(np.arange(N_ROWS) % MEMBERS, np.arange(MEMBERS))
RECIPE = Fit.model_validate({"epochs": 6, "batch_size": 16, "optimizer": {"name": "adam", "learning_rate": 0.01}})
OBJECTIVES = [
    ("mse", "linear", 1),
    ("huber", "linear", 2),
    ("binary_crossentropy", "sigmoid", 1),
    ("sparse_categorical_crossentropy", "softmax", 3),
    ("categorical_crossentropy", "softmax", 3),
]

pytestmark = pytest.mark.keras


def architecture(members: int = MEMBERS, last: Layer = LINE) -> Architecture:
    return Architecture(2, (Layer(8, "tanh"), last), members=members)


def model(shape: Architecture) -> Any:
    """A model to be fitted, with fresh weights, the same each time."""
    from models_store.networks.keras_network import build  # deferred: imports TensorFlow
    from training.fitting.keras_parts import apart

    return apart(build(shape, seed=5))


def examples(left_out: Any = None, targets: Any = None, weights: Any = None) -> Any:
    from training.fitting.fit import Examples  # deferred: imports TensorFlow

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(N_ROWS, 2)).astype(np.float32)
    noisy = inputs[:, :1] - 2 * inputs[:, 1:] ** 2 + rng.normal(scale=0.5, size=(N_ROWS, 1))
    return Examples(inputs, (noisy if targets is None else targets).astype(np.float32), weights, left_out)


def fitted(trained: Any, train: Any, validation: Any = None, recipe: Fit = RECIPE, objective: Any = None) -> History:
    from training.fitting.fit import MEAN_SQUARES, fit  # deferred: imports TensorFlow

    return fit(trained, train, validation, recipe, 0, Progress(), objective or MEAN_SQUARES)


def targets_for(loss: str, n_outputs: int) -> Any:
    numbers = np.random.default_rng(1).integers(0, max(2, n_outputs), N_ROWS)
    if loss == "categorical_crossentropy":
        return np.eye(n_outputs)[numbers]
    if loss.endswith("crossentropy"):
        return numbers[:, None]
    return np.random.default_rng(1).normal(size=(N_ROWS, n_outputs))


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(("loss", "activation", "n_outputs"), OBJECTIVES)
def test_each_member_learns_as_it_would_alone(loss: Any, activation: str, n_outputs: int, is_weighted: bool) -> None:
    from models_store.networks.keras_network import build  # deferred: imports TensorFlow
    from training.fitting.fit import Objective
    from training.fitting.keras_parts import mean_absolute_error

    weights = np.random.default_rng(2).uniform(0.5, 1.5, N_ROWS).astype(np.float32) if is_weighted else None
    train = examples(targets=targets_for(loss, n_outputs), weights=weights)
    shape = architecture(last=Layer(n_outputs, activation))
    together, objective = model(shape), Objective(loss, mean_absolute_error)
    before = together.get_weights()
    fitted(together, train, objective=objective)
    for number in range(MEMBERS):
        alone = build(shape.member)
        alone.set_weights([weight[number] for weight in before])
        fitted(alone, train, objective=objective)
        for ours, its in zip(together.get_weights(), alone.get_weights(), strict=True):
            np.testing.assert_allclose(ours[number], its, rtol=1e-3, atol=1e-5)


def test_the_first_member_starts_as_a_network_of_one_does() -> None:
    from models_store.networks.keras_network import build  # deferred: imports TensorFlow

    stacked, alone = build(architecture(), seed=5).get_weights(), build(architecture(1), seed=5).get_weights()
    for ours, its in zip(stacked, alone, strict=True):
        np.testing.assert_array_equal(ours[0], its)
    assert all((stacked[0][0] != stacked[0][number]).any() for number in (1, 2))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_members_fold_has_no_influence_on_it(dropout: float) -> None:
    from training.fitting.keras_parts import with_dropout  # deferred: imports TensorFlow

    plain = examples(LEFT_OUT)
    poisoned = examples(LEFT_OUT)
    poisoned.inputs[LEFT_OUT[:, 1]] = 1e3
    poisoned.targets[LEFT_OUT[:, 1]] = -1e3
    found = []
    for train in (plain, poisoned):
        made = model(architecture())
        fitted(with_dropout(made, dropout, seed=3), train, train)
        found.append(made.get_weights())
    for clean, spoilt in zip(*found, strict=True):
        np.testing.assert_array_equal(clean[1], spoilt[1])
    assert all((found[0][0][number] != found[1][0][number]).any() for number in (0, 2))


def test_another_order_of_the_members_changes_nothing_but_rounding() -> None:
    turned = [2, 0, 1]
    first, second = model(architecture()), model(architecture())
    second.set_weights([weight[turned] for weight in first.get_weights()])
    train, other = examples(LEFT_OUT), examples(LEFT_OUT[:, turned])
    stopping = RECIPE.model_copy(update={"early_stopping": EarlyStopping(patience=3)})
    assert_same_curves(fitted(first, train, train, stopping), fitted(second, other, other, stopping))
    assert_same_weights([weight[turned] for weight in first.get_weights()], second.get_weights())


def test_another_order_of_the_columns_changes_nothing_but_rounding() -> None:
    first, second = model(architecture()), model(architecture())
    kernel, *others = first.get_weights()
    second.set_weights([kernel[:, ::-1], *others])
    train, other = examples(LEFT_OUT), examples(LEFT_OUT)
    other.inputs[:] = train.inputs[:, ::-1]
    assert_same_curves(fitted(first, train, train), fitted(second, other, other))
    turned_back, *theirs = second.get_weights()
    assert_same_weights(first.get_weights(), [turned_back[:, ::-1], *theirs])


def test_another_order_of_the_rows_of_each_fold_changes_nothing_but_rounding() -> None:
    """In steps of all rows: which rows share a smaller batch is drawn by their places."""
    whole = RECIPE.model_copy(update={"batch_size": N_ROWS})
    moved = np.arange(N_ROWS)
    for fold in LEFT_OUT.T:
        moved[fold] = np.random.default_rng(4).permutation(moved[fold])
    first, second, train, other = model(architecture()), model(architecture()), examples(LEFT_OUT), examples(LEFT_OUT)
    other.inputs[:], other.targets[:] = train.inputs[moved], train.targets[moved]
    assert (moved != np.arange(N_ROWS)).sum() > N_ROWS // 2 and (LEFT_OUT[moved] == LEFT_OUT).all()
    assert_same_curves(fitted(first, train, train, whole), fitted(second, other, other, whole))
    assert_same_weights(first.get_weights(), second.get_weights())


def assert_same_curves(one: History, other: History) -> None:
    assert one.best_epoch == other.best_epoch
    for name, curve in one.curves.items():
        np.testing.assert_allclose(curve, other.curves[name], rtol=1e-5)


def assert_same_weights(ours: list[Any], theirs: list[Any]) -> None:
    for our_weight, their_weight in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(our_weight, their_weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("is_left_out", [False, True])
def test_a_member_is_validated_by_the_rows_that_it_left_out_or_by_all(is_left_out: bool) -> None:
    made = model(architecture())
    weights = np.random.default_rng(2).uniform(0.5, 1.5, N_ROWS).astype(np.float32)
    weights /= weights.mean()
    train = examples(LEFT_OUT if is_left_out else None, weights=weights)
    history = fitted(made, train, train)
    answers = made.predict(np.repeat(train.inputs[:, None], MEMBERS, axis=1), verbose=0)
    gaps = (answers - train.targets[:, None])[..., 0]
    counts = weights[:, None] * (LEFT_OUT if is_left_out else 1 / MEMBERS)
    assert history.val_loss is not None
    assert history.val_loss[-1] == pytest.approx((counts * gaps**2).sum() / N_ROWS, rel=1e-4)
    assert history.curves["val_metric"][-1] == pytest.approx((counts * np.abs(gaps)).sum() / N_ROWS, rel=1e-4)


def test_one_best_epoch_is_kept_for_all_members() -> None:
    recipe = RECIPE.model_copy(update={"epochs": 300, "early_stopping": EarlyStopping(patience=5)})
    stopped, again, train = model(architecture()), model(architecture()), examples(LEFT_OUT)
    history = fitted(stopped, train, train, recipe)
    assert history.val_loss is not None
    assert history.stopped_early and history.best_epoch == 1 + history.val_loss.argmin()
    fitted(again, train, train, RECIPE.model_copy(update={"epochs": history.best_epoch}))
    for ours, theirs in zip(stopped.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_rows_that_validate_members_stand_side_by_side() -> None:
    left_out = np.array([[True, False], [False, True], [True, False], [True, False]])
    assert validating(4, left_out, (2,)).tolist() == [[0, 1], [2, NONE], [3, NONE]]
    assert validating(2, None, (2,)).tolist() == [[0, 0], [1, 1]]
    assert validating(3, None, ()).tolist() == [0, 1, 2]
