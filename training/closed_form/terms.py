"""The library: terms of which closed forms are sums. A term is a product of powers of factors, without coefficient.

factor  x1 · sin(x2) · exp(c*x1) · (x1 + x2)        term  x1**2*sin(x2) · x1/(x1 + x2)
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, combinations_with_replacement, product

import numpy as np

from models_store.arrays import Array
from training.recipe.formula import Formula

Columns = Mapping[str, Array]
# The place of a factor's constant in its text.
HOLE = "@"
MOST_TERMS = 3000
LARGEST = 1e12
# Rows on either side of a kink, as a share of all: fewer do not tell that there is one.
LEAST_SHARE = 0.03
UNARY = ("sqrt({})", "log({})", "exp({})", "sin({})", "cos({})", "tan({})", "tanh({})", "abs({})")
CHOOSING = ("abs", "max", "min")
PAIRED = ("({} + {})", "({} - {})", "max({}, {})", "min({}, {})")
# A factor with a constant of its own, and the constants to begin the search from, in units of the input's size.
TUNED = {
    "sin(@*{})": "wave",
    "cos(@*{})": "wave",
    "exp(@*{})": "rate",
    "tanh(@*{})": "rate",
    "sin(@/{})": "level",
    "exp(@/{})": "level",
    "log({} + @)": "shift",
    "sqrt({} + @)": "shift",
    "({} + @)": "shift",
    "tanh({} + @)": "shift",
    "abs({} + @)": "level_shift",
    "max({}, @)": "level",
    "min({}, @)": "level",
    "{}**@": "power",
    "sqrt(@ - {})": "level",
    "log(@ - {})": "level",
}


WAVES = ("sin(@*{})", "cos(@*{})", "exp(@*{})")


@dataclass(frozen=True)
class Factor:
    """A part of a term: a text of the recipe's grammar, and the value of its constant if it has one."""

    pattern: str
    constant: float | None = None

    def text(self, constant: str | None = None) -> str:
        if self.constant is None:
            return self.pattern
        value = constant or repr(self.constant)
        if value == "1":
            return self.pattern.replace("@*", "").replace("/@", "").replace("**@", "").replace(HOLE, value)
        if value == "0":
            return self.pattern.replace(" + @", "").replace(HOLE, value)
        return self.pattern.replace(HOLE, value).replace("+ -", "- ")


@dataclass(frozen=True)
class Term:
    """Factors with their powers, in the order of their names."""

    powers: tuple[tuple[Factor, int], ...]

    @classmethod
    def of(cls, *powers: tuple[Factor, int]) -> "Term":
        sums: dict[Factor, int] = {}
        for factor, power in powers:
            sums[factor] = sums.get(factor, 0) + power
        return cls(tuple(sorted(((f, p) for f, p in sums.items() if p), key=_place)))

    def __mul__(self, other: "Term") -> "Term":
        return Term.of(*self.powers, *other.powers)

    def __pow__(self, power: int) -> "Term":
        return Term(tuple((factor, power * of) for factor, of in self.powers))

    @property
    def constants(self) -> tuple[float, ...]:
        return tuple(factor.constant for factor, _ in self.powers if factor.constant is not None)

    def with_constants(self, constants: Iterator[float]) -> "Term":
        """Return the term with the next ones of `constants` in place of its own."""
        changed = [(f if f.constant is None else Factor(f.pattern, next(constants)), p) for f, p in self.powers]
        return Term(tuple(changed))


def _place(power: tuple[Factor, int]) -> tuple[bool, str]:
    """Inputs come before what is made of them."""
    text = power[0].pattern
    return not text.isidentifier(), text


@dataclass
class Values:
    """The values of factors and terms on some rows, each computed once."""

    columns: Columns
    _known: dict[str, Array] = field(default_factory=dict)

    def of(self, term: Term) -> Array:
        """Return float64 (n_rows,), not finite where the term has no value."""
        values: Array = np.ones(len(next(iter(self.columns.values()))))
        with np.errstate(all="ignore"):
            for factor, power in term.powers:
                values = values * self._factor(factor.text()) ** power
        return values

    def _factor(self, text: str) -> Array:
        if text not in self._known:
            self._known[text] = Formula.parse(text, self.columns)(self.columns)
        return self._known[text]


