"""The shape of a network, and what any engine that computes it must be able to do. Free of Keras."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:  # so that a message can name a device without NumPy
    from models_store.arrays import Dtype, Encoded

Engine = Literal["keras", "onnx"]
Device = Literal["auto", "cpu", "gpu"]


class Network(Protocol):
    """Encoded rows (n_rows, n_inputs) -> outputs (n_rows, n_outputs); no row's answer depends on another row."""

    @property
    def device(self) -> str: ...

    def __call__(self, encoded: "Encoded") -> "Encoded": ...

    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class Layer:
    units: int
    activation: str


@dataclass(frozen=True)
class Architecture:
    """Dense layers in order, the last one the output."""

    n_inputs: int
    layers: tuple[Layer, ...]
    dtype: "Dtype" = "float32"

    @property
    def n_outputs(self) -> int:
        return self.layers[-1].units

    @property
    def widest(self) -> int:
        """How many numbers a row is at the most, on its way behind the inputs."""
        return max(layer.units for layer in self.layers)

    @property
    def weight_shapes(self) -> list[tuple[int, ...]]:
        """Kernel and bias of every layer, in order."""
        widths = [self.n_inputs, *(layer.units for layer in self.layers)]
        pairs = pairwise(widths)
        return [shape for before, after in pairs for shape in ((before, after), (after,))]

    @cached_property
    def n_parameters(self) -> int:
        return sum(prod(shape) for shape in self.weight_shapes)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Self:
        return cls(saved["n_inputs"], tuple(Layer(**layer) for layer in saved["layers"]), saved["dtype"])


LoadNetwork = Callable[[bytes, Architecture], Network]
"""The bytes of network.keras, and the architecture that they must have -> the network, ready to compute."""
