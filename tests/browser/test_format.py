"""Numbers, words and formulas as people read them: the pure functions of format.js, in the browser that runs them."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import at
from tests.server.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.server]


@pytest.fixture(scope="module")
def module(browser: Browser, shared: Server) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(at(shared))
    yield page
    page.close()


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        ("short", [0.123456], "0.1235"),
        ("short", [-1234567], "−1235000"),
        ("short", [1e-7, 3], "1e−7"),
        ("rSquared", [0.999996], "0.9999960"),
        ("rSquared", [0.9999999999999999], "0.9999999999999999"),
        ("rSquared", [1], "1"),
        ("rSquared", [-0.5], "−0.500"),
        ("rSquared", [None], "–"),
        ("percent", [0.99999], "99.9 %"),
        ("percent", [1], "100 %"),
        ("percent", [0.3333], "33.3 %"),
        ("figure", ["accuracy", 0.5], "50 %"),
        ("figure", ["rmse", 0.12345], "0.123"),
        ("decimalsFor", [0.00123], 5),
        ("decimalsFor", [1234], 0),
        ("decimalsFor", [0], 6),
        ("decimalsOf", [1.25], 2),
        ("decimalsOf", [3], 0),
        ("range", [{"minimum": -1.5, "maximum": 20}], "−1.5 to 20"),
        ("range", [{"minimum": "2024-01-02", "maximum": "2025-12-01"}], "2024-01-02 to 2025-12-01"),
        ("megabytes", [99_999], "100 kB"),
        ("megabytes", [2_340_000], "2.34 MB"),
        ("sentence", ["the port is taken"], "The port is taken."),
        ("sentence", ["fit.epochs: must be positive"], "fit.epochs: must be positive."),
        ("patternName", ["Boats of 2024"], "boats-of-2024"),
        ("patternName", ["2024 Äpfel (neu)"], "a-pfel-neu"),
        ("patternName", ["2024"], "my-table"),
        ("inWords", [{"y": "2*x", "z": "x"}], "y = 2*x; z = x"),
        ("indexed", ["x12"], {"stem": "x", "index": "12"}),
        ("indexed", ["rate_1"], {"stem": "rate_1", "index": None}),
        ("scoreOf", [{"rmse": 2.886, "r2": 0.999996}], "RMSE 2.89 · R² 0.9999960"),
        ("scoreOf", [{"accuracy": 0.6875, "log_loss": 0.9603}], "accuracy 68.8 % · log loss 0.96"),
    ],
)
def test_a_value_reads_as(module: Page, function: str, given: list[Any], expected: Any) -> None:
    script = "async ([name, given]) => (await import('/page/format.js'))[name](...given)"
    assert module.evaluate(script, [function, given]) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("0.5*x1**2 - 3*x2", "0.5·<x1>^2^ − 3·<x2>"),
        ("sin(x) * exp(-x)", "sin(<x>)·exp(−<x>)"),
        ("where(x <= 2, x**0.5, y)", "where(<x> ≤ 2, <x>^0.5, <y>)"),
        ("x ** 10", "<x>^10^"),
    ],
)
def test_a_formula_reads_as_in_a_book(module: Page, formula: str, expected: str) -> None:
    """Names stand in angle brackets here, and powers between carets."""
    parts = module.evaluate("async (formula) => (await import('/page/format.js')).mathParts(formula)", formula)
    marks = {"text": "{}", "name": "<{}>", "power": "^{}^"}
    assert "".join(marks[part["kind"]].format(part["text"]) for part in parts) == expected
