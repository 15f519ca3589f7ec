"""Whether a closed form that was found is true: on test rows, beyond those that it is fitted to, and but for noise."""

import numpy as np

from training.closed_form.form import Answering, Found, Numbered, polished
from training.closed_form.rows import Rows
from training.closed_form.search import EXACT, error, relative_error
from training.recipe.formula import Formula, FormulaError

# Root mean square of what a form may leave on test rows, in units of their deviation: 5 %, an R² of 0.9975.
MOST_LEFT = 0.05
# How much larger the error may be on rows that a form was not fitted to.
WORSE = 2.0
# Differences of neighbours' errors, in units of those of strangers: well below 1, the form has missed something.
LEAST_UNLIKE = 0.75
MOST_COMPARED = 1_000
# The share of rows in the middle, to which a form is fitted again to see whether it is right on the others.
MIDDLE = 0.8
# How far its numbers are moved before: where it has too many of them, they do not find back.
MOVED = 1e-3


def holds(form: Found, train: Rows, test: Rows) -> bool:
    """True if the form is as good on the test rows as on its own, carries on, and leaves nothing but noise."""
    try:
        Formula.parse(form.text, train.columns)
    except FormulaError:
        return False
    left, own = relative_error(form, test), error(form, train)
    if not np.isfinite(left) or left > MOST_LEFT or not carries_on(form.freed, train):
        return False
    if relative_error(form, train) < EXACT:
        return left < 10 * EXACT
    return error(form, test) <= WORSE * own and unlikeness(form, train) >= LEAST_UNLIKE


def carries_on(form: Numbered, rows: Rows) -> bool:
    """True if the form, fitted again to the rows in the middle alone, is as good on those around them.

    A form with many terms comes as near as rounding to any curve between the rows that it is fitted to, and leaves it
    right beyond them: by a hundred times the error and more.
    """
    middle, around = _parted(rows)
    moved = tuple(number * (1 + MOVED * (-1) ** place) for place, number in enumerate(form.numbers))
    again = polished(form.with_numbers(moved), middle)
    return error(again, around) <= max(WORSE * error(form, rows), EXACT / 10 * rows.deviation)


def unlikeness(form: Answering, rows: Rows) -> float:
    """Return how unlike the errors of neighbouring rows are: 1 for noise, near 0 where the error is a smooth function.

    After von Neumann's ratio: squared differences of each row's error and its nearest row's, over twice the variance.
    """
    columns = np.stack(list(rows.columns.values()), axis=1)[:MOST_COMPARED]
    left = (rows.target - form.values(rows.columns))[:MOST_COMPARED]
    scaled = (columns - columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-300)
    squares = (scaled**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * scaled @ scaled.T
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    return float(np.mean((left - left[nearest]) ** 2) / (2 * np.var(left)))


def _parted(rows: Rows) -> tuple[Rows, Rows]:
    """Return the rows in the middle of every column, and those around them."""
    columns = np.stack(list(rows.columns.values()), axis=1)
    ranks = columns.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") / (len(columns) - 1)
    order = np.abs(ranks - 0.5).max(axis=1).argsort(kind="stable")
    n_middle = round(MIDDLE * len(columns))
    return rows.take(order[:n_middle]), rows.take(order[n_middle:])
