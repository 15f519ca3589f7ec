"""Symbolic regression: formulas of any shape, in a process of its own that ends in time, whatever becomes of it."""

import ast
import sys
import time

import numpy as np
import pytest

from tests.training.closed_form.test_find import BEYOND, rows_of
from training.closed_form.expression import Expression, Written
from training.closed_form.find import held
from training.closed_form.form import polished
from training.closed_form.holding import holds
from training.closed_form.rows import Rows
from training.closed_form.snapping import snapped
from training.closed_form.symbolic import evolved
from training.recipe.base import RecipeError
from training.recipe.extras import check_extras
from training.recipe.formula_search import FormulaSearch
from training.recipe.spec import PatternSpec, catalogue

pytest.importorskip("pyoperon", reason="pyoperon is not installed; it is of the extra symbolic")

from training.closed_form import algebra

NESTED = "x1*x2 + x1"


def test_a_formula_is_found_by_evolution() -> None:
    rows, beyond = rows_of(NESTED, 30), rows_of(NESTED, 50, BEYOND)
    form = evolved(rows, seed=0, seconds=60, pulse=lambda: None)
    assert form is not None
    assert form.text in ("x1*(x2 + 1)", "x1*x2 + x1")
    np.testing.assert_allclose(form.values(beyond.columns), beyond.target, rtol=1e-9)


def test_evolution_is_asked_where_sparse_regression_finds_nothing_and_its_formula_has_to_hold() -> None:
    kinked = "tanh(x1)/max(x1, x2)"
    train, test = rows_of(kinked, 60), rows_of(kinked, 40)
    assert held(train, test, seed=0, evolve=lambda rows: Written(kinked)) == Written(kinked)
    assert not holds(Written("x1/max(x1, x2)"), train, test)
    assert held(rows_of(NESTED), rows_of(NESTED, 80), seed=0, evolve=lambda rows: pytest.fail("asked")) is not None


def test_numbers_of_a_written_formula_are_free_but_for_whole_powers() -> None:
    form = Written("2*x1**2 - x1**0.5/4").freed
    assert (form.pattern, form.numbers) == ("free__0 * x1 ** 2 - x1 ** free__1 / free__2", (2.0, 0.5, 4.0))


def test_a_process_that_takes_too_long_is_ended_and_finds_nothing() -> None:
    began = time.monotonic()
    assert evolved(rows_of(NESTED), seed=0, seconds=1, pulse=lambda: None) is None
    assert time.monotonic() - began < 30


def test_a_training_that_is_cancelled_ends_the_process() -> None:
    class Stopped(Exception):
        pass

    def pulse() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        evolved(rows_of(NESTED), seed=0, seconds=120, pulse=pulse)


def test_a_process_that_fails_finds_nothing() -> None:
    assert evolved(Rows({"x1": np.full(30, np.nan)}, np.arange(30.0)), 0, 120, lambda: None) is None


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("((-0.5) * ((2.0 * x1) + 1.0))", "-x1 - 0.5"),
        ("(x1 ^ 2)", "x1**2"),
        ("((x1 + x2) / (x1 * (x2 ^ 2)))", "(x1 + x2)/(x1*x2**2)"),
        ("1 / (3 * x1)", "1/(3*x1)"),
        ("x1 / 3", "x1/3"),
        ("2.5 / sqrt(x1 + 1)", "2.5/sqrt(x1 + 1)"),
        ("exp(-0.25 * x1) - tanh(x2) ^ 3", "-tanh(x2)**3 + exp(-0.25*x1)"),
        ("min(max(x1, 2), x2)", "min(max(2, x1), x2)"),
        ("min(x1, min(x2, 3))", "min(3, min(x1, x2))"),
        ("abs(x1 - x2)", "abs(x1 - x2)"),
    ],
)
def test_parts_are_merged_and_written_in_the_grammar_of_recipes(text: str, written: str) -> None:
    made = algebra.written(algebra.parsed(text, ["x1", "x2"]))
    assert made == written
    columns = {"x1": np.linspace(0.5, 4, 9), "x2": np.linspace(3, 1, 9)}
    np.testing.assert_allclose(Written(made).values(columns), Written(text.replace("^", "**")).values(columns))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / (x1 - x1)", "without a value"),
        ("x1 + inf", "no Name"),
        ("(-nan) * x1", "no Name"),
        ("cbrt(x1)", "no Call"),
    ],
)
def test_a_formula_without_a_value_or_with_unknown_parts_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        algebra.parsed(text, ["x1"])


def test_the_floats_of_a_formula_are_free_and_whole_numbers_are_not() -> None:
    form = algebra.freed(algebra.parsed("0.5 * x1 ^ 2 - 3.25", ["x1"]))
    assert sorted(form.numbers) == [-3.25, 0.5]
    assert form.size == 2
    columns = {"x1": np.array([2.0])}
    assert form.values(columns) == pytest.approx([-1.25])
    assert Written(form.text).values(columns) == pytest.approx([-1.25])


def test_a_formula_is_shortened_by_one_part_at_a_time() -> None:
    whole = algebra.parsed("max(x1, x2) + 2.5*x1", ["x1", "x2"])
    assert {algebra.written(less) for less in algebra.shorter(whole)} == {
        "max(x1, x2)",
        "2.5*x1",
        "x1 + max(x1, x2)",
        "max(x1, x2) + 2.5",
        "3.5*x1",
        "2.5*x1 + x2",
    }


def test_free_numbers_are_fitted_and_snapped() -> None:
    rows = rows_of("exp(x1 / 4) * min(x1, x2)")
    form = Expression("exp(free__0*x1)*min(x1, x2)*free__1", (0.3, 0.8))
    assert ast.unparse(ast.parse(snapped(polished(form, rows), rows).text)) == "exp(0.25 * x1) * min(x1, x2) * 1"


def test_a_recipe_that_asks_for_it_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = catalogue()["quadratic"]
    asked = spec.overridden({"formula": {"search": "symbolic"}})
    check_extras(asked)
    monkeypatch.setitem(sys.modules, "sympy", None)
    check_extras(spec)
    with pytest.raises(
        RecipeError, match=r"formula.search: symbolic needs sympy, .* pip install 'pattern-server\[symb"
    ):
        check_extras(asked)


def test_recipes_say_nothing_of_the_search_unless_it_is_unusual() -> None:
    spec = catalogue()["quadratic"]
    assert "formula" not in spec.to_json()
    asked = spec.overridden({"formula": {"search": "symbolic", "seconds": 20}})
    assert PatternSpec.parse(asked.to_json()).formula == FormulaSearch(search="symbolic", seconds=20)
