"""Dropout for the compiled fit, because Keras' own layer is forty times slower once XLA has compiled it for a CPU."""

from typing import Any

import numpy as np

from models_store.networks.keras_network import keras, tf


class Dropout(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A layer that in training sets each output to 0 with probability `rate`, and divides the others by 1 - rate.

    Srivastava et al., 2014. The mask depends only on `seed`, on the number of the step, and on the place in the batch:
    the same seed drops the same outputs, and a row's mask does not change with the rows that follow it.
    Works only inside a program that XLA compiles, as every fit is.
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        # Variables, so that one program serves all rates and seeds.
        self._rate = self.add_weight(
            name="rate",
            shape=(),
            dtype="float64",
            initializer=keras.initializers.Constant(rate),
            trainable=False,
            autocast=False,
        )
        self._seed = self._number("seed", seed)
        self._step = self._number("step", 0)

    def _number(self, name: str, value: int) -> keras.Variable:
        start = keras.initializers.Constant(value)
        return self.add_weight(name=name, shape=(), dtype="int32", initializer=start, trainable=False)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        # A copy, because `value` is the variable itself and would change with the next line.
        step = tf.identity(self._step.value)
        self._step.assign(step + 1)
        shape = tf.shape(inputs)
        places = tf.reshape(tf.range(tf.reduce_prod(shape)), shape)
        return dropped(inputs, is_kept(places, self._seed.value, step, self._rate.value), self._rate.value)


def is_kept(places: Any, seed: Any, step: Any, rate: Any) -> Any:
    """Return True where an output is not set to 0; `seed` and `rate` (float64) broadcast with `places`."""
    return _bits(places, seed, step) >= tf.cast(rate * 2.0**32, tf.uint32)


def dropped(outputs: Any, is_kept: Any, rate: Any) -> Any:
    """Return the outputs that are kept, divided by 1 - rate, and 0 for the others; `rate` broadcasts with them."""
    return tf.where(is_kept, outputs / tf.cast(1 - rate, outputs.dtype), tf.zeros_like(outputs))


def _bits(places: Any, seed: Any, step: Any) -> Any:
    """Return uniform random bits, uint32 for each place: a hash of seed, step and place, one short loop in XLA."""
    key = _mixed(tf.bitwise.bitwise_xor(_mixed(tf.cast(seed, tf.uint32)), tf.cast(step, tf.uint32)))
    return _mixed(_mixed(tf.cast(places, tf.uint32)) + key)


def _mixed(number: Any) -> Any:
    """Return a hash of each uint32, every bit of it from all bits: the finalizer of MurmurHash3 (Appleby, 2011)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        shifted = tf.bitwise.right_shift(number, tf.constant(shift, tf.uint32))
        number = tf.bitwise.bitwise_xor(number, shifted) * tf.constant(np.uint32(factor))
    return tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(16, tf.uint32)))
