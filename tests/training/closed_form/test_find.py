"""The formula behind the rows: found where there is one, snapped, true outside; none where there is none."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from models_store.arrays import Array
from training.closed_form.find import closed_forms, held, identifiers
from training.closed_form.form import Form, fitted
from training.closed_form.holding import carries_on, unlikeness
from training.closed_form.rows import Rows
from training.closed_form.search import relative_error
from training.closed_form.terms import Factor, Term, Values, plain
from training.data.dataset import Dataset
from training.recipe.formula import Formula
from training.recipe.spec import PatternSpec, catalogue

INSIDE, BEYOND = (0.5, 4.0), (4.0, 7.0)


def rows_of(text: str, n_rows: int = 300, region: tuple[float, float] = INSIDE, noise: float = 0.0) -> Rows:
    rng = np.random.default_rng(n_rows)
    columns = {name: rng.uniform(*region, n_rows) for name in ("x1", "x2", "x3") if name in text}
    exact = Formula.parse(text, columns)(columns)
    return Rows(columns, exact + noise * exact.std() * rng.normal(size=n_rows))


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        ("0.5*x1**2 - 3*x2 + 5", "0.5*x1**2 - 3*x2 + 5"),
        ("x1 / 3", "x1/3"),
        ("(x1 + 0.8) / 3.3", "x1/3.3 + 8/33"),
        ("x1 / log(0.7)", f"{1 / math.log(0.7)!r}*x1"),
        ("4.4 - x1 - x2", "4.4 - x1 - x2"),
        ("x1 * (x1 + x2)", "x1**2 + x1*x2"),
        ("x1 / exp(x1)", "x1/exp(x1)"),
        ("x1 / cos(x1)", "x1/cos(x1)"),
        ("x1 / abs(3.7)", "x1/3.7"),
        ("(x1 / x2)**3", "x1**3/x2**3"),
        ("max(x1, x2) + x2/4", "0.25*x2 + max(x1, x2)"),
        ("min(x1, cos(x1))", "min(x1, cos(x1))"),
        ("tan(min(x1, x2))", "tan(min(x1, x2))"),
        ("sqrt(x1*x2)", "sqrt(x1*x2)"),
        ("sin(2.5*x1) + x2", "x2 + sin(2.5*x1)"),
        ("x1 * sin(x2)", "x1*sin(x2)"),
        ("exp(x1) / (x1 + x2)", "exp(x1)/(x1 + x2)"),
        ("(x1 + 2) / (x2 + 3)", "(x1 + 2)/(x2 + 3)"),
        ("sqrt(x1 + 2*x2)", "sqrt(x1 + 2*x2)"),
    ],
)
def test_a_formula_is_found_as_it_was_written(formula: str, found: str) -> None:
    form = held(rows_of(formula), rows_of(formula, 80), seed=0)
    assert form is not None
    assert form.text == found
    beyond = rows_of(formula, 50, BEYOND)
    np.testing.assert_allclose(form.values(beyond.columns), beyond.target, rtol=1e-9)


def test_noise_on_the_rows_is_not_in_the_formula() -> None:
    noisy = "0.5*x1**2 - 3*x2 + 5"
    form = held(rows_of(noisy, noise=0.01), rows_of(noisy, 80, noise=0.01), seed=0)
    assert form is not None
    beyond = rows_of(noisy, 50, BEYOND)
    np.testing.assert_allclose(form.values(beyond.columns), beyond.target, atol=0.02 * beyond.target.std())


def test_noise_does_not_lend_a_formula_digits_or_a_shape_that_it_has_not() -> None:
    found = {"x1/4.2": "0.238*x1", "x1 + 4.3": "x1 + 4.3"}
    forms = {text: held(rows_of(text, noise=0.01), rows_of(text, 80, noise=0.01), seed=0) for text in found}
    assert {text: form.text for text, form in forms.items() if form} == found


@pytest.mark.parametrize("text", ["x1*sin(x1)", "log(x1)/x1"])
def test_a_dozen_functions_that_are_near_a_curve_are_not_claimed(text: str) -> None:
    """They come near as rounding does, and leave the curve where it leaves the rows."""
    rows, terms = rows_of(text), tuple(plain(["x1"])[:12])
    near = Form("{}", terms, fitted(terms, Values(rows.columns), rows.target))
    assert relative_error(near, rows) < 1e-5
    assert not carries_on(near, rows)
    assert carries_on(Form("{}", (Term.of((Factor(text), 1)),), (0.0, 1.0)), rows)


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    train, test = (Rows({"x1": rng.normal(size=n), "x2": rng.normal(size=n)}, rng.normal(size=n)) for n in (200, 50))
    assert held(train, test, seed=0) is None


def test_a_sum_that_only_comes_near_is_not_claimed() -> None:
    """A parabola comes within 5 % of a cosine, and what it leaves is a curve, not noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 2, 300)
    near = Form("{}", (Term.of((Factor("x1"), 2)),), (1.0, -0.4))
    assert unlikeness(near, Rows({"x1": x}, np.cos(x))) < 0.1
    assert unlikeness(near, Rows({"x1": x}, 1 - 0.4 * x**2 + rng.normal(size=300))) > 0.8


