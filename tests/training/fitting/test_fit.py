"""The compiled fit does what Keras does: same batches, same losses, same weights, same epoch to stop at."""

from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.networks.architecture import Architecture, Layer
from training.fitting.progress import Curves, Progress
from training.recipe.fit import EarlyStopping, Fit

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
    from models_store.networks.keras_network import build  # deferred: imports TensorFlow

    return build(architecture, seed=5)


def examples(n_rows: int = N_ROWS, seed: int = 0) -> Any:
    """Rows of a curve with noise that nothing can learn."""
    from training.fitting.fit import Examples  # deferred: imports TensorFlow

    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n_rows, 2))
    targets = np.sin(inputs[:, :1]) - 2 * inputs[:, 1:] + rng.normal(scale=0.5, size=(n_rows, 1))
    return Examples(inputs.astype(np.float32), targets.astype(np.float32))


def orders(n_rows: int = N_ROWS, n_epochs: int = N_EPOCHS) -> Any:
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(n_rows) for _ in range(n_epochs)]).astype(np.int32)


def fitted(trained: Any, recipe: Fit, train: Any, validation: Any = None, *, seed: int = 0) -> Any:
    """A model that `fit` has trained in the end, and its History."""
    from training.fitting.fit import fit  # deferred: imports TensorFlow

    return fit(trained, train, validation, recipe, seed, Progress())


def assert_same_weights(ours: Any, theirs: Any) -> None:
    for our_weight, their_weight in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our_weight, their_weight, rtol=1e-4, atol=1e-6)


def test_fits_of_one_recipe_give_their_variables_the_same_names() -> None:
    # TensorFlow keeps memory for each name of a variable that it has ever seen.
    first, second = (names_of_a_fit() for _ in range(2))
    assert first == second
    assert {"dropout_0/rate", "dropout_0/seed", "dropout_0/step", "adam/iteration"} <= set(first)


def names_of_a_fit() -> list[str]:
    """Return the paths of the variables of a model with dropout and of its optimiser."""
    from training.fitting.keras_parts import Course, optimizer_of, with_dropout  # deferred: imports TensorFlow

    fitted = with_dropout(model(), 0.5, seed=3)
    optimizer = optimizer_of(Fit.model_validate({"optimizer": {"name": "adam"}}).optimizer, None, Course())
    optimizer.build(fitted.trainable_variables)
    return [variable.path for variable in (*fitted.variables, *optimizer.variables)]


# -- beside Keras --------------------------------------------------------------------------------------------------


def compare(recipe: Fit, optimizer: str, settings: dict[str, Any], loss: str) -> None:
    """Twins, of which one is trained here and the other by Keras, on the same rows in the same order."""
    import keras  # deferred: imports TensorFlow

    from training.fitting.fit import CompiledFit, Objective
    from training.fitting.keras_parts import loss_name, mean_absolute_error

    ours, theirs, train = model(), model(), examples()
    theirs.compile(
        optimizer=getattr(keras.optimizers, optimizer)(**settings),
        loss=getattr(keras.losses, loss)(),
        jit_compile=False,
    )
    objective = Objective(loss_name(recipe, None), mean_absolute_error)
    losses = CompiledFit(ours, recipe, train, None, objective).run(orders(), N_EPOCHS)["loss"]
    expected = [
        theirs.fit(train.inputs[order], train.targets[order], batch_size=recipe.batch_size, shuffle=False, verbose=0)
        for order in orders()
    ]
    np.testing.assert_allclose(losses, [epoch.history["loss"][0] for epoch in expected], rtol=1e-5)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize(("recipe", "optimizer", "settings"), OPTIMIZERS)
def test_each_optimizer_takes_keras_own_steps(recipe: dict[str, Any], optimizer: str, settings: dict[str, Any]) -> None:
    compare(Fit.model_validate({"optimizer": recipe, "batch_size": 16}), optimizer, settings, "MeanSquaredError")


# Of three epochs with batches of 15, 15, 15 and 5 rows.
STEPS = 12
SCHEDULES = [
    ({"name": "cosine"}, "CosineDecay", {"initial_learning_rate": 0.05, "decay_steps": STEPS}),
    (
        {"name": "cosine", "final": 0.1, "warmup": 0.25},
        "CosineDecay",
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 9,
            "alpha": 0.1,
            "warmup_target": 0.05,
            "warmup_steps": 3,
        },
    ),
    (
        {"name": "exponential", "final": 0.2},
        "ExponentialDecay",
        {"initial_learning_rate": 0.05, "decay_steps": STEPS, "decay_rate": 0.2},
    ),
]


