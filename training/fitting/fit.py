"""Fits a Keras model as one compiled XLA program; layers, loss and optimiser are Keras' own.

    chunk of epochs -> [ epoch: permutation -> [ batch: gradient -> optimizer.apply ] -> validation loss -> best ]

What the loop decides by itself (early stopping, best weights) stays inside; between chunks it reports and may be
stopped. Batches are those that `model.fit(shuffle=False)` would take from rows in the order of `orders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Encoded
from models_store.errors import PatternServerError
from models_store.networks.keras_network import keras, tf
from training.fitting.keras_parts import Measure, Network, mean_absolute_error
from training.fitting.program import Data, Program, Programs, Shape
from training.fitting.progress import Curve, Curves, Weights
from training.recipe.fit import NUMBER_LOSSES, EarlyStopping, Fit, LossName

# About a quarter of a second between two reports, for networks of the size that this server is for.
ROWS_PER_CHUNK = 500_000
MOST_EPOCHS_PER_CHUNK = 100
# The same for large networks, in multiplications and additions: six for each weight and row.
MOST_WORK = 20_000_000_000
# Rows of a batch up to which a last short one is computed as if it were whole: that costs less than compiling it.
LARGEST_MASKED = 1024
# Bytes of rows that are copied, to be padded.
LARGEST_PADDED = 1 << 25
# Rows in one step of the validation pass; bounds its memory.
EVALUATION_BLOCK = 8192

Report = Callable[[int, Curves], None]
"""Called with the epochs done so far, and the curves since the last call."""
Checkpoint = Callable[[int, int, Callable[[], Weights]], None]
"""Called after each chunk with the epochs done, the best epoch so far, and what tells its weights."""
PROGRAMS = Programs()
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
    unit: float = 1.0
    """What a measure of 1 is in raw units."""


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
    pulse: Callable[[], None] = lambda: None,
    programs: Programs = PROGRAMS,
) -> History:
    """Changes `model`'s weights. Raises Diverged, and whatever `report` raises to stop it."""
    program = CompiledFit(model, recipe, train, validation, objective, programs)
    try:
        return _run(program, len(train.inputs), recipe.epochs, seed, report, checkpoint, pulse)
    finally:
        program.close()


