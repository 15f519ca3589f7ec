"""Splits by group and by time, for parts and folds: what belongs together stays together, what is later is held out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.dataset import DataError, Rows
from training.data.splits import cut, dealt, folds, left_out
from training.recipe.fit import CrossValidate, Split

BY_GROUP, BY_TIME = Split(test=0.2, group="patient"), Split(test=0.2, time="day")


def some(n_rows: int, **beside: Any) -> Rows:
    targets = np.arange(n_rows, dtype=np.float64)[:, None] % 2
    return Rows(np.zeros((n_rows, 1)), targets, **beside)


sizes = st.lists(st.integers(1, 30), min_size=2, max_size=30)


@given(sizes, st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.1, 0.2, 0.5]))
def test_a_group_is_never_in_both_parts(sizes: list[int], seed: int, are_labels: bool, share: float) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows, places = some(len(groups), groups=groups), np.arange(len(groups))
    split = BY_GROUP.model_copy(update={"test": share})
    if not 0 < round(share * len(rows)) < len(rows):
        return
    rest, taken = cut(rows, places, split, "test", seed, are_labels=are_labels)
    assert sorted([*rest, *taken]) == places.tolist()
    assert len(rest) and len(taken)
    assert not set(groups[rest]) & set(groups[taken])
    again = cut(rows, places, split, "test", seed, are_labels=are_labels)
    assert (again[0].tolist(), again[1].tolist()) == (rest.tolist(), taken.tolist())


def test_groups_of_different_sizes_come_near_the_share_of_rows_and_of_labels() -> None:
    groups = np.repeat(np.arange(40), np.arange(1, 41))
    rows = some(len(groups), groups=groups)
    for seed in range(5):
        _, taken = cut(rows, np.arange(len(rows)), BY_GROUP, "test", seed, are_labels=True)
        assert abs(len(taken) / len(rows) - 0.2) < 0.03
        assert abs(rows.targets[taken].mean() - 0.5) < 0.05


def test_one_group_cannot_be_split() -> None:
    rows = some(20, groups=np.zeros(20, dtype=np.int64))
    with pytest.raises(DataError, match=r"split\.group: the test rows need a group of their own"):
        cut(rows, np.arange(20), BY_GROUP, "test", 0, are_labels=False)


@given(st.lists(st.integers(-5, 5), min_size=10, max_size=60))
def test_the_last_rows_are_taken_and_those_of_a_moment_together(days: list[int]) -> None:
    times = np.array(days, dtype=np.float64)
    rows = some(len(times), times=times)
    if len(set(days)) == 1:
        with pytest.raises(DataError, match=r"split\.time: the test rows must be later than others"):
            cut(rows, np.arange(len(rows)), BY_TIME, "test", 0, are_labels=False)
        return
    rest, taken = cut(rows, np.arange(len(rows)), BY_TIME, "test", 0, are_labels=False)
    assert sorted([*rest, *taken]) == list(range(len(rows)))
    assert times[rest].max() < times[taken].min()


def test_rows_need_not_stand_in_the_order_of_their_time() -> None:
    times = np.random.default_rng(0).permutation(100).astype(np.float64)
    rows = some(100, times=times)
    rest, taken = cut(rows, np.arange(100), BY_TIME, "test", 0, are_labels=True)
    assert sorted(times[taken]) == list(range(80, 100))
    watched_rest, watched = cut(rows, rest, Split(validation=0.25, time="day"), "validation", 0, are_labels=True)
    assert (sorted(times[watched_rest]), sorted(times[watched])) == (list(range(60)), list(range(60, 80)))


# -- folds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("are_labels", [True, False])
def test_folds_by_group_hold_out_each_group_once_in_each_repeat(are_labels: bool) -> None:
    groups = np.random.default_rng(1).integers(0, 12, 200)
    found = list(folds(some(200, groups=groups), CrossValidate(folds=4, repeats=2), 7, are_labels=are_labels))
    assert len(found) == 8
    for rest, held_out in found:
        assert not set(groups[rest]) & set(groups[held_out])
    for repeat in (found[:4], found[4:]):
        assert sorted(np.concatenate([held_out for _, held_out in repeat])) == list(range(200))
    assert {tuple(fold[1]) for fold in found[:4]} != {tuple(fold[1]) for fold in found[4:]}


def test_folds_by_time_hold_out_what_comes_later() -> None:
    times = np.random.default_rng(1).permutation(np.repeat(np.arange(12.0), 5))
    found = list(folds(some(60, times=times), CrossValidate(folds=3), 0, are_labels=False))
    assert [(sorted({*times[rest]})[-1], sorted({*times[held_out]})) for rest, held_out in found] == [
        (2.0, [3, 4, 5]),
        (5.0, [6, 7, 8]),
        (8.0, [9, 10, 11]),
    ]


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"groups": np.arange(20) % 3}, "4 folds need as many groups, and there are 3 groups; ask for fewer folds"),
        (
            {"times": np.arange(20.0) % 4},
            "4 folds need as many moments, and there are 3 moments after the first; ask for fewer folds",
        ),
    ],
)
def test_more_folds_than_groups_or_moments_are_refused(beside: Any, said: str) -> None:
    with pytest.raises(DataError) as refused:
        list(folds(some(20, **beside), CrossValidate(folds=4), 0, are_labels=False))
    assert str(refused.value) == f"cross_validate.folds: {said}"


# -- members ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [3, 8, 100, 101])
def test_every_row_is_dealt_to_one_fold_of_nearly_the_same_size(n_rows: int) -> None:
    sizes = np.bincount(dealt(some(n_rows), 8, 0, are_labels=False), minlength=8)
    assert (sizes.sum(), sizes.max() - sizes.min() <= 1) == (n_rows, True)


def test_each_member_leaves_out_its_own_fold_and_no_member_all_rows() -> None:
    left = left_out(some(20), 3, 0, are_labels=False)
    assert left.sum(axis=1).tolist() == [1] * 20
    assert left.sum(axis=0).tolist() == [7, 7, 6]
    for together in ({"groups": np.zeros(20, np.int64)}, {"times": np.zeros(20)}):
        with pytest.raises(DataError, match=r"network\.members: all training rows are of one group or moment"):
            left_out(some(20, **together), 3, 0, are_labels=False)


def test_each_fold_is_dealt_its_share_of_a_rare_label() -> None:
    labels = np.repeat([0.0, 1.0], [184, 16])[:, None]
    folds = dealt(Rows(np.zeros((200, 1)), labels), 8, 3, are_labels=True)
    assert np.bincount(folds[184:], minlength=8).tolist() == [2] * 8
    assert np.bincount(folds).tolist() == [25] * 8


def test_a_group_is_dealt_to_one_fold_and_time_in_stretches() -> None:
    groups = np.arange(60) % 12
    by_group = dealt(some(60, groups=groups), 4, 0, are_labels=False)
    assert all(len({*by_group[groups == group]}) == 1 for group in range(12))
    by_time = dealt(some(6, times=np.array([5.0, 1, 2, 2, 4, 3])), 2, 0, are_labels=False)
    assert by_time.tolist() == [1, 0, 0, 0, 1, 0]
    few = dealt(some(60, groups=groups % 2), 4, 0, are_labels=False)
    assert len({*few}) == 2
