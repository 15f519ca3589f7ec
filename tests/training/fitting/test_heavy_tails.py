"""Huber's loss is tried where targets have heavy tails, and kept where its answers are better and means still."""

import numpy as np
import pytest

from training.data.dataset import Rows
from training.fitting.heavy_tails import are_better, may_pay

RNG = np.random.default_rng(0)


def column(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64).reshape(-1, 1)


@pytest.mark.parametrize(
    ("targets", "pays"),
    [
        (RNG.standard_t(2.5, 1000), True),
        (1e150 * np.tanh(1e-3 * RNG.standard_t(2.5, 1000)), True),
        (RNG.normal(size=1000), False),
        (RNG.uniform(size=1000), False),
        (RNG.standard_t(2.5, 50), False),
        (np.zeros(1000), False),
    ],
)
def test_the_loss_is_tried_of_heavy_tails_alone(targets: np.ndarray, pays: bool) -> None:
    assert may_pay(column(targets)) is pays


def test_answers_are_kept_that_err_less_and_are_means_still() -> None:
    truth = RNG.normal(0, 3, 1000)
    rows = Rows(column(truth), column(truth + RNG.standard_t(3, 1000)))
    exact, rough = column(truth), column(truth + RNG.normal(0, 1, 1000))
    assert are_better(exact, rough, rows)
    assert not are_better(rough, exact, rows)
    assert not are_better(exact, exact, rows)
    assert not are_better(np.full_like(exact, np.nan), rough, rows)


def test_answers_near_the_median_of_skewed_targets_are_not_kept() -> None:
    targets = np.exp(RNG.normal(0, 1, 2000))
    median, mean = np.full(2000, 1.0), np.full(2000, np.exp(0.5))
    assert not are_better(column(median), column(mean), Rows(column(targets), column(targets)))
