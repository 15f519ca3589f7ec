"""The loop over epochs as one XLA program, compiled once for all fits of one shape.

    [ epoch: [ batch: gradient -> optimizer.apply ] -> validation -> best weights, patience ]

Of a network with members, targets and outputs of a step are (n_rows, members, …). In training all take the same rows,
inputs (n_rows, n_inputs), and those that a member leaves out have share 0; in validation each has rows of its own.

Rows, their number, weights, seeds, learning rate, weight decay, dropout rate and patience are arguments or variables of
the program. So folds, seeds, retrainings of a recipe and the trials of a search share one program, even where their
numbers of rows differ a little.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from models_store.networks.keras_network import keras, tf
from training.fitting.averages import drawn, momentum_of
from training.fitting.calibration import TEMPERATURES, at_temperatures
from training.fitting.keras_parts import Course, KerasModel, Measure, loss_of, on_same_rows, optimizer_of
from training.recipe.fit import EarlyStopping, LossName, Optimizer, Schedule

# Arrays of at most so many weights share one vector: an optimiser's step is then one loop of the program instead of one
# for each array, which halves the code to compile. For larger arrays the copy would cost more than it saves.
LARGEST_PACKED = 1 << 14
# The most programs that are kept for later fits, and the most parameters of their networks: of a fit of a larger one,
# compiling takes little of the time.
MOST_IDLE, MOST_IDLE_PARAMETERS = 8, 1 << 20
MOST_IDLE_PARAMETERS_OF_ALL = 8 << 20

Tensors = list[Any]


@dataclass(frozen=True)
class Kind:
    """What fits have in common that a program can serve, beside their networks and numbers of rows."""

    device: str
    loss: LossName
    measure: Measure
    optimizer: Optimizer
    """Without its learning rate and weight decay, which are variables."""
    schedule: Schedule | None
    stopping: EarlyStopping | None
    """Without its patience, and whether the best weights are kept, which are not compiled."""
    monitored: int
    """Index, among the four curves, of the one that early stopping watches; lower is better unless `more_is_better`."""
    more_is_better: bool
    batch: int
    is_calibrated: bool
    """True if the validation loss of labels is that of the best temperature, which their probabilities will have."""
    is_averaged: bool
    """True if a moving average of the weights, over steps that are a variable, is validated and kept."""
    is_weighted: bool
    is_held_out_weighted: bool


@dataclass(frozen=True)
class Shape:
    """All that a program is compiled for. Two fits of the same shape differ only in numbers."""

    kind: Kind
    model: KerasModel
    epochs: int
    """The most epochs of one call."""
    rows: int
    """Training rows, padding included."""
    held_out: int
    """Validation rows of a member, padding included; 0: there is no validation."""
    rest: int
    """Rows of a last short batch that has a step of its own; 0: it is padded to a whole batch, or there is none."""
    block: int
    """Rows in one step of the validation pass."""

    @property
    def n_parameters(self) -> int:
        return self.model.n_parameters


class Packed:
    """The layout of a network's weights with the small arrays concatenated into one vector.

    Every optimiser of a recipe works number by number, so that it does the same to the vector as to its parts.
    The first kernel of members lies as (n_inputs, members, units), as the one product over it takes it: XLA would copy
    it in each step otherwise.
    """

    def __init__(self, weights: Sequence[keras.Variable]) -> None:
        self._shapes = [tuple(weight.shape) for weight in _turned([weight.value for weight in weights])]
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._sizes = [size for size in sizes if size <= LARGEST_PACKED]
        self._is_small = [size <= LARGEST_PACKED for size in sizes]

    def pack(self, tensors: Sequence[Any]) -> Tensors:
        tensors = _turned(tensors)
        small = [tf.reshape(tensor, [-1]) for tensor, is_small in zip(tensors, self._is_small, strict=True) if is_small]
        large = [tensor for tensor, is_small in zip(tensors, self._is_small, strict=True) if not is_small]
        return [tf.concat(small, 0), *large] if small else large

    def unpack(self, packed: Sequence[Any]) -> Tensors:
        if not self._sizes:
            return _turned(packed)
        small, large = iter(tf.split(packed[0], self._sizes)), iter(packed[1:])
        return _turned(
            [
                tf.reshape(next(small), shape) if is_small else next(large)
                for shape, is_small in zip(self._shapes, self._is_small, strict=True)
            ]
        )


def _turned(tensors: Sequence[Any]) -> Tensors:
    """Return the tensors with the first two axes of the first kernel exchanged, if one of them is that of members."""
    kernel, *others = tensors
    return [tf.transpose(kernel, [1, 0, 2]) if len(kernel.shape) == 3 else kernel, *others]


class Program:
    """A compiled epoch loop with the weights, optimiser state and best weights of one fit at a time."""

    def __init__(self, model: keras.Model, shape: Shape) -> None:
        self.shape = shape
        self._model = model
        self._on_same_rows = on_same_rows(model)
        self._loss = loss_of(shape.kind.loss, shape.model.dtype)
        self._packed = Packed(model.trainable_variables)
        self._weights = [
            keras.Variable(value, name="weights") for value in self._packed.pack(model.trainable_variables)
        ]
        self._course = Course()
        self._optimizer = optimizer_of(shape.kind.optimizer, shape.kind.schedule, self._course)
        self._optimizer.build(self._weights)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        averaged = self._weights if shape.kind.is_averaged else []
        self._averages = [tf.Variable(weight.value, trainable=False) for weight in averaged]
        self._momentum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        watched = self._weights if shape.kind.stopping else []
        self._best_weights = [tf.Variable(weight.value, trainable=False) for weight in watched]
        self._best = tf.Variable(np.inf, dtype=tf.float32, trainable=False)
        self._best_epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._waited = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._patience = tf.Variable(0, dtype=tf.int32, trainable=False)
        self._stopped = tf.Variable(False, trainable=False)
        self._total = tf.Variable(tf.zeros([2]), trainable=False)
        # AutoGraph would rewrite Keras' own functions as well, which takes as long as tracing them.
        self._run = tf.function(self._chunk, jit_compile=True, autograph=False)

    def begin(
        self, model: keras.Model, optimizer: Optimizer, steps: int, patience: int, averaged_steps: float = 0.0
    ) -> None:
        """Start a fit from this model's weights, dropout rates and seeds, with a fresh optimiser.

        `steps` are those of the whole schedule; `patience` the epochs without an improvement after which it stops;
        `averaged_steps` those that weights are averaged over, if they are.
        """
        for variable, value in zip(self._weights, self._packed.pack(model.trainable_variables), strict=True):
            variable.assign(value)
        for average, weight in zip(self._averages, self._weights, strict=False):
            average.assign(weight)
        for variable, value in zip(self._model.non_trainable_variables, model.non_trainable_variables, strict=True):
            variable.assign(value)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self._course.begin(optimizer, self.shape.kind.schedule, steps)
        self._momentum.assign(momentum_of(averaged_steps))
        self._patience.assign(patience)
        self._best.assign(np.inf)
        for counter in (self._best_epoch, self._epoch, self._waited):
            counter.assign(0)
        self._stopped.assign(False)
        self._total.assign([0.0, 0.0])

    @property
    def epoch(self) -> int:
        """The number of epochs that are complete."""
        return int(self._epoch.numpy())

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of the best weights so far; 0 if nothing is monitored."""
        return int(self._best_epoch.numpy())

    @property
    def has_stopped(self) -> bool:
        return bool(self._stopped.numpy())

    def weights(self) -> Tensors:
        """Return the weights that answer: of the last step, or their average."""
        return self._packed.unpack(self._answering)

    def best_weights(self) -> Tensors:
        return self._packed.unpack(self._best_weights) if self._best_weights else self.weights()

    def run(self, orders: Any, n_epochs: int, steps: tuple[int, int], data: "Data") -> Any:
        """Run `n_epochs` epochs, or the part of one between two steps; return their curves, float32 (shape.epochs, 4).

        `orders` are row numbers, int32 (shape.epochs, rows padded to whole batches).
        """
        chunk = (orders, tf.constant(n_epochs), tf.constant(steps))
        return self._run(*chunk, data.counts, data.unit, data.train, data.learns, data.held_out)

    @property
    def _answering(self) -> Tensors:
        return self._averages or [weight.value for weight in self._weights]

    # -- traced ----------------------------------------------------------------------------------------------------

    def _chunk(
        self, orders: Any, n_epochs: Any, steps: Any, counts: Any, unit: Any, train: Any, learns: Any, held_out: Any
    ) -> Any:
        def run_epoch(epoch: Any, curves: Any) -> Any:
            self._train_epoch(orders[epoch], steps, counts[0], train, learns)
            is_done = steps[1] * self.shape.kind.batch >= counts[0]
            values = [self._total / tf.cast(counts[0], tf.float32)]
            rows = (tf.where(is_done, counts[1], 0), counts[2])
            values.append(self._evaluate(*rows, *held_out) if held_out else tf.zeros([2]))
            values = tf.concat(values, 0) * tf.stack([1.0, unit, 1.0, unit])
            self._total.assign(tf.where(is_done, 0.0, self._total))
            self._remember(values[self.shape.kind.monitored], is_done)
            return epoch + 1, tf.tensor_scatter_nd_update(curves, [[epoch]], [values])

        def goes_on(epoch: Any, curves: Any) -> Any:
            return (epoch < n_epochs) & ~self._stopped

        return tf.while_loop(goes_on, run_epoch, [tf.constant(0), tf.zeros([self.shape.epochs, 4])])[1]

    def _train_epoch(self, order: Any, steps: Any, n_rows: Any, train: Any, learns: Any) -> None:
        """Add to the total the loss and metric of each batch, measured before its step as Keras does."""

        def run_batch(step: Any, total: Any, size: int = self.shape.kind.batch) -> Any:
            batch = tf.slice(order, [step * self.shape.kind.batch], [size])
            taken = tf.minimum(size, n_rows - step * self.shape.kind.batch)
            are_taken = tf.range(size) < taken
            if learns is not None:
                are_taken = are_taken[:, None] & tf.gather(learns, batch)
            share = _share(are_taken, size, tf.math.count_nonzero(are_taken, 0, dtype=tf.int32), self.shape.model.dtype)
            inputs, *others = (tf.gather(part, batch) for part in train)
            measured = self._train_batch(share, inputs, *map(self._for_all, others))
            return step + 1, total + tf.cast(taken, tf.float32) * measured

        last = tf.minimum(steps[1], self.shape.rows // self.shape.kind.batch) if self.shape.rest else steps[1]
        reached = tf.while_loop(lambda step, total: step < last, run_batch, [steps[0], self._total.value()])
        if self.shape.rest:
            # A loop of one step, because XLA would compile a condition again for each value of it.
            run_rest = partial(run_batch, size=self.shape.rest)
            reached = tf.while_loop(lambda step, total: step < steps[1], run_rest, reached)
        self._total.assign(reached[1])

    def _train_batch(self, share: Any, inputs: Any, targets: Any, weights: Any = None) -> Any:
        variables = self._packed.unpack([weight.value for weight in self._weights])
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            outputs = self._outputs(self._on_same_rows, variables, inputs, is_training=True)
            loss = self._loss(targets, outputs, sample_weight=share if weights is None else share * weights)
            # The loss is the mean over the members, and each is to take the step of its own.
            steepest = loss * self.shape.model.n_members
        self._optimizer.apply(self._packed.pack(tape.gradient(steepest, variables)), self._weights)
        self._average()
        return self._measured(loss[None], share, targets, outputs)

    def _average(self) -> None:
        """Draw the averages towards the weights."""
        for average, weight in zip(self._averages, self._weights, strict=False):
            average.assign_add(drawn(self._momentum.value(), self._optimizer.iterations, weight - average))

    def _for_all(self, rows: Any) -> Any:
        """Return the same rows for each member: (n_rows, …) -> (n_rows, members, …)."""
        axis = self.shape.model.axis
        return tf.broadcast_to(rows[:, None], [rows.shape[0], *axis, *rows.shape[1:]]) if axis else rows

    def _outputs(self, model: keras.Model, variables: Tensors, inputs: Any, *, is_training: bool) -> Any:
        state = model.non_trainable_variables
        outputs, changed = model.stateless_call(
            variables, [variable.value for variable in state], inputs, training=is_training
        )
        for variable, value in zip(state, changed if is_training else (), strict=is_training):
            variable.assign(value)
        return outputs

    def _measured(self, losses: Any, share: Any, targets: Any, outputs: Any) -> Any:
        metric = tf.cast(self.shape.kind.measure(targets, outputs), tf.float32)
        mean = tf.reduce_mean(tf.cast(share, tf.float32) * metric)
        return tf.concat([tf.cast(losses, tf.float32), mean[None]], 0)

    def _evaluate(self, n_rows: Any, n_all: Any, rows: Any, *parts: Any) -> Any:
        """Return the mean loss and metric, (2,), of the first `n_rows` of these rows, `n_all` in all columns.

        The loss is that of the best temperature, where there are several. Weights among the parts are 1 in the mean.
        """
        size, last = self.shape.block, self.shape.held_out - self.shape.block

        def run_block(block: Any, total: Any) -> Any:
            # The last block begins early enough to be a whole one; rows that the block before has counted get share 0.
            first = tf.minimum(block * size, last)
            some = _slice(rows, first, size)
            is_new = first + tf.range(size) >= block * size
            are_taken = self._for_all(is_new) & (some >= 0)
            taken = tf.math.count_nonzero(are_taken, dtype=tf.int32)
            share = _share(are_taken, some.shape.num_elements(), taken, self.shape.model.dtype)
            inputs, targets, *weights = (tf.gather(part, tf.maximum(some, 0)) for part in parts)
            if weights:
                share *= weights[0]
            outputs = self._outputs(self._model, self.weights(), inputs, is_training=False)
            losses = self._losses(targets, outputs, share)
            return block + 1, total + tf.cast(taken, tf.float32) * self._measured(losses, share, targets, outputs)

        nothing = tf.zeros([1 + (len(TEMPERATURES) if self.shape.kind.is_calibrated else 1)])
        total = tf.while_loop(lambda block, total: block * size < n_rows, run_block, [tf.constant(0), nothing])[1]
        mean = total / tf.cast(tf.maximum(n_all, 1), tf.float32)
        return tf.stack([tf.reduce_min(mean[:-1]), mean[-1]])

    def _losses(self, targets: Any, outputs: Any, share: Any) -> Any:
        """Return the mean loss of these rows, (1,), or that of each temperature, (n_temperatures,)."""
        if not self.shape.kind.is_calibrated:
            return self._loss(targets, outputs, sample_weight=share)[None]
        cooled = at_temperatures(outputs)
        losses = self._loss.call(tf.broadcast_to(targets, [*cooled.shape[:-1], targets.shape[-1]]), cooled)
        return tf.reduce_mean(share * losses, axis=list(range(1, len(losses.shape))))

    def _remember(self, monitored: Any, is_done: Any) -> None:
        """Keep the weights if they are the best so far, and stop after `patience` epochs without an improvement.

        As Keras' EarlyStopping: an improvement is one of more than `min_delta`.
        """
        self._epoch.assign_add(tf.cast(is_done, tf.int32))
        stopping = self.shape.kind.stopping
        if stopping is None:
            return
        signed = -monitored if self.shape.kind.more_is_better else monitored
        improved = is_done & (signed < self._best - stopping.min_delta)
        for best, weight in zip(self._best_weights, self._answering, strict=True):
            best.assign(tf.where(improved, weight, best))
        self._best.assign(tf.where(improved, signed, self._best))
        self._best_epoch.assign(tf.where(improved, self._epoch, self._best_epoch))
        self._waited.assign(tf.where(improved, 0, self._waited + tf.cast(is_done, tf.int32)))
        self._stopped.assign(self._waited >= self._patience)


def _slice(rows: Any, first: Any, size: int) -> Any:
    return tf.slice(rows, [first, *(0 for _ in rows.shape[1:])], [size, *rows.shape[1:]])


def _share(are_taken: Any, n_rows: int, n_taken: Any, dtype: Any) -> Any:
    """Return how much each row of a batch counts, in the shape of `are_taken`: 0 for padding, or n_rows / n_taken.

    So the mean over the batch is the mean over its real rows.
    """
    real = tf.cast(n_rows, dtype) / tf.cast(tf.maximum(n_taken, 1), dtype)
    return tf.where(are_taken, real, tf.zeros([], dtype))


@dataclass(frozen=True, eq=False)
class Data:
    """Rows of a fit as tensors, padded to the numbers of rows that its program is compiled for."""

    train: tuple[Any, ...]
    learns: Any
    """True where a member learns from a training row, (n_rows, members); None of a network of one."""
    held_out: tuple[Any, ...]
    """Row numbers, int32 (n_rows,) or (n_rows, members), below 0 where there is none; and the rows that they choose."""
    counts: Any
    """int32 (3,): training rows, the most validation rows of a member, and those of all members; without padding."""
    unit: Any
    """A metric of 1 in raw units, float32 ()."""


class Compiled(Protocol):
    """A compiled program, for one fit or for several side by side."""

    @property
    def shape(self) -> Any:
        """All that it is compiled for, with `n_parameters`."""


Lent = TypeVar("Lent", bound=Compiled)


class Programs:
    """Compiled programs between fits, each lent to one fit at a time. Safe to share between threads.

    The last `most` that were given back are kept.
    """

    def __init__(self, most: int = MOST_IDLE) -> None:
        self._most = most
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def take(self, shape: object, make: Callable[[], Lent]) -> Lent:
        """Return an idle program of this shape, or a new one by `make`."""
        with self._lock:
            for place, program in enumerate(self._idle):
                if program.shape == shape:
                    found: Lent = self._idle.pop(place)
                    return found
        return make()

    def give_back(self, program: Compiled) -> None:
        if program.shape.n_parameters > MOST_IDLE_PARAMETERS:
            return
        with self._lock:
            self._idle.append(program)
        self.keep(self._most)

    def keep(self, most: int) -> None:
        """Forget all programs but the last `most`, and those that hold too many weights with the later ones."""
        with self._lock:
            held = np.cumsum([program.shape.n_parameters for program in reversed(self._idle)])
            n_kept = min(most, int(np.searchsorted(held, MOST_IDLE_PARAMETERS_OF_ALL, side="right")))
            self._idle = self._idle[len(self._idle) - n_kept :]
