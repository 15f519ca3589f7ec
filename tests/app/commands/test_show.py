"""`patterns show` and `patterns list` print all figures of tables and labels, within 80 columns."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.commands import card_tables, show
from app.commands.wording import share, value_of, words
from models_store.bundle import Bundle
from models_store.card import Calibration, ClosedForm, Column, CrossValidation, Fold, Gap, LabelScore, Refit, Value
from models_store.errors import PatternServerError
from tests.fakes import card
from tests.table_fakes import flowers, messages, passengers, rents

WIDTH = 80


def printed(*renderables: Any) -> str:
    console = Console(width=WIDTH, file=io.StringIO())
    for renderable in renderables:
        console.print(renderable)
    return written(console)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    return text


def shown(bundle: Bundle) -> str:
    console = Console(width=WIDTH, file=io.StringIO())
    show.print_card(console, show.Shown(bundle.pattern, 3, bundle.description))
    return written(console)


def told(confusion: list[list[int]]) -> LabelScore:
    each = [0.5] * len(confusion)
    figures = {"accuracy": 0.5, "log_loss": 1.0, "balanced_accuracy": 0.5, "f1": 0.5, "roc_auc": None}
    return LabelScore.model_validate({**figures, "confusion": confusion, "precision": each, "recall": each})


@pytest.mark.parametrize("bundle", [passengers(), flowers(), messages(), rents()], ids=lambda bundle: bundle.pattern)
def test_every_card_of_a_table_is_shown_within_80_columns(bundle: Bundle) -> None:
    text = " ".join(shown(bundle).split())
    for column in bundle.card.inputs:
        assert f"│ {column.name} │ {column.kind} │" in text
    for said in ("gradient-boosted trees", "linear model", "this network", bundle.card.baselines.verdict):
        assert said in text


def test_when_versions_of_a_recipe_become_champion_is_shown() -> None:
    bundle = flowers()
    assert "become champion" not in shown(bundle)
    rule = {"when": "if-better", "tolerance": 0.02}
    text = " ".join(shown(replace(bundle, recipe=bundle.recipe | {"promotion": rule})).split())
    assert "become champion if they are not worse on the same rows, by more than 2 % of the champion's error" in text


def test_scores_and_mistakes_of_labels_are_shown() -> None:
    lines = shown(passengers()).splitlines()
    assert "│ test  │ 8 │ 0.875    │ 0.875    │ 0.875 │ 0.9375  │ 0.25     │" in lines
    assert "│ yes        │  0 │   1 │      1 │" in lines
    assert "│ precision  │  1 │   1 │        │" in lines


def test_a_card_shows_which_scores_are_of_the_network_that_is_served() -> None:
    bundle = rents()
    told = bundle.card.model_copy(
        update={
            "out_of_fold": bundle.card.test,
            "fitted": bundle.card.fitted.model_copy(update={"refit": Refit(rows=10, epochs=7, seconds=0.1)}),
        }
    )
    text = " ".join(shown(replace(bundle, card=told)).split())
    assert f"│ out of fold │ {told.test.rows} │" in text
    assert "served: fitted again on all 10 rows, 7 epochs; train and test are before that; out of fold is it" in text
    assert "served:" not in shown(bundle)


def test_a_card_says_what_intervals_and_sets_stand_on() -> None:
    def told(bundle: Bundle, **facts: Any) -> str:
        found = Calibration(of="test rows", rows=120, **facts)
        return " ".join(shown(replace(bundle, card=bundle.card.model_copy(update={"calibration": found}))).split())

    widths = {"rent": {"0.8": 40.0, "0.9": 55.5}}
    assert "intervals, calibrated on 120 test rows: 40 at 0.8, 55.5 at 0.9 wide in the mean" in told(
        rents(), widths=widths
    )
    sizes = {"0.8": 1.0, "0.9": 1.25}
    assert "sets of labels, calibrated on 120 test rows: 1 at 0.8, 1.25 at 0.9 labels in the mean" in told(
        passengers(), sizes=sizes
    )
    assert "calibrated" not in shown(rents())


def test_many_labels_are_shown_by_their_most_frequent_mistakes() -> None:
    labels: list[Value] = [f"a long label {number}" for number in range(30)]
    counts = [[100 * (was == said) + (was == 7 and said == 9) * 5 for said in range(30)] for was in range(30)]
    text = printed(card_tables.confusion(Column(name="it", values=labels), told(counts)))
    assert "│ a long label 7 │ a long label 9 │ 5         │" in text
    assert "100" not in text


def test_labels_without_a_matrix_have_no_mistakes_to_show() -> None:
    score = told([[1, 0], [0, 1]]).model_copy(update={"confusion": []})
    assert printed(card_tables.confusion(Column(name="it", values=["a", "b"]), score))


def test_a_cross_validation_is_one_line_with_means_and_deviations() -> None:
    fold = Fold(rows=1, score=card().test.overall, best_epoch=2)
    crossed = CrossValidation(
        folds=[fold] * 5,
        mean={"rmse": 2.5, "mae": 1.5, "max_error": 9.0},
        sd={"rmse": 0.25, "mae": 0.125, "max_error": 1.0},
        metric="mae",
        curve=[1.0],
        smoothed=[1.0],
        epochs=37,
    )
    said = "cross-validated, 5 folds: RMSE 2.5 ± 0.25, MAE 1.5 ± 0.12; 37 epochs"
    assert card_tables.crossed(crossed) == said
    bundle = rents()
    assert said in shown(replace(bundle, card=bundle.card.model_copy(update={"cross_validation": crossed})))


def test_of_many_inputs_only_as_many_are_shown_as_there_is_room_for() -> None:
    names = [f"column{number}" for number in range(50)]
    gap = Gap(inputs=[1234567.875] * 50, predicted=[-1.23456e-07], label=[3.0], gap=[-3.0])
    wide = card().model_copy(update={"inputs": [Column(name=name) for name in names], "gaps": [gap]})
    text = printed(card_tables.gaps(wide))
    assert "-1.2346e-07" in text
    assert "…" not in text
    assert "inputs that are not shown: 4" in text
    assert "│ predicted " in text.replace("┃", "│")


def test_patterns_of_labels_are_listed_by_their_accuracy() -> None:
    rows: list[dict[str, Any]] = [
        {"pattern": "titanic", "versions": [1, 2], "champion": 2, "accuracy": 0.832, "rmse": None, "r2": None}
        | {"labels": {"champion": 2, "shadow": 1, "tried": 1}}
        | {"dataset": "0123456789abcdef" * 2, "table": "boats.csv", "target": ["survived"]},
        {"pattern": "quadratic-extrapolated", "versions": [1], "champion": 1, "rmse": 1.0798e-05, "r2": 0.9999999}
        | {"labels": {"champion": 1}}
        | {"formulas": {"y": "0.5*x1**2 - 3*x2 + 5"}},
        {"pattern": "broken", "versions": [1], "labels": {}, "champion": None, "rmse": None, "r2": None},
    ]
    text = printed(show.patterns_table(rows))
    for said in (
        "accuracy 0.832",
        "survived of",
        "boats.csv",
        "quadratic-extrapolated",
        "RMSE 1.0798e-05",
        "none",
        "1 (shadow,",
    ):
        assert said in text


def test_long_names_of_patterns_are_folded_and_leave_room_for_the_rest() -> None:
    name = f"{'long' * 15}-it"
    row = {"pattern": name, "versions": [1], "champion": 1, "rmse": 1.0798e-05, "r2": 0.9999999, "formulas": {"y": "x"}}
    row |= {"labels": {"champion": 1}}
    text = printed(show.patterns_table([row]))
    folded = [line.split()[0] for line in text.splitlines() if line[:4].strip()]
    assert name in "".join(folded)
    for said in ("RMSE 1.0798e-05", "R² 0.9999999000", "y = x"):
        assert said in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (3.0, "3"),
        (0.123456789, "0.12346"),
        (1234567.0, "1234567"),
        (1234567.89, "1234568"),
        (1.5e-7, "1.5e-07"),
        ("[red]x[/]", "\\[red]x\\[/]"),
        ("a\x1b[2J\nb", "a [2J b"),
        ("long " * 20, "long long long long lon…"),
    ],
)
def test_what_a_table_holds_is_shown_and_never_obeyed(value: Value | None, text: str) -> None:
    assert value_of(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (1.0, "1"), (0.5, "0.5"), (0.999996, "0.99999600"), (-2.0, "-2")]
)
def test_nearly_perfect_is_not_shown_as_perfect(value: float | None, text: str) -> None:
    assert share(value) == text


def test_words_keep_what_people_write() -> None:
    assert words("Größe, 90 % · x²") == "Größe, 90 % · x²"


def test_plots_that_cannot_be_written_are_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "plots").write_text("a file")
    bundle = rents()
    with pytest.raises(PatternServerError, match=r"plots cannot be written into .*more: .*; name another directory"):
        show.Shown(bundle.pattern, 3, bundle.description).write_plots(tmp_path / "plots" / "more")


def test_the_formula_that_was_found_is_shown_with_its_error_beside_the_networks() -> None:
    form = ClosedForm(
        text="2*x", latex="2 x", python="", rmse=0.0, network_rmse=0.125, terms=1, is_exact=True, columns={"x": "a x"}
    )
    bundle = rents()
    bundle = replace(bundle, card=bundle.card.model_copy(update={"closed_forms": {"rent": form}}))
    assert "formula: rent = 2*x (exact; RMSE 0, the network's 0.125)" in " ".join(shown(bundle).split())


def test_what_training_chose_is_shown_as_words_whole_numbers_and_fractions() -> None:
    chosen = {"data.numbers": "piecewise", "network.members": 8, "network.dropout": 0.1}
    bundle = rents()
    fitted = bundle.card.fitted.model_copy(update={"chosen": chosen})
    bundle = replace(bundle, card=bundle.card.model_copy(update={"fitted": fitted}))
    said = "chosen by size and task: data.numbers piecewise, network.members 8, network.dropout 0.1"
    assert said in " ".join(shown(bundle).split())
