"""Best subsets: the few columns whose weighted sum, with an intercept, comes nearest to a target.

All single columns and all pairs are compared; longer subsets grow from the best shorter ones.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array

BEAM = 24
# More pairs, because many of them may be the same functions with constants that are near each other.
MOST_PAIRS = 120
MOST_COLUMNS = 6
BLOCK = 512
# Columns that are multiples of each other up to rounding tell nothing apart.
SAME = 1e-8


def best_subsets(columns: Array, target: Array, longest: int = MOST_COLUMNS) -> Iterator[list[tuple[int, ...]]]:
    """Yield the best subsets of 1, 2, … columns, best first, at most 24 of each length, 120 pairs.

    `columns` float64 (n_rows, n_columns), `target` float64 (n_rows,), neither constant.
    """
    units = _unit(columns)
    aim = _unit(target[:, None])[:, 0]
    along = units.T @ aim
    singles: list[tuple[int, ...]] = [(int(place),) for place in _largest(along**2)]
    yield singles
    if units.shape[1] == 1 or longest == 1:
        return
    found = _pairs(units, along)
    yield found
    for _ in range(3, min(longest, units.shape[1]) + 1):
        found = _extended(units, aim, found)
        if not found:
            return
        yield found


def _unit(columns: Array) -> Array:
    centred: Array = columns - columns.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=0)
    return centred


def _largest(values: Array, most: int = BEAM) -> NDArray[np.intp]:
    few = np.argpartition(-values, min(most, len(values) - 1))[:most]
    return few[np.argsort(-values[few], kind="stable")]


def _pairs(units: Array, along: Array) -> list[tuple[int, ...]]:
    """Return the pairs that explain most: R² = (a² + b² - 2 a b g) / (1 - g²), g the cosine between both."""
    best: list[tuple[float, int, int]] = []
    n_columns = units.shape[1]
    for start in range(0, n_columns, BLOCK):
        block = slice(start, min(start + BLOCK, n_columns))
        cosines = units[:, block].T @ units[:, start:]
        a, b = along[block][:, None], along[None, start:]
        apart = 1 - cosines**2
        explained = np.where(apart > SAME, (a**2 + b**2 - 2 * a * b * cosines) / np.maximum(apart, SAME), -1)
        explained[np.tril_indices(explained.shape[0], 0, explained.shape[1])] = -1
        for place in _largest(explained.ravel(), MOST_PAIRS):
            row, column = divmod(int(place), explained.shape[1])
            best.append((-float(explained[row, column]), start + row, start + column))
    return [pair for _, *pair_ in sorted(best)[:MOST_PAIRS] if (pair := tuple(pair_))]


def _extended(units: Array, aim: Array, subsets: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the best subsets that are one column longer."""
    best: dict[tuple[int, ...], float] = {}
    for subset in subsets[: 2 * BEAM]:
        basis, _ = np.linalg.qr(units[:, subset])
        left = aim - basis @ (basis.T @ aim)
        apart = 1 - ((basis.T @ units) ** 2).sum(axis=0)
        gains = np.where(apart > 1e-9, (left @ units) ** 2 / np.maximum(apart, 1e-9), -1)
        for place in _largest(gains)[:8]:
            if gains[place] > 0:
                best[tuple(sorted((*subset, int(place))))] = float(left @ left - gains[place])
    return sorted(best, key=lambda subset: best[subset])[:BEAM]
