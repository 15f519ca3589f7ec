"""Trainings whose rows count by a weight, are split by group or by time, or are tested on a table of their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.card import Card, CrossValidation, LabelScore, Score
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

ID, OTHER = "0" * 32, "1" * 32
N_ROWS = 400
PLACES = np.arange(N_ROWS)
IS_HEAVY = PLACES % 2 == 0
X = np.random.default_rng(0).uniform(-1, 1, N_ROWS)


def table(**columns: Any) -> pl.DataFrame:
    """Half of the rows, the light ones, say the contrary of the heavy ones."""
    made = {"x": X, "w": np.where(IS_HEAVY, 1000.0, 0.5), "y": np.where(IS_HEAVY, X, -X)}
    return pl.DataFrame(made | columns)


def spec(cross_validate: Any = None, split: Any = None, fit: Any = None, **data: Any) -> PatternSpec:
    recipe = {
        "name": "counted",
        "data": {"kind": "table", "dataset": ID, "target": "y", **data},
        "network": {"layers": [{"units": 16}], "dropout": 0},
        "fit": {"epochs": 60, "optimizer": {"learning_rate": 0.01}, **(fit or {})},
        "split": split or {},
        "cross_validate": cross_validate,
    }
    return PatternSpec.parse(recipe)


def trained(recipe: PatternSpec, frames: Mapping[str, pl.DataFrame]) -> Card:
    from training.run import train  # deferred: imports TensorFlow

    return train(recipe, read_table=frames.__getitem__, device="cpu").card


def folded(recipe: PatternSpec, frames: Mapping[str, pl.DataFrame]) -> CrossValidation:
    from training.run import score_folds  # deferred: imports TensorFlow

    return score_folds(recipe, read_table=frames.__getitem__, device="cpu")


def r2(score: Any) -> float:
    assert isinstance(score, Score) and score.r2 is not None
    return score.r2


def test_what_counts_is_learned_and_what_hardly_counts_is_not() -> None:
    card = trained(spec(weight="w"), {ID: table()})
    assert r2(card.test.overall) > 0.95
    assert [column.name for column in card.inputs] == ["x"]
    assert card.baselines.figures["linear"] < 0.1


def test_labels_count_by_their_weights_too() -> None:
    said = pl.Series(np.where(IS_HEAVY, X > 0, X < 0)).replace_strict({True: "up", False: "down"})
    card = trained(spec(weight="w"), {ID: table(y=said)})
    assert isinstance(card.test.overall, LabelScore)
    assert card.test.overall.accuracy > 0.9
    assert card.baselines.figures["linear"] > 0.9


def test_folds_by_weight_by_group_and_by_time() -> None:
    frames = {ID: table(group=[f"g{place % 10}" for place in PLACES], day=PLACES // 4)}
    weighted = folded(spec({"folds": 3}, weight="w"), frames)
    assert weighted.mean["r2"] > 0.9
    by_group = folded(spec({"folds": 5}, {"group": "group"}, weight="w"), frames)
    assert [fold.rows for fold in by_group.folds] == [80] * 5
    by_time = folded(spec({"folds": 4}, {"time": "day"}, weight="w"), frames)
    assert [fold.rows for fold in by_time.folds] == [80] * 4


def test_a_group_that_tells_the_target_flatters_no_score() -> None:
    group = PLACES % 20
    told = np.random.default_rng(1).normal(size=20)[group]
    frame = table(patient=group.astype(str), y=told, w=1.0).drop("w")
    flattered = trained(spec(columns={"patient": "category"}), {ID: frame})
    honest = trained(spec(split={"group": "patient"}, columns={"patient": "category"}, fit=QUICK), {ID: frame})
    assert r2(flattered.test.overall) > 0.9
    assert r2(honest.test.overall) < 0.5


QUICK = {"early_stopping": None, "epochs": 30}


def test_a_table_of_test_rows_is_what_the_card_measures() -> None:
    own = table(y=-np.where(IS_HEAVY, X, -X))
    card = trained(spec(weight="w", test=OTHER), {ID: table(), OTHER: own})
    assert card.test.rows == N_ROWS
    assert (card.train.rows, card.validation) == (N_ROWS, None)
    assert r2(card.train.overall) > 0.95
    assert r2(card.test.overall) < -2
    folds = folded(spec({"folds": 4}, weight="w", test=OTHER), {ID: table(), OTHER: own}).folds
    assert [fold.rows for fold in folds] == [100] * 4
