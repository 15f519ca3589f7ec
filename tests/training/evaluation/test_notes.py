"""The notes on a card: each says what its reader should know, and only where there is reason to."""

from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.card import LabelScore, Measured, Score
from models_store.tables.table import Kind, Table
from tests.table_fakes import a_column, score_of_labels, score_of_numbers, split_table
from training.data.dataset import Dataset, Rows
from training.evaluation.notes import fingerprints, is_lost_outside, notes, without_formula
from training.fitting.progress import History
from training.recipe.spec import PatternSpec

FORMULA = PatternSpec.parse(
    {
        "name": "it",
        "data": {
            "kind": "formula",
            "inputs": {"x": {"distribution": "integers", "low": 0, "high": 9}},
            "outputs": {"y": "x"},
            "rows": 10_000,
        },
    }
)
TABLE = PatternSpec.parse({"name": "it", "data": {"kind": "table", "dataset": "iris", "target": "y"}})
NUMBERS = np.arange(200, dtype=np.float64)


def history(best_epoch: int = 1, val_loss: list[float] | None = None, *, stopped_early: bool = True) -> History:
    curves = {"loss": np.ones(best_epoch)}
    return History(curves if val_loss is None else curves | {"val_loss": np.array(val_loss)}, best_epoch, stopped_early)


PLAIN_HISTORY, RMSE_1 = history(), score_of_numbers(1.0)


def mixed(n_rows: int) -> Array:
    """0, 1, 2 and so on, in any order."""
    return np.random.default_rng(0).permutation(n_rows).astype(np.float64)


def measured(score: Score | LabelScore, n_rows: int = 100) -> Measured:
    return Measured(rows=n_rows, overall=score, outputs={"y": score})


def said(
    data: Dataset,
    spec: PatternSpec = TABLE,
    history: History = PLAIN_HISTORY,
    train: Score | LabelScore = RMSE_1,
    test: Score | LabelScore = RMSE_1,
) -> list[str]:
    return notes(spec, data, history, measured(train), measured(test), n_parameters=1000)


def with_category(column: tuple[str, list[str]], outputs: Array, *labels: str) -> Dataset:
    """A column of numbers in any order beside it."""
    name, cells = column
    return split_table({"x": ("number", mixed(len(cells)).tolist()), name: ("category", cells)}, outputs, *labels)[0]


# -- formulas ------------------------------------------------------------------------------------------------------


def of_formula(train: Array, test: Array, **changes: Any) -> Dataset:
    return Dataset({"x": "number"}, ("y",), Rows(train, train), None, Rows(test, test), **changes)


def test_a_training_with_nothing_to_note_says_nothing() -> None:
    inside = of_formula(NUMBERS[:, None], NUMBERS[:-1, None] + 0.5)
    assert said(inside, FORMULA) == []


@pytest.mark.parametrize(
    ("train", "test", "so"),
    [
        (1.0, 10.0, "a network does not follow a curve beyond what it has seen, so expect its worst errors there."),
        (1.0, 1.2, "the test error is not clearly larger for it."),
        (1e-6, 7e-6, "the test error is not clearly larger for it."),
    ],
)
def test_test_rows_outside_the_region_are_named_and_what_came_of_it(train: float, test: float, so: str) -> None:
    data = of_formula(NUMBERS[:, None], 200 + NUMBERS[:20, None])
    assert said(data, FORMULA, train=score_of_numbers(train), test=score_of_numbers(test)) == [
        f"20 of 20 test rows lie outside the region it was trained on; {so}"
    ]


@pytest.mark.parametrize(("n_outside", "test", "is_lost"), [(20, 10.0, True), (20, 1.2, False), (9, 10.0, False)])
def test_it_is_lost_where_most_test_rows_are_outside_and_clearly_worse(
    n_outside: int, test: float, is_lost: bool
) -> None:
    data = of_formula(NUMBERS[:, None], 180 + n_outside + NUMBERS[:20, None])
    assert is_lost_outside(data, measured(score_of_numbers(1.0)), measured(score_of_numbers(test))) is is_lost
    assert not is_lost_outside(
        of_table(np.arange(1000.0)), measured(score_of_numbers(1.0)), measured(score_of_numbers(test))
    )


def test_test_rows_that_are_training_rows_are_named() -> None:
    (note,) = said(of_formula(NUMBERS[:, None], NUMBERS[:20, None]), FORMULA)
    assert note.startswith("20 of 20 test rows are training rows as well")
    (note,) = said(of_formula(NUMBERS[:, None], NUMBERS[:20, None], duplicates_dropped=7), FORMULA)
    assert note.startswith("7 duplicate rows were dropped")


def test_a_recipe_without_scaling_and_with_few_rows_is_advised() -> None:
    few = of_formula(NUMBERS[:30, None], NUMBERS[:20, None] + 0.5)
    unscaled, scarce = said(few, FORMULA.overridden({"scaling": {"method": "none"}}))
    assert unscaled.startswith("Nothing was scaled")
    assert scarce.startswith("It has seen only 30 training rows")


# -- tables --------------------------------------------------------------------------------------------------------


def of_table(numbers: Array, labels: tuple[str, ...] = (), outputs: Array | None = None, **more: Any) -> Dataset:
    kinds: dict[str, tuple[Kind, list[Any]]] = {"x": ("number", numbers.tolist()), **more}
    return split_table(kinds, numbers[:, None] if outputs is None else outputs, *labels)[0]


def test_what_was_done_to_the_columns_comes_first() -> None:
    plain = of_table(mixed(1000))
    remarked = Dataset(plain.kinds, ("y",), plain.train, None, plain.test, remarks=("id was left out.",))
    assert said(remarked) == ["id was left out.", *said(plain)] == ["id was left out."]


