"""Formulas: right by Python's own arithmetic, and nothing but arithmetic."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from training.recipe.formula import DEEPEST, LONGEST, MOST_NODES, Formula, FormulaError

LEAVES = st.sampled_from(["x", "y"]) | st.integers(0, 9).map("{}.0".format)
ORACLE: dict[str, Callable[..., float]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "where": lambda test, a, b: a if test else b,
}


def _longer(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign, comparison = st.sampled_from("+-*/"), st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    return st.one_of(
        st.builds("{} {} {}".format, part, sign, part),
        st.builds("({} {} {})".format, part, sign, part),
        st.builds("-{}".format, part),
        st.builds("abs({})".format, part),
        st.builds("min({}, {})".format, part, part),
        st.builds("max({}, {})".format, part, part),
        st.builds("where({} {} {}, {}, {})".format, part, comparison, part, part, part),
    )


EXPRESSIONS = st.recursive(LEAVES, _longer, max_leaves=12)
NUMBERS = st.integers(-9, 9).map(float)


def value(text: str, **columns: float) -> float:
    """The value of a formula for one row."""
    filled = {name: np.array([number]) for name, number in columns.items()} or {"x": np.zeros(1)}
    return float(Formula.parse(text, filled)(filled)[0])


@given(EXPRESSIONS, NUMBERS, NUMBERS)
def test_a_formula_computes_what_python_computes(text: str, x: float, y: float) -> None:
    try:
        expected = eval(text, {"__builtins__": {}, **ORACLE, "x": x, "y": y})
    except ZeroDivisionError:
        assume(False)
    assert value(text, x=x, y=y) == expected


@given(st.floats(0.1, 9), st.floats(-3, 3))
def test_powers_are_pythons(x: float, y: float) -> None:
    assert value("x**y", x=x, y=y) == pytest.approx(x**y)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5*x**2 - 3*y + 5", 0.5 * 9 - 12 + 5),
        ("-x**2", -9),
        ("2**3**2", 512),
        ("sqrt(y)", 2),
        ("log(exp(x))", 3),
        ("sin(0) + cos(0) + tan(0) + tanh(0)", 1),
        ("where(x < y, 10, 20)", 10),
        ("(x < y) + (x == y)", 1),
        ("+7", 7),
        ("  1e2  ", 100),
    ],
)
def test_formulas_by_hand(text: str, expected: float) -> None:
    assert value(text, x=3.0, y=4.0) == pytest.approx(expected)


def test_a_formula_is_computed_for_all_rows_at_once() -> None:
    columns = {"x": np.array([0.0, 1.0, 2.0])}
    assert Formula.parse("x + 10", columns)(columns).tolist() == [10, 11, 12]
    assert Formula.parse("10", columns)(columns).tolist() == [10, 10, 10]


@pytest.mark.parametrize("text", ["9**9**9", "9**9**9**9", "1e999", "9" * 400, "1/0", "exp(1e9)"])
def test_what_is_too_large_is_infinite_at_once(text: str) -> None:
    assert value(text) == np.inf


@pytest.mark.parametrize("text", ["0/0", "sqrt(-1)", "log(-1)", "(-8)**0.5"])
def test_what_has_no_value_is_nan(text: str) -> None:
    assert np.isnan(value(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "import os",
        "__import__('os')",
        "x.__class__",
        "x.real",
        "x[0]",
        "(lambda: x)()",
        "lambda: 1",
        "sqrt(x=1)",
        "sqrt(*x)",
        "sqrt(**x)",
        "sqrt()",
        "sqrt(x, x)",
        "sqrt",
        "eval(x)",
        "min(x)",
        "z",
        "x if x else x",
        "(x := 3)",
        "f'{x}'",
        "'text'",
        "b'bytes'",
        "True",
        "None",
        "...",
        "3j",
        "[x for x in x]",
        "{x}",
        "[x]",
        "x, x",
        "x; x",
        "x = 1",
        "x +",
        "x // 2",
        "x % 2",
        "x @ x",
        "x & 1",
        "x << 1",
        "~x",
        "not x",
        "x and x",
        "x < 1 < 2",
        "x in x",
        "x is x",
        "await x",
        "yield x",
        "х + 1",  # a Cyrillic letter
        "x\N{SUPERSCRIPT TWO}",
        "x + \N{FULLWIDTH DIGIT ONE}",
        "x\0",
        "\ud800",
        "1" * (LONGEST + 1),
        "+".join(["x"] * MOST_NODES),
        "-" * (DEEPEST + 1) + "x",
        "(" * 250 + "x" + ")" * 250,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        Formula.parse(text, ("x",))


def test_a_refusal_says_what_may_be_written_instead() -> None:
    with pytest.raises(FormulaError, match="the inputs are x1, x2"):
        Formula.parse("x3", ("x1", "x2"))
    with pytest.raises(FormulaError, match="sqrt takes 1 argument"):
        Formula.parse("sqrt(x, x)", ("x",))
    with pytest.raises(FormulaError, match=r"sqrt, exp, log, .* where$"):
        Formula.parse("x.real", ("x",))


WORDS = ["x", "y", "sqrt", "min", "where", "lambda", "if", "else", "not", "1", "2.5", "1e9", "0x1", "_", " "]
SIGNS = [*"()()()+-*/<=.,[]:'#@%{}", "**", "==", ":=", "\\", "\n", '"']
ASCII = st.text(st.characters(max_codepoint=127), max_size=60)


@settings(max_examples=300)
@given(ASCII | st.lists(st.sampled_from(WORDS + SIGNS), max_size=20).map("".join))
def test_any_text_is_a_formula_or_a_formula_error(text: str) -> None:
    columns: dict[str, Any] = {"x": np.array([1.0, -2.0]), "y": np.array([0.0, 3.0])}
    try:
        formula = Formula.parse(text, columns)
    except FormulaError:
        return
    computed = formula(columns)
    assert (computed.shape, computed.dtype.name) == ((2,), "float64")


@pytest.mark.parametrize("text", ["1if x else 2", "'\\d'", "0x1for x in x"])
def test_a_refusal_prints_no_warning_of_pythons(text: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(FormulaError):
            Formula.parse(text, ("x",))
    assert said == []
