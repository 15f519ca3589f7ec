"""Many rows through a network: in blocks that fit the cache, each padded to a number of rows that suits the engine."""

from collections.abc import Callable

import numpy as np

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture


def in_blocks(call: Callable[[Encoded], Encoded], encoded: Encoded, block: int, architecture: Architecture) -> Encoded:
    """What `call` makes of (n_rows, n_inputs), never of more rows than `block` at a time: (n_rows, n_outputs)."""
    if len(encoded) <= block:
        return call(encoded)
    outputs = np.empty((len(encoded), architecture.n_outputs), architecture.dtype)
    for start in range(0, len(encoded), block):
        end = start + block
        outputs[start:end] = call(encoded[start:end])
    return outputs


def padded(encoded: Encoded, n_rows: int) -> Encoded:
    """Zeros behind the last row, so that there are `n_rows`."""
    missing = n_rows - len(encoded)
    return np.concatenate([encoded, np.zeros((missing, encoded.shape[1]), encoded.dtype)]) if missing else encoded
