"""Pairs of columns of numbers that tell clearly more together than the sum of what each tells.

Each column is cut into eight parts of as many rows. What the parts of all columns explain by adding up is taken out of
the targets; the pair is measured by what the 64 cells of its plane explain of the rest (the idea of FAST: Lou,
Caruana, Gehrke, Hooker, "Accurate Intelligible Models with Pairwise Interactions", 2013).
"""

from collections.abc import Mapping
from itertools import combinations
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.tables.table import Kind, Table
from training.data.subsample import subsample

PARTS = 8
ROUNDS = 6
# With more columns or outputs no pair is looked for; of more rows, so many are looked at.
MOST_COLUMNS, MOST_OUTPUTS, MOST_ROWS = 32, 20, 50_000
# A pair is clear if what it explains is so far beyond chance, in standard deviations; or less, and this share of all.
FAR_BEYOND_CHANCE, BEYOND_CHANCE, LARGE_SHARE = 100.0, 10.0, 0.3

Parts = NDArray[np.int64]


def clear_pair(rows: Table, kinds: Mapping[str, Kind], targets: Array, seed: int) -> tuple[str, str] | None:
    """Return the two columns of numbers that most tell more together, if they clearly do; else None.

    `targets` float64 (n_rows, n_outputs): numbers, or 1 for the label of a row and 0 for the others.
    """
    names = [name for name, kind in kinds.items() if kind == "number"]
    if not 2 <= len(names) <= MOST_COLUMNS or targets.shape[1] > MOST_OUTPUTS:
        return None
    some = subsample(len(rows), MOST_ROWS, seed)
    parts = {name: _parts(rows.columns[name][some].astype(np.float64)) for name in names}
    rest = _unexplained(list(parts.values()), _standardised(targets[some]))
    best = max(combinations(names, 2), key=lambda pair: _gain(parts[pair[0]], parts[pair[1]], rest)[0])
    share, deviations = _gain(parts[best[0]], parts[best[1]], rest)
    is_clear = deviations > FAR_BEYOND_CHANCE or (deviations > BEYOND_CHANCE and share > LARGE_SHARE)
    return best if is_clear else None


def _standardised(targets: Array) -> Array:
    centred = targets - targets.mean(axis=0)
    size = np.abs(centred).max(axis=0)
    standardised: Array = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
    return standardised


def _parts(numbers: Array) -> Parts:
    """Return the number of the part of each row, (n_rows,); a missing value is in the first."""
    seen = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(seen, np.linspace(0, 1, PARTS + 1)[1:-1])) if len(seen) else seen
    return np.where(np.isnan(numbers), 0, np.searchsorted(edges, numbers, side="right"))


def _sums(cells: Parts, values: Array, n_cells: int) -> tuple[Array, Array]:
    """Return the number of rows in each cell, (n_cells, 1), and the sums of their values, (n_cells, n_outputs)."""
    counts = np.bincount(cells, minlength=n_cells)[:, None].astype(np.float64)
    return counts, np.stack([np.bincount(cells, each, minlength=n_cells) for each in values.T], axis=1)


def _unexplained(columns: list[Parts], targets: Array) -> Array:
    """Return what is left of the targets beyond a sum of one mean for each part of each column (backfitting)."""
    means = [np.zeros((PARTS, targets.shape[1])) for _ in columns]
    rest = targets
    for _ in range(ROUNDS):
        for place, parts in enumerate(columns):
            rest = rest + means[place][parts]
            counts, sums = _sums(parts, rest, PARTS)
            means[place] = sums / (counts + 1)
            rest = rest - means[place][parts]
    return rest


def _gain(first: Parts, second: Parts, rest: Array) -> tuple[float, float]:
    """Return what a pair explains of the rest beyond its columns and beyond chance: its share, in standard deviations.

    The sum of squares that k means explain of noise is chi-squared: k ± √(2k) in units of the noise's variance.
    """
    variance = float((rest**2).mean(axis=0).sum())
    if variance == 0:
        return 0.0, 0.0
    of_cells, n_cells = _explained(first * PARTS + second, rest, PARTS * PARTS)
    of_columns, n_parts = np.sum([_explained(parts, rest, PARTS) for parts in (first, second)], axis=0)
    k = max(1, n_cells - int(n_parts) + 1)
    beyond_chance = (of_cells - float(of_columns)) / variance - k
    return beyond_chance / len(rest), beyond_chance / sqrt(2 * k)


def _explained(cells: Parts, rest: Array, n_cells: int) -> tuple[float, int]:
    """Return the sum of squares that the means of cells explain, and how many cells have rows."""
    counts, sums = _sums(cells, rest, n_cells)
    return float((sums**2 / np.maximum(counts, 1)).sum()), int((counts > 0).sum())
