"""Two versions compared: the words say what the figures say, and only rows that both were tested on are compared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.bundle import Description, Evaluation
from models_store.card import Gap, Refit
from models_store.comparison.versions import Answered, compare
from models_store.errors import NotComparable
from tests.fakes import card
from tests.table_fakes import flowers, passengers, rents

RNG = np.random.default_rng(0)
TARGETS = RNG.normal(0, 5, (100, 1))


def described(error: float, targets: np.ndarray = TARGETS, **changes: Any) -> Description:
    """A version that errs so much on each row, beside a linear model that errs by 4 and trees that err by 1.5."""

    def off(by: float) -> Any:
        return (targets + by * np.random.default_rng(int(100 * by)).normal(0, 1, targets.shape)).tolist()

    gaps = [Gap(inputs=[float(number)], predicted=[0.0], label=[0.0], gap=[0.0]) for number in range(10)]
    test = card().test.model_copy(update={"rows": len(targets)})
    of_card = card().model_copy(update={"test": test, "gaps": gaps, **changes})
    beside = {"linear": off(4.0), "trees": off(1.5)}
    return Description({}, of_card, {}, Evaluation(off(error), targets.tolist(), beside, [[0.5]] * len(targets)))


def told(one: Description, other: Description) -> str:
    return compare(Answered.in_test({"tides@1": one, "tides@2": other})).verdict


def test_the_better_version_is_named_with_both_figures_and_the_interval() -> None:
    found = compare(Answered.in_test({"tides@1": described(3.0), "tides@2": described(1.0)}))
    metrics = found.figures["tides@1"], found.figures["tides@2"]
    assert [round(figures["rmse"]) for figures in metrics] == [3, 1]
    assert found.verdict.startswith("tides@2 is better than tides@1: RMSE ")
    assert (" on 100 test rows; the difference is " in found.verdict, "(95 %: " in found.verdict) == (True, True)
    pairs = [(between.first, between.second) for between in found.differences]
    assert pairs == [
        ("tides@1", "tides@2"),
        *(("tides@1", name) for name in ("linear", "trees")),
        *(("tides@2", name) for name in ("linear", "trees")),
    ]
    assert (list(found.figures), found.spread) == (
        ["tides@1", "tides@2", "linear", "trees"],
        {"tides@1": 0.5, "tides@2": 0.5},
    )


def test_the_order_of_the_two_changes_nothing_but_the_sign() -> None:
    one, other = described(3.0), described(1.0)
    found = compare(Answered.in_test({"a@1": one, "a@2": other}))
    turned = compare(Answered.in_test({"a@2": other, "a@1": one}))
    assert turned.verdict == found.verdict
    for metric, difference in found.differences[0].by.items():
        assert turned.differences[0].by[metric] == difference.reversed


def test_what_may_be_chance_is_called_so_and_trees_ahead_of_both_are_named() -> None:
    said = told(described(3.0), described(3.05))
    assert said.startswith("100 test rows do not tell tides@1 and tides@2 apart: RMSE ")
    assert said.endswith("which may be chance. Gradient-boosted trees do better than both.")


def test_the_same_answers_are_called_equal() -> None:
    assert told(described(1.0), described(1.0)).startswith("tides@1 and tides@2 answer 100 test rows equally well: ")


def test_a_refit_is_told_of_because_what_is_served_has_learned_from_the_rows() -> None:
    fitted = card().fitted.model_copy(update={"refit": Refit(rows=500, epochs=3, seconds=0.1)})
    found = compare(Answered.in_test({"a@1": described(1.0), "a@2": described(2.0, fitted=fitted)}))
    assert "fitted again on all rows" in found.note
    assert compare(Answered.in_test({"a@1": described(1.0), "a@2": described(2.0)})).note == ""


def test_versions_that_were_tested_on_other_rows_are_not_compared() -> None:
    others = [
        described(1.0, targets=TARGETS[::-1]),
        described(1.0, targets=TARGETS[:50]),
        described(1.0, gaps=[Gap(inputs=[7.5], predicted=[0.0], label=[0.0], gap=[0.0])] * 10),
    ]
    for other in others:
        with pytest.raises(NotComparable, match="a@1 and a@2 were tested on other rows; compare them on rows of your"):
            Answered.in_test({"a@1": described(1.0), "a@2": other})


def test_versions_with_other_targets_are_not_compared() -> None:
    pairs = [
        (passengers().description, rents().description, "a@1 answers survived, and b@1 answers rent;"),
        (
            flowers().description,
            flowers(labels=("setosa", "virginica")).description,
            "a@1 and b@1 do not know the same labels of species; compare versions with the same target",
        ),
    ]
    for one, other, said in pairs:
        with pytest.raises(NotComparable, match=said):
            Answered.in_test({"a@1": one, "b@1": other})


def test_labels_are_compared_by_log_loss_first() -> None:
    bundle = flowers()
    numbers = np.arange(60) % 3
    sure, unsure = np.full((60, 3), 0.05), np.full((60, 3), 0.2)
    sure[np.arange(60), numbers], unsure[np.arange(60), numbers] = 0.9, 0.6
    labels = numbers[:, None].astype(float).tolist()
    measured = bundle.card.test.model_copy(update={"rows": 60})
    one = replace(
        bundle.description,
        card=bundle.card.model_copy(update={"test": measured}),
        evaluation=Evaluation(sure.tolist(), labels),
    )
    other = replace(one, evaluation=Evaluation(unsure.tolist(), labels))
    found = compare(Answered.in_test({"a@1": one, "a@2": other}))
    assert list(found.differences[0].by) == ["log_loss", "accuracy"]
    assert found.verdict.startswith("a@1 is better than a@2: log loss 0.1054 against 0.5108 on 60 test rows;")
    assert found.differences[0].by["accuracy"].better is None
