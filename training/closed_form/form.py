"""A closed form in the making: a head around an intercept and terms with coefficients, as text of the recipe's grammar.

head  {} · sqrt({}) · ({})/(x1 + c)          form  head(intercept + Σ coefficient * term)
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy.optimize import least_squares

from models_store.arrays import Array
from training.closed_form.rows import Rows
from training.closed_form.terms import Columns, Term, Values
from training.recipe.formula import Formula, FormulaError

MOST_STEPS = 60


@dataclass(frozen=True)
class Form:
    """`numbers`: the intercept, the coefficients, the constants inside of terms, and that of the head if it has one."""

    head: str
    terms: tuple[Term, ...]
    numbers: tuple[float, ...]

    @property
    def n_linear(self) -> int:
        return 1 + len(self.terms)

    @property
    def size(self) -> int:
        """The number of numbers that the data have decided."""
        return sum(number != 0 for number in self.numbers)

    @property
    def n_terms(self) -> int:
        """The summands, the intercept among them."""
        return sum(number != 0 for number in self.numbers[: self.n_linear])

    @property
    def moved_terms(self) -> tuple[Term, ...]:
        """The terms with the form's own constants inside."""
        return moved(self.terms, self.numbers[self.n_linear :])

    @property
    def text(self) -> str:
        texts = map(_term_text, self.moved_terms)
        pairs = list(zip(self.numbers[1 : self.n_linear], texts, strict=True))
        made = _sum(self.numbers[0], pairs)
        constant = self.numbers[-1] if "@" in self.head else None
        shifted = "" if not constant else f" {'-' if constant < 0 else '+'} {spelled(abs(constant))}"
        head = self.head.replace(" + @", shifted)
        needs = head.startswith("{}/") and " " in made
        return head.replace("{}", f"({made})" if needs else made)

    def values(self, columns: Columns) -> Array:
        """Return float64 (n_rows,); NaN throughout where the text is longer than a formula may be."""
        try:
            return Formula.parse(self.text, columns)(columns)
        except FormulaError:
            return np.full(len(next(iter(columns.values()))), np.nan)


def fitted(terms: tuple[Term, ...], rows: Values, target: Array) -> tuple[float, ...]:
    """Return intercept and coefficients of least squares."""
    design = design_of(terms, rows)
    scale = np.linalg.norm(design, axis=0)
    solved, *_ = np.linalg.lstsq(design / scale, target, rcond=None)
    return tuple(float(value) for value in solved / scale)


def design_of(terms: tuple[Term, ...], rows: Values) -> Array:
    ones = np.ones(len(next(iter(rows.columns.values()))))
    return np.stack([ones, *(rows.of(term) for term in terms)], axis=1)


def tuned(terms: tuple[Term, ...], columns: Columns, target: Array) -> tuple[Term, ...]:
    """Return the terms with those constants inside of them that leave the smallest error: variable projection."""
    start = [value for term in terms for value in term.constants]
    if not start:
        return terms

    def error(constants: Array) -> Array:
        design = design_of(moved(terms, constants), Values(columns))
        if not np.isfinite(design).all():
            return np.full(len(target), 1e9 * np.abs(target).max())
        scale = np.linalg.norm(design, axis=0)
        scale[scale == 0] = 1
        solved, *_ = np.linalg.lstsq(design / scale, target, rcond=None)
        left: Array = target - design / scale @ solved
        return left

    with np.errstate(all="ignore"):
        found = least_squares(
            error, start, x_scale=np.abs(start), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=MOST_STEPS
        )
    return moved(terms, found.x)


def moved(terms: tuple[Term, ...], constants: Iterable[float]) -> tuple[Term, ...]:
    each = iter(float(value) for value in constants)
    return tuple(term.with_constants(each) for term in terms)


def polished(form: Form, rows: Rows, fixed: Collection[int] = ()) -> Form:
    """Return the form with all numbers but the fixed ones and zeros moved to the smallest error in raw units.

    Each row counts by its weight.
    """
    free = [place for place, number in enumerate(form.numbers) if number != 0 and place not in fixed]
    if not free:
        return form

    def at(values: Array) -> Form:
        numbers = list(form.numbers)
        for place, value in zip(free, values, strict=True):
            numbers[place] = float(value)
        return replace(form, numbers=tuple(numbers))

    roots, worst = rows.roots, 1e9 * np.abs(rows.target).max()

    def error(values: Array) -> Array:
        left = rows.target - at(values).values(rows.columns)
        return roots * np.where(np.isfinite(left), left, worst)

    start = np.array([form.numbers[place] for place in free])
    found = least_squares(error, start, x_scale=np.abs(start), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=MOST_STEPS)
    return at(found.x)


def spelled(number: float) -> str:
    """Return the shortest spelling of a number that is above 0: `3`, `0.25`, `1/3`, or all of its digits."""
    if number == int(number) and number < 1e15:
        return str(int(number))
    short = repr(number)
    fraction = Fraction(number).limit_denominator(12)
    if len(short) > 12 and float(fraction) == number:
        return f"{fraction.numerator}/{fraction.denominator}"
    return short


def _sum(intercept: float, pairs: list[tuple[float, str]]) -> str:
    text = ""
    for coefficient, term in [*pairs, (intercept, "")]:
        if coefficient == 0:
            continue
        sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
        text += sign + _multiple(abs(coefficient), term)
    return text or "0"


def _multiple(number: float, term: str) -> str:
    if not term:
        return spelled(number)
    if number == 1:
        return term
    if term.startswith("1/"):
        below = term[2:]
        return f"{spelled(number)}/{below}"
    return f"{spelled(number)}*{term}"


def _term_text(term: Term) -> str:
    above = [_power(factor.text(_inside(factor.constant)), power) for factor, power in term.powers if power > 0]
    below = [_power(factor.text(_inside(factor.constant)), -power) for factor, power in term.powers if power < 0]
    text = "*".join(above) or "1"
    if below:
        text += f"/({'*'.join(below)})" if len(below) > 1 else f"/{below[0]}"
    return text


def _inside(constant: float | None) -> str | None:
    if constant is None:
        return None
    text = spelled(abs(constant))
    text = f"({text})" if "/" in text else text
    return f"-{text}" if constant < 0 else text


def _power(text: str, power: int) -> str:
    if power == 1:
        return text
    return f"({text})**{power}" if "**" in text or ("/" in text and not text.endswith(")")) else f"{text}**{power}"
