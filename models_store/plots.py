"""Pictures of a version: learning curve, predicted against actual, residuals. As SVG or PNG bytes."""

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from models_store.bundle import Description

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Kind = Literal["learning-curve", "predicted-vs-actual", "residuals"]
Picture = Literal["svg", "png"]

# Matplotlib's font cache and rcParams are shared by all threads.
DRAWING = threading.Lock()
BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#777777"


def draw(kind: Kind, described: Description, picture: Picture, *, title: str) -> bytes:
    import matplotlib as mpl  # deferred: takes half a second, and most processes never draw
    from matplotlib.figure import Figure

    # The same version gives the same bytes.
    with DRAWING, mpl.rc_context({"svg.hashsalt": "pattern-server"}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot()
        _DRAWERS[kind](axes, described)
        axes.set_title(title, loc="left", fontsize=11)
        axes.grid(visible=True, color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False, fontsize=9)
        target = io.BytesIO()
        figure.savefig(target, format=picture, dpi=130, metadata={"Date": None} if picture == "svg" else None)
    return target.getvalue()


def _learning_curve(axes: "Axes", described: Description) -> None:
    """Logarithmic, because losses fall over many decades and the last ones tell most."""
    curves = {"loss": ("training loss", BLUE), "val_loss": ("validation loss", ORANGE)}
    for name, (label, colour) in curves.items():
        if name in described.history:
            loss = described.history[name]
            axes.plot(range(1, len(loss) + 1), loss, label=label, color=colour, linewidth=1.6)
    if min(map(min, described.history.values())) > 0:
        axes.set_yscale("log")
    if described.card.fitted.best_epoch < described.card.fitted.epochs:
        axes.axvline(described.card.fitted.best_epoch, color=GREY, linestyle=":", label="weights kept")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss, scaled units")


def _predicted_vs_actual(axes: "Axes", described: Description) -> None:
    labels, predicted = _test_rows(described)
    low, high = min(labels.min(), predicted.min()), max(labels.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, label="exact")
    for place, column in enumerate(described.card.outputs):
        axes.plot(labels[:, place], predicted[:, place], "o", markersize=3.5, alpha=0.6, label=column.name)
    axes.set_xlabel("actual (test rows)")
    axes.set_ylabel("predicted")


def _residuals(axes: "Axes", described: Description) -> None:
    labels, predicted = _test_rows(described)
    axes.axhline(0, color=GREY, linewidth=1)
    for place, column in enumerate(described.card.outputs):
        gap = predicted[:, place] - labels[:, place]
        axes.plot(predicted[:, place], gap, "o", markersize=3.5, alpha=0.6, label=column.name)
    axes.set_xlabel("predicted (test rows)")
    axes.set_ylabel("predicted − actual")


def _test_rows(described: Description) -> tuple[Any, Any]:
    return np.asarray(described.evaluation.labels), np.asarray(described.evaluation.predicted)


_DRAWERS: dict[Kind, Callable[["Axes", Description], None]] = {
    "learning-curve": _learning_curve,
    "predicted-vs-actual": _predicted_vs_actual,
    "residuals": _residuals,
}
