"""The search for a closed form of one output: each stage has a larger library, and an exact form ends it.

heads × libraries -> best subsets -> inner constants tuned -> chosen by error and size -> polished -> snapped
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from models_store.arrays import Array
from training.closed_form import terms as library
from training.closed_form.form import Answering, Form, design_of, fitted, polished, tuned
from training.closed_form.rows import Rows
from training.closed_form.snapping import snapped
from training.closed_form.subsets import best_subsets
from training.closed_form.terms import Columns, Factor, Term, Values

# Rows that the search looks at; the form is fitted and judged on more.
MOST_SEARCHED = 240
MOST_TRIED = 8
# Root mean square of what is left, in units of the targets' deviation, where a form is exact but for rounding.
EXACT = 1e-9
MOST_PAIRED_INPUTS = 4
# One that leaves so much has no need to be polished: it will not be near the test rows.
HOPELESS = 0.1
# Where all but the largest libraries leave so much, noise does: the largest take two thirds of the time.
NOISY = 0.3
ROUNDING = 1e-12


@dataclass(frozen=True)
class Head:
    """What stands around the sum: the target that the sum then has, or None where it has none on these rows."""

    pattern: str
    undo: Callable[[Array], Array]


HEADS = (
    Head("sqrt({})", lambda y: y**2),
    Head("-sqrt({})", lambda y: np.where(y <= 0, y**2, np.nan)),
    Head("exp({})", np.log),
    Head("-exp({})", lambda y: np.log(-y)),
    Head("log({})", np.exp),
    Head("1/({})", lambda y: 1 / y),
    Head("tanh({})", np.arctanh),
    Head("tan({})", np.arctan),
)


def search(train: Rows, others: Columns, seed: int) -> Form | None:
    """Return the form that answers best for its size, its numbers snapped; None where none comes near the rows.

    `others`: rows on which every term must have a value too. The same `seed`, the same form.
    """
    best = Best(train.drawn(MOST_SEARCHED, seed))
    for form, n_terms in _found(best, others):
        # Among forms of the same length, there may be a plainer one than the first that is exact.
        if best.error < EXACT and not best.is_as_long_as(form):
            break
        best.compare(form, n_terms)
    if best.form is None or best.error > HOPELESS:
        return None
    form = snapped(polished(best.form, train), train)
    # Without what it does not need, its other numbers may be shorter.
    return form if form.plain == form else snapped(polished(form.plain, train), train).plain


@dataclass
class Best:
    """The best form so far, by its score on the rows that are searched, and its relative error there."""

    rows: Rows
    form: Form | None = None
    score: float = np.inf
    error: float = np.inf

    def compare(self, form: Form, n_terms: int) -> None:
        """Take the form, chosen from `n_terms`, if it is better."""
        score = _score(form, self.rows, n_terms)
        if score < self.score:
            self.form, self.score, self.error = form, score, relative_error(form, self.rows)

    def is_as_long_as(self, form: Form) -> bool:
        return self.form is not None and (self.form.head, len(self.form.terms)) == (form.head, len(form.terms))


def error(form: Answering, rows: Rows) -> float:
    """Return the root mean square of what the form leaves."""
    return rows.size_of(rows.target - form.values(rows.columns))


def relative_error(form: Answering, rows: Rows) -> float:
    """Return the root mean square of what the form leaves, in units of the targets' deviation."""
    return error(form, rows) / rows.deviation


def _found(best: Best, others: Columns) -> Iterator[tuple[Form, int]]:
    """Yield forms, each with the number of terms that it was chosen from, small libraries first.

    The largest follow if the best form so far comes near the rows.
    """
    rows = best.rows
    inputs = list(rows.columns)
    values = Values(rows.columns)
    checked = [values, Values(others)]
    plain = library.usable(library.plain(inputs), checked)
    yield from _sums("{}", plain, values, rows.target)
    products = library.usable(library.monomials(inputs), checked)
    yield from _many("{}", products, values, rows.target)
    if len(inputs) > MOST_PAIRED_INPUTS:
        return
    mixed = library.usable(library.mixed(inputs), checked)
    yield from _sums("{}", [*plain, *mixed], values, rows.target, longest=3)
    yield from _with_heads(plain, products, values, rows, longest=4)
    waves = library.usable(library.tuned(inputs, rows.columns, library.WAVES), checked)
    yield from _sums("{}", [*plain, *waves], values, rows.target, longest=3)
    paired = library.usable([*library.nested(inputs), *library.paired(inputs)], checked)
    yield from _sums("{}", [*plain, *paired], values, rows.target)
    if best.error > NOISY:
        return
    inner = library.usable(library.tuned(inputs, rows.columns), checked)
    yield from _with_heads([*plain, *paired, *inner], products, values, rows, longest=1)
    yield from _sums("{}", [*plain, *paired, *inner][: library.MOST_TERMS], values, rows.target, longest=3)
    pairs = library.usable(library.products(inputs), checked)
    yield from _sums("{}", [*plain, *pairs][: library.MOST_TERMS], values, rows.target)


