"""A closed form in the making: a head around an intercept and terms with coefficients, as text of the recipe's grammar.

head  {} · sqrt({}) · ({})/(x1 + c)          form  head(intercept + Σ coefficient * term)
"""

import math
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

import numpy as np
from scipy.optimize import least_squares

from models_store.arrays import Array
from training.closed_form.rows import Rows
from training.closed_form.spelling import signed, sum_text, summands
from training.closed_form.terms import Columns, Factor, Term, Values
from training.recipe.formula import Formula, FormulaError

MOST_STEPS = 60
STEP = 1e-6


class Answering(Protocol):
    """A form of any kind."""

    def values(self, columns: Columns) -> Array:
        """Return float64 (n_rows,)."""


class Numbered(Answering, Protocol):
    """A form with numbers that can be moved."""

    @property
    def numbers(self) -> tuple[float, ...]: ...

    @property
    def size(self) -> int:
        """The number of numbers that the data have decided."""

    def with_numbers(self, numbers: tuple[float, ...]) -> Self: ...

    def steps(self, columns: Columns) -> Array:
        """Return a small step of each number, (n_numbers,)."""


class Found(Answering, Protocol):
    """A form that can be written down."""

    @property
    def text(self) -> str:
        """In the recipe's grammar."""

    @property
    def n_terms(self) -> int:
        """The summands."""

    @property
    def freed(self) -> Numbered:
        """The form with numbers that can be moved."""


AnyForm = TypeVar("AnyForm", bound=Numbered)


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
        return len(summands(self._weighted_terms)) + (self.numbers[0] != 0)

    @property
    def moved_terms(self) -> tuple[Term, ...]:
        """The terms with the form's own constants inside."""
        return moved(self.terms, self.numbers[self.n_linear :])

    @property
    def text(self) -> str:
        made = sum_text(self.numbers[0], self._weighted_terms)
        head = self.head.replace(" + @", signed(self.numbers[-1])) if self.has_shift else self.head
        needs = head.startswith("{}/") and " " in made
        return head.replace("{}", f"({made})" if needs else made)

    @property
    def _weighted_terms(self) -> list[tuple[float, Term]]:
        return list(zip(self.numbers[1 : self.n_linear], self.moved_terms, strict=True))

    @property
    def freed(self) -> "Form":
        return self

    @property
    def has_shift(self) -> bool:
        return "@" in self.head

    @property
    def plain(self) -> "Form":
        """The same form without terms that count for nothing, and without a head that one term or a product can do."""
        form = self._without_zeros()
        intercept, *coefficients = form.numbers[: form.n_linear]
        inside = form.numbers[form.n_linear :]
        if form.head == "1/({})" and intercept == 0 and len(form.terms) == 1:
            [term], [coefficient] = form.terms, coefficients
            return Form("{}", (term**-1,), (0.0, 1 / coefficient, *inside))
        if form.head == "exp({})" and (product := _product_of(form.terms, coefficients)) is not None:
            return Form("{}", (product,), (0.0, math.exp(intercept)))
        if form.has_shift and inside[-1] == 0:
            below = Term.of((Factor(form.head.removeprefix("{}/(").removesuffix(" + @)")), -1))
            terms = tuple(term * below for term in form.terms)
            return Form("{}", (*terms, below), (0.0, *coefficients, intercept, *inside[:-1]))._without_zeros()
        return form

    def _without_zeros(self) -> "Form":
        kept = [(number, term) for number, term in self._weighted_terms if number != 0]
        terms = tuple(term for _, term in kept)
        inside = [constant for term in terms for constant in term.constants]
        shift = self.numbers[-1:] if self.has_shift else ()
        return Form(self.head, terms, (self.numbers[0], *(number for number, _ in kept), *inside, *shift))

    def with_numbers(self, numbers: tuple[float, ...]) -> Self:
        return replace(self, numbers=numbers)

    def values(self, columns: Columns) -> Array:
        """Return float64 (n_rows,); NaN throughout where the text is longer than a formula may be."""
        try:
            return Formula.parse(self.text, columns)(columns)
        except FormulaError:
            return np.full(len(next(iter(columns.values()))), np.nan)

    def steps(self, columns: Columns) -> Array:
        """Return a step of each number, (n_numbers,): small beside what the number is added to or multiplied with."""
        size = max(float(np.abs(values).max()) for values in columns.values())
        design = design_of(self.moved_terms, Values(columns))
        linear = np.array(self.numbers[: self.n_linear])
        sizes = np.sqrt(np.mean(design**2, axis=0))
        beside = np.sqrt(np.mean((design @ linear) ** 2)) / np.where(sizes > 0, sizes, 1)
        inside = np.maximum(np.abs(self.numbers[self.n_linear :]), 1e-4 * size)
        return STEP * np.concatenate([np.maximum(beside, np.abs(linear)), inside])


def _product_of(logarithms: tuple[Term, ...], coefficients: Iterable[float]) -> Term | None:
    """Return the product of powers that the sum is the logarithm of; None where it is none of whole ones."""
    product = Term(())
    for term, coefficient in zip(logarithms, coefficients, strict=True):
        [(factor, power), *others] = term.powers
        name = factor.pattern.removeprefix("log(").removesuffix(")")
        is_plain = not others and power == 1 and name.isidentifier() and name != factor.pattern
        if not is_plain or coefficient != int(coefficient):
            return None
        product *= Term.of((Factor(name), int(coefficient)))
    return product


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


def polished(form: AnyForm, rows: Rows, fixed: Collection[int] = ()) -> AnyForm:
    """Return the form with all numbers but the fixed ones and zeros moved to the smallest error in raw units.

    Each row counts by its weight.
    """
    free = [place for place, number in enumerate(form.numbers) if number != 0 and place not in fixed]
    if not free:
        return form

    def at(values: Array) -> AnyForm:
        numbers = list(form.numbers)
        for place, value in zip(free, values, strict=True):
            numbers[place] = float(value)
        return form.with_numbers(tuple(numbers))

    roots, worst = rows.roots, 1e9 * np.abs(rows.target).max()

    def error(values: Array) -> Array:
        left = rows.target - at(values).values(rows.columns)
        return roots * np.where(np.isfinite(left), left, worst)

    start = np.array([form.numbers[place] for place in free])
    with suppress(ValueError, np.linalg.LinAlgError):  # where a slope has no value, the numbers stay
        start = least_squares(
            error, start, x_scale=np.abs(start), xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=MOST_STEPS
        ).x
    return at(start)
