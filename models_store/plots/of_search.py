"""Plots of the search that chose the recipe of a version."""

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

import numpy as np
from pydantic import JsonValue

from models_store.arrays import Array
from models_store.bundle import Description
from models_store.card import LOWER_IS_BETTER, Searched, Trial
from models_store.plots.style import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_FIELDS, MOST_LINES = 8, 200
# Numbers that differ by more than this factor are spread by their logarithms, as learning rates are.
FAR = 30
# Stands for the value of a field that a trial did not choose, which none that it chose is.
NOT_CHOSEN: JsonValue = {}


def history(axes: "Axes", described: Description) -> None:
    """Draw the score of each trial, and the best so far."""
    searched, scored = _scored(described)
    values = np.array([trial.value for trial in scored], dtype=np.float64)
    numbers = [trial.number for trial in scored]
    best = np.minimum.accumulate(values) if searched.metric in LOWER_IS_BETTER else np.maximum.accumulate(values)
    axes.scatter(numbers, values, color=GREY, s=14, label="a trial")
    axes.step(numbers, best, color=BLUE, where="post", label="best so far")
    if values.min() > 0 and values.max() / values.min() > FAR:
        axes.set_yscale("log")
    axes.set_xlabel("trial")
    axes.set_ylabel(searched.metric)


def importance(axes: "Axes", described: Description) -> None:
    """Draw how much of the difference between trials each field makes."""
    searched, _ = _scored(described)
    shares = sorted(searched.importance.items(), key=lambda share: share[1])[-MOST_FIELDS:]
    axes.barh([_short(field) for field, _ in shares], [share for _, share in shares], color=BLUE)
    axes.set_xlabel("share of the differences between trials")


def parallel(axes: "Axes", described: Description) -> None:
    """Draw each of the best trials as a line through the values of its fields, the best one last and thick."""
    searched, scored = _scored(described)
    fields = _fields(searched)
    heights = {field: _heights([trial.point.get(field, NOT_CHOSEN) for trial in scored]) for field in fields}
    sign = 1 if searched.metric in LOWER_IS_BETTER else -1
    ranks = np.argsort(np.argsort([sign * (trial.value or 0.0) for trial in scored], kind="stable"), kind="stable")
    for place in np.argsort(-ranks)[-MOST_LINES:]:
        line = [heights[field][place] for field in fields]
        is_best = scored[place].number == searched.best
        faint = 0.08 + 0.5 * (1 - ranks[place] / len(scored)) ** 2
        color, width, alpha = (ORANGE, 2.4, 1.0) if is_best else (BLUE, 0.8, faint)
        axes.plot(range(len(fields)), line, color=color, linewidth=width, alpha=alpha)
    axes.set_xticks(range(len(fields)), [_short(field) for field in fields], rotation=30, ha="right", fontsize=8)
    axes.set_yticks([0, 1], ["low", "high"])
    axes.set_title("the fields of each trial; orange: the best", fontsize=9)


def _scored(described: Description) -> tuple[Searched, list[Trial]]:
    searched = described.card.search
    assert searched is not None  # the plot applies only to versions that were searched for
    return searched, [trial for trial in searched.trials if trial.value is not None]


def _fields(searched: Searched) -> list[str]:
    """Return the fields that were chosen, the most important first."""
    chosen = dict.fromkeys(field for trial in searched.trials for field in trial.point)
    return sorted(chosen, key=lambda field: -searched.importance.get(field, 0.0))[:MOST_FIELDS]


def _heights(values: Sequence[JsonValue]) -> Array:
    """Return the place of each value from 0 to 1, (n_values,): of numbers by size, else in the order of their names.

    A choice of nothing, such as no schedule, is a value of its own, below all others. NaN where a trial did not choose
    the field, so that the value is `NOT_CHOSEN`.
    """
    chosen = [value for value in values if value is not NOT_CHOSEN]
    places = _places([value for value in chosen if value is not None])
    lowest, highest = min(places.values(), default=0.0), max(places.values(), default=0.0)
    if None in chosen and places:
        lowest -= (highest - lowest or 1.0) / max(1, len(places) - 1)
    places[str(None)] = lowest
    placed = np.array([np.nan if value is NOT_CHOSEN else places[str(value)] for value in values])
    return (placed - lowest) / (highest - lowest) if highest > lowest else placed * 0 + 0.5


def _places(values: Sequence[JsonValue]) -> dict[str, float]:
    """Return the place of each value by its name: numbers, or their logarithms, else the order of the names."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return {name: float(place) for place, name in enumerate(sorted({str(value) for value in values}))}
    is_far = bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) > FAR
    return {str(value): log10(number) if is_far else number for value, number in zip(values, numbers, strict=True)}


def _short(field: str) -> str:
    """Return the end of a path that says enough: `layers.*.units`, `learning_rate`."""
    return field.removeprefix("network.").removeprefix("fit.optimizer.").removeprefix("fit.")
