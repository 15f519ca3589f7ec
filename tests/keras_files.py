"""`network.keras` files as Keras writes them, without Keras."""

import io
import zipfile

import h5py
import numpy as np

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture


def drawn(architecture: Architecture, seed: int = 0) -> list[Encoded]:
    """Return kernels that keep the size of the numbers that flow through them, and small biases."""
    rng = np.random.default_rng(seed)
    axes = 0 if architecture.members == 1 else 1
    weights = [rng.normal(size=shape) / np.sqrt(shape[axes]) for shape in architecture.weight_shapes]
    return [weight.astype(architecture.dtype) for weight in weights]


def keras_file(weights: list[Encoded]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", hdf5(weights))
    return packed.getvalue()


def hdf5(weights: list[Encoded]) -> bytes:
    written = io.BytesIO()
    with h5py.File(written, "w") as file:
        layer = "dense" if weights[0].ndim == 2 else "einsum_dense"
        for place, weight in enumerate(weights):
            file[path_of(place, layer)] = weight
        file.create_group("vars")
    return written.getvalue()


def path_of(place: int, name: str = "dense") -> str:
    """Return the path of a weight by its place: layers/dense/vars/0, layers/dense/vars/1, layers/dense_1/vars/0, …"""
    layer, part = divmod(place, 2)
    return f"layers/{name}{f'_{layer}' if layer else ''}/vars/{part}"
