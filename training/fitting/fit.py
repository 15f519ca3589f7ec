"""The fit of a Keras model as one compiled XLA program; layers, loss and optimiser are Keras' own.

    chunk of epochs -> [ epoch: permutation -> [ batch: gradient -> optimizer.apply ] -> validation loss -> best ]

Early stopping and best weights are decided inside the program; between chunks the fit reports, and may be stopped.
Batches are those that `model.fit(shuffle=False)` would take from rows in the order of `orders`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Encoded
from models_store.errors import PatternServerError
from models_store.networks.keras_network import keras, tf
from training.fitting.keras_parts import KerasModel, Measure, like, mean_absolute_error
from training.fitting.members import NONE, LeftOut, validating
from training.fitting.program import Data, Kind, Program, Programs, Shape
from training.fitting.progress import Curves, History, Progress, Weights
from training.recipe.fit import NUMBER_LOSSES, EarlyStopping, Fit, LossName

# A chunk of so many rows takes about 0.25 s, for networks of the size that this server is for.
ROWS_PER_CHUNK = 500_000
MOST_EPOCHS_PER_CHUNK = 100
# The same bound for large networks, in floating-point operations: six for each parameter and row.
MOST_WORK = 20_000_000_000
# Batches up to so many rows: a last short batch is padded to a whole one, which costs less than compiling another step.
LARGEST_MASKED = 1024
# Bytes of rows up to which they are copied into a padded array.
LARGEST_PADDED = 1 << 25
# Rows in one step of the validation pass, which bounds its memory.
EVALUATION_BLOCK = 8192

CURVES = ("loss", "metric", "val_loss", "val_metric")
# Epochs without an improvement: more than there can be.
UNENDING = np.iinfo(np.int32).max


class Diverged(PatternServerError):
    """A loss or a weight that is not finite, or a network worse than a constant answer on its own training rows."""

    code = "diverged"


def diverged_after(epoch: int) -> Diverged:
    return Diverged(f"the loss is not finite after epoch {epoch}; lower fit.optimizer.learning_rate")


@dataclass(frozen=True, eq=False)
class Examples:
    """Encoded rows: `inputs` (n_rows, n_inputs) and `targets` (n_rows, n_outputs), all of the network's dtype."""

    inputs: Encoded
    targets: Encoded
    sample_weights: Encoded | None = None
    """Factor of each row in the loss, (n_rows,); None: all rows count alike."""
    left_out: LeftOut = None
    """True where a member does not learn from a row, and is validated by it, (n_rows, members)."""

    @property
    def parts(self) -> tuple[Encoded, ...]:
        weights = () if self.sample_weights is None else (self.sample_weights,)
        return (self.inputs, self.targets, *weights)

    @property
    def n_validating(self) -> int:
        """The most rows that validate a member."""
        return len(self.inputs) if self.left_out is None else int(self.left_out.sum(axis=0).max())


@dataclass(frozen=True)
class Objective:
    """The loss that is minimised, by its Keras name, and the metric that is measured beside it."""

    loss: LossName
    measure: Measure
    unit: float = 1.0
    """A metric of 1 in raw units."""


MEAN_SQUARES = Objective("mse", mean_absolute_error)


@dataclass(frozen=True)
class Extent:
    """How far a fit goes, where another one is fitted like it: the first finds `epochs`, and the second has more rows.

    Both have the recipe's schedule, and run in programs of one shape.
    """

    epochs: Iterable[int] | None = None
    """Go on to each of these epochs in turn, and keep the weights of the last; None: as the recipe says.

    The next one may be waited for: the first fit may still be finding it.
    """
    n_rows: int = 0
    """The most training rows of both fits."""


AS_THE_RECIPE_SAYS = Extent()


def fit(
    model: keras.Model,
    train: Examples,
    validation: Examples | None,
    recipe: Fit,
    seed: int,
    progress: Progress,
    objective: Objective = MEAN_SQUARES,
    programs: Programs | None = None,
    extent: Extent = AS_THE_RECIPE_SAYS,
) -> History:
    """Fit `model`'s weights to the training rows, in place. `seed` draws the order of the rows in each epoch.

    Where a model has members, its inputs being (n_rows, members, n_inputs), each is fitted by itself, and validated by
    the rows that it left out, or by all validation rows. Their mean loss chooses one best epoch for all.

    `programs` are those that an earlier fit may have compiled; None: compile for this fit alone.
    Raises Diverged where a loss is not finite, and whatever `progress` raises to stop the fit.
    """
    program = CompiledFit(model, recipe, train, validation, objective, programs, extent)
    try:
        return _run(program, len(train.inputs), extent.epochs or [recipe.most_epochs], seed, progress)
    finally:
        program.close()


