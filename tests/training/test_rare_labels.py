"""A label in one row of 200: the default learns more of it than the default of earlier releases did."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, log_loss

from models_store.tables.table import Table
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

RNG = np.random.default_rng(3)
EARLIER = {"validation": 0.2, "refit": False}
"""The split that names validation rows, and so has the defaults of earlier releases: one network."""


def faults(n_rows: int) -> pl.DataFrame:
    x = RNG.normal(size=(n_rows, 6))
    chance = 1 / (1 + np.exp(-(1.5 * x[:, 0] + x[:, 1] * x[:, 2] - 7)))
    kinds = np.where(RNG.random(n_rows) < chance, "fault", "fine")
    return pl.DataFrame({f"x{place}": x[:, place] for place in range(6)}).with_columns(pl.Series("kind", kinds))


LEARNED, ASKED = faults(6000), faults(20_000)


def scores(split: Any) -> tuple[float, float]:
    """Log loss and average precision on rows that no training has."""
    from training.run import train  # deferred: imports TensorFlow

    data = {"kind": "table", "dataset": "0" * 32, "target": "kind"}
    recipe = PatternSpec.parse({"name": "faults", "seed": 3, "data": data, "split": split})
    bundle = train(recipe, read_table=lambda _: LEARNED, device="cpu")
    answers = bundle.predictor.predict(Table({name: ASKED[name].to_numpy() for name in ASKED.columns[:-1]}))
    are_faults = (ASKED["kind"] == "fault").to_numpy()
    return float(log_loss(~are_faults, answers[:, 1])), float(average_precision_score(are_faults, answers[:, 0]))


def test_a_rare_label_is_told_better_than_by_the_earlier_default() -> None:
    (loss, precision), (earlier_loss, earlier_precision) = scores({}), scores(EARLIER)
    assert loss < earlier_loss
    assert precision > earlier_precision
