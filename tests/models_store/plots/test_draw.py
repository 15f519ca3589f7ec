"""Plots: those that apply to a version are pictures, and curves are those of scikit-learn."""

from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from sklearn import metrics

from models_store.bundle import Description, Evaluation
from models_store.card import (
    Card,
    Column,
    CrossValidation,
    Fold,
    LabelScore,
    Measured,
    Searched,
    SearchMetric,
    Trial,
    Value,
)
from models_store.errors import PlotNotApplicable
from models_store.plots import of_search
from models_store.plots.draw import PlotName, draw, plots_of
from models_store.plots.of_labels import area, interval, roc_curve
from models_store.plots.style import named, rows_shown
from tests.fakes import card

PNG, SVG = b"\x89PNG\r\n", b"<?xml"
PLOTS: tuple[PlotName, ...] = get_args(PlotName)
METRICS = {"metric": [1.0, 0.5], "val_metric": [1.0, 0.75]}


def of_numbers(history: dict[str, list[float]] | None = None, **changes: Any) -> Description:
    curves = {"loss": [0.5, 0.25]} if history is None else history
    return Description({}, card().model_copy(update=changes), curves, Evaluation([[1.0], [4.0]], [[2.0], [3.0]]))


def of_labels(*labels: Value, n_rows: int = 40, history: dict[str, list[float]] | None = None) -> Description:
    """Return a classifier whose test rows have each label in turn, most of them predicted rightly."""
    rng = np.random.default_rng(0)
    right = np.arange(n_rows) % len(labels)
    scores = rng.random((n_rows, len(labels))) + 0.5 * np.eye(len(labels))[right]
    shares = (scores**3 / (scores**3).sum(axis=1, keepdims=True)).round(6)
    return Description(
        {},
        labelled_card(labels, right, shares),
        {"loss": [0.9, 0.5], "val_loss": [0.9, 0.7], **METRICS} if history is None else history,
        Evaluation(shares.tolist(), right[:, None].astype(float).tolist()),
    )


def labelled_card(labels: tuple[Value, ...], right: Any, shares: Any) -> Card:
    confusion = metrics.confusion_matrix(right, shares.argmax(axis=1), labels=range(len(labels))).tolist()
    each = [0.5] * len(labels)
    figures = {"accuracy": 0.5, "log_loss": 1.0, "balanced_accuracy": 0.5, "f1": 0.5, "roc_auc": 0.5}
    score = LabelScore.model_validate({**figures, "confusion": confusion, "precision": each, "recall": each})
    measured = Measured(rows=len(right), overall=score, outputs={"it": score})
    outputs = [Column(name="it", kind="category", values=list(labels))]
    return card().model_copy(update={"task": "classification", "outputs": outputs, "train": measured, "test": measured})


def crossed() -> CrossValidation:
    folds = [Fold(rows=1, score=card().test.overall, best_epoch=2)] * 2
    figures = {"mae": 1.0}
    return CrossValidation(
        folds=folds, mean=figures, sd=figures, metric="mae", curve=[2.0, 1.0, 1.5], smoothed=[2.0, 1.5, 1.5], epochs=2
    )


DESCRIBED = {
    "numbers": of_numbers(),
    "numbers, cross-validated": of_numbers({"loss": [0.5, 0.25], **METRICS}, cross_validation=crossed()),
    "loss of 0": of_numbers({"loss": [1.0, 0.0]}),
    "two labels": of_labels("no", "yes"),
    "labels of numbers": of_labels(1.0, 2.0, 3.0),
    "booleans": of_labels(False, True),
    "strange labels": of_labels("$a_{1", "b$ and c$", "_d", "e" * 100),
    "one test row": of_labels("no", "yes", n_rows=1),
    "many labels": of_labels(*[f"label {number}" for number in range(100)], n_rows=300),
}


@pytest.mark.parametrize("described", DESCRIBED.values(), ids=DESCRIBED)
def test_every_plot_that_applies_is_a_picture(described: Description) -> None:
    for plot in plots_of(described.card):
        assert draw(plot, described, "png", title="it, version 1").startswith(PNG)
        assert draw(plot, described, "svg", title="it, version 1").startswith(SVG)


