"""What Keras is asked for: a recipe's network, loss and optimiser. Importing this imports TensorFlow."""

from models_store.architecture import Architecture, Layer
from models_store.encoding import Dtype
from models_store.network import keras
from training.spec import Adagrad, Adam, Fit, Momentum, Optimizer, PatternSpec, RmsProp, Sgd


def architecture_of(spec: PatternSpec, n_inputs: int) -> Architecture:
    hidden = tuple(Layer(layer.units, layer.activation) for layer in spec.network.layers)
    output = Layer(len(spec.data.outputs), spec.network.output_activation)
    return Architecture(n_inputs, (*hidden, output), spec.network.dtype)


def loss_of(fit: Fit, dtype: Dtype) -> keras.losses.Loss:
    """Computed in the network's own dtype: a float32 loss would end a float64 fit at 1e-8."""
    losses = {
        "mse": keras.losses.MeanSquaredError,
        "mae": keras.losses.MeanAbsoluteError,
        "huber": keras.losses.Huber,
        "log_cosh": keras.losses.LogCosh,
    }
    return losses[fit.loss](dtype=dtype)


def optimizer_of(recipe: Optimizer) -> keras.optimizers.Optimizer:
    """Keras' own; plain and momentum gradient descent are one class there."""
    settings = recipe.model_dump(exclude={"name"})
    match recipe:
        case Sgd() | Momentum():
            return keras.optimizers.SGD(**settings)
        case Adagrad():
            return keras.optimizers.Adagrad(**settings)
        case RmsProp():
            return keras.optimizers.RMSprop(**settings)
        case Adam():
            return keras.optimizers.Adam(**settings)
