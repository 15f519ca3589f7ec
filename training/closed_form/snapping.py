"""Snapping: the numbers of a form become the shortest decimals and fractions that the data do not speak against."""

from dataclasses import replace
from fractions import Fraction
from itertools import count

import numpy as np

from models_store.arrays import Array
from training.closed_form.form import Form, design_of, polished
from training.closed_form.rows import Rows
from training.closed_form.terms import Columns, Values

LARGEST_DENOMINATOR = 12
MOST_DIGITS = 12
# Standard errors that a number may move by.
ROOM = 2.5
# Rounding of float64, in units of the targets' size: what is left where the form is exact.
ROUNDING = 1e-13
STEP = 1e-6


def snapped(form: Form, rows: Rows) -> Form:
    """Return the form with short numbers, its error on these rows hardly larger.

    The surest number is snapped first and the others are fitted again around it.
    """
    fixed: set[int] = set()
    while True:
        errors = standard_errors(form, rows)
        free = [place for place, number in enumerate(form.numbers) if number != 0 and place not in fixed]
        if not free or errors is None:
            return form
        place = max(free, key=lambda at: abs(form.numbers[at]) / errors[at])
        number = shortest(form.numbers[place], ROOM * errors[place])
        fixed.add(place)
        tried = replace(form, numbers=_with(form.numbers, place, number))
        tried = _fitted_around(tried, rows, fixed)
        if _loss(tried, rows) <= _allowed(form, rows):
            form = tried


def shortest(number: float, room: float) -> float:
    """Return the simplest number within `room`: 0, an integer, a short decimal, a fraction, or the number itself."""
    if abs(number) <= room:
        return 0.0
    fraction = Fraction(number).limit_denominator(LARGEST_DENOMINATOR)
    for digits in count(1):
        rounded = float(f"{number:.{digits - 1}e}")
        if abs(rounded - number) <= room:
            return rounded
        if digits >= 3 and abs(float(fraction) - number) <= room:
            return float(fraction)
        if digits == MOST_DIGITS:
            return number
    raise AssertionError


def standard_errors(form: Form, rows: Rows) -> Array | None:
    """Return the standard error of each number, (n_numbers,), from the form's slope in it; None: they are not known."""
    slopes, moving = [], []
    base = form.values(rows.columns)
    for place, step in enumerate(_steps(form, rows.columns).tolist()):
        if form.numbers[place] == 0:
            continue
        moved = replace(form, numbers=_with(form.numbers, place, form.numbers[place] + step))
        slopes.append(rows.roots * (moved.values(rows.columns) - base) / step)
        moving.append(place)
    design = np.stack(slopes, axis=1) if slopes else np.ones((len(base), 0))
    if not design.size or not np.isfinite(design).all():
        return None
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1
    spread = np.sqrt(np.diag(np.linalg.pinv((design / scale).T @ (design / scale)))) / scale
    errors = np.zeros(len(form.numbers))
    errors[moving] = np.maximum(
        spread * _noise(base, rows, len(moving)), 1e-10 * np.abs(np.array(form.numbers)[moving])
    )
    return errors


def _steps(form: Form, columns: Columns) -> Array:
    """Return a small step of each number, (n_numbers,): small beside what the number is added to or multiplied with."""
    size = max(float(np.abs(values).max()) for values in columns.values())
    design = design_of(form.moved_terms, Values(columns))
    linear = np.array(form.numbers[: form.n_linear])
    sizes = np.sqrt(np.mean(design**2, axis=0))
    beside = np.sqrt(np.mean((design @ linear) ** 2)) / np.where(sizes > 0, sizes, 1)
    inside = np.maximum(np.abs(form.numbers[form.n_linear :]), 1e-4 * size)
    return STEP * np.concatenate([np.maximum(beside, np.abs(linear)), inside])


def _with(numbers: tuple[float, ...], place: int, number: float) -> tuple[float, ...]:
    return (*numbers[:place], number, *numbers[place + 1 :])


def _noise(answers: Array, rows: Rows, n_numbers: int) -> float:
    left = rows.roots * (rows.target - answers)
    freedom = max(1, len(left) - n_numbers)
    return float(np.sqrt((left @ left) / freedom)) + ROUNDING * rows.size_of(rows.target)


def _fitted_around(form: Form, rows: Rows, fixed: set[int]) -> Form:
    """Return the form with the numbers that are not fixed fitted again."""
    return polished(form, rows, fixed) if len(fixed) < form.size else form


def _loss(form: Form, rows: Rows) -> float:
    left = rows.roots * (rows.target - form.values(rows.columns))
    loss = float(left @ left)
    return loss if np.isfinite(loss) else np.inf


def _allowed(form: Form, rows: Rows) -> float:
    """A sum of squares within what a number that is 2.5 standard errors off adds; and always rounding."""
    loss = _loss(form, rows)
    freedom = max(1, len(rows.target) - form.size)
    rounding = (100 * ROUNDING * rows.size_of(rows.target)) ** 2 * len(rows.target)
    return loss * (1 + 1.1 * ROOM**2 / freedom) + rounding
