"""The outputs of a network after its fit, by its weights: nothing is compiled to answer some rows once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture
from models_store.networks.keras_network import KerasNetwork, keras, on_device, tf, with_weights
from training.fitting.members import NONE, validating

# Inputs, or outputs of the widest layer, of all members in one call, which bounds its memory.
MOST_NUMBERS = 1 << 23


@dataclass(frozen=True, eq=False)
class Members:
    """The members of a network, or a network of one.

    Unlike in a network that is served, the rows of a call may decide how an answer is rounded.
    """

    architecture: Architecture
    weights: Sequence[NDArray[Any]]
    """As in `architecture.weight_shapes`."""
    device: str

    def cooled(self, degree: float) -> Self:
        """Return the members with the logits of their last layer divided by a temperature."""
        *others, kernel, bias = self.weights
        return replace(self, weights=[*others, kernel / degree, bias / degree])

    def __call__(self, encoded: Encoded) -> Encoded:
        """Return the mean outputs, (n_rows, n_outputs), of inputs (n_rows, n_inputs)."""
        return np.concatenate([each.mean(axis=0) for each in self.in_parts(encoded)])

    def each(self, encoded: Encoded) -> Encoded:
        """Return the outputs of each member, (members, n_rows, n_outputs)."""
        return np.concatenate([*self.in_parts(encoded)], axis=1)

    def in_parts(self, encoded: Encoded) -> Iterator[Encoded]:
        """Yield the outputs of each member to some of the rows at a time, (members, n_some, n_outputs)."""
        for start in range(0, max(1, len(encoded)), self._size):
            yield self._outputs(encoded[None, start : start + self._size])

    def left_out(self, encoded: Encoded, left_out: NDArray[np.bool_]) -> Encoded:
        """Return the output to each row of the member that left it out, (n_rows, n_outputs); each is asked its own."""
        places = validating(len(encoded), left_out, (self.architecture.members,)).T
        found: Encoded = np.zeros((len(encoded), self.architecture.n_outputs), encoded.dtype)
        for start in range(0, places.shape[1], self._size):
            some = places[:, start : start + self._size]
            is_row = some != NONE
            found[some[is_row]] = self._outputs(encoded[some])[is_row]
        return found

    def to_bytes(self) -> bytes:
        return self.compiled().to_bytes()

    def compiled(self) -> KerasNetwork:
        """Return the network that can be served."""
        with on_device(self.device):
            model = with_weights(self.architecture, self.weights)
        return KerasNetwork(model, self.architecture, "gpu" if "GPU" in self.device else "cpu")

    @property
    def _size(self) -> int:
        widest = max(self.architecture.members * self.architecture.n_inputs, self.architecture.widest)
        return max(1, MOST_NUMBERS // widest)

    @cached_property
    def _stacked(self) -> list[Any]:
        shapes = self.architecture.member.weight_shapes
        pairs = zip(self.weights, shapes, strict=True)
        return [tf.constant(weight.reshape(self.architecture.members, *shape)) for weight, shape in pairs]

    def _outputs(self, inputs: Encoded) -> Encoded:
        """Return the outputs of inputs (members or 1, n_rows, n_inputs)."""
        with on_device(self.device):
            found = tf.constant(inputs)
            for place, layer in enumerate(self.architecture.layers):
                kernel, bias = self._stacked[2 * place : 2 * place + 2]
                found = keras.activations.get(layer.activation)(tf.matmul(found, kernel) + bias[:, None])
            outputs: Encoded = found.numpy()
        return outputs