@pytest.mark.parametrize(("schedule", "keras_name", "settings"), SCHEDULES)
def test_a_learning_rate_falls_as_keras_own_does(schedule: Any, keras_name: str, settings: dict[str, Any]) -> None:
    import keras  # deferred: imports TensorFlow

    adam = {"name": "adam", "learning_rate": 0.05}
    recipe = {"optimizer": adam, "schedule": schedule, "epochs": N_EPOCHS, "batch_size": 15}
    theirs = {"learning_rate": getattr(keras.optimizers.schedules, keras_name)(**settings)}
    compare(Fit.model_validate(recipe), "Adam", theirs, "MeanSquaredError")


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_is_keras_own(loss: str) -> None:
    recipe = Fit.model_validate({"loss": loss, "optimizer": {"name": "adam", "learning_rate": 0.01}, "batch_size": 16})
    compare(recipe, "Adam", {"learning_rate": 0.01}, LOSSES[loss])


@pytest.mark.parametrize("batch_size", [25, 64])
def test_batches_are_keras_own_whatever_is_left_for_the_last(batch_size: int) -> None:
    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.05}, "batch_size": batch_size})
    compare(recipe, "SGD", {"learning_rate": 0.05}, "MeanSquaredError")


@pytest.mark.parametrize("batch_size", [1200, 1500])
def test_a_last_short_one_of_large_batches_is_keras_own_as_well(batch_size: int) -> None:
    import keras  # deferred: imports TensorFlow

    from training.fitting.fit import CompiledFit

    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.05}, "batch_size": batch_size})
    ours, theirs, train = model(), model(), examples(1500)
    losses = CompiledFit(ours, recipe, train, None).run(orders(1500, 1), 1)["loss"]
    theirs.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
    (order,) = orders(1500, 1)
    rows = (train.inputs[order], train.targets[order])
    expected = theirs.fit(*rows, batch_size=batch_size, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert_same_weights(ours, theirs)


def test_a_program_that_was_compiled_for_another_fit_learns_the_same() -> None:
    from training.fitting.fit import CompiledFit
    from training.fitting.keras_parts import with_dropout  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    recipe, programs = Fit(batch_size=16, early_stopping=EarlyStopping(monitor="loss", patience=2)), Programs()
    compiled = CompiledFit(with_dropout(model(), 0.5, seed=8), recipe, examples(49), None, programs=programs)
    compiled.run(orders(49), N_EPOCHS)
    compiled.close()
    ours, alone = with_dropout(model(), 0.5, seed=3), with_dropout(model(), 0.5, seed=3)
    again = CompiledFit(ours, recipe, examples(), None, programs=programs)
    afresh = CompiledFit(alone, recipe, examples(), None, programs=Programs())
    assert again.program is compiled.program
    assert afresh.program is not compiled.program
    assert again.run(orders(), N_EPOCHS)["loss"].tolist() == afresh.run(orders(), N_EPOCHS)["loss"].tolist()
    for our_weight, their_weight in zip(ours.trainable_variables, alone.trainable_variables, strict=True):
        assert our_weight.numpy().tolist() == their_weight.numpy().tolist()


@pytest.mark.parametrize("schedule", [None, {"name": "cosine", "warmup": 0.2}, {"name": "exponential"}])
def test_one_program_serves_all_rates_decays_dropouts_and_patiences(schedule: dict[str, Any] | None) -> None:
    from training.fitting.fit import CompiledFit
    from training.fitting.keras_parts import with_dropout  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    def recipe(rate: float, decay: float, patience: int) -> Fit:
        optimizer = {"name": "adam", "learning_rate": rate, "weight_decay": decay}
        stopping = {"monitor": "loss", "patience": patience}
        return Fit.model_validate({"optimizer": optimizer, "schedule": schedule, "early_stopping": stopping})

    programs, train = Programs(), examples()
    first = CompiledFit(with_dropout(model(), 0.5, seed=8), recipe(0.1, 0.0, 2), train, None, programs=programs)
    first.run(orders(), N_EPOCHS)
    first.close()
    ours, alone = with_dropout(model(), 0.2, seed=3), with_dropout(model(), 0.2, seed=3)
    other = recipe(0.003, 0.01, 5)
    again = CompiledFit(ours, other, train, None, programs=programs)
    afresh = CompiledFit(alone, other, train, None, programs=Programs())
    assert again.program is first.program
    assert again.run(orders(), N_EPOCHS)["loss"].tolist() == afresh.run(orders(), N_EPOCHS)["loss"].tolist()
    for our_weight, their_weight in zip(ours.trainable_variables, alone.trainable_variables, strict=True):
        assert our_weight.numpy().tolist() == their_weight.numpy().tolist()


def test_the_last_programs_are_kept() -> None:
    from training.fitting.fit import CompiledFit  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    programs = Programs(most=2)

    def used(batch: int) -> Any:
        fit = CompiledFit(model(), Fit(batch_size=batch), examples(), None, programs=programs)
        fit.close()
        return fit.program

    first, second, third = used(8), used(16), used(32)
    assert [used(32), used(16)] == [third, second]
    assert used(8) is not first


def test_one_epoch_of_many_steps_goes_back_to_whoever_may_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.fitting.fit import CompiledFit  # deferred: imports TensorFlow

    recipe, rows, heard = Fit(batch_size=16), examples(), []
    whole, parts = model(), model()
    expected = CompiledFit(whole, recipe, rows, rows).run(orders(n_epochs=1), 1)
    monkeypatch.setattr("training.fitting.fit.MOST_WORK", 4000)
    in_parts = CompiledFit(parts, recipe, rows, rows)
    found = in_parts.run(orders(n_epochs=1), 1, lambda: heard.append(True))
    assert (in_parts.epochs_per_call, len(heard)) == (1, 3)
    for name, curve in expected.items():
        np.testing.assert_allclose(found[name], curve, rtol=1e-6)
    assert_same_weights(parts, whole)


LABELS = [
    ("binary_crossentropy", "sigmoid", 1, "BinaryCrossentropy", "binary_accuracy"),
    ("sparse_categorical_crossentropy", "softmax", 3, "SparseCategoricalCrossentropy", "sparse_categorical_accuracy"),
    ("categorical_crossentropy", "softmax", 3, "CategoricalCrossentropy", "categorical_accuracy"),
]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "class weights"])
@pytest.mark.parametrize(("loss", "activation", "n_outputs", "keras_loss", "keras_metric"), LABELS)
def test_labels_are_learned_as_keras_learns_them(
    loss: Any, activation: str, n_outputs: int, keras_loss: str, keras_metric: str, weighted: bool
) -> None:
    import keras  # deferred: imports TensorFlow

    from models_store.encoding.outputs import LabelDecoder
    from training.fitting.fit import CompiledFit, Examples, Objective
    from training.fitting.keras_parts import measure_of

    shape = Architecture(2, (Layer(8, "tanh"), Layer(n_outputs, activation)))
    decoder = LabelDecoder("y", ("a", "b", "c")[: max(2, n_outputs)], is_one_hot=loss == "categorical_crossentropy")
    rows = examples()
    numbers = np.digitize(rows.targets, np.linspace(-1, 1, len(decoder.labels) - 1)).astype(np.float64)
    weights = np.array([1.0, 3.0, 0.5], dtype=np.float32)[numbers[:, 0].astype(int)] if weighted else None
    train = Examples(rows.inputs, decoder.encode(numbers), weights)
    held_out = Examples(train.inputs, train.targets)
    recipe = Fit.model_validate({"optimizer": {"name": "adam", "learning_rate": 0.01}, "batch_size": 16})
    ours, theirs = model(shape), model(shape)
    curves = CompiledFit(ours, recipe, train, held_out, Objective(loss, measure_of(decoder))).run(orders(), N_EPOCHS)
    loss_function = getattr(keras.losses, keras_loss)()
    theirs.compile(keras.optimizers.Adam(0.01), loss_function, metrics=[keras_metric], jit_compile=False)
    expected = [
        theirs.fit(
            train.inputs[order],
            train.targets[order],
            sample_weight=None if weights is None else weights[order],
            validation_data=(train.inputs, train.targets),
            batch_size=16,
            shuffle=False,
            verbose=0,
        ).history
        for order in orders()
    ]
    kerass = {"loss": "loss", "metric": keras_metric, "val_loss": "val_loss", "val_metric": f"val_{keras_metric}"}
    for name, keras_name in kerass.items():
        np.testing.assert_allclose(curves[name], [epoch[keras_name][0] for epoch in expected], rtol=1e-4)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("n_rows", [N_ROWS, 20_000])