def test_the_same_version_gives_the_same_bytes() -> None:
    first, second = (draw("roc", of_labels("a", "b", "c"), "svg", title="it") for _ in range(2))
    assert first == second


def test_numbers_and_labels_have_plots_of_their_own() -> None:
    assert plots_of(of_numbers().card) == ("learning-curve", "predicted-vs-actual", "residuals")
    assert plots_of(of_labels("no", "yes").card) == ("learning-curve", "confusion", "roc", "calibration")


def test_what_has_no_confusion_matrix_has_no_picture_of_it() -> None:
    described = of_labels("no", "yes")
    score = described.card.test.overall.model_copy(update={"confusion": []})
    large = described.card.model_copy(update={"test": described.card.test.model_copy(update={"overall": score})})
    assert plots_of(large) == ("learning-curve", "roc", "calibration")


@pytest.mark.parametrize("described", [of_numbers(), of_labels("no", "yes")], ids=["numbers", "labels"])
def test_a_plot_that_does_not_apply_is_refused_by_the_names_of_those_that_do(described: Description) -> None:
    known = plots_of(described.card)
    for plot in set(PLOTS) - set(known):
        with pytest.raises(PlotNotApplicable, match="there are " + ", ".join(known)):
            draw(plot, described, "svg", title="it")


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (of_numbers(), ["loss, scaled units"]),
        (of_numbers({"loss": [0.5, 0.25], **METRICS}), ["loss, scaled units", "mean absolute error"]),
        (of_numbers(cross_validation=crossed()), ["loss, scaled units", "mean of 2 folds", "chosen: epoch 2"]),
        (of_labels("no", "yes"), ["validation loss", "training accuracy", "validation accuracy"]),
    ],
    ids=["loss alone", "with a metric", "cross-validated", "labels"],
)
def test_a_learning_curve_shows_all_that_there_is(described: Description, said: list[str]) -> None:
    # Matplotlib writes each text into the SVG as a comment beside its outlines.
    picture = draw("learning-curve", described, "svg", title="it").decode()
    assert [text for text in said if f"<!-- {text} -->" not in picture] == []


def test_a_confusion_matrix_shows_every_count() -> None:
    described = of_labels("setosa", "versicolor", n_rows=500)
    picture = draw("confusion", described, "svg", title="it").decode()
    assert isinstance(described.card.test.overall, LabelScore)
    counts = [str(count) for row in described.card.test.overall.confusion for count in row]
    for text in (*counts, "setosa", "versicolor", "actual (500 test rows)"):
        assert f"<!-- {text} -->" in picture


def test_whatever_labels_and_columns_hold_a_picture_is_a_picture_and_no_script() -> None:
    names = ["<script>x()</script>", "]]>\"'<img src=x onerror=x()>", "--><b>", "$x$", "a\x01\x1b\n\ufffe", "\ud800"]
    numbers = of_numbers(outputs=[Column(name=name, minimum=0, maximum=1) for name in names[:1]])
    for described in (of_labels(*names), of_labels(*names[4:]), numbers):
        for plot in plots_of(described.card):
            root = ElementTree.fromstring(draw(plot, described, "svg", title="evil"))
            tags = {element.tag.rpartition("}")[2] for element in root.iter()}
            assert tags.isdisjoint({"script", "img", "b", "foreignObject"})


def test_a_plot_of_some_test_rows_says_of_how_many() -> None:
    test = card().test
    assert rows_shown(of_numbers(test=test.model_copy(update={"rows": 2}))) == "test rows"
    assert rows_shown(of_numbers(test=test.model_copy(update={"rows": 2500}))) == "the first 2 of 2,500 test rows"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1"), (0.5, "0.5"), (True, "true"), ("a" * 30, "a" * 17 + "…"), ("5 $", r"5 \$")],
)
def test_labels_are_named_for_people(value: Value, shown: str) -> None:
    assert named(value) == shown


# -- searches ------------------------------------------------------------------------------------------------------