def _run(program: "CompiledFit", n_rows: int, epochs: Iterable[int], seed: int, progress: Progress) -> History:
    rng = np.random.default_rng(seed)
    chunks: list[Curves] = []
    done = 0
    for last in epochs:
        while done < last and not program.has_stopped:
            chunk = min(program.epochs_per_call, progress.epochs_per_report or last, last - done)
            orders = np.stack([rng.permutation(n_rows) for _ in range(chunk)]).astype(np.int32)
            curves = program.run(orders, chunk, progress.pulse)
            done += len(curves["loss"])
            if not all(np.isfinite(curve).all() for curve in curves.values()):
                raise diverged_after(done)
            chunks.append(curves)
            progress.epochs(done, curves)
            progress.checkpoint(done, program.best_epoch or done, program.best_weights)
    best_epoch = program.keep_best(done)
    whole = {name: np.concatenate([curves[name] for curves in chunks]) for name in chunks[0]}
    return History(whole, best_epoch, program.has_stopped)


def is_calibrated(recipe: Fit, train: Examples, objective: Objective) -> bool:
    """True if probabilities get a temperature after the fit: by answers out of fold, which members give."""
    are_labels = objective.loss not in NUMBER_LOSSES
    return recipe.calibration == "temperature" and are_labels and train.left_out is not None


def is_better_high(stopping: EarlyStopping, objective: Objective) -> bool:
    if stopping.mode == "auto":
        return stopping.monitor.endswith("metric") and objective.loss not in NUMBER_LOSSES
    return stopping.mode == "max"


