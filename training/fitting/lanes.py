"""Fits side by side as one XLA program, for fits that differ in numbers alone: trials of a search, and their folds.

    [ epoch: [ batch: gradient of each lane -> optimizer.apply ] -> validation -> best weights, patience of each fit ]

A lane is one member of one fit, and comes first in every array: weights (lanes, …), a batch (lanes, n_rows, …). The
small products of all lanes are one batched product. The fits take their rows from one pool, each in an order of its
own, and stop each by itself: a fit that has stopped keeps its weights while the others go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.networks.architecture import Architecture
from models_store.networks.keras_network import keras, tf
from training.fitting.averages import drawn, momentum_of
from training.fitting.calibration import TEMPERATURES, at_temperatures
from training.fitting.dropout import dropped, is_kept
from training.fitting.keras_parts import Course, loss_of, optimizer_of
from training.fitting.program import Kind
from training.recipe.fit import Optimizer

Tensors = list[Any]


@dataclass(frozen=True)
class LanesShape:
    """All that a program is compiled for."""

    kind: Kind
    architecture: Architecture
    leaves_out: bool
    """True if members leave training rows out."""
    has_dropout: bool
    fits: int
    """Slots for fits; those that no fit needs have stopped before they begin."""
    epochs: int
    """The most epochs of one call."""
    pool: int
    """Rows of the pool, padding included."""
    rows: int
    """Rows of the order of an epoch, padding to whole batches included."""
    held_out: int
    """Validation rows of a lane, padding included; 0: there is no validation."""
    block: int
    """Rows of a lane in one step of the validation pass."""

    @property
    def members(self) -> int:
        return self.architecture.members

    @property
    def lanes(self) -> int:
        return self.fits * self.members

    @property
    def n_parameters(self) -> int:
        return self.fits * self.architecture.n_parameters


@dataclass(frozen=True, eq=False)
class Beginning:
    """What each fit begins with, (fits, …) each."""

    weights: NDArray[Any]
    """(lanes, parameters of a member)."""
    optimizers: Sequence[Optimizer]
    averaged_steps: NDArray[np.float64]
    patience: NDArray[np.int32]
    restores_best: NDArray[np.bool_]
    dropout: NDArray[np.float64]
    seeds: NDArray[np.int32]
    """Of the dropout of each hidden layer, (fits, layers)."""
    is_fit: NDArray[np.bool_]
    """False of slots that no fit needs."""
    steps: int
    """Optimiser steps of the whole schedule, which are the same for all."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The rows of all fits as tensors, and which of them each fit takes."""

    inputs: Any
    targets: Any
    weights: Any
    """Factor of each row in the loss, (pool,); None: all count alike."""
    held_out_weights: Any
    first: Any
    """The place in the pool of each fit's first training row, int32 (fits,)."""
    n_rows: Any
    """Training rows of each fit, int32 (fits,)."""
    learns: Any
    """True where a member learns from a row of its fit, (fits, shape.rows, members); None: from all."""
    held_out: Any
    """Places of the validation rows of each lane, int32 (lanes, shape.held_out), below 0 where there is none."""
    n_held_out: Any
    """Validation rows of all members of each fit, int32 (fits,)."""
    units: Any
    """A metric of 1 in raw units, float32 (fits,)."""

    @property
    def tensors(self) -> tuple[Any, ...]:
        return (*vars(self).values(),)


