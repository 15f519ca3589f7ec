"""Scores: compared with scikit-learn, by hand, and where a label does not occur."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from models_store.arrays import Array
from models_store.card import LabelScore, Score
from tests.fakes import rows
from training.data.dataset import Dataset, Labels, Rows
from training.evaluation.scores import MOST_CONFUSED, author_metrics, label_score, measured, r_squared, score

# -- numbers -------------------------------------------------------------------------------------------------------


def test_errors_of_numbers_by_hand() -> None:
    assert score(rows(1, 2, 3, 8), rows(1, 1, 1, 1)) == Score(
        rmse=np.sqrt(54 / 4), mae=10 / 4, median_error=1.5, r2=None, max_error=7.0
    )


@given(arrays(np.float64, (7, 2, 2), elements=st.floats(-1e6, 1e6)))
def test_errors_of_numbers_are_those_of_scikit_learn(pair: Any) -> None:
    predicted, targets = pair[..., 0], pair[..., 1]
    ours = score(predicted, targets)
    assert (ours.rmse**2, ours.mae, ours.max_error) == pytest.approx(
        (
            metrics.mean_squared_error(targets, predicted),
            metrics.mean_absolute_error(targets, predicted),
            max(metrics.max_error(targets[:, place], predicted[:, place]) for place in (0, 1)),
        )
    )
    if ours.r2 is not None and np.ptp(targets, axis=0).min() > 1:
        assert ours.r2 == pytest.approx(metrics.r2_score(targets, predicted))


def test_constant_targets_leave_nothing_to_explain_even_after_rounding() -> None:
    assert r_squared(rows(1, 2), rows(0.1 + 0.2, 0.3)) is None
    assert r_squared(rows(1, 2), rows(1, 2)) == 1.0


@pytest.mark.parametrize("power", [-1000, -600, 480])
def test_errors_whose_squares_no_float64_holds_are_those_of_others(power: int) -> None:
    predicted, targets, factor = rows(1, 2, 3, 8), rows(1, 2, 4, 7), 2.0**power
    usual, extreme = score(predicted, targets), score(predicted * factor, targets * factor)
    assert (extreme.r2, extreme.rmse) == (usual.r2, usual.rmse * factor)


def test_an_answer_that_is_wrong_beyond_all_measure_has_the_lowest_r2() -> None:
    lowest = -np.finfo(np.float64).max
    assert r_squared(rows(1e200, 2), rows(1, 2)) == lowest
    assert r_squared(np.full((2, 3), 1e300), np.array([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]])) == lowest
    assert r_squared(rows(1e308, 1, 2), rows(1e-300, 1, 2), np.array([0.0, 1.0, 1.0])) == 1.0
    assert r_squared(rows(1e100, 2), rows(1, 2)) == pytest.approx(-2e200)


def test_each_output_has_a_score_of_its_own() -> None:
    targets = np.array([[0.0, 0.0], [2.0, 4.0]])
    data = numbers(Rows(targets, targets))
    answers = targets + np.array([1.0, -3.0])
    told = measured(answers, data.test, data)
    assert (told.rows, list(told.outputs)) == (2, ["a", "b"])
    assert told.outputs == {
        "a": score(targets[:, [0]] + 1, targets[:, [0]]),
        "b": score(targets[:, [1]] - 3, targets[:, [1]]),
    }
    assert told.overall == score(answers, targets)


@given(
    arrays(np.float64, (7, 2, 2), elements=st.integers(-1000, 1000).map(float)),
    st.lists(st.integers(1, 5), min_size=7, max_size=7),
)
def test_a_row_of_weight_3_counts_as_three_rows_do(pair: Any, counts: list[int]) -> None:
    predicted, targets = pair[..., 0], pair[..., 1]
    weighted = score(predicted, targets, np.array(counts, dtype=np.float64))
    repeated = score(predicted.repeat(counts, axis=0), targets.repeat(counts, axis=0))
    assert (weighted.rmse, weighted.mae, weighted.max_error) == pytest.approx(
        (repeated.rmse, repeated.mae, repeated.max_error)
    )
    gaps = np.sort(np.abs(predicted - targets).repeat(counts, axis=0).ravel())
    assert weighted.median_error in gaps[[(len(gaps) - 1) // 2, len(gaps) // 2]]
    if weighted.r2 is not None and np.ptp(targets, axis=0).min() > 1:
        assert weighted.r2 == pytest.approx(repeated.r2)
        assert weighted.r2 == pytest.approx(metrics.r2_score(targets, predicted, sample_weight=counts))


def test_authors_count_errors_in_their_own_ways() -> None:
    exact = score(rows(0, 0, 0, 0), rows(2, 2, 2, 2))
    assert author_metrics(exact, 4) == {"rmse": 2.0, "mae": 2.0, "rmse_over_root_n": 1.0}


# -- labels --------------------------------------------------------------------------------------------------------


def test_two_labels_by_hand() -> None:
    """Three rows are `yes`, of which two are found; two are `no`, of which one is taken for `yes`."""
    says_yes = np.array([0.9, 0.6, 0.4, 0.8, 0.1])
    told = label_score(probabilities(says_yes), np.array([1, 1, 1, 0, 0]))
    assert told.confusion == [[1, 1], [1, 2]]
    assert (told.accuracy, told.balanced_accuracy, told.f1) == pytest.approx((3 / 5, (1 / 2 + 2 / 3) / 2, 2 / 3))
    assert told.precision == pytest.approx([1 / 2, 2 / 3])
    assert told.recall == pytest.approx([1 / 2, 2 / 3])
    assert told.log_loss == pytest.approx(-np.log([0.9, 0.6, 0.4, 0.2, 0.9]).mean())
    assert told.roc_auc == pytest.approx(4 / 6)  # of six pairs of a yes and a no, four are in order
    assert author_metrics(told, 5) == {"accuracy": told.accuracy, "log_loss": told.log_loss}


@st.composite
def told_labels(draw: st.DrawFn) -> tuple[Array, Any]:
    n_rows, n_labels = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    weights = draw(arrays(np.float64, (n_rows, n_labels), elements=st.floats(0.001, 1)))
    right = draw(arrays(np.int64, n_rows, elements=st.integers(0, n_labels - 1)))
    return weights / weights.sum(axis=1, keepdims=True), right


@pytest.mark.filterwarnings("ignore::UserWarning")  # the oracle's own, about labels that do not occur
@given(told_labels())
def test_labels_are_scored_as_scikit_learn_scores_them(case: tuple[Array, Any]) -> None:
    shares, right = case
    n_labels, said = shares.shape[1], shares.argmax(axis=1)
    known = range(n_labels)
    told = label_score(shares, right)
    average = {"average": "macro"} if n_labels > 2 else {"average": None, "labels": known}
    f1 = metrics.f1_score(right, said, zero_division=0, **average)
    assert told.f1 == pytest.approx(f1 if n_labels > 2 else f1[1])
    assert told.accuracy == pytest.approx(metrics.accuracy_score(right, said))
    assert told.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(right, said))
    assert told.log_loss == pytest.approx(metrics.log_loss(right, shares, labels=known))
    assert told.confusion == metrics.confusion_matrix(right, said, labels=known).tolist()
    if len(set(right)) < n_labels:
        assert told.roc_auc is None
    elif n_labels == 2:
        assert told.roc_auc == pytest.approx(metrics.roc_auc_score(right, shares[:, 1]))
    else:
        assert told.roc_auc == pytest.approx(metrics.roc_auc_score(right, shares, multi_class="ovr"))


def test_a_label_that_does_not_occur_is_no_trouble() -> None:
    told = label_score(np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]), np.array([0, 0]))
    assert (told.accuracy, told.balanced_accuracy, told.roc_auc) == (0.5, 0.5, None)
    assert (told.precision, told.recall) == ([1.0, 0.0, 0.0], [0.5, 0.0, 0.0])
    assert told.confusion == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_certainty_that_is_wrong_costs_much_but_not_everything() -> None:
    assert label_score(probabilities(np.array([1.0])), np.array([0])).log_loss == pytest.approx(36.04, abs=0.01)


def test_very_many_labels_have_no_matrix_that_nobody_reads() -> None:
    n_labels = MOST_CONFUSED + 1
    told = label_score(np.full((3, n_labels), 1 / n_labels), np.array([0, 1, 100]))
    assert (told.confusion, told.roc_auc, len(told.recall)) == ([], None, n_labels)
    assert told.accuracy == pytest.approx(1 / 3)


def test_labels_are_measured_by_their_numbers() -> None:
    labelled = Rows(rows(1, 2), rows(0, 1))
    data = Dataset({"x": "number"}, ("it",), labelled, None, labelled, labels=Labels(("no", "yes"), "text"))
    told = measured(probabilities(np.array([0.2, 0.7])), data.test, data)
    assert isinstance(told.overall, LabelScore)
    assert (told.rows, told.overall.accuracy, told.outputs) == (2, 1.0, {"it": told.overall})


def probabilities(says_second: Array) -> Array:
    return np.stack([1 - says_second, says_second], axis=1)


def numbers(both: Rows) -> Dataset:
    return Dataset({"x": "number", "z": "number"}, ("a", "b"), both, None, both)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_labels_of_weight_3_count_as_three_rows_do(n_labels: int) -> None:
    rng = np.random.default_rng(n_labels)
    probabilities = rng.dirichlet(np.ones(n_labels), 50)
    numbers, counts = rng.integers(0, n_labels, 50), rng.integers(1, 4, 50)
    weighted = label_score(probabilities, numbers, counts / counts.mean()).model_dump()
    repeated = label_score(probabilities.repeat(counts, axis=0), numbers.repeat(counts)).model_dump()
    assert weighted.pop("confusion") == label_score(probabilities, numbers).confusion
    del repeated["confusion"]
    for name, figure in repeated.items():
        assert weighted[name] == pytest.approx(figure), name
