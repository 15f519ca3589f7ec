"""Networks: the same answer for a row whoever is beside it, the same after a file, and no file but their own."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.architecture import Architecture, Layer
from models_store.encoding import Encoded
from models_store.errors import BundleDamaged, DeviceUnavailable

pytestmark = pytest.mark.keras

SMALL = Architecture(2, (Layer(3, "relu"), Layer(1, "linear")))
DEEP = Architecture(4, (Layer(128, "relu"), Layer(64, "tanh"), Layer(32, "elu"), Layer(2, "linear")))


def network(architecture: Architecture, seed: int = 0) -> Any:
    """A KerasNetwork with fresh weights."""
    from models_store.network import KerasNetwork, build  # deferred: imports TensorFlow

    return KerasNetwork(build(architecture, seed), architecture, "cpu")


def from_bytes(saved: bytes, architecture: Architecture) -> Any:
    from models_store.network import KerasNetwork  # deferred: imports TensorFlow

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


def test_no_rows_have_no_answers() -> None:
    assert network(SMALL)(encoded(0, SMALL)).shape == (0, 1)


@pytest.mark.parametrize(("n_rows", "padded"), [(0, 8), (1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (1000, 1024)])
def test_rows_are_padded_to_the_next_power_of_two(n_rows: int, padded: int) -> None:
    from models_store.network import bucket  # deferred: imports TensorFlow

    assert bucket(n_rows) == padded


def test_weights_are_drawn_by_seed() -> None:
    rows = encoded(3, SMALL)
    assert network(SMALL, seed=1)(rows).tolist() == network(SMALL, seed=1)(rows).tolist()
    assert network(SMALL, seed=1)(rows).tolist() != network(SMALL, seed=2)(rows).tolist()


def test_the_largest_seed_of_a_recipe_draws_weights_as_well() -> None:
    assert np.isfinite(network(DEEP, seed=2**32 - 1)(encoded(3, DEEP))).all()


def test_a_gpu_that_is_not_there_is_refused_by_name() -> None:
    import tensorflow as tf  # deferred: takes many seconds

    from models_store.network import device_name

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceUnavailable, match="PATTERNS_DEVICE"):
        device_name("gpu")
    assert (device_name("auto"), device_name("cpu"), network(SMALL).device) == ("/CPU:0", "/CPU:0", "/CPU:0")


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("architecture", [SMALL, DEEP], ids=["small", "deep"])
def test_a_network_is_the_same_to_the_bit_after_its_file(architecture: Architecture, dtype: Any) -> None:
    architecture = Architecture(architecture.n_inputs, architecture.layers, dtype)
    made, rows = network(architecture), encoded(50, architecture)
    np.testing.assert_array_equal(from_bytes(made.to_bytes(), architecture)(rows), made(rows))


def test_a_network_without_hidden_layers_is_the_same_after_its_file() -> None:
    line = Architecture(1, (Layer(1, "linear"),))
    made, rows = network(line), encoded(9, line)
    np.testing.assert_array_equal(from_bytes(made.to_bytes(), line)(rows), made(rows))


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused_when_made_and_when_read(weight: float) -> None:
    from models_store.network import KerasNetwork  # deferred: imports TensorFlow

    made = network(SMALL)
    made.model.layers[0].kernel.assign(np.full((2, 3), weight))
    with pytest.raises(BundleDamaged, match="not a finite number"):
        KerasNetwork(made.model, SMALL, "cpu")
    with pytest.raises(BundleDamaged, match="not a finite number"):
        from_bytes(made.to_bytes(), SMALL)


@pytest.mark.parametrize(
    "other",
    [
        Architecture(3, SMALL.layers),
        Architecture(2, (Layer(4, "relu"), Layer(1, "linear"))),
        Architecture(2, (Layer(3, "relu"), Layer(2, "linear"))),
        Architecture(2, (Layer(1, "linear"),)),
        Architecture(2, (Layer(3, "relu"), Layer(3, "relu"), Layer(1, "linear"))),
    ],
)
def test_the_weights_of_another_architecture_are_refused(small: bytes, other: Architecture) -> None:
    with pytest.raises(BundleDamaged):
        from_bytes(small, other)


def test_the_same_weight_shapes_in_another_order_are_refused() -> None:
    there, back = (
        Architecture(2, (Layer(3, "relu"), Layer(2, "linear"))),
        Architecture(3, (Layer(2, "relu"), Layer(3, "linear"))),
    )
    assert sorted(there.weight_shapes) == sorted(back.weight_shapes)
    with pytest.raises(BundleDamaged):
        from_bytes(network(there).to_bytes(), back)


def repacked(saved: bytes, contents: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The zip file with members replaced, added, or left out (None)."""
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    members |= contents
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return packed.getvalue()


def weights_of(saved: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        return archive.read("model.weights.h5")


def with_a_broken_stream(saved: bytes) -> bytes:
    """Compressed, and then scratched where the compressed weights lie."""
    packed = repacked(saved, {}, zipfile.ZIP_DEFLATED)
    middle = packed.index(b"model.weights.h5") + len("model.weights.h5")
    return packed[:middle] + b"\xff" * 20 + packed[middle + 20 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda saved: b"",
    "no zip file": lambda saved: b"weights",
    "random bytes": lambda saved: np.random.default_rng(0).bytes(len(saved)),
    "the first half": lambda saved: saved[: len(saved) // 2],
    "all but the last byte": lambda saved: saved[:-1],
    "one member more": lambda saved: repacked(saved, {"assets.txt": b""}),
    "code": lambda saved: repacked(saved, {"evil.py": b"import os"}),
    "no weights": lambda saved: repacked(saved, {"model.weights.h5": None}),
    "no config": lambda saved: repacked(saved, {"config.json": None}),
    "an oversized config": lambda saved: repacked(saved, {"config.json": b" " * ((1 << 20) + 1)}),
    "a bomb": lambda saved: repacked(saved, {"model.weights.h5": bytes(20 << 20)}, zipfile.ZIP_DEFLATED),
    "weights that are none": lambda saved: repacked(saved, {"model.weights.h5": b"weights"}),
    "empty weights": lambda saved: repacked(saved, {"model.weights.h5": b""}),
    "half the weights": lambda saved: repacked(saved, {"model.weights.h5": weights_of(saved)[:6000]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_not_the_networks_own_is_refused(small: bytes, damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BundleDamaged):
        from_bytes(damage(small), SMALL)


def test_a_compressed_file_with_a_scratch_is_refused(small: bytes) -> None:
    with pytest.raises(BundleDamaged):
        from_bytes(with_a_broken_stream(small), SMALL)


def test_what_the_config_says_is_never_read(small: bytes) -> None:
    scribbled = repacked(small, {"config.json": b'{"class_name": "Lambda", "module": "os"}'})
    rows = encoded(4, SMALL)
    np.testing.assert_array_equal(from_bytes(scribbled, SMALL)(rows), from_bytes(small, SMALL)(rows))


@settings(max_examples=50)
@given(st.data())
def test_a_scratched_file_is_read_or_refused_and_nothing_else(small: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(small) - 1))
    scratched = small[:place] + data.draw(st.binary(min_size=1, max_size=4)) + small[place + 1 :]
    with contextlib.suppress(BundleDamaged):
        from_bytes(scratched, SMALL)