def test_a_column_that_goes_on_beyond_the_training_rows_is_named() -> None:
    (note,) = said(of_table(np.arange(1000.0)))
    assert note.startswith("200 of 200 test rows have a x outside that of all training rows")


def test_rows_of_a_table_that_stand_in_train_and_test_are_counted() -> None:
    numbers = mixed(1000)
    numbers[800:820] = numbers[:20]
    texts = ("text", [f"{number % 7}" if number % 2 else None for number in range(800)] + [None] * 200)
    data = of_table(numbers, outputs=mixed(1000)[::-1, None], more=texts)
    assert said(data) == [
        "10 of 200 test rows have the same inputs as a training row, so the test score may flatter.",
    ]


def test_labels_out_of_balance_are_named() -> None:
    numbers = mixed(1000)
    data = of_table(numbers, ("no", "yes"), (np.arange(1000) % 10 == 0)[:, None].astype(float))
    (note,) = said(data, train=score_of_labels(0.9), test=score_of_labels(0.9))
    assert note.startswith("90 % of the training rows are no, and always saying so would be that accurate")


def test_a_column_that_is_the_target_in_other_words_is_named() -> None:
    survived = (np.arange(1000) * 7 % 10 < 4)[:, None].astype(float)
    alive = ("alive", ["yes" if label else "no" for label in survived[:, 0]])
    data = with_category(alive, survived, "0", "1")
    (note,) = said(data, train=score_of_labels(1.0), test=score_of_labels(1.0))
    assert note.startswith("The column alive alone tells")
    assert note.endswith("leave it out (--column alive=drop, or in a recipe data.columns: {alive: drop}).")


def test_a_name_that_every_row_has_for_itself_gives_nothing_away() -> None:
    survived = (np.arange(1000) * 7 % 10 < 4)[:, None].astype(float)
    data = with_category(("name", [f"{number}" for number in range(1000)]), survived, "0", "1")
    assert said(data, train=score_of_labels(0.7), test=score_of_labels(0.7)) == []


@pytest.mark.parametrize(("noise", "n_notes"), [(1.0, 1), (50.0, 0)])
def test_a_column_on_one_line_with_the_target_is_named_and_one_near_it_is_not(noise: float, n_notes: int) -> None:
    target = 1e140 * (3 - 2 * mixed(1000) + noise * np.random.default_rng(3).normal(size=1000))
    data = with_category(("other", ["a", "b"] * 500), target[:, None])
    assert sum(note.startswith("The column x alone") for note in said(data)) == n_notes


def test_few_test_rows_are_a_reason_to_cross_validate() -> None:
    (note,) = said(of_table(mixed(100)))
    assert note.startswith("It was tested on only 20 rows")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (score_of_labels(0.99), score_of_labels(0.8), "accuracy 0.99 there, accuracy 0.8 on test rows"),
        (score_of_numbers(1.0), score_of_numbers(3.0), "RMSE 1 there, RMSE 3 on test rows"),
    ],
)
def test_a_network_that_knows_its_rows_by_heart_is_told(
    train: Score | LabelScore, test: Score | LabelScore, words: str
) -> None:
    (note,) = said(of_table(mixed(1000)), train=train, test=test)
    assert words in note
    assert "With 1000 parameters" in note


@pytest.mark.parametrize(
    ("val_loss", "kept", "expected"),
    [
        (
            [3.0, 1.0, 2.0],
            2,
            "It stopped after epoch 3; the weights of epoch 2 were kept, where the validation loss turned.",
        ),
        ([3.0, 1.0, 2.0], 1, "It stopped after epoch 3; the weights of epoch 1 were kept."),
        (
            [3.0, 1.0, 2.0],
            3,
            "It over-fits: the validation loss was lowest at epoch 2 and has risen since; "
            "fit.early_stopping would have kept those weights.",
        ),
        ([3.0, 1.0, 1.05], 3, None),
    ],
)
def test_overfitting_is_named_with_its_epoch(val_loss: list[float], kept: int, expected: str | None) -> None:
    data = of_table(mixed(1000))
    assert said(data, history=history(kept, val_loss)) == [*filter(None, [expected])]


def test_a_fit_that_came_to_its_end_is_not_said_to_have_stopped() -> None:
    assert said(of_table(mixed(1000)), history=history(1, [1.0, 2.0], stopped_early=False)) == [
        "It was fitted until epoch 2; the weights of epoch 1 were kept, where the validation loss turned."
    ]


# -- rows that are the same ----------------------------------------------------------------------------------------


def test_formulas_that_were_to_answer_and_were_not_found_are_named() -> None:
    assert list(without_formula([])) == []
    [note] = without_formula(["y1", "y2"])
    assert note.startswith("No formula was found for y1, y2, so that none answers rows outside what training saw")


def test_rows_have_one_fingerprint_if_they_are_the_same_and_others_if_not() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 4), axis=-1).reshape(-1, 4)
    assert len(np.unique(fingerprints(grid))) == len(grid)
    halves = [
        Table({f"c{place}": column for place, column in enumerate(half.T)}) for half in (grid[:9], grid[:9] + 0.0)
    ]
    assert fingerprints(halves[0]).tolist() == fingerprints(halves[1]).tolist()


def test_missing_values_are_the_same_as_each_other() -> None:
    same = Table({"x": np.array([np.nan, np.nan, 1.0]), "t": a_column("text", [None, None, "a"])})
    first, second, third = fingerprints(same)
    assert first == second != third
