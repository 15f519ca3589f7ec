"""The paired bootstrap: it says what is known of the rows by other ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.card import Difference, PairedMetric
from models_store.comparison import paired
from models_store.comparison.paired import Paired

METRICS: tuple[PairedMetric, ...] = ("rmse", "mae", "log_loss", "accuracy")


def drawn(metric: PairedMetric, n_rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two sets of answers, the second one worse, and the targets."""
    rng = np.random.default_rng(seed)
    if metric in ("rmse", "mae"):
        targets = rng.normal(0, 5, (n_rows, 2))
        return targets + rng.normal(0, 1, (n_rows, 2)), targets + rng.normal(0, 2, (n_rows, 2)), targets
    numbers = rng.integers(0, 3, n_rows)
    right = np.eye(3)[numbers]
    first, second = (sure * right + rng.dirichlet(np.ones(3), n_rows) for sure in (1.0, 0.3))
    return first / first.sum(axis=1)[:, None], second / second.sum(axis=1)[:, None], numbers[:, None].astype(float)


@pytest.mark.parametrize("metric", METRICS)
def test_the_better_of_two_is_called_so_and_their_order_does_not_matter(metric: PairedMetric) -> None:
    first, second, targets = drawn(metric)
    found = Paired.of(metric, first, second, targets).difference
    turned = Paired.of(metric, second, first, targets).difference
    assert (found.better, turned.better) == ("first", "second")
    assert turned == found.reversed
    assert found.low < found.difference < found.high
    assert found.difference == pytest.approx(found.first - found.second)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_rows=st.integers(1, 60))
def test_answers_that_are_alike_differ_by_exactly_nothing(metric: PairedMetric, seed: int, n_rows: int) -> None:
    first, _, targets = drawn(metric, n_rows, seed)
    found = Paired.of(metric, first, first.copy(), targets, seed=seed).difference
    assert (found.difference, found.error, found.low, found.high, found.better) == (0, 0, 0, 0, None)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(1, 60),
    is_weighted=st.booleans(),
    is_grouped=st.booleans(),
    metric=st.sampled_from(METRICS),
)
def test_swapped_answers_give_the_same_with_the_other_sign_each_time(
    seed: int, n_rows: int, is_weighted: bool, is_grouped: bool, metric: PairedMetric
) -> None:
    first, second, targets = drawn(metric, n_rows, seed)
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 3, n_rows) if is_weighted else None
    groups = rng.integers(0, 9, n_rows) if is_grouped else None

    def found(one: np.ndarray, other: np.ndarray) -> Difference:
        return Paired.of(metric, one, other, targets, weights=weights, groups=groups, seed=seed).difference

    assert found(second, first) == found(first, second).reversed
    assert found(first, second) == found(first, second)


def test_the_error_of_a_mean_is_that_of_the_formula() -> None:
    first, second, targets = drawn("mae", 2000)
    each = (np.abs(first - targets) - np.abs(second - targets)).mean(axis=1)
    found = Paired.of("mae", first, second, targets).difference
    error = each.std() / np.sqrt(2000)
    assert found.difference == pytest.approx(each.mean())
    assert found.error == pytest.approx(error, rel=0.1)
    assert (found.low, found.high) == pytest.approx((each.mean() - 1.96 * error, each.mean() + 1.96 * error), abs=error)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    truth, held = 1.0 - 1.5, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        targets = np.zeros((150, 1))
        found = Paired.of(
            "rmse", rng.normal(0, 1, (150, 1)), rng.normal(0, 1.5, (150, 1)), targets, seed=seed
        ).difference
        held += found.low <= truth <= found.high
    assert 0.9 <= held / 200 <= 0.99