def _sums(head: str, terms: list[Term], rows: Values, target: Array, longest: int = 6) -> Iterator[tuple[Form, int]]:
    if not terms or not np.ptp(target):
        return
    terms = library.unlike(terms, rows)
    columns = np.stack([rows.of(term) for term in terms], axis=1)
    for subsets in best_subsets(columns, target, longest):
        for chosen in _unlike([tuple(terms[place] for place in subset) for subset in subsets]):
            found = tuned(chosen, rows.columns, target)
            if not any(library.is_idle(rows, term) for term in found):
                yield _form(head, found, rows, target), len(terms)


def _unlike(sums: list[tuple[Term, ...]]) -> Iterator[tuple[Term, ...]]:
    """Yield the first sums, at most two that differ in nothing but their constants: tuned, these become the same."""
    counts: dict[object, int] = {}
    for terms in sums:
        kind = tuple(tuple((factor.pattern, power) for factor, power in term.powers) for term in terms)
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= 2:
            yield terms
        if len(counts) == MOST_TRIED:
            return


def _many(head: str, terms: list[Term], rows: Values, target: Array) -> Iterator[tuple[Form, int]]:
    """Yield the sum of all terms less those that count for nothing, where that is exact: a long polynomial.

    Of products of inputs alone: a dozen functions of one input come as near to any other one as rounding does.
    """
    while terms and 2 * len(terms) < len(target):
        design = design_of(tuple(terms), rows)
        numbers = fitted(tuple(terms), rows, target)
        if np.abs(target - design @ numbers).max() > EXACT * np.ptp(target):
            return
        parts = np.abs(design * numbers).max(axis=0)
        kept = [term for term, part in zip(terms, parts[1:], strict=True) if part > 1e-7 * np.ptp(target)]
        if len(kept) == len(terms):
            yield _form(head, tuple(terms), rows, target), len(terms)
            return
        terms = kept


def _with_heads(
    terms: list[Term], products: list[Term], values: Values, rows: Rows, longest: int
) -> Iterator[tuple[Form, int]]:
    for head in HEADS:
        with np.errstate(all="ignore"):
            target = np.asarray(head.undo(rows.target), dtype=np.float64)
        if np.isfinite(target).all() and np.abs(target).max() < library.LARGEST:
            yield from _sums(head.pattern, terms, values, target, longest)
            yield from _many(head.pattern, products, values, target)
    for name in rows.columns if longest > 1 else ():
        yield from _ratios(name, terms, rows)


def _ratios(name: str, plain: list[Term], rows: Rows) -> Iterator[tuple[Form, int]]:
    """Yield forms (sum)/(x + c): y*x = sum - c*y, where y is one of the terms."""
    answer = Term.of((Factor("answer"), 1))
    extended = Values({**rows.columns, "answer": rows.target})
    target = rows.target * rows.columns[name]
    columns = np.stack([extended.of(term) for term in (answer, *plain)], axis=1)
    if not plain or not np.ptp(target) or not np.abs(target).max() < library.LARGEST:
        return
    # What y itself does not explain of the other terms and of the target is left to the search.
    basis, _ = np.linalg.qr(np.stack([np.ones(len(target)), rows.target], axis=1))
    apart = columns[:, 1:] - basis @ (basis.T @ columns[:, 1:])
    left = target - basis @ (basis.T @ target)
    keep = np.flatnonzero(np.linalg.norm(apart, axis=0) > 1e-9 * np.linalg.norm(columns[:, 1:], axis=0))
    for subsets in best_subsets(apart[:, keep], left, longest=4):
        for subset in subsets[:MOST_TRIED]:
            chosen = tuple(plain[keep[place]] for place in subset)
            intercept, shift, *coefficients = fitted((answer, *chosen), extended, target)
            yield Form("{}/(" + name + " + @)", chosen, (intercept, *coefficients, -shift)), len(plain)


def _form(head: str, terms: tuple[Term, ...], rows: Values, target: Array) -> Form:
    linear = fitted(terms, rows, target)
    return Form(head, terms, (*linear, *(value for term in terms for value in term.constants)))


def _score(form: Form, rows: Rows, n_terms: int) -> float:
    """Return the extended BIC: each number must earn what it costs to have been chosen from `n_terms`."""
    n_rows = len(rows.target)
    error = relative_error(form, rows)
    if not np.isfinite(error):
        return np.inf
    fit = n_rows * np.log(error**2 + ROUNDING**2)
    chosen = len(form.terms) * np.log(n_terms) + (form.head != "{}") * np.log(len(HEADS))
    return float(fit + form.size * np.log(n_rows) + 2 * chosen)
