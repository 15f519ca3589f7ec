"""Blocks of rows: large enough to be worth a call, small enough that a layer's outputs stay in the CPU cache."""

from collections.abc import Callable

import numpy as np

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture


def in_blocks(call: Callable[[Encoded], Encoded], encoded: Encoded, block: int, architecture: Architecture) -> Encoded:
    """Return outputs (n_rows, n_outputs) of inputs (n_rows, n_inputs), computed by `call` in blocks of `block` rows."""
    if len(encoded) <= block:
        return call(encoded)
    outputs = np.empty((len(encoded), architecture.n_outputs), architecture.dtype)
    for start in range(0, len(encoded), block):
        end = start + block
        outputs[start:end] = call(encoded[start:end])
    return outputs


def each_in_blocks(call: Callable[[Encoded], Encoded], encoded: Encoded, block: int) -> Encoded:
    """Return outputs (members, n_rows, n_outputs) of inputs (n_rows, n_inputs), computed like those of `in_blocks`."""
    starts = range(0, max(1, len(encoded)), block)
    return np.concatenate([call(encoded[start : start + block]) for start in starts], axis=1)


def padded(encoded: Encoded, n_rows: int) -> Encoded:
    """Append rows of zeros, so that there are `n_rows`."""
    missing = n_rows - len(encoded)
    return np.concatenate([encoded, np.zeros((missing, encoded.shape[1]), encoded.dtype)]) if missing else encoded
