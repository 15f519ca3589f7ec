"""Targets learned as logarithms: they are tried where numbers are skewed, and answers are means of the numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.encoding.outputs import Logarithm, OutputDecoder
from models_store.encoding.scaler import Scaler
from training.data.dataset import DataError, Rows
from training.fitting.logarithms import are_better, calibrated, deviance, logarithm_of, may_pay

RNG = np.random.default_rng(0)


def column(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


@pytest.mark.parametrize(
    ("targets", "pays"),
    [
        (np.exp(RNG.normal(0, 2, 500)), True),
        (RNG.poisson(np.exp(RNG.normal(0, 1, 500))), True),
        (RNG.normal(10, 1, 500), False),
        (RNG.uniform(0, 1, 500), False),
        (np.exp(RNG.normal(0, 2, 500)) - 0.1, False),
        (np.exp(RNG.normal(0, 2, 50)), False),
        (np.zeros(500), False),
        (1e150 * np.exp(RNG.normal(0, 2, 500)), True),
    ],
)
def test_logarithms_are_tried_of_skewed_numbers_from_0_on_alone(targets: np.ndarray, pays: bool) -> None:
    assert may_pay(column(targets)) is pays


def test_negative_targets_have_no_logarithm_and_their_column_is_named() -> None:
    with pytest.raises(
        DataError, match=r"scaling.targets: log needs .* 2 training rows have a negative rent; use none"
    ):
        logarithm_of(column([1, -1, -2]), ("rent",))


def test_what_is_added_is_two_to_counts_and_small_to_other_numbers() -> None:
    made = logarithm_of(np.stack([np.arange(100.0), np.arange(100) / 8], axis=1), ("a", "b"))
    assert made.shift == pytest.approx([2.0, np.quantile(np.arange(1, 100) / 8, 0.01)])
    assert made.highest == pytest.approx([990.0, 123.75])
    assert logarithm_of(column([0, 0, 0]), ("a",)).highest == 10.0


def test_answers_of_logarithms_are_means_and_not_medians() -> None:
    truth = RNG.uniform(-2, 4, 4000)
    targets = column(np.exp(truth + RNG.normal(0, 1, 4000)))
    decoder = OutputDecoder(("y",), Scaler("standard", np.array([1.0]), np.array([2.0])), "float64")
    decoder = replace(decoder, logarithm=Logarithm(np.array([1e-9]), np.array([1e6])))
    found = calibrated(decoder, column(truth), targets, None)
    encoded = (column(truth) - 1.0) / 2.0
    answers = found.decode(encoded)[:, 0]
    means = np.exp(truth + 0.5)
    assert decoder.decode(encoded)[:, 0] == pytest.approx(np.exp(truth))
    assert answers.mean() == pytest.approx(targets.mean(), rel=1e-6)
    for part in (truth < 0, (truth >= 0) & (truth < 2), truth >= 2):
        assert answers[part].mean() == pytest.approx(means[part].mean(), rel=0.15)
    heavy = calibrated(decoder, column(truth), targets, np.where(truth > 2, 10.0, 0.1))
    assert heavy.decode(encoded)[truth > 2].mean() == pytest.approx(targets[truth > 2].mean(), rel=0.02)


@pytest.mark.parametrize(
    "targets", [np.zeros(200), np.full(200, 3.0), np.exp(RNG.normal(0, 9, 200)), np.eye(1, 200)[0]]
)
def test_any_targets_have_finite_means(targets: np.ndarray) -> None:
    numbers = column(targets)
    logarithm = logarithm_of(numbers, ("y",))
    decoder = OutputDecoder(("y",), Scaler.identity(1), "float64", logarithm)
    found = calibrated(decoder, logarithm.transform(numbers), numbers, None)
    answers = found.decode(column([-1e30, -5.0, 0.0, 5.0, 1e30]))
    assert np.isfinite(found.scaler.offset).all()
    assert ((answers >= 0) & (answers <= 10 * max(1.0, numbers.max()))).all()
    assert (np.diff(answers[:, 0]) >= 0).all()


def rows(targets: np.ndarray, **beside: Any) -> Rows:
    return Rows(column(np.arange(len(targets))), column(targets), **beside)


def test_the_better_answers_are_those_of_less_deviance_that_are_not_worse_by_squares() -> None:
    means = np.exp(RNG.normal(0, 2, 1000))
    targets = rows(RNG.poisson(means).astype(float))
    rough = column(np.maximum(means + RNG.normal(0, 1, 1000), 0))
    assert are_better(column(means), rough, targets)
    assert not are_better(rough, column(means), targets)
    assert not are_better(column(means), column(means), targets)
    assert not are_better(column(np.full(1000, np.nan)), rough, targets)
    # Small numbers are answered better, and large ones so much worse that squares tell.
    large = means > np.quantile(means, 0.8)
    assert not are_better(column(np.where(large, 2.0 * means, means)), rough, targets)


def test_the_deviance_is_that_of_the_formula() -> None:
    targets = rows(np.array([0.0, 1.0, 5.0]), weights=np.array([1.0, 1.0, 2.0]))
    mean = 11 / 4
    y, mu = np.array([0.0, 1.0, 5.0]) / mean, np.array([0.5, 2.0, 4.0]) / mean
    each = np.array([mu[0], y[1] * np.log(y[1] / mu[1]) - y[1] + mu[1], y[2] * np.log(y[2] / mu[2]) - y[2] + mu[2]])
    assert deviance(column([0.5, 2.0, 4.0]), targets) == pytest.approx(2 * np.average(each, weights=[1, 1, 2]))
