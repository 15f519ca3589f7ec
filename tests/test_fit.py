"""The compiled fit does what Keras does: same batches, same losses, same weights, same epoch to stop at."""

from typing import Any

import numpy as np
import pytest

from models_store.architecture import Architecture, Layer
from models_store.scaler import Array
from training.spec import EarlyStopping, Fit

pytestmark = pytest.mark.keras

ARCHITECTURE = Architecture(2, (Layer(8, "tanh"), Layer(1, "linear")))
N_ROWS, N_EPOCHS = 50, 3

OPTIMIZERS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"name": "sgd", "learning_rate": 0.05}, "SGD", {"learning_rate": 0.05}),
    ({"name": "momentum", "momentum": 0.8}, "SGD", {"learning_rate": 0.01, "momentum": 0.8}),
    ({"name": "momentum", "nesterov": True}, "SGD", {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}),
    (
        {"name": "adagrad", "initial_accumulator_value": 0.2},
        "Adagrad",
        {"learning_rate": 0.01, "initial_accumulator_value": 0.2},
    ),
    ({"name": "rmsprop", "rho": 0.8}, "RMSprop", {"learning_rate": 0.001, "rho": 0.8}),
    ({"name": "rmsprop", "momentum": 0.5}, "RMSprop", {"learning_rate": 0.001, "momentum": 0.5}),
    ({"name": "adam", "beta_1": 0.8}, "Adam", {"learning_rate": 0.001, "beta_1": 0.8}),
]
LOSSES = {"mae": "MeanAbsoluteError", "huber": "Huber", "log_cosh": "LogCosh"}


def model(architecture: Architecture = ARCHITECTURE) -> Any:
    """A fresh Keras model, with the same weights each time."""
    from models_store.network import build  # deferred: imports TensorFlow

    return build(architecture, seed=5)


def examples(n_rows: int = N_ROWS, seed: int = 0) -> Any:
    """Rows of a curve with noise that nothing can learn."""
    from training.fit import Examples  # deferred: imports TensorFlow

    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n_rows, 2))
    targets = np.sin(inputs[:, :1]) - 2 * inputs[:, 1:] + rng.normal(scale=0.5, size=(n_rows, 1))
    return Examples(inputs.astype(np.float32), targets.astype(np.float32))


def orders(n_rows: int = N_ROWS, n_epochs: int = N_EPOCHS) -> Any:
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(n_rows) for _ in range(n_epochs)]).astype(np.int32)


def fitted(trained: Any, recipe: Fit, train: Any, validation: Any = None, *, seed: int = 0) -> Any:
    """A model that `fit` has trained in the end, and its History."""
    from training.fit import fit  # deferred: imports TensorFlow

    return fit(trained, train, validation, recipe, seed, lambda done, loss, val_loss: None)


def assert_same_weights(ours: Any, theirs: Any) -> None:
    for our_weight, their_weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our_weight, their_weight, rtol=1e-4, atol=1e-6)


# -- beside Keras --------------------------------------------------------------------------------------------------


def compare(recipe: Fit, optimizer: str, settings: dict[str, Any], loss: str) -> None:
    """Twins, of which one is trained here and the other by Keras, on the same rows in the same order."""
    import keras  # deferred: imports TensorFlow

    from training.fit import CompiledFit

    ours, theirs, train = model(), model(), examples()
    theirs.compile(
        optimizer=getattr(keras.optimizers, optimizer)(**settings),
        loss=getattr(keras.losses, loss)(),
        jit_compile=False,
    )
    losses, _ = CompiledFit(ours, recipe, train, None).run(orders(), N_EPOCHS)
    expected = [
        theirs.fit(train.inputs[order], train.targets[order], batch_size=recipe.batch_size, shuffle=False, verbose=0)
        for order in orders()
    ]
    np.testing.assert_allclose(losses, [epoch.history["loss"][0] for epoch in expected], rtol=1e-5)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize(("recipe", "optimizer", "settings"), OPTIMIZERS)
def test_each_optimizer_takes_keras_own_steps(recipe: dict[str, Any], optimizer: str, settings: dict[str, Any]) -> None:
    compare(Fit.model_validate({"optimizer": recipe, "batch_size": 16}), optimizer, settings, "MeanSquaredError")


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_keras_own(loss: str) -> None:
    recipe = Fit.model_validate({"loss": loss, "optimizer": {"name": "adam", "learning_rate": 0.01}, "batch_size": 16})
    compare(recipe, "Adam", {"learning_rate": 0.01}, LOSSES[loss])


@pytest.mark.parametrize("batch_size", [25, 64])
def test_batches_are_keras_own_whatever_is_left_for_the_last(batch_size: int) -> None:
    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.05}, "batch_size": batch_size})
    compare(recipe, "SGD", {"learning_rate": 0.05}, "MeanSquaredError")


STOPPINGS = [
    {"monitor": "val_loss", "patience": 3},
    {"monitor": "loss", "patience": 2, "min_delta": 0.02, "restore_best": False},
    {"monitor": "loss", "patience": 4, "mode": "max"},
    {"monitor": "val_loss", "patience": 100},
]