def test_held_out_rows_count_by_their_weights(n_rows: int) -> None:
    from training.fitting.fit import CompiledFit, Examples  # deferred: imports TensorFlow

    held_out = examples(n_rows, seed=3)
    weights = np.random.default_rng(4).uniform(0.1, 5, n_rows)
    weights /= weights.mean()
    weighted = Examples(held_out.inputs, held_out.targets, weights.astype(np.float32))
    ours = model()
    curves = CompiledFit(ours, Fit(batch_size=16), examples(), weighted).run(orders(n_epochs=1), 1)
    gaps = (ours.predict(held_out.inputs, verbose=0) - held_out.targets)[:, 0]
    expected = [np.average(values, weights=weights) for values in (gaps**2, np.abs(gaps))]
    assert [curves["val_loss"][0], curves["val_metric"][0]] == pytest.approx(expected, rel=1e-4)
    assert curves["val_loss"][0] != pytest.approx((gaps**2).mean(), rel=1e-3)


def test_weight_decay_is_keras_own() -> None:
    recipe = {"optimizer": {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.1}, "batch_size": 16}
    compare(Fit.model_validate(recipe), "Adam", {"learning_rate": 0.01, "weight_decay": 0.1}, "MeanSquaredError")


def test_dropout_is_learned_with_as_keras_does_and_nothing_is_left_out_when_it_is_served() -> None:
    import keras  # deferred: imports TensorFlow

    from training.fitting.fit import CompiledFit
    from training.fitting.keras_parts import with_dropout

    recipe, train = Fit.model_validate({"optimizer": {"name": "sgd"}, "batch_size": 16}), examples()
    ours, theirs = model(), model()
    losses = CompiledFit(with_dropout(ours, 0.5, seed=3), recipe, train, None).run(orders(), N_EPOCHS)["loss"]
    fitted_by_keras = with_dropout(theirs, 0.5, seed=3)
    fitted_by_keras.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=True)
    expected = [
        fitted_by_keras.fit(train.inputs[order], train.targets[order], batch_size=16, shuffle=False, verbose=0)
        for order in orders()
    ]
    np.testing.assert_allclose(losses, [epoch.history["loss"][0] for epoch in expected], rtol=1e-5)
    assert_same_weights(ours, theirs)
    assert [type(layer).__name__ for layer in ours.layers] == ["Dense", "Dense"]