@pytest.mark.parametrize(("n_rows", "of_student"), [(10, 2.262), (15, 2.145), (30, 2.045)])
def test_of_few_rows_the_interval_of_a_mean_is_as_wide_as_students(n_rows: int, of_student: float) -> None:
    shares = []
    for seed in range(40):
        first, second, targets = drawn("mae", n_rows, seed)
        each = (np.abs(first - targets) - np.abs(second - targets)).mean(axis=1)
        found = Paired.of("mae", first, second, targets, seed=seed).difference
        shares.append((found.high - found.low) / (2 * of_student * each.std(ddof=1) / np.sqrt(n_rows)))
    assert np.mean(shares) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("n_rows", [10, 15, 30])
def test_few_errors_with_heavy_tails_seldom_call_a_worse_version_within_the_tolerance(n_rows: int) -> None:
    rng, passed = np.random.default_rng(n_rows), 0
    for seed in range(400):
        shared, own, other = rng.normal(size=(3, n_rows, 1))
        hard = np.sqrt(5 / rng.chisquare(5, (n_rows, 1)))  # both are a t distribution with five degrees of freedom
        first, second = (hard * (0.9**0.5 * shared + 0.1**0.5 * each) for each in (own, other))
        times = Paired.of("rmse", 1.05 * first, second, np.zeros((n_rows, 1)), seed=seed).ratio
        assert times is not None
        passed += times[1] <= 1.05
    assert passed / 400 <= 0.05


@pytest.mark.parametrize("metric", METRICS)
def test_a_ratio_and_a_difference_say_the_same_of_which_is_larger(metric: PairedMetric) -> None:
    for seed in range(5):
        first, second, targets = drawn(metric, 40, seed)
        pair = Paired.of(metric, first, second, targets)
        found, times = pair.difference, pair.ratio
        assert times is not None
        assert [end > 1 for end in times] == [end > 0 for end in (found.low, found.high)]
        assert times[0] < found.first / found.second < times[1]


def test_there_is_no_ratio_to_answers_without_an_error() -> None:
    first, _, targets = drawn("rmse", 40)
    assert Paired.of("rmse", first, targets, targets).ratio is None


def test_very_many_rows_are_drawn_in_groups_with_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, targets = drawn("rmse", 4000)
    each = Paired.of("rmse", first, second, targets).difference
    monkeypatch.setattr(paired, "MOST_DRAWN", 500)
    grouped = Paired.of("rmse", first, second, targets).difference
    assert (grouped.drawn, grouped.rows, grouped.difference) == (500, 4000, each.difference)
    assert grouped.error == pytest.approx(each.error, rel=0.25)


def test_rows_of_a_group_are_drawn_together_so_ten_times_the_same_row_is_one() -> None:
    first, second, targets = drawn("rmse", 100)
    once = Paired.of("rmse", first, second, targets).difference
    many = [np.repeat(values, 10, axis=0) for values in (first, second, targets)]
    grouped = Paired.of("rmse", *many, groups=np.repeat(np.arange(100), 10)).difference
    assert (grouped.low, grouped.high) == pytest.approx((once.low, once.high))
    assert Paired.of("rmse", *many).difference.error < 0.5 * once.error


def test_a_row_counts_by_its_weight() -> None:
    first, second, targets = drawn("rmse", 100)
    weights = np.where(np.arange(100) < 50, 2 - 1e-9, 1e-9)
    found, half = (
        Paired.of("rmse", first, second, targets, weights=weights).difference,
        Paired.of("rmse", *(values[:50] for values in (first, second, targets))).difference,
    )
    assert (found.first, found.second) == pytest.approx((half.first, half.second))


def test_a_few_rows_tell_nothing() -> None:
    targets = np.zeros((5, 1))
    assert Paired.of("rmse", np.ones((5, 1)), np.full((5, 1), 9.0), targets).difference.better is None
    assert Paired.of("rmse", np.ones((20, 1)), np.full((20, 1), 9.0), np.zeros((20, 1))).difference.better == "first"


def test_the_largest_numbers_overflow_nowhere() -> None:
    targets = 1e150 * np.arange(20.0)[:, None]
    found = Paired.of("rmse", targets + 1e149, targets - 3e149, targets).difference
    assert (found.first, found.second) == pytest.approx((1e149, 3e149))
