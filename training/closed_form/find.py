"""The closed forms of a dataset: what the search finds on the rows of training, kept only if it holds on test rows.

sparse regression -> [ symbolic regression, where the recipe asks for it ] -> held against the test rows
"""

import keyword
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from models_store.arrays import Array
from models_store.card import ClosedForm
from models_store.tables.table import Table
from training.closed_form import written
from training.closed_form.form import Found
from training.closed_form.holding import holds
from training.closed_form.rows import Rows
from training.closed_form.search import EXACT, error, relative_error, search
from training.closed_form.symbolic import evolved
from training.closed_form.terms import LARGEST
from training.data.dataset import Dataset
from training.data.dataset import Rows as DataRows
from training.data.subsample import subsample
from training.evaluation.scores import root_mean_square
from training.recipe.formula import FUNCTIONS, Formula, FormulaError
from training.recipe.formula_search import FormulaSearch

MOST_ROWS = 5_000
FEWEST_ROWS = 20
MOST_INPUTS, MOST_OUTPUTS = 12, 8
RESERVED = {"answer", "math", *FUNCTIONS}
USUAL = FormulaSearch()
Evolve = Callable[[Rows], Found | None]


def closed_forms(
    data: Dataset,
    answers: Array,
    seed: int,
    how: FormulaSearch = USUAL,
    pulse: Callable[[], None] = lambda: None,
) -> dict[str, ClosedForm]:
    """Return the closed form of each output that has one, by its name; the same `seed`, the same forms.

    `answers`: the network's, to the test rows, float64 (n_rows, n_outputs). Only numbers are looked at, without gaps.
    Raises what `pulse` raises, which is called while a symbolic regression is at work.
    """
    if how.search == "none" or data.labels is not None or _is_large(data):
        return {}
    fitted, test = (_numbers(rows) for rows in (data.fitted, data.test))
    if fitted is None or test is None:
        return {}
    evolve = partial(evolved, seed=seed, seconds=how.seconds, pulse=pulse) if how.search == "symbolic" else _nothing
    names = identifiers(data.inputs)
    some = subsample(len(data.fitted), MOST_ROWS, seed)
    few = data.fitted.take(some)
    found = {}
    for place, output in enumerate(data.outputs):
        train = Rows(_columns(names, fitted[some]), few.targets[:, place], few.weights)
        tested = Rows(_columns(names, test), data.test.targets[:, place], data.test.weights)
        form = held(train, tested, seed, evolve)
        if form is not None:
            only = slice(place, place + 1)
            network = root_mean_square(answers[:, only] - data.test.targets[:, only], data.test.weights)
            found[output] = _described(form, output, names, train, tested, network)
    return found


def _is_large(data: Dataset) -> bool:
    return len(data.outputs) > MOST_OUTPUTS or len(data.inputs) > MOST_INPUTS


def _nothing(_: Rows) -> None:
    """Find nothing, where only sparse regression is to look."""


def held(train: Rows, test: Rows, seed: int, evolve: Evolve = _nothing) -> Found | None:
    """Return what the search finds on `train` if it holds on `test`; None if nothing does, or there are few rows.

    `evolve` is asked where sparse regression finds nothing that holds.
    """
    if train.n_effective < FEWEST_ROWS:
        return None
    if not np.ptp(train.target) or not np.ptp(test.target):
        return None
    if max(float(np.abs(column).max()) for rows in (train, test) for column in rows.columns.values()) > LARGEST:
        return None
    # One thread, because a server may be at work on the other cores.
    with warnings.catch_warnings(), np.errstate(all="ignore"), threadpool_limits(1):
        warnings.simplefilter("ignore")
        return next((form for form in _found(train, test, seed, evolve) if holds(form, train, test)), None)


def _found(train: Rows, test: Rows, seed: int, evolve: Evolve) -> Iterator[Found]:
    with suppress(np.linalg.LinAlgError, FormulaError):  # numbers that least squares cannot cope with have no formula
        if (sparse := search(train, test.columns, seed)) is not None:
            yield sparse
    if (other := evolve(train)) is not None:
        yield other


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Return a name for each column that can stand in a formula: its own if it can, by the column's name."""
    taken: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        if not plain.strip("_") or plain[0].isdigit() or keyword.iskeyword(plain) or plain in RESERVED:
            plain = f"x_{plain}".rstrip("_")
        while plain in taken.values():
            plain += "_"
        taken[name] = plain
    return taken


def _numbers(rows: DataRows) -> Array | None:
    """Return the inputs, float64 (n_rows, n_columns); None where they are not all numbers, or have gaps."""
    if not isinstance(rows.inputs, Table):
        return rows.inputs
    columns = list(rows.inputs.columns.values())
    if any(column.dtype == object for column in columns):
        return None
    numbers: Array = np.stack(columns, axis=1).astype(np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _columns(names: Mapping[str, str], numbers: Array) -> dict[str, Array]:
    return dict(zip(names.values(), np.ascontiguousarray(numbers.T), strict=True))


def _described(
    form: Found, output: str, names: Mapping[str, str], train: Rows, test: Rows, network: float
) -> ClosedForm:
    formula = Formula.parse(form.text, train.columns)
    [function] = identifiers([output]).values()
    return ClosedForm(
        text=form.text,
        latex=written.latex(formula),
        python=written.python(formula, function, tuple(names.values())),
        rmse=error(form, test),
        network_rmse=network,
        terms=form.n_terms,
        is_exact=relative_error(form, train) < EXACT,
        columns={plain: name for name, plain in names.items() if plain != name},
    )
