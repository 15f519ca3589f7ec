"""The verdict: it names what the figures say, in one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.card import Difference
from training.evaluation.verdict import Contest, Metric, plain

RENT = {"mean": 90_000.0, "linear": 69_000.0, "trees": 47_200.0}
WHO = {"majority": 0.6, "linear": 0.8, "trees": 0.84}


@pytest.mark.parametrize(
    ("metric", "figures", "said"),
    [
        (
            "rmse",
            RENT | {"network": 51_000.0},
            "Gradient-boosted trees do better here: RMSE 47,200, the network 51,000; a linear model has 69,000.",
        ),
        (
            "rmse",
            RENT | {"network": 40_000.0},
            "The network earns its place: RMSE 40,000; gradient-boosted trees have 47,200, a linear model 69,000, "
            "the mean 90,000.",
        ),
        (
            "rmse",
            RENT | {"network": 48_000.0},
            "The network does about as well as gradient-boosted trees: RMSE 48,000 against their 47,200; "
            "a linear model has 69,000, the mean 90,000.",
        ),
        (
            "rmse",
            RENT | {"network": 66_000.0, "trees": 70_000.0},
            "A linear model would have done: RMSE 69,000 against the network's 66,000; "
            "gradient-boosted trees have 70,000.",
        ),
        (
            "rmse",
            RENT | {"network": 91_000.0},
            "Even the training mean does better on the test rows: RMSE 90,000, the network 91,000.",
        ),
        (
            "rmse",
            {"mean": 3.0, "linear": 2.0, "network": 1.0},
            "The network earns its place: RMSE 1; a linear model has 2, the mean 3.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.75},
            "Gradient-boosted trees do better here: accuracy 0.84, the network 0.75; a linear model has 0.8.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.83},
            "The network does about as well as gradient-boosted trees: accuracy 0.83 against their 0.84; "
            "a linear model has 0.8, the most frequent label 0.6.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.81, "trees": 0.8},
            "A linear model would have done: accuracy 0.8 against the network's 0.81; gradient-boosted trees have 0.8.",
        ),
        (
            "accuracy",
            {"majority": 0.3, "linear": 1.0, "trees": 1.0, "network": 1.0},
            "A linear model would have done: accuracy 1 against the network's 1; gradient-boosted trees have 1.",
        ),
        (
            "accuracy",
            WHO | {"network": 0.6},
            "Even always saying the most frequent label does as well on the test rows: accuracy 0.6, the network 0.6.",
        ),
        (
            "accuracy",
            {"majority": 0.5, "network": 0.9},
            "The network earns its place: accuracy 0.9; the most frequent label has 0.5.",
        ),
    ],
)
def test_the_verdict_says_plainly_what_would_have_done(metric: Metric, figures: dict[str, float], said: str) -> None:
    assert Contest(metric, figures, n_rows=500, size=1e5).verdict() == said


def difference(metric: Metric, first: float, second: float, error: float) -> Difference:
    low, high = first - second - 2 * error, first - second + 2 * error
    figures = {"first": first, "second": second, "difference": first - second, "error": error, "low": low, "high": high}
    return Difference(metric=metric, rows=100, drawn=100, **figures)


@pytest.mark.parametrize(
    ("network", "trees", "linear", "error", "said"),
    [
        (40.0, 47.0, 69.0, 1.0, "The network earns its place: RMSE 40;"),
        (40.0, 47.0, 69.0, 9.0, "The network does about as well as gradient-boosted trees: RMSE 40 against their 47;"),
        (47.0, 40.0, 69.0, 9.0, "The network does about as well as gradient-boosted trees: RMSE 47 against their 40;"),
        (47.0, 40.0, 69.0, 1.0, "Gradient-boosted trees do better here: RMSE 40, the network 47;"),
        (
            *(40.0, 70.0, 47.0, 9.0),
            "A linear model may do as well: RMSE 40 against its 47, which 100 test rows may do by chance;",
        ),
    ],
)
def test_what_the_rows_may_do_by_chance_decides_nothing(
    network: float, trees: float, linear: float, error: float, said: str
) -> None:
    rivals = {"linear": linear, "trees": trees}
    differences = {name: difference("rmse", network, rival, error) for name, rival in rivals.items()}
    contest = Contest("rmse", {"mean": 90.0, "network": network, **rivals}, 100, differences=differences)
    assert contest.verdict().startswith(said)


def test_the_strongest_rival_and_the_members_are_named_with_their_errors() -> None:
    differences = {"linear": difference("accuracy", 0.9, 0.8, 0.02), "trees": difference("accuracy", 0.9, 0.6, 0.03)}
    figures = {"majority": 0.5, "linear": 0.8, "trees": 0.6, "network": 0.9}
    assert Contest("accuracy", figures, 100, differences=differences, spread=0.0625).verdict() == (
        "The network earns its place: accuracy 0.9; gradient-boosted trees have 0.6, a linear model 0.8, "
        "the most frequent label 0.5. On the same rows, its accuracy less that of a linear model is 0.1 ± 0.02 "
        "(95 %: 0.06 to 0.14). On a row, probabilities of its members differ by 0.062."
    )


def test_where_the_test_rows_lie_outside_the_region_nobody_earns_a_place() -> None:
    figures = {"mean": 10_600.0, "linear": 5850.0, "network": 3150.0}
    assert Contest("rmse", figures, n_rows=300, line="straight line", is_lost_outside=True).verdict() == (
        "Most test rows lie outside the region of the training rows, where neither can be trusted: the network has "
        "RMSE 3,150; a straight line has 5,850, the mean 10,600."
    )
    exact = Contest("rmse", {**figures, "linear": 0.0}, n_rows=300, line="straight line", is_lost_outside=True)
    assert exact.verdict() == "A straight line is exact here; the network comes within RMSE 3,150 of it."


def test_a_lead_of_some_rows_by_chance_is_none() -> None:
    figures = {"majority": 0.5, "linear": 0.7, "trees": 0.86, "network": 0.82}
    assert "about as well" in Contest("accuracy", figures, n_rows=100).verdict()
    assert "trees do better" in Contest("accuracy", figures, n_rows=10_000).verdict()


@given(st.dictionaries(st.sampled_from(["linear", "trees"]), st.floats(0, 1)), st.floats(0, 1), st.floats(0, 1))
def test_there_is_a_verdict_on_all_figures_and_it_names_the_networks(
    others: dict[str, float], guess: float, network: float
) -> None:
    metrics: dict[Metric, str] = {"rmse": "mean", "accuracy": "majority"}
    for metric, name in metrics.items():
        contest = Contest(metric, {name: guess, **others, "network": network}, n_rows=10)
        said = contest.verdict()
        assert said.endswith(".")
        assert contest._plain("network") in said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (0.000123, "0.000123"),
        (0.00123456, "0.00123"),
        (47_216.3, "47,200"),
        (999_999, "1,000,000"),
        (2e6, "2e+06"),
    ],
)
def test_a_number_has_three_digits_and_rarely_an_exponent(value: float, said: str) -> None:
    assert plain(value) == said
