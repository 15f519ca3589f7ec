"""The rows that are learned from and those that are held out, the same for all who are compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.tables import Table

MOST_ROWS_IN_FOLDS = 10_000
FOLDS, SEEDS_OF_FOLDS, SEEDS_OF_A_SPLIT = 5, 2, 3
HELD_OUT = 0.2
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    train: Rows
    test: Rows
    seed: int
    """Of what learns from the fold."""


def folds(table: Table, seeds: int | None = None) -> list[Fold]:
    """Return five folds for each of two seeds; above 10 000 rows one split, and three seeds to learn it by.

    Parts of a classification have their share of every label. The same table has the same folds.
    """
    if len(table.y) > MOST_ROWS_IN_FOLDS:
        return [Fold(*_split(table), seed) for seed in range(seeds or SEEDS_OF_A_SPLIT)]
    return [Fold(train, test, seed) for seed in range(seeds or SEEDS_OF_FOLDS) for train, test in _cut(table, seed)]


def _split(table: Table) -> tuple[Rows, Rows]:
    from sklearn.model_selection import train_test_split  # deferred: it takes a second

    labels = table.y if table.labels else None
    train, test = train_test_split(np.arange(len(table.y)), test_size=HELD_OUT, random_state=0, stratify=labels)
    return np.sort(train), np.sort(test)


def _cut(table: Table, seed: int) -> list[tuple[Rows, Rows]]:
    from sklearn.model_selection import KFold, StratifiedKFold  # deferred: it takes a second

    kind = StratifiedKFold if table.labels else KFold
    return list(kind(FOLDS, shuffle=True, random_state=seed).split(table.y[:, None], table.y))
