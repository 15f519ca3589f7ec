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
from training.build import loss_of, optimizer_of
from training.spec import EarlyStopping, Fit

# About a quarter of a second between two reports, for networks of the size that this server is for.
ROWS_PER_CHUNK = 500_000
MOST_EPOCHS_PER_CHUNK = 100
# Rows in one step of the validation pass; bounds its memory.
EVALUATION_BLOCK = 8192

Curve = NDArray[np.float64]
Report = Callable[[int, Curve, Curve | None], None]
"""Called with the epochs done so far, and the losses and validation losses since the last call."""


class Diverged(PatternServerError):
    """The loss or a weight is no longer a finite number, or the network learned less than a mean would say."""

    code = "diverged"


@dataclass(frozen=True, eq=False)
class Examples:
    """Encoded rows: `inputs` (n_rows, n_inputs), `targets` (n_rows, n_outputs)."""

    inputs: Encoded
    targets: Encoded


@dataclass(frozen=True, eq=False)
class History:
    """Mean training loss of each epoch, validation loss after it; `best_epoch`, from 1, is that of the weights kept."""

    loss: Curve
    val_loss: Curve | None
    best_epoch: int
    stopped_early: bool

    def to_dict(self) -> dict[str, list[float]]:
        curves = {"loss": self.loss, "val_loss": self.val_loss}
        return {name: curve.tolist() for name, curve in curves.items() if curve is not None}