def plain(inputs: Sequence[str]) -> list[Term]:
    """Return powers, products and ratios of the inputs up to degree 3, and the functions of one input."""
    terms = monomials(inputs)
    ratios = [
        above * below**-1
        for above, below in product([Term(()), *terms[: _n_up_to(len(inputs), 2)]], terms[: _n_up_to(len(inputs), 2)])
    ]
    return _distinct([*terms, *functions(inputs), *ratios, *(term**-1 for term in functions(inputs))])


def monomials(inputs: Sequence[str]) -> list[Term]:
    """Return the products of inputs up to degree 3, of many inputs up to degree 2."""
    degree = 3 if len(inputs) <= 8 else 2
    names = [_single(name) for name in inputs]
    return [_product(chosen) for size in range(1, degree + 1) for chosen in combinations_with_replacement(names, size)]


def functions(inputs: Sequence[str]) -> list[Term]:
    return [_single(pattern.format(name)) for name in inputs for pattern in UNARY]


def nested(inputs: Sequence[str]) -> list[Term]:
    """Return powers of functions of one input, and functions of functions."""
    powers = [term**power for term in functions(inputs) for power in (-3, -2, -1, 2, 3)]
    inside = [outer.format(inner.format(name)) for name in inputs for inner in UNARY for outer in UNARY]
    return [*powers, *map(_single, inside)]


def paired(inputs: Sequence[str]) -> list[Term]:
    """Return what two inputs make together, and functions of it."""
    inner = [pattern.format(*pair) for pair in combinations(inputs, 2) for pattern in PAIRED[:2]]
    inner += [f"({one}*{other})" for one, other in combinations_with_replacement(inputs, 2)]
    inner += [f"({one}/{other})" for one in inputs for other in inputs if one != other]
    texts = [pattern.format(_bare(text)) for text in inner for pattern in UNARY]
    texts += [pattern.format(*pair) for pair in combinations(inputs, 2) for pattern in PAIRED]
    texts += [f"{one}**{other}" for one in inputs for other in inputs]
    return [_single(text) for text in texts]


def mixed(inputs: Sequence[str]) -> list[Term]:
    """Return products and ratios of an input and a function of one, and kinks where one takes over from the other."""
    names = [Term.of((Factor(name), power)) for name in inputs for power in (1, -1)]
    singles = [term**sign for term in functions(inputs) for sign in (1, -1)]
    kinks = [
        f"{which}({name}, {pattern.format(other)})"
        for which, name, other, pattern in product(("min", "max"), inputs, inputs, UNARY)
    ]
    kinks += [
        pattern.format(kink.format(*pair))
        for pattern, kink, pair in product(UNARY, PAIRED[2:], combinations(inputs, 2))
    ]
    return _distinct([*(one * other for one, other in product(names, singles)), *map(_single, kinks)])


def products(inputs: Sequence[str]) -> list[Term]:
    """Return products and ratios of two parts: inputs, functions of one, and what two make together."""
    names = [Term.of((Factor(name), power)) for name in inputs for power in (1, -1)]
    singles = [*functions(inputs), *(term**-1 for term in functions(inputs))]
    doubles = paired(inputs)
    few = [*names, *(one * other for one, other in combinations_with_replacement(names, 2))]
    made = [one * other for one, other in product(few, singles)]
    made += [one * other for one, other in combinations(singles, 2)]
    made += [one * other**sign for one, other in product(names, doubles) for sign in (1, -1)]
    sums = [term for term in doubles if term.powers[0][0].pattern.startswith("(")]
    made += [one * other**sign for one, other in product([*functions(inputs), *sums], sums) for sign in (1, -1)]
    return _distinct([*doubles, *(term**-1 for term in doubles), *made])


