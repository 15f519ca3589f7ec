"""Pictures of a version, as SVG or PNG bytes: how it learned, and how good it is on its test rows.

learning-curve                      of all: loss, metric, cross-validation, as far as there are such
predicted-vs-actual, residuals      of numbers
confusion, roc, calibration         of labels
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
from models_store.plots.style import BLUE, GREY, ORANGE, named, rows_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["learning-curve", "predicted-vs-actual", "residuals", "confusion", "roc", "calibration"]
Picture = Literal["svg", "png"]
Panel = Callable[["Axes", Description], None]

# Matplotlib's font cache and rcParams are shared by all threads.
DRAWING = threading.Lock()
# Inches; panels stand side by side.
WIDTH, WIDTH_OF_SEVERAL, HEIGHT = 7.0, 4.8, 4.2
# Losses that fall further than this are drawn on a logarithmic scale: the last ones tell most.
FAR = 10


def kinds_of(card: Card) -> tuple[Kind, ...]:
    """The plots that there are of a version."""
    if not isinstance(card.test.overall, LabelScore):
        return ("learning-curve", "predicted-vs-actual", "residuals")
    if not card.test.overall.confusion:
        return ("learning-curve", "roc", "calibration")
    return ("learning-curve", "confusion", "roc", "calibration")


def draw(kind: Kind, described: Description, picture: Picture, *, title: str) -> bytes:
    """The same version gives the same bytes. PlotNotApplicable names those that there are."""
    import matplotlib as mpl  # deferred: takes half a second, and most processes never draw
    from matplotlib.figure import Figure

    if kind not in kinds_of(described.card):
        raise PlotNotApplicable(kinds_of(described.card))
    panels = _panels(kind, described)
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


def _panels(kind: Kind, described: Description) -> list[Panel]:
    if kind != "learning-curve":
        return [_PANELS[kind]]
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


# -- how it learned ------------------------------------------------------------------------------------------------


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
    """All values that were drawn."""
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
    axes.plot(epochs, crossed.curve, color=BLUE, alpha=0.4, linewidth=1.2, label=f"mean of {len(crossed.folds)} folds")
    axes.plot(epochs, crossed.smoothed, color=BLUE, linewidth=1.8, label="its moving average")
    axes.axvline(crossed.epochs, color=GREY, linestyle=":", label=f"chosen: epoch {crossed.epochs}")
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"validation {'accuracy' if crossed.metric == 'accuracy' else 'mean absolute error'}")


# -- how good it is, in numbers ------------------------------------------------------------------------------------


def _predicted_vs_actual(axes: "Axes", described: Description) -> None:
    labels, predicted = _test_rows(described)
    low, high = min(labels.min(), predicted.min()), max(labels.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, label="exact")
    for place, column in enumerate(described.card.outputs):
        axes.plot(labels[:, place], predicted[:, place], "o", markersize=3.5, alpha=0.6, label=named(column.name))
    axes.set_xlabel(f"actual ({rows_shown(described)})")
    axes.set_ylabel("predicted")


def _residuals(axes: "Axes", described: Description) -> None:
    labels, predicted = _test_rows(described)
    axes.axhline(0, color=GREY, linewidth=1)
    for place, column in enumerate(described.card.outputs):
        gap = predicted[:, place] - labels[:, place]
        axes.plot(predicted[:, place], gap, "o", markersize=3.5, alpha=0.6, label=named(column.name))
    axes.set_xlabel(f"predicted ({rows_shown(described)})")
    axes.set_ylabel("predicted − actual")


def _test_rows(described: Description) -> tuple[Any, Any]:
    return np.asarray(described.evaluation.labels), np.asarray(described.evaluation.predicted)


_PANELS: dict[Kind, Panel] = {
    "predicted-vs-actual": _predicted_vs_actual,
    "residuals": _residuals,
    "confusion": confusion,
    "roc": roc,
    "calibration": calibration,
}
