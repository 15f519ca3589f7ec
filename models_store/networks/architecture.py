"""The layers of a network, and the interface of the engines that compute it. Free of Keras."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:  # so that a message can name a device without NumPy
    from models_store.arrays import Dtype, Encoded

Engine = Literal["keras", "onnx"]
Device = Literal["auto", "cpu", "gpu"]


class Network(Protocol):
    """A network with its weights, ready to compute; no row's answer depends on another row."""

    @property
    def device(self) -> str:
        """`/CPU:0` or `/GPU:0`."""

    def __call__(self, encoded: "Encoded") -> "Encoded":
        """Return outputs (n_rows, n_outputs) of inputs (n_rows, n_inputs), both in the dtype of the architecture."""

    def each(self, encoded: "Encoded") -> "Encoded":
        """Return the outputs of each member, (members, n_rows, n_outputs); their mean is what a call returns."""

    def to_bytes(self) -> bytes:
        """Return the content of network.keras."""


@dataclass(frozen=True)
class Layer:
    units: int
    activation: str


@dataclass(frozen=True)
class Architecture:
    """Dense layers in order, the last one the output; each member has weights of its own, and the answer is their mean.

    With several members, the first axis of every weight is that of the members.
    """

    n_inputs: int
    layers: tuple[Layer, ...]
    dtype: "Dtype" = "float32"
    members: int = 1

    @property
    def member(self) -> Self:
        """The architecture of one member."""
        return replace(self, members=1)

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].units

    @property
    def widest(self) -> int:
        """Units of the widest layer, in all members."""
        return self.members * max(layer.units for layer in self.layers)

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the kernel, (n_before, units), and the bias, (units,), of every layer in order.

        Of several members: (members, n_before, units) and (members, units).
        """
        axis = (self.members,) if self.members > 1 else ()
        widths = [self.n_inputs, *(layer.units for layer in self.layers)]
        pairs = pairwise(widths)
        return [shape for before, after in pairs for shape in ((*axis, before, after), (*axis, after))]

    @cached_property
    def n_parameters(self) -> int:
        return sum(prod(shape) for shape in self.weight_shapes)

    def to_dict(self) -> dict[str, Any]:
        saved = asdict(self)
        # Files of a network of one are those of earlier releases.
        return saved if self.members > 1 else {name: value for name, value in saved.items() if name != "members"}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        layers = tuple(Layer(**layer) for layer in saved["layers"])
        return cls(saved["n_inputs"], layers, saved["dtype"], saved.get("members", 1))


LoadNetwork = Callable[[bytes, Architecture], Network]
"""Loads a network from the content of network.keras and the architecture that it must have.

Raises BundleDamaged where the content is of no such network, DeviceUnavailable where the device is missing.
"""
