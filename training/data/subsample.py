"""A random subsample of rows, in their order."""

import numpy as np
from numpy.typing import NDArray

Indices = slice | NDArray[np.int64]


def subsample(n_rows: int, most: int, seed: int) -> Indices:
    """Return the indices of all rows, or of `most` of them drawn by `seed`, in ascending order."""
    if n_rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n_rows, most, replace=False))
