"""Times of day, durations and dates are learned from: what depends on them is predicted."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.bundle import Bundle
from models_store.card import Score
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

ID = "0" * 32
N_ROWS = 600


def trained(table: pl.DataFrame, **changes: Any) -> Bundle:
    from training import run  # deferred: imports TensorFlow

    data = {"kind": "table", "dataset": ID, "target": "y", **changes}
    spec = PatternSpec.parse({"name": "clock", "data": data})
    return run.train(spec, read_table=lambda _: table, device="cpu")


def r2_of(bundle: Bundle) -> float:
    score = bundle.card.test.overall
    assert isinstance(score, Score)
    assert score.r2 is not None
    return score.r2


def test_hours_since_midnight_are_learned_from_a_time_of_day() -> None:
    minutes = np.random.default_rng(1).integers(0, 1440, N_ROWS)
    texts = [f"{minute // 60:02}:{minute % 60:02}" for minute in minutes.tolist()]
    bundle = trained(pl.DataFrame({"at": texts, "y": minutes / 60}))
    assert [column.kind for column in bundle.card.inputs] == ["time"]
    assert r2_of(bundle) >= 0.99


def test_hours_are_learned_from_a_duration() -> None:
    minutes = np.random.default_rng(1).integers(0, 14_400, N_ROWS)
    durations = pl.Series(minutes * 60_000_000).cast(pl.Duration("us"))
    bundle = trained(pl.DataFrame({"waited": durations, "y": minutes / 60}))
    assert [column.kind for column in bundle.card.inputs] == ["duration"]
    assert r2_of(bundle) >= 0.99
