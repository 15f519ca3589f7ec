"""Splits of rows in two, and into folds: at random, by group, or by time.

By group, the rows of a group are never on both sides; by time, those of a moment are not, and later rows are held out.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    TimeSeriesSplit,
    train_test_split,
)

from models_store.arrays import Array
from training.data.dataset import DataError, Rows
from training.recipe.fit import CrossValidate, Split

FEWEST_ROWS_OF_A_LABEL = 2
# Groups differ in size: of so many draws of groups, the one is taken whose rows come nearest to the share.
DRAWS = 32

Indices = NDArray[np.int64]
Part = Literal["test", "validation"]


def cut(
    rows: Rows, places: Indices, split: Split, part: Part, seed: int, *, are_labels: bool
) -> tuple[Indices, Indices]:
    """Split a part off the rows at `places`; return the indices of the remaining rows, and those of the part.

    A random split is scikit-learn's own, so that a recipe with a seed used elsewhere finds the same rows.
    Raises DataError where the part, or what remains, would have no rows.
    """
    share = split.test if part == "test" else split.validation
    n_taken = round(share * len(places))
    if not 0 < n_taken < len(places):
        raise DataError(f"split.{part}: {share:g} of {len(places)} rows leaves a part without rows; use more rows")
    numbers = rows.targets[places, 0] if are_labels and split.stratify else None
    if rows.groups is not None:
        return _by_group(places, rows.groups[places], numbers, share, part, seed)
    if rows.times is not None:
        return _by_time(places, rows.times[places], n_taken, part)
    if not split.shuffle:
        return places[:-n_taken], places[-n_taken:]
    strata = numbers if numbers is not None and _can_be_shared(numbers, n_taken) else None
    rest, taken = train_test_split(places, test_size=n_taken, random_state=seed, stratify=strata)
    return np.asarray(rest), np.asarray(taken)


def _can_be_shared(numbers: Array, n_taken: int) -> bool:
    """True if both parts can have a row of each label."""
    counts = np.unique(numbers, return_counts=True)[1]
    return bool(counts.min() >= FEWEST_ROWS_OF_A_LABEL and n_taken >= len(counts) <= len(numbers) - n_taken)


def _by_group(
    places: Indices, groups: Indices, numbers: Array | None, share: float, part: Part, seed: int
) -> tuple[Indices, Indices]:
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(f"split.group: the {part} rows need a group of their own, and there is only one group left")
    n_taken = min(max(1, round(share * n_groups)), n_groups - 1)
    draws = list(GroupShuffleSplit(DRAWS, test_size=n_taken, random_state=seed).split(places, groups=groups))
    counts = np.ones((len(places), 1)) if numbers is None else numbers[:, None] == np.unique(numbers)
    wanted = share * counts.sum(axis=0)
    rest, taken = min(draws, key=lambda draw: float(np.abs(counts[draw[1]].sum(axis=0) - wanted).sum()))
    return places[rest], places[taken]


def _by_time(places: Indices, times: Array, n_taken: int, part: Part) -> tuple[Indices, Indices]:
    first = np.sort(times)[-n_taken]
    is_taken = times >= first
    if is_taken.all():
        is_taken = times > first
    if not is_taken.any():
        raise DataError(f"split.time: the {part} rows must be later than others, and all rows have the same time")
    return places[~is_taken], places[is_taken]


def left_out(rows: Rows, members: int, seed: int, *, are_labels: bool) -> NDArray[np.bool_]:
    """Return the rows that each member of a network leaves out, (n_rows, members): its own fold of them.

    Raises DataError where a member would leave out all rows.
    """
    folds = dealt(rows, members, seed, are_labels=are_labels)
    if len(rows) and folds.min() == folds.max():
        raise DataError(
            "network.members: all training rows are of one group or moment, which a member would leave out; set "
            "network.members: 1, or split.validation"
        )
    return np.equal.outer(folds, np.arange(members)).astype(bool)


def dealt(rows: Rows, n_folds: int, seed: int, *, are_labels: bool) -> Indices:
    """Return the number of the fold of each row, (n_rows,); each fold has its share of every label.

    By group, the rows of a group are in the same fold; by time, a fold is a stretch of time. Where there are fewer
    rows, groups or moments than folds, some folds are empty.
    """
    if rows.times is not None:
        moments, moment_of = np.unique(rows.times, return_inverse=True)
        return np.asarray(moment_of * n_folds // len(moments))
    rng = np.random.default_rng(seed)
    if rows.groups is not None:
        groups, group_of = np.unique(rows.groups, return_inverse=True)
        return np.asarray(rng.permutation(len(groups))[group_of] % n_folds)
    order = rng.permutation(len(rows))
    if are_labels:
        # Sorted by label, so that dealing one row after another gives each fold its share.
        order = order[np.argsort(rows.targets[order, 0], kind="stable")]
    folds = np.empty(len(rows), np.int64)
    folds[order] = np.arange(len(rows)) % n_folds
    return folds


# -- folds ---------------------------------------------------------------------------------------------------------


def folds(rows: Rows, recipe: CrossValidate, seed: int, *, are_labels: bool) -> Iterator[tuple[Indices, Indices]]:
    """Yield for each fold the indices of the remaining rows, and of those it holds out.

    By time, each fold holds out the rows that follow the remaining ones, so that the first rows are never held out.
    Raises DataError where there are more folds than rows, rows of a label, groups or moments.
    """
    if rows.times is not None:
        yield from _folds_by_time(rows.times, recipe)
        return
    strata = rows.targets[:, 0] if are_labels and recipe.stratified else None
    fewest = len(rows) if strata is None else int(np.unique(strata, return_counts=True)[1].min())
    _check_enough(recipe, fewest, "rows", "" if strata is None else " of the rarest label")
    if rows.groups is not None:
        yield from _folds_by_group(rows.groups, strata, recipe, seed)
        return
    kind = RepeatedKFold if strata is None else RepeatedStratifiedKFold
    splitter = kind(n_splits=recipe.folds, n_repeats=recipe.repeats, random_state=seed)
    yield from splitter.split(np.zeros(len(rows)), strata)


def _check_enough(recipe: CrossValidate, found: int, what: str, which: str = "") -> None:
    if found < recipe.folds:
        raise DataError(
            f"cross_validate.folds: {recipe.folds} folds need as many {what}, and there are {found} {what}{which}; "
            "ask for fewer folds"
        )


def _folds_by_group(
    groups: Indices, strata: Array | None, recipe: CrossValidate, seed: int
) -> Iterator[tuple[Indices, Indices]]:
    _check_enough(recipe, len(np.unique(groups)), "groups")
    kind = GroupKFold if strata is None else StratifiedGroupKFold
    for repeat in range(recipe.repeats):
        splitter = kind(recipe.folds, shuffle=True, random_state=(seed + repeat) % 2**32)
        yield from splitter.split(np.zeros(len(groups)), strata, groups)


def _folds_by_time(times: Array, recipe: CrossValidate) -> Iterator[tuple[Indices, Indices]]:
    moments, moment_of = np.unique(times, return_inverse=True)
    _check_enough(recipe, len(moments) - 1, "moments", " after the first")
    for rest, held_out in TimeSeriesSplit(recipe.folds).split(moments):
        yield np.flatnonzero(np.isin(moment_of, rest)), np.flatnonzero(np.isin(moment_of, held_out))