def _run(
    program: "CompiledFit",
    n_rows: int,
    n_epochs: int,
    seed: int,
    report: Report,
    checkpoint: Checkpoint,
    pulse: Callable[[], None],
) -> History:
    rng = np.random.default_rng(seed)
    chunks: list[Curves] = []
    done = 0
    while done < n_epochs and not program.has_stopped:
        chunk = min(program.epochs_per_call, n_epochs - done)
        orders = np.stack([rng.permutation(n_rows) for _ in range(chunk)]).astype(np.int32)
        curves = program.run(orders, chunk, pulse)
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
    """One fit by a program that may have been compiled for another, and goes back for the next."""

    def __init__(
        self,
        model: keras.Model,
        recipe: Fit,
        train: Examples,
        validation: Examples | None,
        objective: Objective = MEAN_SQUARES,
        programs: Programs = PROGRAMS,
    ) -> None:
        self._model = model
        self._stopping = recipe.early_stopping
        self._curves = CURVES if validation else CURVES[:2]
        self.programs = programs
        shape = shape_of(model, recipe, train, validation, objective)
        self._data = _data(shape, train, validation, objective.unit)
        self.program = programs.take(shape, lambda: Program(model, shape))
        self.program.begin(model)
        self._n_steps = -(-len(train.inputs) // shape.batch)
        work = 6 * shape.network.n_parameters * len(train.inputs)
        self.epochs_per_call = int(np.clip(MOST_WORK // work, 1, shape.epochs))
        self._calls_per_epoch = min(self._n_steps, -(-work // MOST_WORK))

    @property
    def has_stopped(self) -> bool:
        return self.program.has_stopped

    @property
    def best_epoch(self) -> int:
        """From 1; 0 where nothing is monitored."""
        return self.program.best_epoch

    def best_weights(self) -> Weights:
        return [weight.numpy() for weight in self.program.best_weights()]

    def run(self, orders: NDArray[np.int32], n_epochs: int, pulse: Callable[[], None] = lambda: None) -> Curves:
        """Row numbers (epochs, n_rows), of which the first `n_epochs` are run -> curves of the epochs that were."""
        shape, before = self.program.shape, self.program.epoch
        padded = np.zeros((shape.epochs, -(-shape.rows // shape.batch) * shape.batch), np.int32)
        padded[:n_epochs, : orders.shape[1]] = orders[:n_epochs]
        order = tf.constant(padded)
        if n_epochs > 1 or self._calls_per_epoch == 1:
            found = self.program.run(order, n_epochs, (0, self._n_steps), self._data)
        else:
            bounds = np.linspace(0, self._n_steps, self._calls_per_epoch + 1).astype(int).tolist()
            for steps in pairwise(bounds):
                found = self.program.run(order, 1, steps, self._data)
                pulse()
        ran = self.program.epoch - before
        self._put(self.program.weights())
        return {name: found[:ran, CURVES.index(name)].numpy().astype(np.float64) for name in self._curves}

    def keep_best(self, last_epoch: int) -> int:
        """Put the best weights back if the recipe says so; the epoch, from 1, that the model now is of."""
        if self._stopping is None or not self._stopping.restore_best:
            return last_epoch
        self._put(self.program.best_weights())
        return self.best_epoch

    def close(self) -> None:
        """The program is free for the next fit of its shape."""
        self.programs.give_back(self.program)

    def _put(self, weights: Weights) -> None:
        for variable, weight in zip(self._model.trainable_variables, weights, strict=True):
            variable.assign(weight)


def shape_of(
    model: keras.Model, recipe: Fit, train: Examples, validation: Examples | None, objective: Objective
) -> Shape:
    stopping, batch = recipe.early_stopping, min(recipe.batch_rows(len(train.inputs)), len(train.inputs))
    n_rows = _places(train) if batch <= LARGEST_MASKED else len(train.inputs)
    n_held_out = _places(validation) if validation else 0
    return Shape(
        network=Network.of(model),
        device=model.trainable_variables[0].value.device,
        loss=objective.loss,
        measure=objective.measure,
        optimizer=recipe.optimizer,
        schedule=recipe.schedule,
        steps=recipe.steps(len(train.inputs)) if recipe.schedule else 1,
        stopping=stopping,
        monitored=CURVES.index(stopping.monitor) if stopping else 0,
        more_is_better=stopping is not None and is_better_high(stopping, objective),
        epochs=int(np.clip(ROWS_PER_CHUNK // n_rows, 1, MOST_EPOCHS_PER_CHUNK)),
        rows=n_rows,
        held_out=n_held_out,
        batch=batch,
        rest=n_rows % batch if batch > LARGEST_MASKED else 0,
        block=min(EVALUATION_BLOCK, n_held_out),
        is_weighted=train.weights is not None,
    )


def _places(examples: Examples) -> int:
    """A few more than rows, so that folds of nearly one size share a program; none more where they are large."""
    n_rows = len(examples.inputs)
    if examples.inputs.nbytes > LARGEST_PADDED:
        return n_rows
    stride = 1 << max(0, n_rows.bit_length() - 5)
    return -(-n_rows // stride) * stride


def _data(shape: Shape, train: Examples, validation: Examples | None, unit: float) -> Data:
    learned = (train.inputs, train.targets, *((train.weights,) if train.weights is not None else ()))
    held_out = (validation.inputs, validation.targets) if validation else ()
    return Data(
        train=tuple(_padded(part, shape.rows) for part in learned),
        held_out=tuple(_padded(part, shape.held_out) for part in held_out),
        counts=tf.constant([len(train.inputs), len(validation.inputs) if validation else 0]),
        unit=tf.constant(unit, tf.float32),
    )


def _padded(part: Encoded, n_places: int) -> Any:
    if len(part) == n_places:
        return tf.constant(part)
    return tf.constant(np.concatenate([part, np.zeros((n_places - len(part), *part.shape[1:]), part.dtype)]))
