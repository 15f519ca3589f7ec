"""Plots of a version, as SVG or PNG bytes: its learning curves, and its predictions of test rows.

learning-curve                      every version: loss; metric and cross-validation, if there are any
predicted-vs-actual, residuals      regression
confusion, roc, calibration         classification
search                              versions whose recipe was chosen by a search
"""

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models_store.bundle import Description
from models_store.card import Card, LabelScore
from models_store.errors import PlotNotApplicable
from models_store.plots.of_labels import calibration, confusion, roc
from models_store.plots.of_search import history, importance, parallel
from models_store.plots.style import BLUE, GREY, ORANGE, named, rows_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PlotName = Literal["learning-curve", "predicted-vs-actual", "residuals", "confusion", "roc", "calibration", "search"]
Picture = Literal["svg", "png"]
Panel = Callable[["Axes", Description], None]

# Matplotlib's font cache and rcParams are shared by all threads.
DRAWING = threading.Lock()
# Inches; panels stand side by side.
WIDTH, WIDTH_OF_SEVERAL, HEIGHT = 7.0, 4.8, 4.2
# Losses that fall by more than this factor are drawn on a logarithmic scale: the last epochs matter most.
FAR = 10


def plots_of(card: Card) -> tuple[PlotName, ...]:
    """Return the names of the plots that apply to a version."""
    of_search: tuple[PlotName, ...] = ("search",) if card.search is not None else ()
    return (*_of_predictions(card), *of_search)


def _of_predictions(card: Card) -> tuple[PlotName, ...]:
    if not isinstance(card.test.overall, LabelScore):
        return ("learning-curve", "predicted-vs-actual", "residuals")
    if not card.test.overall.confusion:
        return ("learning-curve", "roc", "calibration")
    return ("learning-curve", "confusion", "roc", "calibration")


def draw(plot: PlotName, described: Description, picture: Picture, *, title: str) -> bytes:
    """Return the plot as an SVG or PNG file; the same version gives the same bytes.

    Raises PlotNotApplicable, which names the plots that apply.
    """
    import matplotlib as mpl  # deferred: takes half a second, and most processes never draw
    from matplotlib.figure import Figure

    if plot not in plots_of(described.card):
        raise PlotNotApplicable(plots_of(described.card))
    panels = _panels(plot, described)
    with DRAWING, mpl.rc_context({"svg.hashsalt": "pattern-server"}):
        figure = Figure(figsize=_size(panels, described), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        for place, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), place)
            _style(axes)
            panel(axes, described)
            if len(axes.get_legend_handles_labels()[0]) > 1:
                axes.legend(frameon=False, fontsize=9)
        target = io.BytesIO()
        figure.savefig(target, format=picture, dpi=130, metadata={"Date": None} if picture == "svg" else None)
    return target.getvalue()


def _panels(plot: PlotName, described: Description) -> list[Panel]:
    if plot == "search":
        searched = described.card.search
        return [history, *([importance] if searched and searched.importance else []), parallel]
    if plot != "learning-curve":
        return [_PANELS[plot]]
    panels: list[Panel] = [_loss]
    if "metric" in described.history:
        panels.append(_metric)
    if described.card.cross_validation is not None:
        panels.append(_cross_validation)
    return panels


def _size(panels: list[Panel], described: Description) -> tuple[float, float]:
    score = described.card.test.overall
    if panels == [confusion] and isinstance(score, LabelScore):
        side = min(14.0, 4.0 + 0.3 * len(score.confusion))
        return side + 0.5, side
    return (WIDTH if len(panels) == 1 else WIDTH_OF_SEVERAL * len(panels)), HEIGHT


def _style(axes: "Axes") -> None:
    axes.grid(visible=True, color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


# -- learning curves -----------------------------------------------------------------------------------------------


def _loss(axes: "Axes", described: Description) -> None:
    drawn = _curves(axes, described, {"loss": "training loss", "val_loss": "validation loss"})
    if min(drawn) > 0 and max(drawn) > FAR * min(drawn):
        axes.set_yscale("log")
    axes.set_ylabel("loss, scaled units" if described.card.task == "regression" else "loss")


def _metric(axes: "Axes", described: Description) -> None:
    name = "accuracy" if described.card.task == "classification" else "mean absolute error"
    _curves(axes, described, {"metric": f"training {name}", "val_metric": f"validation {name}"})
    axes.set_ylabel(name)


def _curves(axes: "Axes", described: Description, named: dict[str, str]) -> list[float]:
    """Draw the curves by name and return all their values."""
    curves = {name: described.history[name] for name in named if name in described.history}
    for (name, curve), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
        axes.plot(range(1, len(curve) + 1), curve, label=named[name], color=colour, linewidth=1.6)
    fitted = described.card.fitted
    if fitted.best_epoch < fitted.epochs:
        axes.axvline(fitted.best_epoch, color=GREY, linestyle=":", label=f"weights kept: epoch {fitted.best_epoch}")
    axes.set_xlabel("epoch")
    return [value for curve in curves.values() for value in curve]


def _cross_validation(axes: "Axes", described: Description) -> None:
    crossed = described.card.cross_validation
    assert crossed is not None
    epochs = range(1, len(crossed.curve) + 1)
    folds = f"{len(crossed.folds)}" if crossed.curve_folds is None else f"{crossed.curve_folds} of {len(crossed.folds)}"
    axes.plot(epochs, crossed.curve, color=BLUE, alpha=0.4, linewidth=1.2, label=f"mean of {folds} folds")
    axes.plot(epochs, crossed.smoothed, color=BLUE, linewidth=1.8, label="its moving average")
    axes.axvline(crossed.epochs, color=GREY, linestyle=":", label=f"chosen: epoch {crossed.epochs}")
    axes.set_xlabel("epoch")
    metric = "accuracy" if crossed.metric == "accuracy" else "mean absolute error"
    axes.set_ylabel(f"validation {metric}{' of logarithms' if crossed.are_logarithms else ''}")


# -- regression ----------------------------------------------------------------------------------------------------


def _predicted_vs_actual(axes: "Axes", described: Description) -> None:
    targets, predicted = _test_rows(described)
    low, high = min(targets.min(), predicted.min()), max(targets.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, label="exact")
    for place, column in enumerate(described.card.outputs):
        axes.plot(targets[:, place], predicted[:, place], "o", markersize=3.5, alpha=0.6, label=named(column.name))
    axes.set_xlabel(f"actual ({rows_shown(described)})")
    axes.set_ylabel("predicted")


def _residuals(axes: "Axes", described: Description) -> None:
    targets, predicted = _test_rows(described)
    axes.axhline(0, color=GREY, linewidth=1)
    for place, column in enumerate(described.card.outputs):
        gap = predicted[:, place] - targets[:, place]
        axes.plot(predicted[:, place], gap, "o", markersize=3.5, alpha=0.6, label=named(column.name))
    axes.set_xlabel(f"predicted ({rows_shown(described)})")
    axes.set_ylabel("predicted − actual")


def _test_rows(described: Description) -> tuple[Any, Any]:
    """Return targets and predictions in raw units, both float64 (n_rows, n_outputs)."""
    return np.asarray(described.evaluation.labels), np.asarray(described.evaluation.predicted)


_PANELS: dict[PlotName, Panel] = {
    "predicted-vs-actual": _predicted_vs_actual,
    "residuals": _residuals,
    "confusion": confusion,
    "roc": roc,
    "calibration": calibration,
}
