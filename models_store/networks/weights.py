"""The weights in a `network.keras`, read without Keras: an HDF5 file in a zip file.

layers/dense/vars/{0, 1}  layers/dense_1/vars/{0, 1}  …    kernel and bias of each layer, in order

Of several members, `einsum_dense` stands for `dense`, and the first axis of each weight is that of the members.
"""

import io
import zipfile
import zlib

import h5py
import numpy as np

from models_store.arrays import Encoded
from models_store.errors import BundleDamaged
from models_store.networks.architecture import Architecture

MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
LARGEST_CONFIG = 1 << 20
# Bytes of headers and names that an HDF5 file may hold for every weight, generously.
OVERHEAD_PER_WEIGHT = 1 << 15
UNREADABLE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    OverflowError,
    NotImplementedError,
    KeyError,
    TypeError,
    ValueError,
)


def read_weights(saved: bytes, architecture: Architecture) -> list[Encoded]:
    """Return kernel and bias of every layer, in order, in the shapes and the dtype of the architecture.

    Raises BundleDamaged where the file holds anything else.
    """
    try:
        found = _datasets(_hdf5_of(saved, architecture), architecture)
    except UNREADABLE as error:
        raise BundleDamaged(f"the network file cannot be read ({type(error).__name__})") from error
    names = [f"layers/{layer}/vars/{place}" for layer in _layer_names(architecture) for place in (0, 1)]
    expected = dict(zip(names, architecture.weight_shapes, strict=True))
    if {name: weight.shape for name, weight in found.items()} != expected:
        raise BundleDamaged("the weights in the network file are not those of the architecture, by name and shape")
    weights = [found[name] for name in names]
    check_finite(weights)
    return weights


def check_finite(weights: list[Encoded]) -> None:
    """Raise BundleDamaged where a weight is NaN or infinite."""
    if not all(np.isfinite(weight).all() for weight in weights):
        raise BundleDamaged("a weight of the network is not a finite number")


def _layer_names(architecture: Architecture) -> list[str]:
    """Return the names that Keras gives to dense layers within a file, whatever else they are called."""
    name = "dense" if architecture.members == 1 else "einsum_dense"
    return [name, *(f"{name}_{position}" for position in range(1, len(architecture.layers)))]


def _hdf5_of(saved: bytes, architecture: Architecture) -> bytes:
    """Return the HDF5 file of weights; its size is checked before it is unpacked."""
    n_bytes = architecture.n_parameters * np.dtype(architecture.dtype).itemsize
    overhead = OVERHEAD_PER_WEIGHT * (2 * len(architecture.layers) + 4)
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        if set(sizes) != MEMBERS:
            raise BundleDamaged(f"the network file must hold {', '.join(sorted(MEMBERS))}, and nothing else")
        for name, most in (("config.json", LARGEST_CONFIG), ("model.weights.h5", n_bytes + overhead)):
            # Nothing in it is compressed: what is larger than the file would fill the memory.
            if sizes[name] > (most := min(most, len(saved))):
                raise BundleDamaged(f"the network file holds a {name} of {sizes[name]} bytes; at most {most} can be")
        return archive.read("model.weights.h5")


def _datasets(hdf5: bytes, architecture: Architecture) -> dict[str, Encoded]:
    """Return the weights by name. Links are not followed; only weights wholly in this file are read."""
    found: dict[str, Encoded] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.dtype != architecture.dtype or item.shape not in architecture.weight_shapes:
                raise BundleDamaged("a weight in the network file has a dtype or a shape that no layer has")
            # A compressed one, or one never written, stores another number of bytes.
            if item.external or item.is_virtual or item.id.get_storage_size() != item.nbytes:
                raise BundleDamaged("a weight in the network file is compressed, incomplete, or stored elsewhere")
            found[name] = item[()]

    with h5py.File(io.BytesIO(hdf5)) as file:
        file.visititems(visit)
    return found
