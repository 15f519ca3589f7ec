"""Fits a Keras model as one compiled XLA program; layers, loss and optimiser are Keras' own.

    chunk of epochs -> [ epoch: permutation -> [ batch: gradient -> optimizer.apply ] -> validation loss -> best ]

What the loop decides by itself (early stopping, best weights) stays inside; between chunks it reports and may be
stopped. Batches are those that `model.fit(shuffle=False)` would take from rows in the order of `orders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.encoding import Encoded
from models_store.errors import PatternServerError
from models_store.network import keras, tf
from training.build import Measure, loss_of, mean_absolute_error, optimizer_of
from training.fit_spec import NUMBER_LOSSES, EarlyStopping, Fit, LossName

# About a quarter of a second between two reports, for networks of the size that this server is for.
ROWS_PER_CHUNK = 500_000
MOST_EPOCHS_PER_CHUNK = 100
# Rows in one step of the validation pass; bounds its memory.
EVALUATION_BLOCK = 8192

Curve = NDArray[np.float64]
Curves = dict[str, Curve]
"""One value an epoch: `loss`, `metric`, and with validation rows `val_loss`, `val_metric`."""
Report = Callable[[int, Curves], None]
"""Called with the epochs done so far, and the curves since the last call."""
Weights = list[NDArray[Any]]
Checkpoint = Callable[[int, int, Callable[[], Weights]], None]
"""Called after each chunk with the epochs done, the best epoch so far, and what tells its weights."""
CURVES = ("loss", "metric", "val_loss", "val_metric")


def no_checkpoint(done: int, best_epoch: int, weights: Callable[[], Weights]) -> None:
    """For a fit that is done in a moment."""


class Diverged(PatternServerError):
    """The loss or a weight is no longer a finite number, or the network learned less than a mean would say."""

    code = "diverged"


@dataclass(frozen=True, eq=False)
class Examples:
    """Encoded rows: `inputs` (n_rows, n_inputs), `targets` (n_rows, n_outputs); how much each row counts, if not 1."""

    inputs: Encoded
    targets: Encoded
    weights: Encoded | None = None


@dataclass(frozen=True, eq=False)
class History:
    """Mean training loss and metric of each epoch, validation after it; `best_epoch`, from 1: of the weights kept."""

    curves: Curves
    best_epoch: int
    stopped_early: bool

    @property
    def loss(self) -> Curve:
        return self.curves["loss"]

    @property
    def val_loss(self) -> Curve | None:
        return self.curves.get("val_loss")

    def to_dict(self) -> dict[str, list[float]]:
        return {name: curve.tolist() for name, curve in self.curves.items()}


@dataclass(frozen=True)
class Objective:
    """What is made small, by Keras' loss of that name, and what is measured beside it."""

    loss: LossName
    measure: Measure


