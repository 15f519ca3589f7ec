"""How far the counts of a window are from those of the training rows, and how far they would be by chance.

Both measures are sums over cells of the same two shares: p of the training rows, q of the window.

    psi = Σ (q - p) ln(q / p)                                  population stability index, 0 and more
    js  = Σ ½ p log₂(p / m) + ½ q log₂(q / m), m = (p + q) / 2   Jensen-Shannon divergence in bits, between 0 and 1

The threshold of psi is simulated. The shares of the world that the training rows were drawn from are not known; given
the rows they follow a Dirichlet distribution, whose parameters are the rows in each cell. (Of buckets between values of
the rows that is exact: a bucket holds as much of a continuous distribution as so many spacings of uniform numbers.) A
window of so many rows is drawn from each of these worlds, and the threshold is what few of them exceed. It
tells of both, few rows of a window and few training rows.
"""

from functools import lru_cache

import numpy as np

from models_store.arrays import Array

# Share of windows without a change that are beyond their threshold. A window is looked at again and again while it
# fills, so this is less than the share of windows that may ever be called drifted.
FALSE_ALARMS = 0.0005
DRAWS = 20_000
# Rows that a verdict needs. Of fewer, psi is mostly noise.
ENOUGH_ROWS = 100
# A change that is too small to matter is none, however many rows show it: a normal column moves by 0.14 of its
# deviation.
LEAST_PSI = 0.02


def psi(training: Array, window: Array) -> float:
    """Return the population stability index of two arrays of counts (n_cells,), neither of them all zero.

    An empty cell counts as half a row of the smaller of both, on both sides, so equal shares have no distance.
    """
    return float(_psi(training / training.sum(), window / window.sum(), 0.5 / min(training.sum(), window.sum())))


def _psi(p: Array, q: Array, least: float) -> Array:
    """Return the index along the last axis of shares (…, n_cells)."""
    n_cells = p.shape[-1]
    p, q = (p + least) / (1 + n_cells * least), (q + least) / (1 + n_cells * least)
    distances: Array = ((q - p) * np.log(q / p)).sum(axis=-1)
    return distances


def js(training: Array, window: Array) -> float:
    """Return the Jensen-Shannon divergence in bits of two arrays of counts (n_cells,), neither of them all zero."""
    p, q = training / training.sum(), window / window.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(share > 0, share * np.log2(share / middle), 0.0) for share in (p, q)]
    return float(np.clip((terms[0] + terms[1]).sum() / 2, 0.0, 1.0))


def threshold(training: Array, n_rows: int) -> float:
    """Return the psi beyond which a window of so many rows is called drifted; `training` counts (n_cells,).

    It is simulated for numbers of rows that double, and between them is in proportion to 1 / n_rows + 1 / n_training.
    """
    counts, n_training = tuple(sorted(int(count) for count in training)), float(training.sum())
    low = ENOUGH_ROWS * 2 ** int(np.log2(max(n_rows, ENOUGH_ROWS) / ENOUGH_ROWS))
    scaled = [_simulated(counts, n) / (1 / n + 1 / n_training) for n in (low, 2 * low)]
    return float(max(LEAST_PSI, max(scaled) * (1 / n_rows + 1 / n_training)))


@lru_cache(maxsize=4096)
def _simulated(counts: tuple[int, ...], n_rows: int) -> float:
    """Return what psi exceeds in FALSE_ALARMS of windows of so many rows; `counts` of training rows, in any order."""
    rng = np.random.default_rng(0)
    training = np.array(counts, dtype=np.float64)
    # A cell without training rows may be as likely as one row: so is what lies beyond the smallest and the largest.
    worlds = rng.dirichlet(np.maximum(training, 1.0), DRAWS)
    windows = rng.multinomial(n_rows, worlds) / n_rows
    distances = _psi(training / training.sum(), windows, 0.5 / min(training.sum(), n_rows))
    return float(np.quantile(distances, 1 - FALSE_ALARMS))
