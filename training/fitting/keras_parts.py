"""A recipe's network, loss and optimiser as Keras objects. Importing this module imports TensorFlow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any, Self

from models_store.arrays import Dtype
from models_store.encoding.outputs import Decoder, LabelDecoder, OutputDecoder
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.keras_network import keras, tf
from training.data.dataset import DataError, Labels
from training.fitting.dropout import Dropout
from training.recipe.fit import (
    NUMBER_LOSSES,
    Adagrad,
    Adam,
    Cosine,
    Exponential,
    Fit,
    LossName,
    Momentum,
    Optimizer,
    RmsProp,
    Schedule,
    Sgd,
    Shown,
)
from training.recipe.spec import PatternSpec

Measure = Callable[[Any, Any], Any]
"""Traced: targets and outputs (n_rows, n_outputs) -> the metric of each row (n_rows,); or each (n_rows, members, …)."""


@dataclass(frozen=True)
class KerasModel:
    """The facts of a Keras model that a compiled program depends on: not its weights, nor the names of its layers."""

    axis: tuple[int, ...]
    """(members,), or () of a network of one."""
    n_inputs: int
    dtype: Dtype
    layers: tuple[tuple[object, ...], ...]
    n_parameters: int

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        dtype: Dtype = "float64" if model.input_dtype == "float64" else "float32"
        _, *axis, n_inputs = model.input_shape
        return cls(tuple(axis), n_inputs, dtype, tuple(map(_layer, model.layers)), model.count_params())

    @property
    def n_members(self) -> int:
        return prod(self.axis)


def _layer(layer: keras.Layer) -> tuple[object, ...]:
    return (Dropout,) if isinstance(layer, Dropout) else (layer.kernel.shape, layer.activation)


def architecture_of(spec: PatternSpec, n_inputs: int, decoder: Decoder) -> Architecture:
    hidden = tuple(Layer(layer.units_for(Shown()), layer.activation) for layer in spec.network.layers)
    activation: str = spec.network.output_activation
    if isinstance(decoder, LabelDecoder):
        activation = "sigmoid" if decoder.is_binary else "softmax"
    layers = (*hidden, Layer(decoder.n_outputs, activation))
    return Architecture(n_inputs, layers, spec.network.dtype, spec.network.members_for(n_inputs))


def apart(model: keras.Model) -> keras.Model:
    """Return a model of the same layers with the members apart: (n_rows, members, n_inputs) -> the answer of each.

    It is fitted; `model` itself is served. A model of one member is returned as it is.
    """
    dense = [layer for layer in model.layers if layer.weights]
    if len(dense) == len(model.layers):
        return model
    members, n_inputs, _ = dense[0].kernel.shape
    rows = keras.Input((members, n_inputs), dtype=model.input_dtype, name="rows")
    return keras.Sequential([rows, *dense], name="apart")


class OneProduct(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """The first layer of all members on the same rows, as one matrix product instead of one for each member.

    (n_rows, n_inputs) -> (n_rows, members, units), by the weights of `layer`.
    """

    def __init__(self, layer: keras.layers.EinsumDense) -> None:
        super().__init__(name="one_product", dtype=layer.dtype_policy)
        self._layer = layer

    def call(self, inputs: Any) -> Any:
        members, n_inputs, units = self._layer.kernel.shape
        beside = tf.reshape(tf.transpose(self._layer.kernel, [1, 0, 2]), [n_inputs, members * units])
        products = tf.reshape(tf.matmul(inputs, beside), [-1, members, units])
        return self._layer.activation(products + self._layer.bias)


def on_same_rows(model: keras.Model) -> keras.Model:
    """Return a model of the same layers in which members take the same rows: (n_rows, n_inputs) -> the answer of each.

    `model` has the members apart. One without members is returned as it is.
    """
    *members, n_inputs = model.input_shape[1:]
    if not members:
        return model
    first, *others = model.layers
    rows = keras.Input((n_inputs,), dtype=model.input_dtype, name="rows")
    return keras.Sequential([rows, OneProduct(first), *others], name="on_same_rows")


def with_dropout(model: keras.Model, rate: float, seed: int) -> keras.Model:
    """Return a model of the same layers, with dropout after each hidden one. It is fitted; `model` itself is served."""
    if rate == 0:
        return model
    *hidden, output = model.layers
    rows = keras.Input(model.input_shape[1:], dtype=model.input_dtype, name="rows")
    fitted = keras.Sequential([rows], name="fitted")
    for position, layer in enumerate(hidden):
        fitted.add(layer)
        fitted.add(Dropout(rate, (seed + position) % 2**31, dtype=layer.dtype_policy, name=f"dropout_{position}"))
    fitted.add(output)
    return fitted


def loss_name(fit: Fit, labels: Labels | None) -> LossName:
    """Return the recipe's loss, or the one that `auto` means for these targets.

    Raises DataError if the loss does not fit them: one for labels where they are numbers, or the reverse.
    """
    if labels is None:
        if fit.loss not in NUMBER_LOSSES | {"auto"}:
            raise DataError(f"fit.loss: {fit.loss} is for labels, and the target is numbers; try mse")
        return "mse" if fit.loss == "auto" else fit.loss
    if fit.loss in NUMBER_LOSSES:
        raise DataError(f"fit.loss: {fit.loss} is for numbers, and the target is labels; try auto")
    if len(labels.names) == 2:
        if fit.loss not in ("auto", "binary_crossentropy"):
            raise DataError(f"fit.loss: {fit.loss} is for three labels or more, and there are two; try auto")
        return "binary_crossentropy"
    if fit.loss == "binary_crossentropy":
        raise DataError(f"fit.loss: {fit.loss} is for two labels, and there are {len(labels.names)}; try auto")
    return "sparse_categorical_crossentropy" if fit.loss == "auto" else fit.loss


def loss_of(name: LossName, dtype: Dtype) -> keras.losses.Loss:
    """Return Keras' loss, computed in the network's own dtype: a float32 loss would end a float64 fit at 1e-8."""
    losses = {
        "mse": keras.losses.MeanSquaredError,
        "mae": keras.losses.MeanAbsoluteError,
        "huber": keras.losses.Huber,
        "log_cosh": keras.losses.LogCosh,
        "binary_crossentropy": keras.losses.BinaryCrossentropy,
        "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
        "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    }
    return losses[name](dtype=dtype)


def mean_absolute_error(targets: Any, outputs: Any) -> Any:
    """(n_rows,), the mean over the outputs of each row."""
    return tf.reduce_mean(tf.abs(outputs - targets), axis=-1)


def measure_of(decoder: Decoder) -> Measure:
    """Return the metric of a fit: accuracy for labels, the mean absolute error for numbers."""
    if isinstance(decoder, LabelDecoder):
        return _is_binary_right if decoder.is_binary else _is_one_hot_right if decoder.is_one_hot else _is_label_right
    return mean_absolute_error


def unit_of(decoder: Decoder) -> float:
    """Return what a metric of 1 is in raw units.

    1.0 for labels, where outputs have scales of their own, and where the network learns logarithms.
    """
    if not isinstance(decoder, OutputDecoder) or decoder.logarithm is not None or not decoder.scaler.has_one_scale:
        return 1.0
    return float(decoder.scaler.scale[0])


def _is_binary_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(outputs > 0.5, targets > 0.5)[..., 0]


def _is_label_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(tf.argmax(outputs, axis=-1), tf.cast(targets[..., 0], tf.int64))


def _is_one_hot_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(tf.argmax(outputs, axis=-1), tf.argmax(targets, axis=-1))


class Course:
    """Learning rate, weight decay, and the steps that a schedule is spread over.

    They are variables, so that one program serves fits that differ in them. Rate and decay are numbers, or a column of
    `lanes` of them, for weights (lanes, parameters).
    """

    def __init__(self, lanes: int | None = None) -> None:
        shape = () if lanes is None else (lanes, 1)
        self.rate = tf.Variable(tf.ones(shape), dtype=tf.float32, trainable=False)
        self.decay = tf.Variable(tf.zeros(shape, tf.float64), dtype=tf.float64, trainable=False)
        self.warmup = tf.Variable(1, dtype=tf.int32, trainable=False)
        self.falling = tf.Variable(1, dtype=tf.int32, trainable=False)

    def begin(self, optimizer: Optimizer, schedule: Schedule | None, steps: int) -> None:
        """Take the optimiser's learning rate and weight decay, and spread the schedule over `steps` steps."""
        self.rate.assign(_rate(optimizer))
        self.decay.assign(_decay(optimizer))
        self._spread(schedule, steps)

    def begin_lanes(self, optimizers: Sequence[Optimizer], schedule: Schedule | None, steps: int) -> None:
        """Like `begin`, with an optimiser for each lane."""
        self.rate.assign([[_rate(optimizer)] for optimizer in optimizers])
        self.decay.assign([[_decay(optimizer)] for optimizer in optimizers])
        self._spread(schedule, steps)

    def _spread(self, schedule: Schedule | None, steps: int) -> None:
        warmup = ceil(schedule.warmup * steps) if isinstance(schedule, Cosine) else 0
        self.warmup.assign(max(1, warmup))
        self.falling.assign(max(1, steps - warmup))