class Lanes:
    """A compiled epoch loop with the weights, optimiser states and best weights of several fits at a time."""

    def __init__(self, shape: LanesShape) -> None:
        self.shape = shape
        self._activations = [keras.activations.get(layer.activation) for layer in shape.architecture.layers]
        self._loss = loss_of(shape.kind.loss, shape.architecture.dtype)
        self._arrays = shape.architecture.member.weight_shapes
        fits, dtype = shape.fits, shape.architecture.dtype
        self._weights = keras.Variable(
            np.zeros((shape.lanes, sum(map(prod, self._arrays))), dtype), dtype=dtype, name="weights"
        )
        self._average = tf.Variable(self._weights.value, trainable=False) if shape.kind.is_averaged else None
        self._momentum = tf.Variable(np.zeros(fits), trainable=False)
        self._kept = tf.Variable(self._weights.value, trainable=False) if shape.kind.stopping else None
        self._course = Course(shape.lanes)
        self._optimizer = optimizer_of(shape.kind.optimizer, shape.kind.schedule, self._course)
        self._optimizer.build([self._weights])
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        self._best = tf.Variable(np.full(fits, np.inf, np.float32), trainable=False)
        self._best_epoch, self._epoch, self._waited, self._patience = (
            tf.Variable(np.zeros(fits, np.int32), trainable=False) for _ in range(4)
        )
        self._stopped, self._restores = (tf.Variable(np.zeros(fits, bool), trainable=False) for _ in range(2))
        self._dropout = tf.Variable(np.zeros(fits), trainable=False)
        self._seeds = tf.Variable(np.zeros((fits, len(self._activations) - 1), np.int32), trainable=False)
        # AutoGraph would rewrite Keras' own functions as well, which takes as long as tracing them.
        self._run = tf.function(self._chunk, jit_compile=True, autograph=False)

    def begin(self, beginning: Beginning) -> None:
        """Start fits from these weights, with fresh optimisers."""
        self._weights.assign(beginning.weights)
        for copy in (self._average, self._kept):
            if copy is not None:
                copy.assign(beginning.weights)
        self._momentum.assign(momentum_of(beginning.averaged_steps))
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        lanes = [optimizer for optimizer in beginning.optimizers for _ in range(self.shape.members)]
        self._course.begin_lanes(lanes, self.shape.kind.schedule, beginning.steps)
        self._best.assign(np.full(self.shape.fits, np.inf))
        for counter in (self._best_epoch, self._epoch, self._waited):
            counter.assign(np.zeros(self.shape.fits, np.int32))
        self._patience.assign(beginning.patience)
        self._restores.assign(beginning.restores_best)
        self._dropout.assign(beginning.dropout)
        self._seeds.assign(beginning.seeds)
        self._stopped.assign(~beginning.is_fit)

    @property
    def epochs(self) -> NDArray[np.int32]:
        """Epochs of each fit that are complete, (fits,)."""
        found: NDArray[np.int32] = self._epoch.numpy()
        return found

    @property
    def best_epochs(self) -> NDArray[np.int32]:
        """The epoch, from 1, of each fit's best weights so far, (fits,); 0 if nothing is monitored."""
        found: NDArray[np.int32] = self._best_epoch.numpy()
        return found

    @property
    def has_stopped(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self._stopped.numpy()
        return found

    def stop(self, fits: NDArray[np.bool_]) -> None:
        """Stop the fits that are True here, (fits,)."""
        self._stopped.assign(self._stopped.value() | fits)

    def run(self, orders: Any, n_epochs: int, pool: Pool) -> Any:
        """Run `n_epochs` epochs; return their curves, float32 (shape.epochs, fits, 4).

        `orders` are row numbers of each fit, int32 (shape.epochs, fits, shape.rows).
        """
        return self._run(orders, tf.constant(n_epochs), *pool.tensors)

    def kept_weights(self) -> Tensors:
        """Return the best weights of each fit, or the last where its recipe says so; (lanes, …) for each array."""
        return self._unpacked(self._answering if self._kept is None else self._kept.value())

    @property
    def _answering(self) -> Any:
        """The weights that answer: of the last step, or their average."""
        return self._weights.value if self._average is None else self._average.value()

    def outputs(self, weights: Tensors, inputs: Any) -> Any:
        """Return outputs (lanes, n_rows, n_outputs) of inputs (lanes or 1, n_rows, n_inputs)."""
        for place, activation in enumerate(self._activations):
            kernel, bias = weights[2 * place : 2 * place + 2]
            inputs = activation(tf.matmul(inputs, kernel) + bias[:, None])
        return inputs

    # -- traced ----------------------------------------------------------------------------------------------------

    def _chunk(self, orders: Any, n_epochs: Any, *tensors: Any) -> Any:
        pool = Pool(*tensors)

        def run_epoch(epoch: Any, curves: Any) -> Any:
            trained = self._train_epoch(orders[epoch], pool)
            held_out = self._evaluate(pool) if self.shape.held_out else tf.zeros_like(trained)
            unit = tf.stack([tf.ones_like(pool.units), pool.units], 1)
            values = tf.concat([trained * unit, held_out * unit], 1)
            self._remember(values[:, self.shape.kind.monitored])
            return epoch + 1, tf.tensor_scatter_nd_update(curves, [[epoch]], [values])

        def goes_on(epoch: Any, curves: Any) -> Any:
            return (epoch < n_epochs) & ~tf.reduce_all(self._stopped)

        curves = tf.zeros([self.shape.epochs, self.shape.fits, 4])
        return tf.while_loop(goes_on, run_epoch, [tf.constant(0), curves])[1]

    def _train_epoch(self, order: Any, pool: Pool) -> Any:
        """Return the mean loss and metric of each fit, (fits, 2), each row measured before the step of its batch."""
        shape, members = self.shape, self.shape.members
        size, last = shape.kind.batch, -(-tf.reduce_max(pool.n_rows) // shape.kind.batch)

        def run_batch(step: Any, total: Any) -> Any:
            batch = tf.slice(order, [0, step * size], [shape.fits, size])
            taken = tf.clip_by_value(pool.n_rows - step * size, 0, size)
            are_taken = tf.repeat((tf.range(size) < taken[:, None])[:, None], members, 1)
            if pool.learns is not None:
                are_taken &= tf.transpose(tf.gather(pool.learns, batch, batch_dims=1), [0, 2, 1])
            are_taken = tf.reshape(are_taken, [shape.lanes, size])
            places = batch + pool.first[:, None]
            count = tf.math.count_nonzero(are_taken, 1, keepdims=True, dtype=tf.int32)
            dtype = shape.architecture.dtype
            share = tf.cast(are_taken, dtype) * (size / tf.cast(tf.maximum(count, 1), dtype))
            factor = share
            if pool.weights is not None:
                factor *= self._for_members(tf.gather(pool.weights, places))
            inputs, targets = tf.gather(pool.inputs, places), self._for_members(tf.gather(pool.targets, places))
            measured = self._train_batch(share, factor, inputs, targets)
            return step + 1, total + tf.cast(taken, tf.float32)[:, None] * self._per_fit(measured)

        total = tf.while_loop(lambda step, total: step < last, run_batch, [tf.constant(0), tf.zeros([shape.fits, 2])])[
            1
        ]
        return total / tf.cast(tf.maximum(pool.n_rows, 1), tf.float32)[:, None]

    def _train_batch(self, share: Any, factor: Any, inputs: Any, targets: Any) -> Any:
        """Take a step of each lane; return its loss and metric, (lanes, 2), before the step.

        `inputs` are (fits, n_rows, n_inputs), the same for all members of a fit; the other rows are (lanes, n_rows, …).
        """
        weights = self._unpacked(self._weights.value)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs = self._trained_outputs(weights, inputs)
            loss = tf.reduce_mean(factor * self._loss.call(targets, outputs), 1)
            total = tf.reduce_sum(loss)
        gradient = [tf.reshape(part, [self.shape.lanes, -1]) for part in tape.gradient(total, weights)]
        self._optimizer.apply([tf.concat(gradient, 1)], [self._weights])
        if self._average is not None:
            momentum = tf.repeat(self._momentum, self.shape.members)[:, None]
            self._average.assign_add(drawn(momentum, self._optimizer.iterations, self._weights - self._average))
        metric = tf.cast(self.shape.kind.measure(targets, outputs), tf.float32)
        return tf.stack([tf.cast(loss, tf.float32), tf.reduce_mean(tf.cast(share, tf.float32) * metric, 1)], 1)

    def _trained_outputs(self, weights: Tensors, inputs: Any) -> Any:
        """Return outputs (lanes, n_rows, n_outputs) of inputs (fits, n_rows, n_inputs), some of them dropped."""
        last = len(self._activations) - 1
        for place, activation in enumerate(self._activations):
            kernel, bias = weights[2 * place : 2 * place + 2]
            products = tf.matmul(inputs, kernel) if place else self._on_same_rows(inputs, kernel)
            inputs = activation(products + bias[:, None])
            if self.shape.has_dropout and place < last:
                inputs = self._dropped(inputs, place)
        return inputs

    def _on_same_rows(self, inputs: Any, kernel: Any) -> Any:
        """Return products (lanes, n_rows, units) of inputs (fits, n_rows, n_inputs): one for all members of a fit."""
        (fits, size), members = inputs.shape[:2], self.shape.members
        if members == 1:
            return tf.matmul(inputs, kernel)
        _, n_inputs, units = kernel.shape
        beside = tf.transpose(tf.reshape(kernel, [fits, members, n_inputs, units]), [0, 2, 1, 3])
        products = tf.matmul(inputs, tf.reshape(beside, [fits, n_inputs, members * units]))
        apart = tf.transpose(tf.reshape(products, [fits, size, members, units]), [0, 2, 1, 3])
        return tf.reshape(apart, [fits * members, size, units])

    def _dropped(self, outputs: Any, place: int) -> Any:
        """Return the outputs (lanes, n_rows, units) of a hidden layer, some of them dropped."""
        members, step = self.shape.members, tf.identity(self._optimizer.iterations.value)
        size, units, rates = self.shape.kind.batch, outputs.shape[-1], self._dropout.value()
        # A member alone sees its outputs as (n_rows, members, units), and is dropped the same ones.
        places = tf.transpose(tf.reshape(tf.range(size * members * units), [size, members, units]), [1, 0, 2])
        kept = is_kept(places, self._seeds[:, place, None, None, None], step, rates[:, None, None, None])
        return dropped(outputs, tf.reshape(kept, outputs.shape), tf.repeat(rates, members)[:, None, None])

    def _evaluate(self, pool: Pool) -> Any:
        """Return the mean loss and metric of each fit's validation rows, (fits, 2)."""
        shape = self.shape
        size, last = shape.block, shape.held_out - shape.block
        weights = self._unpacked(self._answering)

        def run_block(block: Any, total: Any) -> Any:
            # The last block begins early enough to be a whole one; rows that the block before has counted get factor 0.
            first = tf.minimum(block * size, last)
            places = tf.slice(pool.held_out, [0, first], [shape.lanes, size])
            are_taken = (first + tf.range(size) >= block * size) & (places >= 0)
            places = tf.maximum(places, 0)
            factor = tf.cast(are_taken, shape.architecture.dtype)
            if pool.held_out_weights is not None:
                factor *= tf.gather(pool.held_out_weights, places)
            targets = tf.gather(pool.targets, places)
            outputs = self.outputs(weights, tf.gather(pool.inputs, places))
            losses = self._losses(targets, outputs, factor)
            metric = tf.cast(shape.kind.measure(targets, outputs), tf.float32)
            metric = tf.reduce_sum(tf.cast(factor, tf.float32) * metric, 1)
            return block + 1, total + self._per_fit(tf.concat([tf.cast(losses, tf.float32), metric[:, None]], 1))

        blocks = -(-shape.held_out // size)
        nothing = tf.zeros([shape.fits, 1 + (len(TEMPERATURES) if shape.kind.is_calibrated else 1)])
        total = tf.while_loop(lambda block, total: block < blocks, run_block, [tf.constant(0), nothing])[1]
        # The sum over members, of which each has rows of its own.
        mean = total * shape.members / tf.cast(tf.maximum(pool.n_held_out, 1), tf.float32)[:, None]
        return tf.stack([tf.reduce_min(mean[:, :-1], 1), mean[:, -1]], 1)

    def _losses(self, targets: Any, outputs: Any, factor: Any) -> Any:
        """Return the summed loss of the rows of each lane, (lanes, 1), or that of each temperature, (lanes, n)."""
        if not self.shape.kind.is_calibrated:
            return tf.reduce_sum(factor * self._loss.call(targets, outputs), 1)[:, None]
        cooled = at_temperatures(outputs)
        losses = self._loss.call(tf.broadcast_to(targets, [*cooled.shape[:-1], targets.shape[-1]]), cooled)
        return tf.transpose(tf.reduce_sum(factor * losses, 2))

    def _remember(self, monitored: Any) -> None:
        """Keep the weights of each fit if they are its best so far, and stop it as Keras' EarlyStopping does."""
        goes_on = ~self._stopped.value()
        self._epoch.assign_add(tf.cast(goes_on, tf.int32))
        stopping = self.shape.kind.stopping
        if stopping is None or self._kept is None:
            return
        signed = -monitored if self.shape.kind.more_is_better else monitored
        improved = goes_on & (signed < self._best - stopping.min_delta)
        is_kept = improved | (goes_on & ~self._restores.value())
        lanes = tf.repeat(is_kept, self.shape.members)[:, None]
        self._kept.assign(tf.where(lanes, self._answering, self._kept))
        self._best.assign(tf.where(improved, signed, self._best))
        self._best_epoch.assign(tf.where(improved, self._epoch, self._best_epoch))
        self._waited.assign(tf.where(improved, 0, self._waited + tf.cast(goes_on, tf.int32)))
        self._stopped.assign(~goes_on | (self._waited >= self._patience))

    def _for_members(self, rows: Any) -> Any:
        """Return the rows of each fit for each of its members: (fits, n_rows, …) -> (lanes, n_rows, …)."""
        return tf.repeat(rows, self.shape.members, 0) if self.shape.members > 1 else rows

    def _per_fit(self, values: Any) -> Any:
        """Return the mean over the members of each fit: (lanes, n) -> (fits, n)."""
        return tf.reduce_mean(tf.reshape(values, [self.shape.fits, -1, values.shape[1]]), 1)

    def _unpacked(self, packed: Any) -> Tensors:
        parts = tf.split(packed, [prod(shape) for shape in self._arrays], 1)
        return [tf.reshape(part, [self.shape.lanes, *shape]) for part, shape in zip(parts, self._arrays, strict=True)]
