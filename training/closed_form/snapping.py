"""Snapping: the numbers of a form become the shortest decimals and fractions that the data do not speak against."""

from fractions import Fraction

import numpy as np

from models_store.arrays import Array
from training.closed_form.form import AnyForm, Numbered, polished
from training.closed_form.rows import Rows

MOST_DIGITS = 12
# Standard errors that a number may move by, and where that is too far.
ROOM, LEAST_ROOM = 2.5, 0.08
# Where rows leave a number so little room, in units of its size, one over a short decimal that fits is no chance, and a
# decimal of more digits would be one.
SURE, SURE_DIGITS = 1e-8, 7
# Of any number, so many in a hundred are by chance within the room of a fraction with the largest denominator.
CHANCE, LARGEST_DENOMINATOR = 0.01, 1000
# Rounding of float64, in units of the targets' size: what is left where the form is exact.
ROUNDING = 1e-13


def snapped(form: AnyForm, rows: Rows) -> AnyForm:
    """Return the form with short numbers, its error on these rows hardly larger.

    Numbers that may be 0 come first, the least sure one before others; then the surest one is snapped first. Each time
    the others are fitted again.
    """
    fixed: set[int] = set()
    while True:
        errors = standard_errors(form, rows)
        free = [place for place, number in enumerate(form.numbers) if number != 0 and place not in fixed]
        if not free or errors is None:
            return form
        sureness = {place: abs(form.numbers[place]) / errors[place] for place in free}
        place = min(free, key=sureness.__getitem__)
        if sureness[place] > ROOM:
            place = max(free, key=sureness.__getitem__)
        fixed.add(place)
        numbers = [shortest(form.numbers[place], room * errors[place]) for room in (ROOM, LEAST_ROOM)]
        tries = (polished(form.with_numbers(_with(form.numbers, place, each)), rows, fixed) for each in numbers)
        allowed = _allowed(form, rows)
        form = next((tried for tried in tries if _loss(tried, rows) <= allowed), form)


def shortest(number: float, room: float) -> float:
    """Return the simplest number within `room`, or the number itself where a short one would be chance.

    Simple are 0, 1, short decimals, fractions, and one over a short decimal.
    """
    if abs(number) <= room:
        return 0.0
    if abs(abs(number) - 1) <= room:
        return float(np.sign(number))
    is_sure = room < SURE * abs(number)
    fraction = float(Fraction(number).limit_denominator(_largest_denominator(room)))
    for digits in range(1, SURE_DIGITS if is_sure else MOST_DIGITS):
        rounded, inverse = (float(f"{each:.{digits - 1}e}") for each in (number, 1 / number))
        if abs(rounded - number) <= room:
            return rounded
        if is_sure and abs(1 / inverse - number) <= room:
            return 1 / inverse
        if digits >= 3 and abs(fraction - number) <= room:
            return fraction
    return number


def _largest_denominator(room: float) -> int:
    """There are about 3 d² / π² fractions between two whole numbers with a denominator of up to d."""
    return int(np.clip(np.pi * np.sqrt(CHANCE / (6 * room)), 1, LARGEST_DENOMINATOR))


def standard_errors(form: Numbered, rows: Rows) -> Array | None:
    """Return the standard error of each number, (n_numbers,), from the form's slope in it; None: they are not known."""
    slopes, moving = [], []
    base = form.values(rows.columns)
    for place, step in enumerate(form.steps(rows.columns).tolist()):
        if form.numbers[place] == 0:
            continue
        moved = form.with_numbers(_with(form.numbers, place, form.numbers[place] + step))
        slopes.append(rows.roots * (moved.values(rows.columns) - base) / step)
        moving.append(place)
    design = np.stack(slopes, axis=1) if slopes else np.ones((len(base), 0))
    if not design.size or not np.isfinite(design).all():
        return None
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1
    variances = np.diag(np.linalg.pinv((design / scale).T @ (design / scale)))
    # Of numbers that the rows cannot tell apart, rounding makes one that is below 0.
    spread = np.sqrt(np.where(variances < 0, np.inf, variances)) / scale
    errors = np.zeros(len(form.numbers))
    errors[moving] = np.maximum(
        spread * _noise(base, rows, len(moving)), 1e-10 * np.abs(np.array(form.numbers)[moving])
    )
    return None if np.isnan(errors).any() else errors


def _with(numbers: tuple[float, ...], place: int, number: float) -> tuple[float, ...]:
    return (*numbers[:place], number, *numbers[place + 1 :])


def _noise(answers: Array, rows: Rows, n_numbers: int) -> float:
    left = rows.roots * (rows.target - answers)
    freedom = max(1, len(left) - n_numbers)
    return float(np.sqrt((left @ left) / freedom)) + ROUNDING * rows.size_of(rows.target)


def _loss(form: Numbered, rows: Rows) -> float:
    left = rows.roots * (rows.target - form.values(rows.columns))
    loss = float(left @ left)
    return loss if np.isfinite(loss) else np.inf


def _allowed(form: Numbered, rows: Rows) -> float:
    """A sum of squares within what a number that is 2.5 standard errors off adds; and always rounding."""
    loss = _loss(form, rows)
    freedom = max(1, len(rows.target) - form.size)
    rounding = (100 * ROUNDING * rows.size_of(rows.target)) ** 2 * len(rows.target)
    return loss * (1 + 1.1 * ROOM**2 / freedom) + rounding
