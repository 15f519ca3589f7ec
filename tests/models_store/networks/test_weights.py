"""Weights: read from a network's own file, every one in its place, and from no file that holds anything else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.errors import BundleDamaged
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.weights import read_weights
from tests.keras_files import drawn, hdf5, keras_file, path_of

SMALL = Architecture(2, (Layer(3, "relu"), Layer(1, "linear")))
SAVED = keras_file(drawn(SMALL))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_weight_is_read_in_its_place(dtype: str) -> None:
    # Twelve layers of one shape: sorted by name, `dense_10` comes before `dense_2`.
    deep = Architecture(3, (Layer(3, "relu"),) * 12, "float64" if dtype == "float64" else "float32")
    weights = drawn(deep)
    read = read_weights(keras_file(weights), deep)
    assert [weight.dtype.name for weight in read] == [dtype] * 24
    assert all(np.array_equal(there, here) for there, here in zip(read, weights, strict=True))


@pytest.mark.parametrize(
    "other",
    [
        Architecture(3, SMALL.layers),
        Architecture(2, (Layer(4, "relu"), Layer(1, "linear"))),
        Architecture(2, (Layer(3, "relu"), Layer(2, "linear"))),
        Architecture(2, (Layer(1, "linear"),)),
        Architecture(2, (Layer(3, "relu"), Layer(3, "relu"), Layer(1, "linear"))),
        Architecture(2, SMALL.layers, "float64"),
    ],
)
def test_the_weights_of_another_architecture_are_refused(other: Architecture) -> None:
    with pytest.raises(BundleDamaged):
        read_weights(SAVED, other)


def test_the_same_weight_shapes_in_another_order_are_refused() -> None:
    there, back = (
        Architecture(2, (Layer(3, "relu"), Layer(2, "linear"))),
        Architecture(3, (Layer(2, "relu"), Layer(3, "linear"))),
    )
    assert sorted(there.weight_shapes) == sorted(back.weight_shapes)
    with pytest.raises(BundleDamaged):
        read_weights(keras_file(drawn(there)), back)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused(value: float) -> None:
    weights = drawn(SMALL)
    weights[0][1, 2] = value
    with pytest.raises(BundleDamaged, match="not a finite number"):
        read_weights(keras_file(weights), SMALL)


# -- files that are not what they should be ----------------------------------------------------------------------------


def repacked(saved: bytes, contents: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return the zip file with members replaced, added, or left out (None)."""
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    members |= contents
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return packed.getvalue()


def with_a_broken_stream(saved: bytes) -> bytes:
    """Return the zip file compressed, with 20 bytes of the compressed weights overwritten."""
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
    "half the weights": lambda saved: repacked(saved, {"model.weights.h5": hdf5(drawn(SMALL))[:2000]}),
    "a broken stream": with_a_broken_stream,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_not_the_networks_own_is_refused(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BundleDamaged):
        read_weights(damage(SAVED), SMALL)


def linked(file: h5py.File, elsewhere: Path) -> None:
    file[path_of(0)] = h5py.ExternalLink(str(elsewhere), path_of(0))


def external(file: h5py.File, elsewhere: Path) -> None:
    file.create_dataset(path_of(0), (2, 3), "float32", external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])


def virtual(file: h5py.File, elsewhere: Path) -> None:
    layout = h5py.VirtualLayout((2, 3), "float32")
    layout[:] = h5py.VirtualSource(str(elsewhere), path_of(0), (2, 3), "float32")
    file.create_virtual_dataset(path_of(0), layout)


def compressed(file: h5py.File, _: Path) -> None:
    file.create_dataset(path_of(0), (2, 3), "float32", compression="gzip")


@pytest.mark.parametrize("lead_away", [linked, external, virtual, compressed])
def test_weights_that_are_not_in_the_file_itself_are_refused(
    lead_away: Callable[[h5py.File, Path], None], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.h5"
    elsewhere.write_bytes(hdf5(drawn(SMALL)))
    written = io.BytesIO(hdf5(drawn(SMALL)))
    with h5py.File(written, "r+") as file:
        del file[path_of(0)]
        lead_away(file, elsewhere)
    with pytest.raises(BundleDamaged):
        read_weights(repacked(SAVED, {"model.weights.h5": written.getvalue()}), SMALL)


def test_what_the_config_says_is_never_read() -> None:
    scribbled = repacked(SAVED, {"config.json": b'{"class_name": "Lambda", "module": "os"}'})
    assert np.array_equal(read_weights(scribbled, SMALL)[0], read_weights(SAVED, SMALL)[0])


def test_a_compressed_file_is_not_unpacked_beyond_its_own_size() -> None:
    large = Architecture(1000, (Layer(1000, "relu"),))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in (("metadata.json", 2), ("config.json", 2), ("model.weights.h5", 4_000_000)):
            archive.writestr(name, bytes(size))
    with pytest.raises(BundleDamaged, match=r"model\.weights\.h5 of 4000000 bytes; at most"):
        read_weights(bomb.getvalue(), large)


@settings(max_examples=300)
@given(st.data())
def test_a_scratched_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SAVED) - 1))
    scratched = SAVED[:place] + data.draw(st.binary(min_size=1, max_size=4)) + SAVED[place + 1 :]
    assert _shapes_or_refused(scratched) in (SMALL.weight_shapes, "refused")


@settings(max_examples=300)
@given(st.data())
def test_a_scratch_in_the_weights_themselves_is_read_or_refused(data: st.DataObject) -> None:
    # Scratched before it is packed, so that the checksum of the zip file is right.
    weights = hdf5(drawn(SMALL))
    place = data.draw(st.integers(0, len(weights) - 1))
    scratched = weights[:place] + data.draw(st.binary(min_size=1, max_size=4)) + weights[place + 1 :]
    assert _shapes_or_refused(repacked(SAVED, {"model.weights.h5": scratched})) in (SMALL.weight_shapes, "refused")


def _shapes_or_refused(saved: bytes) -> list[tuple[int, ...]] | str:
    """Return the shapes of the weights, all of which are finite and of the network's dtype, or "refused"."""
    try:
        weights = read_weights(saved, SMALL)
    except BundleDamaged:
        return "refused"
    assert [weight.dtype.name for weight in weights] == [SMALL.dtype] * len(weights)
    assert all(np.isfinite(weight).all() for weight in weights)
    return [weight.shape for weight in weights]
