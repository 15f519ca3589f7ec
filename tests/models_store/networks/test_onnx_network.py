"""Networks without Keras: they answer as Keras does, and the same to the bit whichever rows are beside a row."""

from collections.abc import Callable
from math import erf
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.arrays import Array, Dtype, Encoded
from models_store.errors import BundleDamaged
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.onnx_graph import merged
from models_store.networks.onnx_network import FEWEST_ROWS, OnnxNetwork
from tests.keras_files import drawn, keras_file
from training.recipe.fit import Activation

PROJECT = Path(__file__).parents[3]
DTYPES: tuple[Dtype, ...] = ("float32", "float64")

# The definitions of Keras, in float64.
DEFINITIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: 1.05070098 * np.where(x > 0, x, 1.67326324 * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + np.vectorize(erf)(x / np.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "leaky_relu": lambda x: np.maximum(x, 0.2 * x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softmax": lambda x: (
        np.exp(x - x.max(axis=1, keepdims=True)) / np.exp(x - x.max(axis=1, keepdims=True)).sum(1)[:, None]
    ),
}


def network(architecture: Architecture, seed: int = 0) -> OnnxNetwork:
    return OnnxNetwork.from_bytes(keras_file(drawn(architecture, seed)), architecture)


def encoded(n_rows: int, architecture: Architecture, size: float = 2.0) -> Encoded:
    rows = np.random.default_rng(1).normal(size=(n_rows, architecture.n_inputs)) * size
    return rows.astype(architecture.dtype)


def architectures() -> st.SearchStrategy[Architecture]:
    """Draw up to four hidden layers of odd and even widths, with every activation, and one member or several."""
    activations = st.sampled_from([name for name in DEFINITIONS if name != "softmax"])
    widths = st.sampled_from([1, 2, 3, 5, 8, 17, 32, 64, 100])
    hidden = st.lists(st.builds(Layer, widths, activations), max_size=4)
    last = st.builds(Layer, st.integers(1, 5), st.sampled_from(list(DEFINITIONS)))
    return st.builds(
        lambda n_inputs, hidden, last, dtype, members: Architecture(n_inputs, (*hidden, last), dtype, members),
        st.integers(1, 20),
        hidden,
        last,
        st.sampled_from(DTYPES),
        st.sampled_from([1, 1, 2, 3, 8]),
    )


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", DEFINITIONS)
def test_a_network_computes_what_its_weights_and_activations_say(activation: str, dtype: Dtype) -> None:
    architecture = Architecture(3, (Layer(5, activation),), dtype)
    kernel, bias = drawn(architecture)
    rows = np.concatenate([encoded(40, architecture, size) for size in (1e-4, 1.0, 10.0)])
    expected = DEFINITIONS[activation](rows.astype(np.float64) @ kernel + bias)
    answered = network(architecture)(rows)
    assert (answered.dtype.name, answered.shape) == (dtype, (120, 5))
    np.testing.assert_allclose(answered, expected, rtol=2e-6, atol=2e-6)


def test_every_activation_of_recipes_is_known() -> None:
    assert {*get_args(Activation), "softmax"} == DEFINITIONS.keys()


@given(architectures(), st.data())
def test_a_row_has_the_same_answer_to_the_bit_whoever_is_beside_it(
    architecture: Architecture, data: st.DataObject
) -> None:
    made = network(architecture)
    made.block = FEWEST_ROWS
    rows = encoded(6 * FEWEST_ROWS + 100, architecture)
    together = made(rows)
    for _ in range(10):
        start = data.draw(st.integers(0, len(rows) - 1))
        end = data.draw(st.integers(start, len(rows)))
        np.testing.assert_array_equal(made(rows[start:end]), together[start:end])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_inputs", "units"), [(1, 1), (1, 16), (3, 2), (13, 64), (50, 257)])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("members", [1, 8])
def test_nor_does_it_depend_on_how_many_rows_a_call_holds(
    n_inputs: int, units: int, n_outputs: int, dtype: Dtype, members: int
) -> None:
    architecture = Architecture(n_inputs, (Layer(units, "relu"), Layer(n_outputs, "linear")), dtype, members)
    made = network(architecture)
    rows = encoded(made.block + 100, architecture)
    together = made(rows)
    for start, end in [(0, 1), (5, 30), (made.block - 3, made.block + 9), (1, made.block)]:
        np.testing.assert_array_equal(made(rows[start:end]), together[start:end])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", [(64, 64, 2), (16, 1, 2), (1, 16, 2)])
def test_members_answer_together_the_mean_of_what_each_answers(units: tuple[int, ...], dtype: Dtype) -> None:
    activations = ("linear", "relu", "softmax")
    layers = tuple(Layer(width, name) for width, name in zip(units, activations, strict=True))
    architecture = Architecture(5, layers, dtype, members=3)
    weights = drawn(architecture)
    made, rows = OnnxNetwork.from_bytes(keras_file(weights), architecture), encoded(40, architecture)
    each = [
        OnnxNetwork.from_bytes(keras_file([weight[number] for weight in weights]), architecture.member)(rows)
        for number in range(3)
    ]
    np.testing.assert_allclose(made(rows), np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made.each(rows), each, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(made.each(rows)[:, 17:18], made.each(rows[17:18]))
    turned = OnnxNetwork.from_bytes(keras_file([weight[[2, 0, 1]] for weight in weights]), architecture)
    np.testing.assert_allclose(turned(rows), made(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_rows", [0, 1, 255, 256, 257, 768])
def test_any_number_of_rows_is_answered(n_rows: int) -> None:
    line = Architecture(1, (Layer(2, "linear"),))
    made, rows = network(line), encoded(n_rows, line)
    made.block = FEWEST_ROWS
    kernel, bias = drawn(line)
    np.testing.assert_allclose(made(rows), rows @ kernel + bias, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", [(16, 1), (1, 16), (4, 4, 4), (2, 90)])
def test_linear_layers_are_one_product_where_that_is_less_to_compute(units: tuple[int, ...], dtype: Dtype) -> None:
    layers = (*(Layer(width, "linear") for width in units), Layer(3, "tanh"), Layer(2, "linear"))
    architecture = Architecture(5, layers, dtype)
    weights = drawn(architecture)
    products = list(merged(architecture, weights))
    assert sum(kernel.size for _, kernel, _ in products) < sum(kernel.size for kernel in weights[::2])
    rows = encoded(40, architecture)
    flowing = rows.astype(np.float64)
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        flowing = DEFINITIONS[layer.activation](flowing @ kernel + bias)
    np.testing.assert_allclose(network(architecture)(rows), flowing, rtol=2e-6, atol=2e-6)


def test_a_narrow_linear_layer_between_wide_ones_stays_as_it_is() -> None:
    architecture = Architecture(50, (Layer(2, "linear"), Layer(60, "relu"), Layer(1, "linear")))
    weights = drawn(architecture)
    assert [kernel.shape for _, kernel, _ in merged(architecture, weights)] == [(50, 2), (2, 60), (60, 1)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_spoils_no_other(value: float) -> None:
    architecture = Architecture(4, (Layer(9, "gelu"), Layer(3, "softmax")), "float64")
    made, rows = network(architecture), encoded(20, architecture)
    spoilt = rows.copy()
    spoilt[7, 2] = value
    others = np.arange(20) != 7
    np.testing.assert_array_equal(made(spoilt)[others], made(rows)[others])


def test_rows_that_do_not_lie_one_behind_the_other_are_answered() -> None:
    line = Architecture(2, (Layer(2, "linear"),))
    rows = encoded(16, line)
    aside: Encoded = rows.copy(order="F")[::2]
    np.testing.assert_array_equal(network(line)(aside), network(line)(rows)[::2])


def test_a_network_gives_back_the_file_it_was_read_from() -> None:
    line = Architecture(2, (Layer(1, "linear"),))
    saved = keras_file(drawn(line))
    assert OnnxNetwork.from_bytes(saved, line).to_bytes() == saved


def test_a_file_of_another_architecture_is_refused() -> None:
    with pytest.raises(BundleDamaged):
        OnnxNetwork.from_bytes(
            keras_file(drawn(Architecture(2, (Layer(1, "linear"),)))), Architecture(3, (Layer(1, "linear"),))
        )


# -- beside Keras ------------------------------------------------------------------------------------------------------


def keras_network(architecture: Architecture) -> Any:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    return KerasNetwork.from_bytes(keras_file(drawn(architecture)), architecture, "cpu")


def assert_like_keras(architecture: Architecture, rows: Encoded) -> None:
    by_keras = keras_network(architecture)
    made = OnnxNetwork.from_bytes(by_keras.to_bytes(), architecture)
    tolerance = 1e-5 if architecture.dtype == "float32" else 1e-12
    np.testing.assert_allclose(made(rows), by_keras(rows), rtol=tolerance, atol=tolerance)


@pytest.mark.keras
@settings(max_examples=40)
@given(architectures(), st.integers(0, 70), st.sampled_from([0.01, 1.0, 5.0]))
def test_it_answers_as_keras_does(architecture: Architecture, n_rows: int, size: float) -> None:
    assert_like_keras(architecture, encoded(n_rows, architecture, size))


@pytest.mark.keras
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", DEFINITIONS)
def test_it_answers_as_keras_does_with_every_activation(activation: str, dtype: Dtype) -> None:
    hidden = "tanh" if activation == "softmax" else activation
    architecture = Architecture(4, (Layer(7, hidden), Layer(6, hidden), Layer(3, activation)), dtype)
    assert_like_keras(architecture, np.concatenate([encoded(50, architecture, size) for size in (0.01, 1.0, 20.0)]))


@pytest.mark.keras
@pytest.mark.parametrize("dtype", DTYPES)
def test_it_answers_as_keras_does_of_a_wide_network_and_of_many_rows(dtype: Dtype) -> None:
    wide = Architecture(10_000, (Layer(64, "relu"), Layer(3, "softmax")), dtype)
    assert_like_keras(wide, encoded(3, wide))
    deep = Architecture(2, (Layer(8, "relu"), Layer(2, "linear")), dtype)
    assert_like_keras(deep, encoded(70_001, deep))
