"""Distances of rows to places, for each row the same in every batch."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array

Floats = TypeVar("Floats", NDArray[np.float32], NDArray[np.float64])


def square_distances(rows: Floats, places: Floats) -> Floats:
    """Return squares of distances (n_rows, n_places) of rows (n_rows, n_inputs) to places (n_places, n_inputs)."""
    square = np.zeros((len(rows), len(places)), rows.dtype)
    # Summed input by input: a matrix product would round one row otherwise than many.
    for own, theirs in zip(rows.T, places.T, strict=True):
        square += (own[:, None] - theirs) ** 2
    return square


def in_blocks(call: Callable[[Floats], Array], rows: Floats, block: int) -> Array:
    """Return what `call` makes of the rows, `block` of them at a time; at least one block, which may be empty."""
    starts = range(0, max(1, len(rows)), block)
    return np.concatenate([call(rows[start : start + block]) for start in starts])