def fit(
    model: keras.Model, train: Examples, validation: Examples | None, recipe: Fit, seed: int, report: Report
) -> History:
    """Changes `model`'s weights. Raises Diverged, and whatever `report` raises to stop it."""
    n_rows = len(train.inputs)
    chunk = int(np.clip(ROWS_PER_CHUNK // n_rows, 1, min(recipe.epochs, MOST_EPOCHS_PER_CHUNK)))
    program = CompiledFit(model, recipe, train, validation)
    rng = np.random.default_rng(seed)
    losses: list[Curve] = []
    val_losses: list[Curve] = []
    done = 0
    while done < recipe.epochs and not program.has_stopped:
        n_epochs = min(chunk, recipe.epochs - done)
        orders = np.stack([rng.permutation(n_rows) for _ in range(n_epochs)]).astype(np.int32)
        loss, val_loss = program.run(np.resize(orders, (chunk, n_rows)), n_epochs)
        if not (np.isfinite(loss).all() and (validation is None or np.isfinite(val_loss).all())):
            raise Diverged(
                f"the loss is no longer a number after epoch {done + len(loss)}; lower fit.optimizer.learning_rate"
            )
        done += len(loss)
        losses.append(loss)
        val_losses.append(val_loss)
        report(done, loss, val_loss if validation is not None else None)
    best_epoch = program.keep_best(done)
    val_curve = np.concatenate(val_losses) if validation is not None else None
    return History(np.concatenate(losses), val_curve, best_epoch, program.has_stopped)


class CompiledFit:
    """The program and its state: optimiser, best weights, patience. Lives for one fit."""

    def __init__(self, model: keras.Model, recipe: Fit, train: Examples, validation: Examples | None) -> None:
        self._model = model
        self._loss = loss_of(recipe, "float64" if train.inputs.dtype == np.float64 else "float32")
        self._optimizer = optimizer_of(recipe.optimizer)
        self._optimizer.build(model.trainable_variables)
        self._batch_size = min(recipe.batch_size, len(train.inputs))
        self._stopping = recipe.early_stopping or EarlyStopping(monitor="loss", patience=1_000_000, restore_best=False)
        self._stops = recipe.early_stopping is not None
        self._train = (tf.constant(train.inputs), tf.constant(train.targets))
        # Without validation rows the training rows stand in, and nobody reads the number.
        held_out = validation or Examples(train.inputs[:1], train.targets[:1])
        self._validation = (tf.constant(held_out.inputs), tf.constant(held_out.targets))
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

    def run(self, orders: NDArray[np.int32], n_epochs: int) -> tuple[Curve, Curve]:
        """Row numbers (chunk, n_rows), of which the first `n_epochs` are run -> losses of the epochs that were."""
        before = int(self._epoch.numpy())
        loss, val_loss = self._program(tf.constant(orders), tf.constant(n_epochs), *self._train, *self._validation)
        ran = int(self._epoch.numpy()) - before
        return loss.numpy()[:ran].astype(np.float64), val_loss.numpy()[:ran].astype(np.float64)

    def keep_best(self, last_epoch: int) -> int:
        """Put the best weights back if the recipe says so; the epoch, from 1, that the model now is of."""
        if not (self._stops and self._stopping.restore_best):
            return last_epoch
        for variable, best in zip(self._model.trainable_variables, self._best_weights, strict=True):
            variable.assign(best)
        return int(self._best_epoch.numpy())

    # -- traced ----------------------------------------------------------------------------------------------------

    def _chunk(self, orders: Any, n_epochs: Any, inputs: Any, targets: Any, held_in: Any, held_out: Any) -> Any:
        size = orders.shape[0]
        losses = tf.zeros([size], tf.float32)
        val_losses = tf.zeros([size], tf.float32)
        epoch = tf.constant(0)
        while epoch < n_epochs and not self._stopped:
            loss = self._train_epoch(orders[epoch], inputs, targets)
            val_loss = self._mean_loss(held_in, held_out)
            losses = tf.tensor_scatter_nd_update(losses, [[epoch]], [loss])
            val_losses = tf.tensor_scatter_nd_update(val_losses, [[epoch]], [val_loss])
            self._remember(val_loss if self._stopping.monitor == "val_loss" else loss)
            epoch += 1
        return losses, val_losses

    def _train_epoch(self, order: Any, inputs: Any, targets: Any) -> Any:
        """All full batches, then what is left; the loss of a row is that of its batch, before the step."""
        n_rows, size = order.shape[0], self._batch_size
        n_full = n_rows // size
        batches = tf.reshape(order[: n_full * size], [n_full, size])
        total = tf.constant(0.0)
        for step in tf.range(n_full):
            total += size * self._train_batch(tf.gather(inputs, batches[step]), tf.gather(targets, batches[step]))
        if n_rows % size:
            rest = order[n_full * size :]
            total += (n_rows % size) * self._train_batch(tf.gather(inputs, rest), tf.gather(targets, rest))
        return total / n_rows

    def _train_batch(self, inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = self._loss(targets, self._model(inputs, training=True))
        variables = self._model.trainable_variables
        self._optimizer.apply(tape.gradient(loss, variables), variables)
        return tf.cast(loss, tf.float32)

    def _mean_loss(self, inputs: Any, targets: Any) -> Any:
        n_rows = inputs.shape[0]
        n_full = n_rows // EVALUATION_BLOCK
        total = tf.constant(0.0)
        for block in tf.range(n_full):
            rows = block * EVALUATION_BLOCK + tf.range(EVALUATION_BLOCK)
            total += EVALUATION_BLOCK * self._block_loss(tf.gather(inputs, rows), tf.gather(targets, rows))
        if n_rows % EVALUATION_BLOCK:
            rest = n_full * EVALUATION_BLOCK
            total += (n_rows - rest) * self._block_loss(inputs[rest:], targets[rest:])
        return total / n_rows

    def _block_loss(self, inputs: Any, targets: Any) -> Any:
        return tf.cast(self._loss(targets, self._model(inputs, training=False)), tf.float32)

    def _remember(self, monitored: Any) -> None:
        """Keras' own rule: an improvement is more than `min_delta`; `patience` epochs without one stop the fit."""
        self._epoch.assign_add(1)
        if not self._stops:
            return
        signed = monitored if self._stopping.mode == "min" else -monitored
        improved = signed < self._best - self._stopping.min_delta
        for best, weight in zip(self._best_weights, self._model.trainable_variables, strict=True):
            best.assign(tf.where(improved, weight, best))
        self._best.assign(tf.where(improved, signed, self._best))
        self._best_epoch.assign(tf.where(improved, self._epoch, self._best_epoch))
        self._waited.assign(tf.where(improved, 0, self._waited + 1))
        self._stopped.assign(self._waited >= self._stopping.patience)
