"""`patterns reproduce` prints the author's figure, ours, and below it what improves on that; 80 columns wide."""

import io

import pytest
from rich.console import Console

from app.commands.reproduce import Row, Spread, figures_table, row
from models_store.card import Card
from tests.fakes import card
from training.recipe.spec import shipped

WIDTH = 80


def cards(*figures: float) -> list[Card]:
    return [
        card().model_copy(
            update={
                "author_metrics": {"rmse": 20 * figure, "mae": 1.0, "rmse_over_root_n": figure},
                "fitted": card().fitted.model_copy(update={"seconds": 2.5}),
            }
        )
        for figure in figures
    ]


@pytest.fixture
def rows() -> list[Row]:
    return [
        row(shipped()["quadratic-sparse"], cards(0.5, 0.4, 0.6), []),
        row(shipped()["quadratic-sparse-smooth"], cards(0.09916, 0.08, 0.1), []),
    ]


def printed(rows: list[Row]) -> list[str]:
    console = Console(width=WIDTH, file=io.StringIO())
    console.print(figures_table(rows))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= WIDTH
    return [" ".join(line.split()) for line in lines]


def test_what_improves_on_a_pattern_is_counted_by_its_authors_figure(rows: list[Row]) -> None:
    assert rows[1].improves == "quadratic-sparse"
    assert (rows[1].metric, rows[1].author) == ("rmse_over_root_n", 0.9916)
    assert rows[1].figures["rmse_over_root_n"] == Spread(0.09916, 0.08, 0.1)


def test_the_improved_row_says_how_many_times_smaller_the_error_is(rows: list[Row]) -> None:
    assert [line for line in printed(rows) if "RMSE" in line] == [
        "quadratic-sparse RMSE/√n 0.9916 0.5 0.4 0.6 2.5",
        "RMSE 10 8 12",
        "+ quadratic-sparse-smooth RMSE/√n / 10 0.09916 0.08 0.1 2.5",
        "RMSE 1.983 1.6 2",
    ]


@pytest.mark.parametrize("figure", [1.2345e-14, 0.0012345, 159.87, 2765.4])
def test_every_name_stays_whole_whatever_the_figures(figure: float) -> None:
    formulas = [spec for spec in shipped().values() if spec.data.kind != "table"]
    lines = printed([row(spec, cards(figure), []) for spec in formulas])
    assert all(any(f"{spec.name} " in line for line in lines) for spec in formulas)


def test_a_pattern_that_never_succeeded_has_no_figures() -> None:
    failed = row(shipped()["add-ten-exact"], [], ["seed 0: failed"])
    assert "+ add-ten-exact RMSE – – –" in printed([failed])