class CompiledFit:
    """One fit, and the compiled program that is lent to it until `close`."""

    def __init__(
        self,
        model: keras.Model,
        recipe: Fit,
        train: Examples,
        validation: Examples | None,
        objective: Objective = MEAN_SQUARES,
        programs: Programs | None = None,
        extent: Extent = AS_THE_RECIPE_SAYS,
    ) -> None:
        self._model = model
        # A fit for a known number of epochs asks no validation rows, and yet runs in the program of one that does.
        is_watched = extent.epochs is None
        self._stopping = recipe.early_stopping if is_watched else None
        self._curves = CURVES if validation and is_watched else CURVES[:2]
        self._programs = programs or Programs()
        kind = kind_of(recipe, train, validation, objective, model.trainable_variables[0].value.device)
        shape = shape_of(KerasModel.of(model), kind, train, validation, extent.n_rows)
        self._data = _data(shape, train, validation, objective.unit, is_watched=is_watched)
        self.program = self._programs.take(shape, lambda: Program(model, shape))
        patience = self._stopping.patience if self._stopping else UNENDING
        n_rows = len(train.inputs)
        self.program.begin(model, recipe.optimizer, recipe.steps(n_rows), patience, recipe.averaged_steps(n_rows))
        self._n_steps = -(-len(train.inputs) // shape.kind.batch)
        work = 6 * shape.model.n_parameters * len(train.inputs)
        self.epochs_per_call = int(np.clip(MOST_WORK // work, 1, shape.epochs))
        self._calls_per_epoch = min(self._n_steps, -(-work // MOST_WORK))

    @property
    def has_stopped(self) -> bool:
        return self.program.has_stopped

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of the best weights so far; 0 if nothing is monitored."""
        return self.program.best_epoch

    def best_weights(self) -> Weights:
        return [weight.numpy() for weight in self.program.best_weights()]

    def run(self, orders: NDArray[np.int32], n_epochs: int, pulse: Callable[[], None] = lambda: None) -> Curves:
        """Run the first `n_epochs` of `orders`; return the curves of the epochs that were run before an early stop.

        `orders` are row numbers, int32 (at least n_epochs, n_rows). `pulse` is called between parts of a long epoch.
        """
        shape, before = self.program.shape, self.program.epoch
        padded = np.zeros((shape.epochs, -(-shape.rows // shape.kind.batch) * shape.kind.batch), np.int32)
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
        """Put the best weights back if the recipe says so; return the epoch, from 1, of the model's weights."""
        if self._stopping is None or not self._stopping.restore_best:
            return last_epoch
        self._put(self.program.best_weights())
        return self.best_epoch

    def close(self) -> None:
        """Give the program back, for the next fit of its shape."""
        self._programs.give_back(self.program)

    def _put(self, weights: Weights) -> None:
        for variable, weight in zip(self._model.trainable_variables, weights, strict=True):
            variable.assign(weight)


def kind_of(recipe: Fit, train: Examples, validation: Examples | None, objective: Objective, device: str) -> Kind:
    """Return what a fit has in common with those that share its program."""
    n_rows, stopping = len(train.inputs), recipe.early_stopping
    return Kind(
        device=device,
        loss=objective.loss,
        measure=objective.measure,
        optimizer=like(recipe.optimizer),
        schedule=recipe.schedule,
        stopping=stopping and stopping.model_copy(update={"patience": 1, "restore_best": True}),
        monitored=CURVES.index(stopping.monitor) if stopping else 0,
        more_is_better=stopping is not None and is_better_high(stopping, objective),
        batch=min(recipe.batch_rows(n_rows), n_rows),
        is_calibrated=is_calibrated(recipe, train, objective),
        is_averaged=recipe.averaged_steps(n_rows) > 0,
        is_weighted=train.sample_weights is not None,
        is_held_out_weighted=validation is not None and validation.sample_weights is not None,
    )


def shape_of(model: KerasModel, kind: Kind, train: Examples, validation: Examples | None, most_rows: int = 0) -> Shape:
    """Return what is compiled for a fit, and for another like it of up to `most_rows` training rows."""
    more = max(1.0, most_rows / len(train.inputs))
    n_rows = _rounded_up(len(train.inputs), train, more) if kind.batch <= LARGEST_MASKED else len(train.inputs)
    n_held_out = _rounded_up(validation.n_validating, validation, more) if validation else 0
    return Shape(
        kind=kind,
        model=model,
        epochs=int(np.clip(ROWS_PER_CHUNK // n_rows, 1, MOST_EPOCHS_PER_CHUNK)),
        rows=n_rows,
        held_out=n_held_out,
        rest=n_rows % kind.batch if kind.batch > LARGEST_MASKED else 0,
        block=min(EVALUATION_BLOCK // model.n_members, n_held_out),
    )


def _rounded_up(n_rows: int, examples: Examples, more: float = 1.0) -> int:
    """Return a number of rows, times `more`, rounded up to a coarse step.

    So folds of slightly different size reuse one program. Large inputs are not rounded up: padding would copy them.
    """
    if examples.inputs.nbytes > LARGEST_PADDED:
        return n_rows
    n_rows = ceil(round(n_rows * more, 6))
    stride = 1 << max(0, n_rows.bit_length() - 5)
    return -(-n_rows // stride) * stride


def _data(shape: Shape, train: Examples, validation: Examples | None, unit: float, *, is_watched: bool) -> Data:
    """Return rows as tensors; where validation is not watched, the program counts none of its rows."""
    parts = tuple(_padded(part, shape.rows) for part in train.parts)
    held_out: tuple[Any, ...] = ()
    counts = (0, 0)
    if validation:
        rows = validating(len(validation.inputs), validation.left_out, shape.model.axis)
        counts = (len(rows), int(np.count_nonzero(rows != NONE))) if is_watched else (0, 0)
        held_out = (_padded(rows, shape.held_out, NONE), *_held_out_parts(shape, train, validation, parts))
    n_rows = tf.constant([len(train.inputs), *counts])
    return Data(parts, _learns(shape, train), held_out, n_rows, tf.constant(unit, tf.float32))


def _learns(shape: Shape, train: Examples) -> Any:
    """Return True where a member learns from a row, (shape.rows, members); None of a network of one."""
    if not shape.model.axis:
        return None
    everywhere = np.ones((len(train.inputs), *shape.model.axis), bool)
    return _padded(everywhere if train.left_out is None else ~train.left_out, shape.rows)


def _held_out_parts(shape: Shape, train: Examples, validation: Examples, known: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the validation rows as tensors; parts that are training rows as well are not copied again."""
    made = {id(part): tensor for part, tensor in zip(train.parts, known, strict=True)}
    n_rows = shape.held_out if validation.left_out is None else shape.rows
    return tuple(made[id(part)] if id(part) in made else _padded(part, n_rows) for part in validation.parts)


def _padded(part: NDArray[Any], n_rows: int, filling: int = 0) -> Any:
    if len(part) == n_rows:
        return tf.constant(part)
    return tf.constant(np.concatenate([part, np.full((n_rows - len(part), *part.shape[1:]), filling, part.dtype)]))