@pytest.mark.parametrize("name", [name for name, spec in catalogue().items() if spec.data.kind != "table"])
def test_every_formula_of_the_catalogue_is_found_exactly(name: str) -> None:
    data = Dataset.make(catalogue()[name])
    found = closed_forms(data, data.test.targets, seed=0)
    assert list(found) == list(data.outputs)
    for place, form in enumerate(found.values()):
        assert form.is_exact
        assert form.network_rmse == 0
        columns = dict(zip(data.inputs, data.test.numbers.T, strict=True))
        computed = Formula.parse(form.text, columns)(columns)
        np.testing.assert_allclose(computed, data.test.targets[:, place], rtol=1e-12)
        assert _by_python(form.python, data.outputs[place], columns) == pytest.approx(computed[0])


def _by_python(source: str, name: str, columns: dict[str, Array]) -> float:
    scope: dict[str, object] = {}
    exec(source, scope)
    function = scope[name]
    assert callable(function)
    return float(function(*(float(values[0]) for values in columns.values())))


def test_a_formula_is_written_for_books_and_for_programs() -> None:
    spec = PatternSpec.parse(
        {
            "name": "pendulum",
            "data": {
                "kind": "formula",
                "inputs": {"length": {"distribution": "uniform", "low": 1, "high": 9}},
                "outputs": {"period": "5*sqrt(length/4) + 1"},
                "rows": 200,
            },
        }
    )
    data = Dataset.make(spec)
    form = closed_forms(data, data.test.targets, seed=0)["period"]
    assert form.text == "2.5*sqrt(length) + 1"
    assert form.latex == r"2.5 \, \sqrt{\mathrm{length}} + 1"
    assert form.python.splitlines()[-1] == "    return 2.5 * math.sqrt(length) + 1"
    assert form.terms == 2


def test_columns_get_names_that_can_stand_in_a_formula() -> None:
    names = identifiers(["x", "median income", "2nd", "sin", "größe", "gr_e", "answer"])
    assert list(names.values()) == ["x", "median_income", "x_2nd", "x_sin", "gr__e", "gr_e", "x_answer"]
    Formula.parse(" + ".join(names.values()), names.values())
    assert json.dumps(names).isascii() is True


@pytest.mark.parametrize("size", [1e300, 1e150, 1e-300])
def test_numbers_of_any_size_may_have_no_formula_but_never_end_a_training(size: float) -> None:
    columns = {"x1": np.linspace(0.5, 1, 60) * size, "x2": np.linspace(1, 0.4, 60) ** 3}
    train = Rows(columns, np.sin(np.arange(60.0)))
    assert held(train, train, seed=0) is None


def spoilt(n_rows: int, weight: float | None) -> Rows:
    """Rows of 2*x1 + 1, every other one with noise, and how much these count."""
    rows, spoils = rows_of("2*x1 + 1", n_rows), np.arange(n_rows) % 2 == 1
    noise = np.random.default_rng(n_rows).normal(0, 5, n_rows)
    weights = None if weight is None else np.where(spoils, weight, 1.0)
    return replace(rows, target=rows.target + spoils * noise, weights=weights)


@pytest.mark.parametrize("n_rows", [100, 2000])
def test_rows_that_hardly_count_hardly_move_a_formula(n_rows: int) -> None:
    form = held(spoilt(n_rows, 1e-6), spoilt(80, 1e-6), seed=0)
    assert form is not None
    assert form.text == "2*x1 + 1"
    assert held(spoilt(n_rows, None), spoilt(80, None), seed=0) is None


def test_a_few_rows_that_count_are_few_rows() -> None:
    few = replace(rows_of("2*x1 + 1"), weights=np.where(np.arange(300) < 15, 1.0, 1e-9))
    assert held(few, rows_of("2*x1 + 1", 80), seed=0) is None


def test_rows_alike_have_a_weight_of_any_size() -> None:
    rows = rows_of("x1**2", 60)
    alike = replace(rows, weights=np.full(60, 1e-200))
    assert alike.n_effective == 60
    assert alike.deviation == pytest.approx(rows.target.std())
    assert alike.size_of(rows.target) == pytest.approx(rows.size_of(rows.target))
    np.testing.assert_allclose(alike.roots, 1)


def test_rows_that_count_by_a_weight_and_several_outputs_are_measured_one_by_one() -> None:
    spec = catalogue()["linear-pair"]
    data = Dataset.make(spec)
    weighted = replace(data, test=replace(data.test, weights=np.ones(len(data.test))))
    forms = closed_forms(weighted, data.test.targets + np.array([1.0, 2.0]), seed=0)
    assert [form.network_rmse for form in forms.values()] == [1.0, 2.0]
