"""`python -m benchmarks.honesty`: how often intervals hold, holes and formulas are found, drifts are
called, and worse versions are promoted.

    catalogue's formulas · random formulas, without and with noise · noise alone · nested formulas · tables
        -> figures -> docs/honesty.md

`--tables FILE TARGET …` measures on CSV files of yours, too. `--only intervals`, `outside`, `formulas`, `drift`
or `promotion` measures these alone. But for intervals, nothing is trained: only the search, and the verdicts, are
measured.
"""

import argparse
import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from benchmarks import drift, outside, promotion, sureness
from models_store.arrays import Array
from training.closed_form.find import held
from training.closed_form.form import Found
from training.closed_form.rows import Rows
from training.closed_form.search import EXACT, relative_error
from training.closed_form.symbolic import evolved
from training.data.dataset import Dataset
from training.recipe.data import FormulaData, SequenceData
from training.recipe.formula import FUNCTIONS, Formula
from training.recipe.spec import shipped

N_FORMULAS = 40
# Seeds of formulas that no choice in the search was made by.
FRESH = range(220, 300)
N_TRAIN, N_TEST = 400, 100
NOISE = 0.01
# Formulas that a sum of terms is hardly one of.
NESTED = (
    *("max(sqrt(x1), x2/4.5)", "min(3.1/x1, x2)", "tanh(x2)/max(x3, x1)", "max(2.2 - x1, x2)", "max(sqrt(3.7), x2*x1)"),
    *("tan(x2 - 4.8)", "sin(x1*x2 + x3)", "exp(-x1/2)*sin(3*x2 + 1)", "sqrt(x1**2 + x2**2)/(1 + x3)"),
    *("log(x1 + exp(x2))", "x1/(x2 + sin(x3))", "(x1*x2 + x3)/(x1 + 2*x2)"),
)
SECONDS = 20
# The region of the training rows, and one beyond it.
INSIDE, BEYOND = (0.5, 4.0), (4.0, 7.0)
LARGEST = 1e6
RIGHT_BEYOND = 1e-6
BINARY = ("+", "-", "*", "/")
UNARY = tuple(name for name, (_, n_arguments) in FUNCTIONS.items() if n_arguments == 1)
DEPTH = 3


@dataclass(frozen=True, eq=False)
class Case:
    """Rows of a formula to search in, to test on, and far from both."""

    name: str
    train: Rows
    test: Rows
    beyond: Rows | None = None


@dataclass(frozen=True)
class Outcome:
    case: Case
    form: Found | None
    seconds: float

    @property
    def is_right_beyond(self) -> bool:
        """True if it answers to 1e-6 of the targets' deviation outside of the training region."""
        return self.form is not None and self.case.beyond is not None and self._beyond < RIGHT_BEYOND

    @property
    def _beyond(self) -> float:
        assert self.form is not None and self.case.beyond is not None
        return relative_error(self.form, self.case.beyond)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--tables", nargs="*", default=[], metavar="FILE TARGET", help="CSV files, each with its target"
    )
    parser.add_argument(
        "--only", choices=["intervals", "outside", "formulas", "drift", "promotion"], help="measure these alone"
    )
    asked = parser.parse_args()
    tables = list(zip(map(Path, asked.tables[::2]), asked.tables[1::2], strict=True))
    if asked.only in (None, "intervals"):
        sureness.report(tables)
    if asked.only in (None, "outside"):
        outside.report([path for path, _ in tables])
    if asked.only in (None, "formulas"):
        _report_formulas(tables)
    if asked.only in (None, "drift"):
        drift.report([path for path, _ in tables])
    if asked.only in (None, "promotion"):
        promotion.report()


def _report_formulas(tables: list[tuple[Path, str]]) -> None:
    groups = {
        "catalogue": list(catalogue()),
        "random formulas": [random_case(seed) for seed in range(N_FORMULAS)],
        "other random formulas": [random_case(seed) for seed in FRESH],
        "random formulas, 1 % noise": [random_case(seed, NOISE) for seed in range(N_FORMULAS)],
        "noise alone": [noise_case(seed) for seed in range(N_FORMULAS)],
        "nested formulas": [nested_case(text) for text in NESTED],
        "tables": [table(path, target) for path, target in tables],
    }
    for name, cases in groups.items():
        if cases:
            report(name, [tried(case) for case in cases])
    if find_spec("pyoperon") is not None:
        found = [tried(nested_case(text), by_evolution) for text in NESTED]
        report("nested formulas, by genetic programming as well", found)


def by_evolution(rows: Rows) -> Found | None:
    return evolved(rows, seed=0, seconds=SECONDS, pulse=lambda: None)


def tried(case: Case, evolve: Callable[[Rows], Found | None] = lambda rows: None) -> Outcome:
    began = perf_counter()
    form = held(case.train, case.test, seed=0, evolve=evolve)
    return Outcome(case, form, perf_counter() - began)


def report(name: str, outcomes: list[Outcome]) -> None:
    seconds = [outcome.seconds for outcome in outcomes]
    claimed = [outcome for outcome in outcomes if outcome.form is not None]
    exact = sum(relative_error(outcome.form, outcome.case.train) < EXACT for outcome in claimed if outcome.form)
    right = sum(outcome.is_right_beyond for outcome in outcomes)
    for outcome in outcomes:
        print(f"  {outcome.seconds:5.2f} s  {outcome.case.name} -> {outcome.form.text if outcome.form else 'none'}")
    print(
        f"{name}: {len(outcomes)} searched, {len(claimed)} claimed, {exact} exact, {right} right beyond the region; "
        f"median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s",
        flush=True,
    )