def tuned(inputs: Sequence[str], columns: Columns, patterns: Iterable[str] = tuple(TUNED)) -> list[Term]:
    """Return functions with a constant inside, at constants over the range of the input, alone and times an input."""
    alone, beside = [], []
    for name in inputs:
        others = [Term.of((Factor(other), sign)) for other in inputs for sign in (1, -1)]
        for pattern in patterns:
            kind = TUNED[pattern]
            factors = [Factor(pattern.format(name), value) for value in _grid(kind, columns[name])]
            terms = [Term.of((factor, power)) for factor in factors for power in ((1, -1) if kind == "shift" else (1,))]
            alone += terms
            beside += [term * other for term in terms[::2] for other in others]
    return _distinct([*alone, *beside])


def _grid(kind: str, values: Array) -> list[float]:
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high), 1e-300)
    match kind:
        case "wave":
            grid = np.linspace(0.5, 24, 32) / size
        case "rate":
            grid = np.concatenate([sign * np.geomspace(0.1, 24, 16) / size for sign in (1, -1)])
        case "level":
            grid = np.concatenate([np.linspace(low, high, 10)[1:-1], high + (high - low) * np.geomspace(0.05, 4, 6)])
        case "level_shift":
            grid = -np.linspace(low, high, 12)[1:-1]
        case "power":
            grid = np.array([-2.5, -1.5, -0.5, 0.25, 0.75, 1.5, 2.5, 3.5])
        case _:
            grid = np.concatenate([-low + (high - low) * np.geomspace(0.02, 6, 10), [-high - (high - low) * 0.5]])
    return [float(value) for value in grid]


def usable(terms: Iterable[Term], rows: Sequence[Values]) -> list[Term]:
    """Return the terms that have a value of reasonable size on all rows, and that vary on the first ones."""
    kept = [term for term in terms if all(_is_usable(values.of(term)) for values in rows) and _varies(rows[0], term)]
    return kept[:MOST_TERMS]


def unlike(terms: Iterable[Term], rows: Values) -> list[Term]:
    """Return the terms less those that are, up to a factor, what an earlier one is: sqrt(x1)**2, exp(log(x1))."""
    first: dict[bytes, Term] = {}
    for term in terms:
        values = rows.of(term)
        first.setdefault(np.round(values / values[np.abs(values).argmax()], 9).tobytes(), term)
    return list(first.values())


def _is_usable(values: Array) -> bool:
    return bool(np.isfinite(values).all() and np.abs(values).max() < LARGEST)


def _varies(rows: Values, term: Term) -> bool:
    values = rows.of(term)
    return bool(np.ptp(values) > 1e-9 * np.abs(values).max()) and not is_idle(rows, term)


def is_idle(rows: Values, term: Term) -> bool:
    """True if an absolute value, a maximum or a minimum in it nearly always is the same one of its parts."""
    return any(_is_idle(rows, factor.text()) for factor, _ in term.powers)


def _is_idle(rows: Values, text: str) -> bool:
    if not any(f"{name}(" in text for name in CHOOSING):
        return False
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CHOOSING:
            one, *other = (rows.of(_single(ast.unparse(part))) for part in node.args)
            share = float(np.mean(one > (other[0] if other else 0.0)))
            if min(share, 1 - share) < LEAST_SHARE:
                return True
    return False


def _n_up_to(n_inputs: int, degree: int) -> int:
    """Return the number of monomials of degree 1 to `degree`."""
    return n_inputs if degree == 1 else n_inputs + n_inputs * (n_inputs + 1) // 2


def _product(terms: Iterable[Term]) -> Term:
    made = Term(())
    for term in terms:
        made = made * term
    return made


def _single(text: str) -> Term:
    return Term.of((Factor(text), 1))


def _bare(text: str) -> str:
    return text[1:-1]


def _distinct(terms: Iterable[Term]) -> list[Term]:
    return [term for term in dict.fromkeys(terms) if term.powers]