MEAN_SQUARES = Objective("mse", mean_absolute_error)


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples | None,
    recipe: Fit,
    seed: int,
    report: Report,
    objective: Objective = MEAN_SQUARES,
    checkpoint: Checkpoint = no_checkpoint,
) -> History:
    """Changes `model`'s weights. Raises Diverged, and whatever `report` raises to stop it."""
    n_rows = len(train.inputs)
    chunk = int(np.clip(ROWS_PER_CHUNK // n_rows, 1, min(recipe.epochs, MOST_EPOCHS_PER_CHUNK)))
    program = CompiledFit(model, recipe, train, validation, objective)
    rng = np.random.default_rng(seed)
    chunks: list[Curves] = []
    done = 0
    while done < recipe.epochs and not program.has_stopped:
        n_epochs = min(chunk, recipe.epochs - done)
        orders = np.stack([rng.permutation(n_rows) for _ in range(n_epochs)]).astype(np.int32)
        curves = program.run(np.resize(orders, (chunk, n_rows)), n_epochs)
        done += len(curves["loss"])
        if not all(np.isfinite(curve).all() for curve in curves.values()):
            raise Diverged(f"the loss is no longer a number after epoch {done}; lower fit.optimizer.learning_rate")
        chunks.append(curves)
        report(done, curves)
        checkpoint(done, program.best_epoch or done, program.best_weights)
    best_epoch = program.keep_best(done)
    whole = {name: np.concatenate([curves[name] for curves in chunks]) for name in chunks[0]}
    return History(whole, best_epoch, program.has_stopped)


def is_better_high(stopping: EarlyStopping, objective: Objective) -> bool:
    if stopping.mode == "auto":
        return stopping.monitor.endswith("metric") and objective.loss not in NUMBER_LOSSES
    return stopping.mode == "max"


class CompiledFit:
    """The program and its state: optimiser, best weights, patience. Lives for one fit."""

    def __init__(
        self,
        model: keras.Model,
        recipe: Fit,
        train: Examples,
        validation: Examples | None,
        objective: Objective = MEAN_SQUARES,
    ) -> None:
        self._model = model
        self._loss = loss_of(objective.loss, "float64" if train.inputs.dtype == np.float64 else "float32")
        self._measure = objective.measure
        self._is_better_high = is_better_high(stopping, objective) if (stopping := recipe.early_stopping) else False
        self._optimizer = optimizer_of(recipe, len(train.inputs))
        self._optimizer.build(model.trainable_variables)
        self._batch_size = min(recipe.batch_rows(len(train.inputs)), len(train.inputs))
        self._stopping = recipe.early_stopping or EarlyStopping(monitor="loss", patience=1_000_000, restore_best=False)
        self._stops = recipe.early_stopping is not None
        self._train = [tf.constant(part) for part in (train.inputs, train.targets)]
        if train.weights is not None:
            self._train.append(tf.constant(train.weights))
        # Without validation rows a training row stands in, and nobody reads the numbers.
        self._curves = CURVES if validation else CURVES[:2]
        held_out = validation or Examples(train.inputs[:1], train.targets[:1])
        self._validation = [tf.constant(part) for part in (held_out.inputs, held_out.targets)]
        self._best_weights = [tf.Variable(weight, trainable=False) for weight in model.trainable_variables]
        self._best = tf.Variable(np.inf, dtype=tf.float32, trainable=False)
        self._best_epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._waited = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._stopped = tf.Variable(False, trainable=False)
        self._program = tf.function(self._chunk, jit_compile=True)

    @property
    def has_stopped(self) -> bool:
        return bool(self._stopped.numpy())

    @property
    def best_epoch(self) -> int:
        """From 1; 0 where nothing is monitored."""
        return int(self._best_epoch.numpy())

    def best_weights(self) -> Weights:
        kept = self._best_weights if self._stops else self._model.trainable_variables
        return [weight.numpy() for weight in kept]

    def run(self, orders: NDArray[np.int32], n_epochs: int) -> Curves:
        """Row numbers (chunk, n_rows), of which the first `n_epochs` are run -> curves of the epochs that were."""
        before = int(self._epoch.numpy())
        found = self._program(tf.constant(orders), tf.constant(n_epochs), self._train, self._validation)
        ran = int(self._epoch.numpy()) - before
        return {name: found[:ran, CURVES.index(name)].numpy().astype(np.float64) for name in self._curves}

    def keep_best(self, last_epoch: int) -> int:
        """Put the best weights back if the recipe says so; the epoch, from 1, that the model now is of."""
        if not (self._stops and self._stopping.restore_best):
            return last_epoch
        for variable, best in zip(self._model.trainable_variables, self._best_weights, strict=True):
            variable.assign(best)
        return self.best_epoch

    # -- traced ----------------------------------------------------------------------------------------------------

    def _chunk(self, orders: Any, n_epochs: Any, train: Any, validation: Any) -> Any:
        """(chunk, 4): the CURVES of each epoch."""
        curves = tf.zeros([orders.shape[0], len(CURVES)], tf.float32)
        monitored = CURVES.index(self._stopping.monitor)
        epoch = tf.constant(0)
        while epoch < n_epochs and not self._stopped:
            values = tf.concat([self._train_epoch(orders[epoch], train), self._evaluate(*validation)], 0)
            curves = tf.tensor_scatter_nd_update(curves, [[epoch]], [values])
            self._remember(values[monitored])
            epoch += 1
        return curves

    def _train_epoch(self, order: Any, train: Any) -> Any:
        """All full batches, then what is left; loss and metric of a row are those of its batch, before the step."""
        n_rows, size = order.shape[0], self._batch_size
        n_full = n_rows // size
        batches = tf.reshape(order[: n_full * size], [n_full, size])
        total = tf.zeros([2])
        for step in tf.range(n_full):
            total += size * self._train_batch(*[tf.gather(part, batches[step]) for part in train])
        if n_rows % size:
            rest = order[n_full * size :]
            total += (n_rows % size) * self._train_batch(*[tf.gather(part, rest) for part in train])
        return total / n_rows

    def _train_batch(self, inputs: Any, targets: Any, weights: Any = None) -> Any:
        with tf.GradientTape() as tape:
            outputs = self._model(inputs, training=True)
            loss = self._loss(targets, outputs, sample_weight=weights)
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.stack([tf.cast(loss, tf.float32), self._measure(targets, outputs)])

    def _evaluate(self, inputs: Any, targets: Any) -> Any:
        """Mean loss and metric of rows that nothing is learned from."""
        n_rows = inputs.shape[0]
        n_full = n_rows // EVALUATION_BLOCK
        total = tf.zeros([2])
        for block in tf.range(n_full):
            rows = block * EVALUATION_BLOCK + tf.range(EVALUATION_BLOCK)
            total += EVALUATION_BLOCK * self._evaluate_block(tf.gather(inputs, rows), tf.gather(targets, rows))
        if n_rows % EVALUATION_BLOCK:
            rest = n_full * EVALUATION_BLOCK
            total += (n_rows - rest) * self._evaluate_block(inputs[rest:], targets[rest:])
        return total / n_rows

    def _evaluate_block(self, inputs: Any, targets: Any) -> Any:
        outputs = self._model(inputs, training=False)
        return tf.stack([tf.cast(self._loss(targets, outputs), tf.float32), self._measure(targets, outputs)])

    def _remember(self, monitored: Any) -> None:
        """Keras' own rule: an improvement is more than `min_delta`; `patience` epochs without one stop the fit."""
        self._epoch.assign_add(1)
        if not self._stops:
            return
        signed = -monitored if self._is_better_high else monitored
        improved = signed < self._best - self._stopping.min_delta
        for best, weight in zip(self._best_weights, self._model.trainable_variables, strict=True):
            best.assign(tf.where(improved, weight, best))
        self._best.assign(tf.where(improved, signed, self._best))
        self._best_epoch.assign(tf.where(improved, self._epoch, self._best_epoch))
        self._waited.assign(tf.where(improved, 0, self._waited + 1))
        self._stopped.assign(self._waited >= self._stopping.patience)