# -- cases -----------------------------------------------------------------------------------------------------------


def catalogue() -> Iterator[Case]:
    """Yield each output of each pattern of formulas that ships with the project, on the rows of its recipe."""
    for name, spec in shipped().items():
        if isinstance(spec.data, FormulaData | SequenceData):
            data = Dataset.make(spec)
            for place, output in enumerate(data.outputs):
                train, test = (
                    Rows(dict(zip(data.inputs, rows.numbers.T, strict=True)), rows.targets[:, place])
                    for rows in (data.fitted, data.test)
                )
                yield Case(f"{name}: {output} = {spec.data.outputs[output]}", train, test)


def random_case(seed: int, noise: float = 0.0) -> Case:
    """Return rows of a random formula of depth 3 over at most three inputs; `noise` in units of its deviation."""
    rng = np.random.default_rng(seed)
    names = [f"x{place + 1}" for place in range(rng.integers(1, 4))]
    while True:
        text = _tree(rng, names, DEPTH)
        used = [name for name in names if name in text]
        if used and depth_of(text) == DEPTH:
            train, test = _rows(text, used, INSIDE, N_TRAIN, rng), _rows(text, used, INSIDE, N_TEST, rng)
            beyond = _rows(text, used, BEYOND, N_TEST, rng)
            if all(map(_are_usable, (train, test, beyond))):
                break
    if noise:
        train, test = (_with_noise(rows, noise * float(np.std(train.target)), rng) for rows in (train, test))
    return Case(text, train, test, beyond)


def nested_case(text: str) -> Case:
    rng = np.random.default_rng(len(text))
    names = [name for name in ("x1", "x2", "x3") if name in text]
    train, test, beyond = (
        _rows(text, names, region, n, rng) for region, n in ((INSIDE, N_TRAIN), (INSIDE, N_TEST), (BEYOND, N_TEST))
    )
    return Case(text, train, test, beyond)


def noise_case(seed: int) -> Case:
    """Return rows whose targets have nothing to do with their inputs."""
    rng = np.random.default_rng(seed)
    n_inputs = int(rng.integers(1, 4))
    train, test = (
        Rows({f"x{place + 1}": rng.uniform(*INSIDE, n) for place in range(n_inputs)}, rng.normal(size=n))
        for n in (N_TRAIN, N_TEST)
    )
    return Case(f"noise, {n_inputs} inputs", train, test)


def table(path: Path, target: str) -> Case:
    """Return the rows of a CSV file, every fifth one to test; columns of numbers without gaps alone."""
    frame = pl.read_csv(path, infer_schema_length=None)
    numeric = frame.select(pl.selectors.numeric())
    kept = [name for name in numeric.columns if numeric[name].null_count() == 0]
    numbers = {
        f"x{place}" if name != target else target: numeric[name].to_numpy().astype(float)
        for place, name in enumerate(kept)
    }
    targets = numbers.pop(target)
    rows, places = Rows(numbers, targets), np.arange(len(targets))
    return Case(
        f"{path.name}: {target}", rows.take(np.flatnonzero(places % 5 > 0)), rows.take(np.flatnonzero(places % 5 == 0))
    )


def _tree(rng: np.random.Generator, names: list[str], depth: int) -> str:
    if depth == 1 or (depth < DEPTH and rng.random() < 0.25):
        return str(rng.choice(names)) if rng.random() < 0.75 else repr(round(float(rng.uniform(0.5, 5)), 1))
    kind = rng.random()
    if kind < 0.7:
        one, other = _tree(rng, names, depth - 1), _tree(rng, names, depth - 1)
        if one == other:
            return _tree(rng, names, depth)
        if kind < 0.55:
            return f"({one} {rng.choice(BINARY)} {other})"
        return f"({one} ** {rng.choice([2, 3])})" if kind < 0.62 else f"{rng.choice(['min', 'max'])}({one}, {other})"
    return f"{rng.choice(UNARY)}({_tree(rng, names, depth - 1)})"


def depth_of(text: str) -> int:
    return _depth(ast.parse(text, mode="eval").body)


def _depth(node: ast.expr) -> int:
    children = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    return 1 + max((_depth(child) for child in children if isinstance(child, ast.expr)), default=0)


def _rows(text: str, names: list[str], region: tuple[float, float], n_rows: int, rng: np.random.Generator) -> Rows:
    columns = {name: rng.uniform(*region, n_rows) for name in names}
    return Rows(columns, Formula.parse(text, names)(columns))


def _are_usable(rows: Rows) -> bool:
    size = np.abs(rows.target).max()
    return bool(np.isfinite(rows.target).all() and size < LARGEST and np.std(rows.target) > 1e-3 * max(1.0, size))


def _with_noise(rows: Rows, sd: float, rng: np.random.Generator) -> Rows:
    noise: Array = rng.normal(0, sd, len(rows.target))
    return Rows(rows.columns, rows.target + noise)


if __name__ == "__main__":
    main()
