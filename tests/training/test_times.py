"""Times of day, durations and dates are learned from: what depends on them is predicted."""

import datetime
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.bundle import Bundle
from models_store.card import Score
from models_store.encoding.rows import TableEncoder, input_encoder_from
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


@pytest.mark.parametrize(
    ("written", "is_number"), [("%d-%b-%y", False), ("%Y%m%d", True), ("%s", True), ("%d/%m/%Y %I:%M %p", False)]
)
def test_dates_of_any_format_are_learned_and_the_bundle_knows_it(written: str, is_number: bool) -> None:
    days = np.random.default_rng(1).integers(0, 3000, N_ROWS).tolist()
    moments = [datetime.datetime(2015, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(day) for day in days]
    texts = [str(int(moment.timestamp())) if written == "%s" else moment.strftime(written) for moment in moments]
    table = pl.DataFrame({"day": [int(text) for text in texts] if is_number else texts, "y": [day / 7 for day in days]})
    bundle = trained(table, date_format={"day": written})
    assert [column.kind for column in bundle.card.inputs] == ["date"]
    assert r2_of(bundle) >= 0.99
    encoder = input_encoder_from(json.loads(json.dumps(bundle.predictor.encoder.to_dict())))
    assert isinstance(encoder, TableEncoder)
    assert encoder.spelling.formats == {"day": written}


def test_hours_are_learned_from_a_duration() -> None:
    minutes = np.random.default_rng(1).integers(0, 14_400, N_ROWS)
    durations = pl.Series(minutes * 60_000_000).cast(pl.Duration("us"))
    bundle = trained(pl.DataFrame({"waited": durations, "y": minutes / 60}))
    assert [column.kind for column in bundle.card.inputs] == ["duration"]
    assert r2_of(bundle) >= 0.99