def searched(*values: float | None, metric: SearchMetric = "rmse", importance: dict[str, float] | None = None) -> Card:
    """A card of a version whose recipe is the best of trials with these scores."""
    trials = [
        Trial(
            number=number,
            state="failed" if value is None else "complete",
            value=value,
            point={"network.layers": [8] * (number % 3), "fit.optimizer.learning_rate": 10.0**-number, "fit.epochs": 5}
            | ({"network.dropout": 0.5} if number % 2 else {}),
            epochs=5,
            seconds=1,
        )
        for number, value in enumerate(values)
    ]
    found = Searched(
        method="random", metric=metric, folds=None, best=0, trials=trials, seconds=9, importance=importance or {}
    )
    return card().model_copy(update={"search": found})


@pytest.mark.parametrize("values", [(1.0,), (1.0, 2.0, None, 500.0), (-1.0, 0.0, 0.5, None)])
@pytest.mark.parametrize("importance", [None, {"network.layers": 0.75, "fit.optimizer.learning_rate": 0.25}])
def test_the_trials_of_a_search_are_drawn(
    values: tuple[float | None, ...], importance: dict[str, float] | None
) -> None:
    described = of_numbers(search=searched(*values, importance=importance).search)
    assert plots_of(described.card)[-1] == "search"
    picture = draw("search", described, "svg", title="it").decode()
    assert "best so far" in picture
    assert ("share of the differences" in picture) is (importance is not None)


@pytest.mark.parametrize(
    ("chosen", "heights"),
    [
        ([None, {"name": "cosine"}, {"name": "exponential"}], [0.0, 0.5, 1.0]),
        ([None, 2, 1], [0.0, 1.0, 0.5]),
        ([None, None, "a"], [0.0, 0.0, 1.0]),
        ([None, None, None], [0.5, 0.5, 0.5]),
        ([1, 3, 2], [0.0, 1.0, 0.5]),
    ],
)
def test_a_choice_of_nothing_is_a_value_of_its_own_below_others(chosen: list[Any], heights: list[float]) -> None:
    points = [*({"fit.schedule": value} for value in chosen), {}]
    trials = [
        Trial(number=number, state="complete", value=1.0 + number, point=point, epochs=5, seconds=1)
        for number, point in enumerate(points)
    ]
    found = Searched(method="grid", metric="rmse", folds=None, best=0, trials=trials, seconds=9)
    axes = Figure().subplots()
    of_search.parallel(axes, of_numbers(search=found))
    # The best line is drawn last; that of the trial that did not choose the field first.
    drawn = [np.asarray(line.get_ydata()).item() for line in reversed(axes.lines)]
    assert drawn[:3] == heights
    assert np.isnan(drawn[3])


def test_a_field_that_only_failed_trials_chose_has_no_place() -> None:
    failed = Trial(number=0, state="failed", value=None, point={"fit.epochs": 5}, epochs=0, seconds=1, error="diverged")
    done = Trial(number=1, state="complete", value=1.0, point={}, epochs=5, seconds=1)
    found = Searched(method="grid", metric="rmse", folds=None, best=1, trials=[failed, done], seconds=9)
    axes = Figure().subplots()
    of_search.parallel(axes, of_numbers(search=found))
    assert [np.isnan(line.get_ydata()).all() for line in axes.lines] == [True]


# -- ROC curves ----------------------------------------------------------------------------------------------------


@given(
    arrays(np.bool_, 12),
    arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])),
)
def test_roc_curves_are_those_of_scikit_learn(is_label: Any, probability: Any) -> None:
    curve = roc_curve(is_label, probability)
    if len(set(is_label)) == 1:
        assert curve is None
        return
    assert curve is not None
    across, up, _ = metrics.roc_curve(is_label, probability, drop_intermediate=False)
    np.testing.assert_allclose(curve, (across, up))
    assert area(*curve) == pytest.approx(metrics.roc_auc_score(is_label, probability))


# -- calibration ---------------------------------------------------------------------------------------------------


def test_an_interval_of_a_share_is_wilsons() -> None:
    # Computed by hand after Agresti and Coull, 1998: 10 of 10 rows, and 50 of 100.
    np.testing.assert_allclose(
        interval(np.array([1.0, 0.5]), np.array([10, 100])), [[0.7225, 0.4038], [1.0, 0.5962]], atol=1e-4
    )
