"""Symbolic regression by genetic programming, in a process of its own, because pyoperon's C++ may end it.

python -m THIS SEED SECONDS NAME…     stdin: .npy, float64 (n_rows, n_columns + 2): inputs, target, weights
                                      stdout: a formula in the recipe's grammar, or nothing

operators of each run -> front of error and length -> merged by sympy -> numbers fitted -> parts left out -> snapped
"""

import io
import resource
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy
from pyoperon.sklearn import SymbolicRegressor
from threadpoolctl import threadpool_limits

from models_store.arrays import Array
from training.closed_form import algebra
from training.closed_form.expression import Expression, Written
from training.closed_form.form import polished
from training.closed_form.rows import Rows
from training.closed_form.search import EXACT, HOPELESS, NOISY, relative_error
from training.closed_form.snapping import snapped

MOST_BYTES = 1 << 30
MOST_EVOLVED = 160
# Formulas with few kinds of operators are found sooner, so each run has its own.
ARITHMETIC = "add,sub,mul,div,constant,variable"
OPERATORS = (
    f"{ARITHMETIC},square,sqrt,exp,log,sin,cos",
    f"{ARITHMETIC},square,sqrt",
    f"{ARITHMETIC},square,sqrt,exp,log,sin,cos,tan,tanh,fmin,fmax",
    f"{ARITHMETIC},sin,cos,tan,fmin,fmax",
    f"{ARITHMETIC},square,sqrt,exp,log,sin,cos,tan,tanh",
)
POPULATION, MOST_EVALUATIONS, FIT_STEPS, LONGEST = 1000, 100_000, 5, 20
# Forms of each run whose parts are looked at one by one.
MOST_PRUNED = 2
# A part more must earn what it costs to have been chosen from so many operators and inputs.
KINDS = 12
ROUNDING = 1e-10
DIGITS = 12


@dataclass(frozen=True)
class Candidate:
    """A form whose numbers are fitted to the rows, with its error in units of the targets' deviation."""

    form: Expression
    error: float
    score: float


def main() -> None:
    seed, seconds, *names = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    numbers = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    *columns, target, weights = np.ascontiguousarray(numbers.T)
    train = Rows(dict(zip(names, columns, strict=True)), target, weights)
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
        warnings.simplefilter("ignore")
        found = evolved(train, int(seed))
    if found is not None:
        sys.stdout.write(found.text)


def evolved(train: Rows, seed: int) -> Written | None:
    """Return the best form, its numbers snapped; None where none comes near the rows."""
    rows = train.drawn(MOST_EVOLVED, seed)
    best = None
    for operators, number in zip(OPERATORS, range(seed, seed + len(OPERATORS)), strict=True):
        found = [candidate for text in _front(rows, operators, number) if (candidate := _read(text, rows))]
        for candidate in sorted(found, key=lambda each: each.score)[:MOST_PRUNED]:
            few = _pruned(candidate, rows)
            best = few if best is None or few.score < best.score else best
        if best is not None and best.error < EXACT:
            break
    if best is None or best.error > HOPELESS:
        return None
    return _tidied(snapped(polished(best.form, train), train), train)


def _front(rows: Rows, operators: str, seed: int) -> Iterator[str]:
    """Yield the formulas of one run, from short to exact."""
    columns = np.stack(list(rows.columns.values()), axis=1)
    # Operon computes in float32, and prints decimals: sizes that are far from 1 would lose digits.
    units, unit = _units(np.abs(columns).max(axis=0)), float(_units(np.array([rows.deviation]))[0])
    run = SymbolicRegressor(
        allowed_symbols=operators,
        objectives=["r2", "length"],
        population_size=POPULATION,
        max_evaluations=MOST_EVALUATIONS,
        optimizer_iterations=FIT_STEPS,
        max_length=LONGEST,
        epsilon=1e-9,
        n_threads=1,
        random_state=seed,
    ).fit(columns / units, rows.target / unit)
    names = [f"({name}/{each!r})" for name, each in zip(rows.columns, units.tolist(), strict=True)]
    for found in sorted(run.pareto_front_, key=lambda found: found["length"]):
        if found["mean_squared_error"] < (NOISY * rows.deviation / unit) ** 2:
            yield f"{unit!r}*({run.get_model_string(found['tree'], DIGITS, names)})"


def _units(sizes: Array) -> Array:
    """Return a power of ten for each size; 1 where it is not far from 1."""
    powers = np.round(np.log10(np.maximum(sizes, 1e-300)))
    return np.asarray(10.0 ** np.where(np.abs(powers) <= 1, 0, powers))


def _read(text: str, rows: Rows) -> Candidate | None:
    try:
        return _fitted(algebra.parsed(text, rows.columns), rows)
    except ValueError:
        return None


def _fitted(expression: sympy.Expr, rows: Rows) -> Candidate | None:
    """Return the expression with its numbers fitted; None where it has no value on some rows."""
    form = algebra.freed(expression)
    if not np.isfinite(form.values(rows.columns)).all():
        return None
    form = polished(form, rows)
    error = relative_error(form, rows)
    return Candidate(form, error, _score(form, error, len(rows.target))) if np.isfinite(error) else None


def _score(form: Expression, error: float, n_rows: int) -> float:
    """Return the extended BIC."""
    fit = n_rows * np.log(error**2 + ROUNDING**2)
    return float(fit + form.size * np.log(n_rows) + 2 * form.n_parts * np.log(KINDS))


def _pruned(candidate: Candidate, rows: Rows) -> Candidate:
    """Return the form without the parts that do not earn their place; each time the others are fitted again."""
    while True:
        whole = algebra.parsed(candidate.form.text, rows.columns)
        for less in algebra.shorter(whole):
            if not (less.free_symbols and algebra.is_finite(less)):
                continue
            fewer = _fitted(less, rows)
            if fewer is not None and fewer.score < candidate.score:
                candidate = fewer
                break
        else:
            return candidate


def _tidied(form: Expression, rows: Rows) -> Written:
    """Return the form as sympy orders it, if it answers the same."""
    plain = Written(form.text)
    try:
        tidy = Written(algebra.written(algebra.parsed(form.text, rows.columns)))
    except ValueError:
        return plain
    apart = rows.size_of(tidy.values(rows.columns) - plain.values(rows.columns))
    return tidy if apart < EXACT * rows.deviation and len(tidy.text) <= len(plain.text) else plain


if __name__ == "__main__":
    main()
