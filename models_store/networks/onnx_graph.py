"""An architecture with its weights as an ONNX model: a matrix product and an activation for each layer.

ONNX Runtime has every activation in float32, but few in float64: there the others are composed of simpler operators.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import exp, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models_store.arrays import Dtype, Encoded
from models_store.networks.architecture import Architecture

Axes = NDArray[np.int64]

INPUT, OUTPUT = "encoded", "outputs"
# Fixed, because the `onnx` package would write newer ones, which ONNX Runtime may not know yet.
OPSET, IR_VERSION = 21, 10

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
# Rounded to float32 in float64 networks as well, as TensorFlow rounds them in training.
LEAKY_SLOPE = float(np.float32(0.2))
SQRT_HALF = float(np.float32(sqrt(0.5)))
# The midpoint rule for erfc: its own error is exp(-(pi / STEP)²), and further terms are below 1e-17.
STEP, N_MIDPOINTS = 0.5, 13
# Here exp(-x²) is 0, and exp(2 pi x / STEP) still finite.
FAR = 30.0


@dataclass(frozen=True)
class Graph:
    """Operators in order, and their constants in the dtype of the graph."""

    dtype: Dtype
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    prefix: str = ""
    """Of the names of outputs and constants, so that none is that of a column."""

    def __call__(self, operator: str, *inputs: str | float | Encoded | Axes, **attributes: Any) -> str:
        """Append an operator and return the name of its output. Inputs are names of outputs, or constants."""
        names = [given if isinstance(given, str) else self._constant(given) for given in inputs]
        made = f"{self.prefix}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [made], **attributes))
        return made

    def _constant(self, value: float | Encoded | Axes) -> str:
        name = f"{self.prefix}constant_{len(self.constants)}"
        are_axes = isinstance(value, np.ndarray) and value.dtype == np.int64
        self.constants.append(numpy_helper.from_array(np.asarray(value, None if are_axes else self.dtype), name))
        return name


Activation = Callable[[Graph, str], str]
Computed = tuple[Activation, Encoded, Encoded]
"""Activation, kernel and bias of a layer."""


def onnx_model(architecture: Architecture, weights: list[Encoded], *, are_apart: bool = False) -> bytes:
    """Return a serialised ONNX model; `weights` are the kernel and bias of every layer, in order.

    Its outputs are (n_rows, n_outputs), or, with the several members apart, (members, n_rows, n_outputs).
    """
    graph = Graph(architecture.dtype)
    flowing = (_computed_apart if are_apart else computed)(graph, architecture, weights, INPUT)
    graph.nodes.append(helper.make_node("Identity", [flowing], [OUTPUT]))
    element = helper.np_dtype_to_tensor_dtype(np.dtype(architecture.dtype))
    axis = [architecture.members] if are_apart else []
    made = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info(INPUT, element, ["rows", architecture.n_inputs])],
        [helper.make_tensor_value_info(OUTPUT, element, [*axis, "rows", architecture.n_outputs])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    saved: bytes = model.SerializeToString()
    return saved


def computed(graph: Graph, architecture: Architecture, weights: list[Encoded], flowing: str) -> str:
    """Append the operators of a network, and return the name of its outputs, (n_rows, n_outputs)."""
    layers = _layers(architecture, weights)
    if architecture.members > 1:
        return _mean_of_members(graph, layers, flowing)
    for activation, kernel, bias in layers:
        flowing = activation(graph, graph("Gemm", flowing, kernel, bias))
    return flowing


def _computed_apart(graph: Graph, architecture: Architecture, weights: list[Encoded], flowing: str) -> str:
    return graph("Transpose", _each_member(graph, _layers(architecture, weights), flowing), perm=[1, 0, 2])


def _layers(architecture: Architecture, weights: list[Encoded]) -> list[Computed]:
    activations = FLOAT32 if architecture.dtype == "float32" else FLOAT64
    return [(activations[name], kernel, bias) for name, kernel, bias in merged(architecture, weights)]


def _mean_of_members(graph: Graph, layers: list[Computed], rows: str) -> str:
    """Append the layers of all members, and the mean of their outputs."""
    *hidden, (last, kernel, bias) = layers
    if last is linear and hidden:
        # The mean of linear layers is one product.
        members, _, n_outputs = kernel.shape
        flowing = _hidden(graph, hidden, rows)
        return graph("Gemm", flowing, kernel.reshape(-1, n_outputs) / members, bias.mean(axis=0))
    return graph("ReduceMean", _each_member(graph, layers, rows), np.array([1]), keepdims=0)


def _each_member(graph: Graph, layers: list[Computed], rows: str) -> str:
    """Append the layers of all members, and return the name of their outputs, (n_rows, members, n_outputs)."""
    *hidden, (last, kernel, bias) = layers
    members, _, n_outputs = kernel.shape
    answers = _side_by_side(graph, _hidden(graph, hidden, rows), kernel, bias, is_first=not hidden)
    return last(graph, graph("Reshape", answers, np.array([0, members, n_outputs])))


def _hidden(graph: Graph, layers: list[Computed], rows: str) -> str:
    """Append the hidden layers of all members, whose units lie side by side, (n_rows, members * units)."""
    flowing = rows
    for activation, kernel, bias in layers:
        flowing = activation(graph, _side_by_side(graph, flowing, kernel, bias, is_first=flowing == rows))
    return flowing


def _side_by_side(graph: Graph, flowing: str, kernel: Encoded, bias: Encoded, *, is_first: bool) -> str:
    """Append a layer of all members. The first one, whose inputs are the same rows for all, is a single product."""
    members, n_before, units = kernel.shape
    if is_first:
        return graph("Gemm", flowing, kernel.transpose(1, 0, 2).reshape(n_before, -1), bias.reshape(-1))
    own = graph("Transpose", graph("Reshape", flowing, np.array([0, members, n_before])), perm=[1, 0, 2])
    products = graph("Transpose", graph("MatMul", own, kernel), perm=[1, 0, 2])
    return graph("Add", graph("Reshape", products, np.array([0, members * units])), bias.reshape(-1))


def merged(architecture: Architecture, weights: list[Encoded]) -> Iterator[tuple[str, Encoded, Encoded]]:
    """Yield activation, kernel, bias of every layer; a linear layer and the next are merged where that saves work."""
    kernel, bias = weights[:2]
    for layer, next_kernel, next_bias in zip(architecture.layers, weights[2::2], weights[3::2], strict=False):
        n_merged = kernel[..., 0].size * next_bias.shape[-1]
        if layer.activation == "linear" and n_merged <= kernel.size + next_kernel.size:
            exact = next_kernel.astype(np.float64)
            kernel, bias = kernel @ exact, np.vecmat(bias, exact) + next_bias
        else:
            yield layer.activation, kernel, bias
            kernel, bias = next_kernel, next_bias
    yield architecture.layers[-1].activation, kernel, bias


# -- activations, as Keras defines them --------------------------------------------------------------------------------


def operator(name: str, **attributes: float) -> Activation:
    return lambda graph, x: graph(name, x, **attributes)


def linear(_: Graph, x: str) -> str:
    return x


def silu(graph: Graph, x: str) -> str:
    return graph("Mul", x, graph("Sigmoid", x))


def leaky_relu(graph: Graph, x: str) -> str:
    return graph("Max", x, graph("Mul", x, LEAKY_SLOPE))


def softsign(graph: Graph, x: str) -> str:
    return graph("Div", x, graph("Add", graph("Abs", x), 1.0))


def elu(graph: Graph, x: str) -> str:
    return graph("Add", graph("Max", x, 0.0), _expm1(graph, graph("Min", x, 0.0)))


def selu(graph: Graph, x: str) -> str:
    below = graph("Mul", _expm1(graph, graph("Min", x, 0.0)), SELU_ALPHA)
    return graph("Mul", graph("Add", graph("Max", x, 0.0), below), SELU_SCALE)


def softplus(graph: Graph, x: str) -> str:
    """max(x, 0) + log(1 + exp(-|x|)), which does not overflow."""
    small = graph("Exp", graph("Neg", graph("Abs", x)))
    return graph("Add", graph("Max", x, 0.0), _log1p(graph, small))


def gelu(graph: Graph, x: str) -> str:
    """x/2 · erfc(-x/√2), the exact form, not the approximation by tanh."""
    return graph("Mul", graph("Mul", x, 0.5), _erfc(graph, graph("Mul", x, -SQRT_HALF)))


def _expm1(graph: Graph, x: str) -> str:
    """exp(x) - 1 = tanh(x/2) · (exp(x) + 1), which loses no digits where x is small."""
    return graph("Mul", graph("Tanh", graph("Mul", x, 0.5)), graph("Add", graph("Exp", x), 1.0))


def _log1p(graph: Graph, x: str) -> str:
    """Goldberg, What Every Computer Scientist Should Know About Floating-Point Arithmetic, theorem 4."""
    rounded = graph("Add", x, 1.0)
    corrected = graph("Div", graph("Mul", x, graph("Log", rounded)), graph("Sub", rounded, 1.0))
    return graph("Where", graph("Equal", rounded, 1.0), x, corrected)


def _erfc(graph: Graph, x: str) -> str:
    """The midpoint rule for erfc's integral over the line, which converges exponentially (Hunter and Regan, 1972).

    erfc(a) = 2·a·STEP/pi · exp(-a²) · Σ exp(-t²) / (a² + t²) + 2 / (exp(2·pi·a/STEP) + 1), t = STEP/2, 3·STEP/2, …
    """
    a = graph("Min", graph("Abs", x), FAR)
    square = graph("Mul", a, a)
    midpoints = [STEP * (n + 0.5) for n in range(N_MIDPOINTS)]
    total = _sum(graph, [graph("Div", exp(-t * t), graph("Add", square, t * t)) for t in midpoints])
    integral = graph("Mul", graph("Mul", graph("Mul", a, graph("Exp", graph("Neg", square))), total), 2 * STEP / pi)
    correction = graph("Div", 2.0, graph("Add", graph("Exp", graph("Mul", a, 2 * pi / STEP)), 1.0))
    above = graph("Add", integral, correction)
    return graph("Where", graph("Less", x, 0.0), graph("Sub", 2.0, above), above)


def _sum(graph: Graph, terms: list[str]) -> str:
    # The small terms first, so that fewer of their digits are lost.
    first, *others = reversed(terms)
    for term in others:
        first = graph("Add", first, term)
    return first


BOTH: dict[str, Activation] = {
    "linear": linear,
    "relu": operator("Relu"),
    "tanh": operator("Tanh"),
    "sigmoid": operator("Sigmoid"),
    "silu": silu,
    "softmax": operator("Softmax"),
}
FLOAT32: dict[str, Activation] = BOTH | {
    "elu": operator("Elu"),
    "selu": operator("Selu"),
    "gelu": operator("Gelu"),
    "softplus": operator("Softplus"),
    "leaky_relu": operator("LeakyRelu", alpha=LEAKY_SLOPE),
    "softsign": operator("Softsign"),
}
FLOAT64: dict[str, Activation] = BOTH | {
    "elu": elu,
    "selu": selu,
    "gelu": gelu,
    "softplus": softplus,
    "leaky_relu": leaky_relu,
    "softsign": softsign,
}
