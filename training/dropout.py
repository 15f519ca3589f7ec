"""Dropout for the compiled fit: Keras' own draws its mask forty times slower once XLA has compiled it for a CPU."""

from typing import Any

from models_store.network import keras, tf


class Dropout(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Each output is 0 with probability `rate`, else divided by 1 - rate (Srivastava et al., 2014); only in training.

    Step n of a fit leaves out the same for the same `seed`. Only inside a program that XLA compiles, as each fit is.
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self._rate = rate
        self._seed = seed
        self._step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        step = self._step.value
        drawn = tf.random.stateless_uniform(tf.shape(inputs), [self._seed, step], dtype=inputs.dtype, alg="threefry")
        self._step.assign(step + 1)
        return tf.where(drawn >= self._rate, inputs / (1 - self._rate), tf.zeros_like(inputs))
