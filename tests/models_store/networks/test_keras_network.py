"""Networks of Keras: one answer for a row whichever rows are beside it, the same after a file, and no other file."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.arrays import Encoded
from models_store.errors import BundleDamaged, DeviceUnavailable
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.weights import read_weights

pytestmark = pytest.mark.keras

SMALL = Architecture(2, (Layer(3, "relu"), Layer(1, "linear")))
MEMBERS = Architecture(3, (Layer(5, "relu"), Layer(7, "linear")), "float64", members=8)
DEEP = Architecture(4, (Layer(128, "relu"), Layer(64, "tanh"), Layer(32, "elu"), Layer(2, "linear")))


def network(architecture: Architecture, seed: int = 0) -> Any:
    """A KerasNetwork with fresh weights."""
    from models_store.networks.keras_network import KerasNetwork, build  # deferred: imports TensorFlow

    return KerasNetwork(build(architecture, seed), architecture, "cpu")


def from_bytes(saved: bytes, architecture: Architecture) -> Any:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    return KerasNetwork.from_bytes(saved, architecture, "cpu")


def encoded(n_rows: int, architecture: Architecture, seed: int = 0) -> Encoded:
    drawn = np.random.default_rng(seed).normal(size=(n_rows, architecture.n_inputs))
    return drawn.astype(architecture.dtype)


@pytest.fixture(scope="module")
def small() -> bytes:
    saved: bytes = network(SMALL).to_bytes()
    return saved


# -- answers -------------------------------------------------------------------------------------------------------


def test_a_network_computes_what_its_weights_say() -> None:
    made = network(SMALL)
    rows = encoded(5, SMALL)
    kernel, bias, last_kernel, last_bias = made.model.get_weights()
    expected = np.maximum(rows @ kernel + bias, 0) @ last_kernel + last_bias
    np.testing.assert_allclose(made(rows), expected, rtol=1e-5, atol=1e-6)


def test_a_row_has_the_same_answer_to_the_bit_whoever_is_beside_it() -> None:
    made, rows = network(DEEP), encoded(1000, DEEP)
    together = made(rows)
    assert (together.dtype.name, together.shape) == ("float32", (1000, 2))
    for place in (0, 1, 499, 999):
        np.testing.assert_array_equal(made(rows[place : place + 1]), together[place : place + 1])
    for n_rows in (2, 7, 8, 9, 64, 513):
        np.testing.assert_array_equal(made(rows[:n_rows]), together[:n_rows])


@pytest.mark.parametrize(("n_inputs", "units"), [(1, 1), (1, 16), (13, 64), (50, 257), (3, 3000)])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("members", [1, 8])
def test_nor_does_it_depend_on_how_many_rows_a_call_holds(
    n_inputs: int, units: int, n_outputs: int, members: int
) -> None:
    from models_store.networks.keras_network import block_of, bucket  # deferred: imports TensorFlow

    architecture = Architecture(n_inputs, (Layer(units, "relu"), Layer(n_outputs, "linear")), members=members)
    made, block = network(architecture), block_of(architecture)
    assert bucket(block) == block
    rows = encoded(block + 100, architecture)
    together = made(rows)
    for start, end in [(0, 1), (5, 30), (block - 3, block + 9), (1, block), (0, block)]:
        np.testing.assert_array_equal(made(rows[start:end]), together[start:end])


def test_a_row_has_the_same_answer_to_the_bit_in_small_float64_networks_with_members() -> None:
    # TensorFlow multiplies a stack of such small matrices differently where there are more rows.
    made, rows = network(MEMBERS), encoded(256, MEMBERS)
    together = made(rows)
    # Keras' own `predict` takes float32 rows.
    np.testing.assert_allclose(together, made.model.predict(rows, verbose=0), rtol=1e-4, atol=1e-6)
    for n_rows in (1, 7, 9, 17, 100):
        np.testing.assert_array_equal(made(rows[:n_rows]), together[:n_rows])


def test_members_are_answered_apart_and_their_mean_is_the_answer() -> None:
    made, rows = network(MEMBERS), encoded(100, MEMBERS)
    each = made.each(rows)
    assert each.shape == (8, 100, 7)
    np.testing.assert_allclose(each.mean(axis=0), made(rows), rtol=1e-12)
    np.testing.assert_array_equal(made.each(rows[:9]), each[:, :9])
    assert network(SMALL).each(encoded(5, SMALL)).shape[:2] == (1, 5)


def test_a_network_of_many_weights_computes_what_they_say_as_well() -> None:
    wide = Architecture(3000, (Layer(64, "relu"), Layer(2, "linear")))
    made, rows = network(wide), encoded(20, wide)
    np.testing.assert_allclose(made(rows), made.model.predict(rows, verbose=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(made(rows)[7:8], made(rows[7:8]))


def test_rows_beyond_the_largest_block_have_the_same_answers() -> None:
    made, rows = network(SMALL), encoded(70_000, SMALL)
    np.testing.assert_array_equal(made(rows)[15_000:], made(rows[15_000:]))


def test_no_rows_have_no_answers() -> None:
    assert network(SMALL)(encoded(0, SMALL)).shape == (0, 1)


@pytest.mark.parametrize(("n_rows", "padded"), [(0, 8), (1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (1000, 1024)])
def test_rows_are_padded_to_the_next_power_of_two(n_rows: int, padded: int) -> None:
    from models_store.networks.keras_network import bucket  # deferred: imports TensorFlow

    assert bucket(n_rows) == padded


def test_weights_are_drawn_by_seed() -> None:
    rows = encoded(3, SMALL)
    assert network(SMALL, seed=1)(rows).tolist() == network(SMALL, seed=1)(rows).tolist()
    assert network(SMALL, seed=1)(rows).tolist() != network(SMALL, seed=2)(rows).tolist()


def test_the_largest_seed_of_a_recipe_draws_weights_as_well() -> None:
    assert np.isfinite(network(DEEP, seed=2**32 - 1)(encoded(3, DEEP))).all()


def test_networks_of_one_architecture_have_the_same_names() -> None:
    # TensorFlow keeps memory for each name of a variable that it has ever seen.
    first, second = (network(DEEP).model for _ in range(2))
    assert names(first) == names(second)
    assert len({variable.path for variable in first.variables}) == 8


def names(model: Any) -> list[str]:
    """Return all names in a Keras model: its own, and those of its inputs, layers and variables."""
    parts = [model, *model.inputs, *model.layers]
    return [part.name for part in parts] + [variable.path for variable in model.variables]


def test_networks_that_are_loaded_again_and_again_add_no_names() -> None:
    saved = network(SMALL).to_bytes()
    paths = {
        variable.path for _ in range(30) for loaded in [from_bytes(saved, SMALL)] for variable in loaded.model.variables
    }
    assert len(paths) == 4


def test_a_gpu_that_is_not_there_is_refused_by_name() -> None:
    import tensorflow as tf  # deferred: takes many seconds

    from models_store.networks.keras_network import device_name

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceUnavailable, match="PATTERNS_DEVICE"):
        device_name("gpu")
    assert (device_name("auto"), device_name("cpu"), network(SMALL).device) == ("/CPU:0", "/CPU:0", "/CPU:0")


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("architecture", [SMALL, DEEP, MEMBERS], ids=["small", "deep", "members"])
def test_a_network_is_the_same_to_the_bit_after_its_file(architecture: Architecture, dtype: Any) -> None:
    architecture = replace(architecture, dtype=dtype)
    made, rows = network(architecture), encoded(50, architecture)
    np.testing.assert_array_equal(from_bytes(made.to_bytes(), architecture)(rows), made(rows))


def test_a_network_without_hidden_layers_is_the_same_after_its_file() -> None:
    line = Architecture(1, (Layer(1, "linear"),))
    made, rows = network(line), encoded(9, line)
    np.testing.assert_array_equal(from_bytes(made.to_bytes(), line)(rows), made(rows))


@pytest.mark.parametrize("units", [16, 300])
@pytest.mark.parametrize("members", [1, 2])
def test_sums_that_overflow_in_a_relu_layer_have_no_finite_answer(units: int, members: int) -> None:
    """Of 300 units the weights are variables, and TensorFlow may join operations."""
    from models_store.networks.keras_network import KerasNetwork, initial_weights, with_weights  # deferred: TensorFlow

    architecture = Architecture(2, (Layer(units, "relu"), Layer(units, "relu"), Layer(1, "linear")), members=members)
    drawn = [12 * weights for weights in initial_weights(architecture, 3)]
    weights = drawn if members > 1 else [own[0] for own in drawn]
    made = KerasNetwork(with_weights(architecture, weights), architecture, "cpu")
    rows = np.array([[1, 2], [3e38, -3e38], [3e38, 3e38], [1e17, 2e17]], np.float32)
    np.testing.assert_array_equal(np.isfinite(made(rows)), [[True], [False], [False], [True]])
    np.testing.assert_allclose(made(rows)[3] / 1e17, made(rows[:1])[0], rtol=1e-4)


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused_when_made_and_when_read(weight: float) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    made = network(SMALL)
    made.model.layers[0].kernel.assign(np.full((2, 3), weight))
    with pytest.raises(BundleDamaged, match="not a finite number"):
        KerasNetwork(made.model, SMALL, "cpu")
    with pytest.raises(BundleDamaged, match="not a finite number"):
        from_bytes(made.to_bytes(), SMALL)


def test_the_weights_in_a_file_are_those_of_the_network(small: bytes) -> None:
    # The reader is one without Keras.
    read = read_weights(small, SMALL)
    np.testing.assert_equal(read, from_bytes(small, SMALL).model.get_weights())


def test_a_file_that_is_not_the_networks_own_is_refused(small: bytes) -> None:
    for damaged in (b"", small[:-1], small.replace(b"dense", b"dance")):
        with pytest.raises(BundleDamaged):
            from_bytes(damaged, SMALL)
    with pytest.raises(BundleDamaged):
        from_bytes(small, DEEP)
