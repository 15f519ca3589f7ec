"""Sets of labels: how often they hold, that they are never empty nor drawn by lot, and what is kept of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Array
from models_store.calibration.ranks import exactly
from models_store.calibration.sets import LabelCalibration
from models_store.errors import BundleDamaged, TooFewRows

SEEDS = st.integers(0, 2**32 - 1)
LEVELS = [exactly(level) for level in (0.5, 0.8, 0.9, 0.95)]


def drawn(rng: np.random.Generator, n_rows: int, n_labels: int = 3) -> tuple[Array, Array]:
    """Probabilities of a network that is right as often as it says, and the right labels."""
    probabilities = rng.dirichlet(np.full(n_labels, 0.4), n_rows)
    labels = (probabilities.cumsum(axis=1) < rng.uniform(size=(n_rows, 1))).sum(axis=1)
    return probabilities, np.minimum(labels, n_labels - 1)


def calibration(probabilities: Array, labels: Array) -> LabelCalibration:
    chances = probabilities[np.arange(len(labels)), labels]
    return LabelCalibration(chances, labels.astype(np.int64), probabilities.shape[1])


@given(SEEDS)
def test_sets_hold_the_answer_are_nested_and_the_same_each_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, (asked, _) = calibration(*drawn(rng, 200)), drawn(rng, 20)
    sets = []
    for level in LEVELS:
        try:
            sets.append(found.sets(asked, level))
        except TooFewRows:
            break
        assert sets[-1][np.arange(20), asked.argmax(axis=1)].all()
        assert (found.sets(asked, level) == sets[-1]).all()
    for smaller, larger in pairwise(sets):
        assert (larger | ~smaller).all()


@given(SEEDS)
def test_the_order_of_calibration_rows_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, labels = drawn(rng, 120)
    order, (asked, _) = rng.permutation(120), drawn(rng, 20)
    one, other = calibration(probabilities, labels), calibration(probabilities[order], labels[order])
    assert (one.sets(asked, LEVELS[0]) == other.sets(asked, LEVELS[0])).all()


def test_over_many_draws_sets_hold_as_often_as_asked_among_the_rows_of_each_label() -> None:
    rng = np.random.default_rng(0)
    held = np.zeros((3, 2))
    for _ in range(300):
        # A network that finds the second label too seldom: its probability is half of what it should be.
        probabilities, labels = drawn(rng, 700, 2)
        probabilities[:, 1] /= 2
        probabilities[:, 0] = 1 - probabilities[:, 1]
        found = calibration(probabilities[:300], labels[:300])
        for place, level in enumerate(LEVELS[1:]):
            is_held = found.sets(probabilities[300:], level)[np.arange(400), labels[300:]]
            held[place] += [is_held[labels[300:] == label].mean() / 300 for label in range(2)]
    # The most probable label is always there, so that the first label is held more often.
    assert (held[:, 0] > [0.8, 0.9, 0.95]).all()
    assert held[:, 1] == pytest.approx([0.8, 0.9, 0.95], abs=0.015)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ([40, 30, 25], [2, 1, 0]),
        ([19, 19], [0, 1]),
        ([18, 40], [0, 0]),
        ([5, 15, 100, 30], [0, 0, 2, 1]),
        ([5, 5, 100, 30], [0, 0, 1, 0]),
        ([0, 100], [0, 0]),
        ([3, 4], [0, 0]),
    ],
)
def test_labels_of_few_rows_count_together(counts: list[int], groups: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    assert LabelCalibration(np.ones(len(labels)), labels, len(counts)).groups.tolist() == groups


def test_with_too_few_rows_of_a_label_there_is_no_set_rather_than_one_of_all_labels() -> None:
    labels = np.repeat([0, 1], [60, 30])
    found = LabelCalibration(np.linspace(0.1, 0.9, 90), labels, 2)
    found.check(exactly(0.96))
    with pytest.raises(TooFewRows, match="takes 33 calibration rows of each label, and this version has 30"):
        found.sets(np.array([[0.5, 0.5]]), exactly(0.97))


def test_what_was_kept_is_read_to_the_bit() -> None:
    found = LabelCalibration(np.array([0.25, 1.0, 0.0]), np.array([0, 2, 1]), 3)
    restored = LabelCalibration.from_bytes(found.to_bytes(), 3)
    assert (restored.chances.tolist(), restored.labels.tolist()) == ([0.25, 1.0, 0.0], [0, 2, 1])
    with pytest.raises(BundleDamaged, match="numbers of 2 labels"):
        LabelCalibration.from_bytes(found.to_bytes(), 2)
    with pytest.raises(BundleDamaged, match="expected probabilities"):
        LabelCalibration.from_bytes(LabelCalibration(np.array([1.5]), np.array([0]), 2).to_bytes(), 2)
