"""What Keras is asked for: a recipe's network, loss and optimiser. Importing this imports TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
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
)
from training.recipe.spec import PatternSpec

Measure = Callable[[Any, Any], Any]
"""Targets and outputs of some rows -> a metric of each, in the graph."""


@dataclass(frozen=True)
class Network:
    """What a model is compiled as, whatever its weights and names."""

    n_inputs: int
    dtype: Dtype
    layers: tuple[tuple[object, ...], ...]
    n_parameters: int

    @classmethod
    def of(cls, model: keras.Model) -> Self:
        dtype: Dtype = "float64" if model.input_dtype == "float64" else "float32"
        return cls(model.input_shape[1], dtype, tuple(map(_layer, model.layers)), model.count_params())


def _layer(layer: keras.Layer) -> tuple[object, ...]:
    return (layer.rate,) if isinstance(layer, Dropout) else (layer.units, layer.activation)


def architecture_of(spec: PatternSpec, n_inputs: int, decoder: Decoder) -> Architecture:
    hidden = tuple(Layer(layer.units, layer.activation) for layer in spec.network.layers)
    activation: str = spec.network.output_activation
    if isinstance(decoder, LabelDecoder):
        activation = "sigmoid" if decoder.is_binary else "softmax"
    return Architecture(n_inputs, (*hidden, Layer(decoder.n_outputs, activation)), spec.network.dtype)


def with_dropout(model: keras.Model, rate: float, seed: int) -> keras.Model:
    """The same layers, with dropout after each hidden one: what is fitted. What is served has none."""
    if rate == 0:
        return model
    *hidden, output = model.layers
    fitted = keras.Sequential([keras.Input(model.input_shape[1:], dtype=model.input_dtype)])
    for position, layer in enumerate(hidden):
        fitted.add(layer)
        fitted.add(Dropout(rate, (seed + position) % 2**31, dtype=layer.dtype_policy))
    fitted.add(output)
    return fitted


def loss_name(fit: Fit, labels: Labels | None) -> LossName:
    """What `auto` means for these data. DataError if the recipe's loss cannot be had from them."""
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
    """Computed in the network's own dtype: a float32 loss would end a float64 fit at 1e-8."""
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
    return tf.reduce_mean(tf.abs(outputs - targets), axis=1)


def measure_of(decoder: Decoder) -> Measure:
    """Accuracy of labels, the absolute error of numbers."""
    if isinstance(decoder, LabelDecoder):
        return _is_side_right if decoder.is_binary else _is_one_hot_right if decoder.is_one_hot else _is_label_right
    return mean_absolute_error


def unit_of(decoder: Decoder) -> float:
    """What a measure of 1 is in raw units, where all outputs have one scale."""
    return (
        float(decoder.scaler.scale[0]) if isinstance(decoder, OutputDecoder) and decoder.scaler.has_one_scale else 1.0
    )


def _is_side_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(outputs > 0.5, targets > 0.5)[:, 0]


def _is_label_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(tf.argmax(outputs, axis=1), tf.cast(targets[:, 0], tf.int64))


def _is_one_hot_right(targets: Any, outputs: Any) -> Any:
    return tf.equal(tf.argmax(outputs, axis=1), tf.argmax(targets, axis=1))


def optimizer_of(recipe: Optimizer, schedule: Schedule | None = None, steps: int = 1) -> keras.optimizers.Optimizer:
    """Keras' own, with its own schedule over so many steps; plain and momentum gradient descent are one class there."""
    settings = recipe.model_dump(exclude={"name"})
    settings["learning_rate"] = _learning_rate(recipe.learning_rate, schedule, steps)
    match recipe:
        case Sgd() | Momentum():
            return keras.optimizers.SGD(**settings)
        case Adagrad():
            return keras.optimizers.Adagrad(**settings)
        case RmsProp():
            return keras.optimizers.RMSprop(**settings)
        case Adam():
            # Decoupled from the gradient (Loshchilov and Hutter, 2019), as Keras does it.
            return keras.optimizers.Adam(**{**settings, "weight_decay": settings["weight_decay"] or None})


def _learning_rate(highest: float, schedule: Schedule | None, steps: int) -> Any:
    """A number, or what tells it by the optimiser's own count of steps."""
    match schedule:
        case None:
            return highest
        case Exponential(final=final):
            return keras.optimizers.schedules.ExponentialDecay(highest, steps, final)
        case Cosine(final=final, warmup=0):
            return keras.optimizers.schedules.CosineDecay(highest, steps, final)
        case Cosine(final=final, warmup=warmup):
            rising = ceil(warmup * steps)
            return keras.optimizers.schedules.CosineDecay(
                0.0, max(1, steps - rising), final, warmup_target=highest, warmup_steps=rising
            )