@pytest.mark.parametrize("stopping", STOPPINGS)
def test_early_stopping_is_keras_own(stopping: dict[str, Any]) -> None:
    import keras  # deferred: imports TensorFlow

    from training.fit import CompiledFit

    rule = EarlyStopping.model_validate(stopping)
    recipe = Fit.model_validate(
        {"optimizer": {"name": "adam", "learning_rate": 0.05}, "batch_size": 16, "early_stopping": stopping}
    )
    ours, theirs, train, validation, n_epochs = model(), model(), examples(), examples(30, seed=9), 40
    program = CompiledFit(ours, recipe, train, validation)
    loss, val_loss = program.run(np.tile(np.arange(N_ROWS, dtype=np.int32), (n_epochs, 1)), n_epochs)
    best_epoch = program.keep_best(len(loss))

    keras_rule = keras.callbacks.EarlyStopping(
        rule.monitor, rule.min_delta, rule.patience, mode=rule.mode, restore_best_weights=rule.restore_best
    )
    theirs.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse", jit_compile=False)
    history = theirs.fit(
        train.inputs,
        train.targets,
        validation_data=(validation.inputs, validation.targets),
        batch_size=16,
        epochs=n_epochs,
        shuffle=False,
        callbacks=[keras_rule],
        verbose=0,
    ).history
    assert len(loss) == len(history["loss"])
    np.testing.assert_allclose(loss, history["loss"], rtol=1e-3)
    np.testing.assert_allclose(val_loss, history["val_loss"], rtol=1e-3)
    assert program.has_stopped == (keras_rule.stopped_epoch > 0)
    assert best_epoch == (keras_rule.best_epoch + 1 if rule.restore_best else len(loss))
    for our_weight, their_weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our_weight, their_weight, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("n_rows", [1, 10_000])
def test_the_validation_loss_is_keras_own_over_all_rows(n_rows: int) -> None:
    trained, validation = model(), examples(n_rows, seed=2)
    history = fitted(trained, Fit(epochs=1), examples(), validation)
    trained.compile(loss="mse", jit_compile=False)
    expected = trained.evaluate(validation.inputs, validation.targets, verbose=0)
    np.testing.assert_allclose(history.val_loss, [expected], rtol=1e-5)


# -- how it goes ---------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_curve_to_the_bit() -> None:
    recipe, train, validation = Fit(epochs=20, batch_size=8), examples(), examples(20, seed=1)
    runs = [fitted(model(), recipe, train, validation, seed=seed) for seed in (7, 7, 8)]
    assert runs[0].to_dict() == runs[1].to_dict()
    assert runs[0].to_dict() != runs[2].to_dict()


def test_every_epoch_is_reported_once_and_in_order() -> None:
    from training.fit import fit  # deferred: imports TensorFlow

    said: list[tuple[int, Array, Array | None]] = []
    recipe = Fit(epochs=250, batch_size=64)
    history = fit(
        model(), examples(), examples(20, seed=1), recipe, 0, lambda done, loss, val: said.append((done, loss, val))
    )
    assert [done for done, _, _ in said] == [100, 200, 250]
    reported = {"loss": [loss for _, loss, _ in said], "val_loss": [val for _, _, val in said if val is not None]}
    assert {name: np.concatenate(curve).tolist() for name, curve in reported.items()} == history.to_dict()
    assert (len(history.loss), history.best_epoch, history.stopped_early) == (250, 250, False)


def test_chunks_of_epochs_join_without_a_seam() -> None:
    from training.fit import CompiledFit  # deferred: imports TensorFlow

    recipe, rows, order = Fit(batch_size=16), examples(), orders(n_epochs=6)
    whole, halves = model(), model()
    loss, _ = CompiledFit(whole, recipe, rows, None).run(order, 6)
    program = CompiledFit(halves, recipe, rows, None)
    first, _ = program.run(order[:4], 4)
    second, _ = program.run(np.concatenate([order[4:], order[:2]]), 2)
    np.testing.assert_allclose(np.concatenate([first, second]), loss, rtol=1e-6)
    assert_same_weights(halves, whole)


def test_a_fit_that_has_stopped_reports_no_more_epochs() -> None:
    stopping = EarlyStopping(monitor="loss", mode="max", patience=5)
    history = fitted(model(), Fit(epochs=1000, early_stopping=stopping), examples())
    assert (len(history.loss), history.best_epoch, history.stopped_early) == (6, 1, True)
    assert (list(history.to_dict()), history.val_loss) == (["loss"], None)  # it had no validation rows


class Stop(Exception):
    """Somebody does not want to wait."""


def test_whoever_listens_may_stop_it() -> None:
    from training.fit import fit  # deferred: imports TensorFlow

    said: list[int] = []

    def enough(done: int, loss: Array, val_loss: Array | None) -> None:
        assert val_loss is None
        said.append(done)
        if done >= 200:
            raise Stop

    with pytest.raises(Stop):
        fit(model(), examples(), None, Fit(epochs=100_000), 0, enough)
    assert said == [100, 200]


@pytest.mark.parametrize(
    "optimizer", [{"name": "sgd", "learning_rate": 1e9}, {"name": "momentum", "learning_rate": 1e6}]
)
def test_a_loss_that_is_no_number_any_more_has_diverged(optimizer: dict[str, Any]) -> None:
    from training.fit import Diverged  # deferred: imports TensorFlow

    recipe = Fit.model_validate({"optimizer": optimizer, "epochs": 50})
    with pytest.raises(Diverged, match=r"lower fit\.optimizer\.learning_rate"):
        fitted(model(), recipe, examples())


def test_a_float64_network_learns_beyond_float32() -> None:
    from training.fit import Examples  # deferred: imports TensorFlow

    line, inputs = Architecture(1, (Layer(1, "linear"),), "float64"), np.linspace(-1, 1, 32).reshape(-1, 1)
    trained = model(line)
    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.3}, "epochs": 400})
    fitted(trained, recipe, Examples(inputs, 3 * inputs + 1))
    kernel, bias = trained.get_weights()
    assert (kernel.item(), bias.item()) == pytest.approx((3, 1), abs=1e-12)