def test_dropout_leaves_out_its_share_and_keeps_the_mean() -> None:
    from models_store.networks.keras_network import tf  # deferred: imports TensorFlow
    from training.fitting.dropout import Dropout

    def steps(layer: Any) -> Any:
        return tf.function(lambda rows: layer(rows, training=True), jit_compile=True)

    layer, ones = Dropout(0.2, seed=5), np.ones((1000, 100), dtype=np.float32)
    first, second = (steps(layer)(ones).numpy() for _ in range(2))
    assert sorted({*np.unique(first)}) == pytest.approx([0, 1.25])
    assert (first == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert (first != second).any()
    assert steps(Dropout(0.2, seed=5))(ones).numpy().tolist() == first.tolist()
    assert np.asarray(layer(ones)).tolist() == ones.tolist()


STOPPINGS = [
    {"monitor": "val_loss", "patience": 3},
    {"monitor": "loss", "patience": 2, "min_delta": 0.02, "restore_best": False},
    {"monitor": "loss", "patience": 4, "mode": "max"},
    {"monitor": "val_loss", "patience": 100},
]


@pytest.mark.parametrize("stopping", STOPPINGS)
def test_early_stopping_is_keras_own(stopping: dict[str, Any]) -> None:
    import keras  # deferred: imports TensorFlow

    from training.fitting.fit import CompiledFit

    rule = EarlyStopping.model_validate(stopping)
    recipe = Fit.model_validate(
        {"optimizer": {"name": "adam", "learning_rate": 0.05}, "batch_size": 16, "early_stopping": stopping}
    )
    ours, theirs, train, validation, n_epochs = model(), model(), examples(), examples(30, seed=9), 40
    program = CompiledFit(ours, recipe, train, validation)
    curves = program.run(np.tile(np.arange(N_ROWS, dtype=np.int32), (n_epochs, 1)), n_epochs)
    loss, val_loss = curves["loss"], curves["val_loss"]
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


@pytest.mark.parametrize(
    ("monitor", "mode", "loss", "better"),
    [
        ("val_metric", "auto", "binary_crossentropy", True),
        ("val_metric", "auto", "mse", False),
        ("val_loss", "auto", "binary_crossentropy", False),
        ("loss", "max", "mse", True),
        ("metric", "min", "binary_crossentropy", False),
    ],
)
def test_more_accuracy_is_better_and_less_of_all_else(monitor: Any, mode: Any, loss: Any, better: bool) -> None:
    from training.fitting.fit import Objective, is_better_high
    from training.fitting.keras_parts import mean_absolute_error  # deferred: imports TensorFlow

    assert is_better_high(EarlyStopping(monitor=monitor, mode=mode), Objective(loss, mean_absolute_error)) is better


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
    from training.fitting.fit import fit  # deferred: imports TensorFlow

    said: list[tuple[int, dict[str, Array]]] = []

    class Told(Progress):
        def epochs(self, done: int, curves: Curves) -> None:
            said.append((done, curves))

    recipe = Fit(epochs=250, batch_size=64)
    history = fit(model(), examples(), examples(20, seed=1), recipe, 0, Told())
    assert [done for done, _ in said] == [100, 200, 250]
    assert sorted(history.curves) == ["loss", "metric", "val_loss", "val_metric"]
    reported = {name: np.concatenate([curves[name] for _, curves in said]).tolist() for name in history.curves}
    assert reported == history.to_dict()
    assert (len(history.loss), history.best_epoch, history.stopped_early) == (250, 250, False)


def test_chunks_of_epochs_join_without_a_seam() -> None:
    from training.fitting.fit import CompiledFit  # deferred: imports TensorFlow

    recipe, rows, order = Fit(batch_size=16), examples(), orders(n_epochs=6)
    whole, halves = model(), model()
    loss = CompiledFit(whole, recipe, rows, None).run(order, 6)["loss"]
    program = CompiledFit(halves, recipe, rows, None)
    first = program.run(order[:4], 4)["loss"]
    second = program.run(np.concatenate([order[4:], order[:2]]), 2)["loss"]
    np.testing.assert_allclose(np.concatenate([first, second]), loss, rtol=1e-6)
    assert_same_weights(halves, whole)


def test_a_fit_that_has_stopped_reports_no_more_epochs() -> None:
    stopping = EarlyStopping(monitor="loss", mode="max", patience=5)
    history = fitted(model(), Fit(epochs=1000, early_stopping=stopping), examples())
    assert (len(history.loss), history.best_epoch, history.stopped_early) == (6, 1, True)
    assert (list(history.to_dict()), history.val_loss) == (["loss", "metric"], None)  # it had no validation rows


class Stop(Exception):
    """Somebody does not want to wait."""


def test_whoever_listens_may_stop_it() -> None:
    from training.fitting.fit import fit  # deferred: imports TensorFlow

    said: list[int] = []

    class Impatient(Progress):
        def epochs(self, done: int, curves: Curves) -> None:
            assert list(curves) == ["loss", "metric"]
            said.append(done)
            if done >= 200:
                raise Stop

    with pytest.raises(Stop):
        fit(model(), examples(), None, Fit(epochs=100_000), 0, Impatient())
    assert said == [100, 200]


@pytest.mark.parametrize(
    "optimizer", [{"name": "sgd", "learning_rate": 1e9}, {"name": "momentum", "learning_rate": 1e6}]
)
def test_a_loss_that_is_no_number_any_more_has_diverged(optimizer: dict[str, Any]) -> None:
    from training.fitting.fit import Diverged  # deferred: imports TensorFlow

    recipe = Fit.model_validate({"optimizer": optimizer, "epochs": 50})
    with pytest.raises(Diverged, match=r"lower fit\.optimizer\.learning_rate"):
        fitted(model(), recipe, examples())


def test_a_float64_network_learns_beyond_float32() -> None:
    from training.fitting.fit import Examples  # deferred: imports TensorFlow

    line, inputs = Architecture(1, (Layer(1, "linear"),), "float64"), np.linspace(-1, 1, 32).reshape(-1, 1)
    trained = model(line)
    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.3}, "epochs": 400})
    fitted(trained, recipe, Examples(inputs, 3 * inputs + 1))
    kernel, bias = trained.get_weights()
    assert (kernel.item(), bias.item()) == pytest.approx((3, 1), abs=1e-12)


def test_averages_over_many_epochs_are_the_mean_of_all_steps() -> None:
    of_steps = [weights_after(epochs, averaged_epochs=0.0) for epochs in (1, 2, 3)]
    averaged = weights_after(3, averaged_epochs=1e6)
    for found, *each in zip(averaged, *of_steps, strict=True):
        np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)


def test_averages_over_one_step_are_its_weights() -> None:
    for found, expected in zip(weights_after(3, averaged_epochs=1.0), weights_after(3), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def weights_after(epochs: int, averaged_epochs: float = 0.0) -> list[Array]:
    """The weights after so many epochs of one step each."""
    settings = {"epochs": epochs, "batch_size": N_ROWS, "averaged_epochs": averaged_epochs}
    recipe = Fit.model_validate({"optimizer": {"name": "sgd", "learning_rate": 0.1}, **settings})
    trained = model()
    fitted(trained, recipe, examples())
    weights: list[Array] = trained.get_weights()
    return weights
