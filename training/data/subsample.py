"""Some rows instead of all: which ones."""

import numpy as np
from numpy.typing import NDArray

Places = slice | NDArray[np.int64]


def places(n_rows: int, most: int, seed: int) -> Places:
    """All rows, or `most` of them, drawn by `seed`, in their order."""
    if n_rows <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n_rows, most, replace=False))