def _rate(optimizer: Optimizer) -> float:
    return optimizer.rate_for(Shown()) if isinstance(optimizer, Adam) else optimizer.learning_rate


def _settled(optimizer: Optimizer) -> Optimizer:
    return optimizer.settled(Shown()) if isinstance(optimizer, Adam) else optimizer


def _decay(optimizer: Optimizer) -> float:
    return optimizer.weight_decay if isinstance(optimizer, Adam) else 0.0


def optimizer_of(recipe: Optimizer, schedule: Schedule | None, course: Course) -> keras.optimizers.Optimizer:
    """Return Keras' optimiser, with the learning rate and weight decay of `course`, and Keras' schedule over its steps.

    Its SGD class does momentum as well.
    """
    settings = _settled(recipe).model_dump()  # with the name: Keras would make up another each time, as `build` says
    settings["learning_rate"] = _learning_rate(schedule, course)
    match recipe:
        case Sgd() | Momentum():
            return keras.optimizers.SGD(**settings)
        case Adagrad():
            return keras.optimizers.Adagrad(**settings)
        case RmsProp():
            return keras.optimizers.RMSprop(**settings)
        case Adam():
            # Weight decay apart from the gradient (Loshchilov and Hutter, 2019), as Keras does it.
            return keras.optimizers.Adam(**{**settings, "weight_decay": course.decay})


def like(optimizer: Optimizer) -> Optimizer:
    """Return the optimiser that all those share a program with that differ in learning rate and weight decay alone."""
    common = {"learning_rate": 1.0, **({"weight_decay": 0.0} if isinstance(optimizer, Adam) else {})}
    return optimizer.model_copy(update=common)


def _learning_rate(schedule: Schedule | None, course: Course) -> Any:
    """Return the rate of each step: of `course`, or of a Keras schedule over the steps that the optimiser counts."""
    match schedule:
        case None:
            return course.rate.value
        case Exponential(final=final):
            return keras.optimizers.schedules.ExponentialDecay(course.rate, course.falling, final)
        case Cosine(final=final, warmup=0):
            return keras.optimizers.schedules.CosineDecay(course.rate, course.falling, final)
        case Cosine(final=final):
            return keras.optimizers.schedules.CosineDecay(
                0.0, course.falling, final, warmup_target=course.rate, warmup_steps=course.warmup
            )
