"""The weights in a `network.keras`, read without Keras: an HDF5 file in a zip file.

layers/dense/vars/{0, 1}  layers/dense_1/vars/{0, 1}  …    kernel and bias of each layer, in order
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
# What an HDF5 file may hold beside the numbers: headers and names, generously, for every weight.
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
    """Kernel and bias of every layer, in order. BundleDamaged if the file holds anything but this architecture's."""
    try:
        found = _datasets(_hdf5_of(saved, architecture), architecture)
    except UNREADABLE as error:
        raise BundleDamaged("the network file cannot be read") from error
    names = [f"layers/{layer}/vars/{place}" for layer in _layer_names(architecture) for place in (0, 1)]
    if {name: weight.shape for name, weight in found.items()} != dict(
        zip(names, architecture.weight_shapes, strict=True)
    ):
        raise BundleDamaged("the weights in the network file do not have the shapes of its recipe")
    weights = [found[name] for name in names]
    check_finite(weights)
    return weights


def check_finite(weights: list[Encoded]) -> None:
    if not all(np.isfinite(weight).all() for weight in weights):
        raise BundleDamaged("a weight of the network is not a finite number")


def _layer_names(architecture: Architecture) -> list[str]:
    """Keras numbers layers of a kind within their model, whatever else they are called."""
    return ["dense", *(f"dense_{position}" for position in range(1, len(architecture.layers)))]


def _hdf5_of(saved: bytes, architecture: Architecture) -> bytes:
    """Sizes are looked at before anything is unpacked."""
    itemsize = np.dtype(architecture.dtype).itemsize
    overhead = OVERHEAD_PER_WEIGHT * (2 * len(architecture.layers) + 4)
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        if (
            set(sizes) != MEMBERS
            or sizes["config.json"] > LARGEST_CONFIG
            or sizes["model.weights.h5"] > architecture.n_parameters * itemsize + overhead
        ):
            raise BundleDamaged("the network file does not hold what its recipe makes")
        return archive.read("model.weights.h5")


def _datasets(hdf5: bytes, architecture: Architecture) -> dict[str, Encoded]:
    """By name. Links are not followed, and nothing is read that is not wholly in the file itself."""
    found: dict[str, Encoded] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            if item.dtype != architecture.dtype or item.shape not in architecture.weight_shapes:
                raise BundleDamaged("the weights in the network file do not have the shapes of its recipe")
            # Compressed, or never written, it would store another number of bytes.
            if item.external or item.is_virtual or item.id.get_storage_size() != item.nbytes:
                raise BundleDamaged("a weight in the network file is not stored as it should be")
            found[name] = item[()]

    with h5py.File(io.BytesIO(hdf5)) as file:
        file.visititems(visit)
    return found
