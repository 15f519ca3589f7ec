"""Plots of a classifier on its test rows: confusion matrix, ROC curves, calibration."""

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Description
from models_store.card import LabelScore
from models_store.plots.style import BLUE, GREY, label_names, rows_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Beyond this many labels there is no room for counts in the cells, or for a name at every tick.
MOST_COUNTED, MOST_NAMED = 25, 60
# The most curves that colours tell apart.
MOST_CURVES = 8
BINS = 10
# Standard errors around the mean that hold 95 % of a normal distribution.
CERTAIN = 1.96


def confusion(axes: "Axes", described: Description) -> None:
    """Confusion matrix: counts of all test rows, shaded by their share of the row, so that rare labels show as well."""
    score = described.card.test.overall
    assert isinstance(score, LabelScore)
    counts = np.array(score.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    _name_ticks(axes, label_names(described))
    if len(counts) <= MOST_COUNTED:
        size = max(6, 11 - len(counts) / 5)
        for (actual, said), count in np.ndenumerate(counts):
            colour = "white" if shares[actual, said] > 0.55 else "black" if count else "#bbbbbb"
            axes.text(said, actual, f"{count}", ha="center", va="center", color=colour, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel(f"actual ({described.card.test.rows:,} test rows)")


def _name_ticks(axes: "Axes", names: list[str]) -> None:
    step = -(-len(names) // MOST_NAMED)
    places = range(0, len(names), step)
    size = 9 if len(names) <= 15 else 7
    rotation = 0 if sum(map(len, names)) <= 40 else 90
    axes.set_xticks(places, names[::step], rotation=rotation, fontsize=size)
    axes.set_yticks(places, names[::step], fontsize=size)


def roc(axes: "Axes", described: Description) -> None:
    """ROC curves: of the second label where there are two, else of each against the rest.

    Of many labels, those with the least area have colours, and the others are grey.
    """
    numbers, probabilities = _test_rows(described)
    names = label_names(described)
    compared = [1] if len(names) == 2 else range(len(names))
    found = {label: roc_curve(numbers == label, probabilities[:, label]) for label in compared}
    curves = {label: curve for label, curve in found.items() if curve is not None}
    areas = {label: area(*curve) for label, curve in curves.items()}
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":")
    coloured = sorted(areas, key=lambda label: areas[label])[:MOST_CURVES]
    for label in areas.keys() - set(coloured):
        axes.plot(*curves[label], color="#cccccc", linewidth=0.8)
    for label in sorted(coloured):
        axes.plot(*curves[label], linewidth=1.6, label=f"{names[label]}: area {areas[label]:.3f}")
    rest = f"; grey: {len(areas) - len(coloured)} that are told better" if len(areas) > len(coloured) else ""
    axes.set_xlabel(f"share of others that are taken for it{rest}")
    axes.set_ylabel("share of it that is found")
    axes.set_title(rows_shown(described), fontsize=9, color=GREY, loc="right")
    if len(areas) == 1:
        axes.legend(frameon=False, fontsize=9, loc="lower right")


def roc_curve(is_label: Any, probability: Array) -> tuple[Array, Array] | None:
    """Return false and true positive rates, float64 (n_thresholds + 1,), from the highest threshold on.

    `is_label`: bool (n_rows,); `probability`: float64 (n_rows,). None where all rows are of the label, or none is.
    """
    n_label, n_other = int(is_label.sum()), int((~is_label).sum())
    if not n_label or not n_other:
        return None
    order = np.argsort(-probability, kind="stable")
    # Rows of equal probability are one step: there is no threshold between them.
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    found = np.cumsum(is_label[order])[ends]
    wrong = 1 + ends - found
    return np.append(0.0, wrong / n_other), np.append(0.0, found / n_label)


def area(across: Array, up: Array) -> float:
    """Return the area under a curve of points, by the trapezoidal rule."""
    return float(np.trapezoid(up, across))


def calibration(axes: "Axes", described: Description) -> None:
    """Calibration: observed frequency against predicted probability, with 95 % Wilson intervals.

    Of several classes the predicted one only.
    """
    numbers, probabilities = _test_rows(described)
    names = label_names(described)
    is_binary = len(names) == 2
    said = probabilities[:, 1] if is_binary else probabilities.max(axis=1)
    is_so = numbers == 1 if is_binary else probabilities.argmax(axis=1) == numbers
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    met = counts > 0
    mean = np.bincount(bins, said, BINS)[met] / counts[met]
    share = np.bincount(bins, is_so, BINS)[met] / counts[met]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="exact")
    middles = (np.arange(BINS) + 0.5) / BINS
    axes.bar(middles, counts / counts.sum(), width=0.9 / BINS, color="#dddddd", label="share of rows")
    error = np.abs(interval(share, counts[met]) - share)
    axes.errorbar(mean, share, error, fmt="o", color=BLUE, markersize=5, linewidth=1.4, capsize=2, label="network")
    axes.set_xlabel(f"probability of {names[1]}" if is_binary else "probability of the label that it says")
    axes.set_ylabel(f"share that is {names[1]}" if is_binary else "share that is right")
    axes.set_title(rows_shown(described), fontsize=9, color=GREY, loc="right")
    axes.set_ylim(-0.02, 1.02)


def interval(share: Array, n_rows: Any) -> Array:
    """Return lower and upper bounds, float64 (2, n_shares), of shares seen in `n_rows` rows: 95 %, Wilson, 1927."""
    slack = CERTAIN**2 / n_rows
    middle = (share + slack / 2) / (1 + slack)
    half = CERTAIN * np.sqrt(share * (1 - share) / n_rows + slack / (4 * n_rows)) / (1 + slack)
    return np.stack([middle - half, middle + half])


def _test_rows(described: Description) -> tuple[Any, Array]:
    """Return the numbers of the true labels, int (n_rows,), and probabilities, float64 (n_rows, n_labels)."""
    numbers = np.asarray(described.evaluation.labels, dtype=int)[:, 0]
    return numbers, np.asarray(described.evaluation.predicted, dtype=np.float64)
