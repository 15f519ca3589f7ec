"""The rows that a training calibrates on, and what its versions then say."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.bundle import Bundle
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.ranks import exactly
from models_store.calibration.sets import LabelCalibration
from models_store.errors import BundleDamaged
from models_store.tables.table import Table
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

# Twice as noisy on the right.
N_ROWS = 400


def table(n_rows: int = N_ROWS, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, n_rows)
    y = x + rng.normal(size=n_rows) * np.where(x > 5, 2.0, 0.5)
    return pl.DataFrame({"x": x, "y": y})


def sides(n_rows: int) -> pl.DataFrame:
    return table(n_rows).select("x", side=pl.when(pl.col("y") > 5).then(pl.lit("high")).otherwise(pl.lit("low")))


def rare_words(n_rows: int) -> pl.DataFrame:
    """Return a table with words of two rows each, which is what an input of their own takes."""
    return table(n_rows).with_columns(word=pl.Series([f"w{row // 2}" for row in range(n_rows)]))


TABLES = {"0": table, "1": sides, "2": rare_words}


def trained(data: dict[str, Any], n_rows: int = N_ROWS, **changes: Any) -> Bundle:
    from training.run import train  # deferred: imports TensorFlow

    recipe = {
        "name": "some",
        "data": data,
        "network": {"layers": [{"units": 16, "activation": "tanh"}]},
        "fit": {"epochs": 30, "optimizer": {"name": "adam", "learning_rate": 0.01}, "early_stopping": None},
        **changes,
    }
    return train(PatternSpec.parse(recipe), read_table=lambda name: TABLES[name[0]](n_rows), device="cpu")


TABLE = {"kind": "table", "dataset": "0" * 32, "target": "y"}
WORDS = {"kind": "table", "dataset": "2" * 32, "target": "y"}
SIDES = {"kind": "table", "dataset": "1" * 32, "target": "side"}
LINE = {
    "kind": "formula",
    "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 10}},
    "outputs": {"y": "x ** 2", "z": "-x"},
    "rows": 100,
}


def test_landmarks_stand_among_the_inputs_of_the_network_that_is_served() -> None:
    bundle = trained(WORDS, n_rows=80, network={"layers": [{"units": 8, "activation": "tanh"}], "members": 1})
    calibration = bundle.calibration
    assert isinstance(calibration, NumberCalibration)
    assert bundle.card.fitted.refit is not None
    widths = bundle.intervals(bundle.golden_inputs, bundle.predict(bundle.golden_inputs), exactly(0.5))
    assert np.isfinite(widths).all()


def test_a_network_with_members_is_calibrated_on_its_test_rows_and_its_width_follows_the_row() -> None:
    bundle = trained(TABLE, network={"layers": [{"units": 16}], "members": 4})
    facts = bundle.card.calibration
    assert facts is not None and isinstance(bundle.calibration, NumberCalibration)
    assert (facts.of, facts.rows, facts.by) == ("test rows", 80, "spread")
    assert facts.widths["y"]["0.8"] < facts.widths["y"]["0.9"] < facts.widths["y"]["0.95"]
    fresh = table(2000, 1)
    rows = Table({"x": fresh["x"].to_numpy()})
    answers = bundle.predict(rows)
    low, high = np.moveaxis(bundle.intervals(rows, answers, exactly(0.9)), 2, 0)[:, :, 0]
    assert 0.8 < ((low <= fresh["y"].to_numpy()) & (fresh["y"].to_numpy() <= high)).mean() < 0.98
    noisy = rows.columns["x"] > 5
    assert (high - low)[noisy].mean() > 1.5 * (high - low)[~noisy].mean()


def test_with_few_test_rows_it_is_calibrated_on_rows_out_of_fold() -> None:
    facts = trained(TABLE, n_rows=100, network={"layers": [{"units": 8}], "members": 4}).card.calibration
    assert facts is not None
    assert (facts.of, facts.rows, facts.by) == ("rows out of fold", 100, "spread")


def test_a_network_of_one_has_landmarks_among_the_rows_that_it_was_not_tested_on() -> None:
    facts = trained(TABLE, network={"layers": [{"units": 8}], "members": 1}, split={"validation": 0.0}).card.calibration
    assert facts is not None
    assert (facts.of, facts.rows, facts.by) == ("test rows", 80, "landmarks")
    facts = trained(TABLE, network={"layers": [{"units": 8}], "members": 1}, split={"validation": 0.2}).card.calibration
    assert facts is not None
    assert facts.by == "landmarks"


def test_labels_are_calibrated_on_test_rows_where_each_label_has_enough_of_them() -> None:
    facts = trained(SIDES, 800, network={"layers": [{"units": 8}], "members": 4}).card.calibration
    assert facts is not None
    assert facts.rows == sum(facts.rows_of_label.values())
    assert (facts.of, facts.rows) == ("test rows", 160)
    assert 1 <= facts.sizes["0.9"] <= facts.sizes["0.95"] <= 2
    few = trained(SIDES, 120, network={"layers": [{"units": 8}], "members": 4})
    assert few.card.calibration is not None and isinstance(few.calibration, LabelCalibration)
    assert (few.card.calibration.of, few.card.calibration.rows) == ("rows out of fold", 120)


def test_a_formula_is_calibrated_on_fresh_rows_and_kept_under_golden_widths() -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    bundle = trained(LINE)
    facts = bundle.card.calibration
    assert facts is not None and isinstance(bundle.calibration, NumberCalibration)
    assert (facts.of, facts.rows, facts.by, set(facts.widths)) == ("fresh rows", 1000, "landmarks", {"y", "z"})
    x = np.random.default_rng(5).uniform(0, 10, (4000, 1))
    ends = bundle.intervals(x, bundle.predict(x), exactly(0.9))
    held = (ends[:, :, 0] <= np.hstack([x**2, -x])) & (np.hstack([x**2, -x]) <= ends[:, :, 1])
    assert held.mean(axis=0) == pytest.approx(0.9, abs=0.03)
    together = bundle.intervals(x, bundle.predict(x), exactly(0.9), jointly=True)
    held = (together[:, :, 0] <= np.hstack([x**2, -x])) & (np.hstack([x**2, -x]) <= together[:, :, 1])
    assert held.all(axis=1).mean() == pytest.approx(0.9, abs=0.03)

    files = bundle.to_files()
    again = Bundle.from_files(files, KerasNetwork.from_bytes)
    assert again.intervals(x[:5], again.predict(x[:5]), exactly(0.9)).tolist() == ends[:5].tolist()
    found = bundle.calibration
    assert found.cuts.shape == (2, 2)
    moved = replace(found, golden=found.golden * 1.5)
    with pytest.raises(BundleDamaged, match="intervals of the golden rows are no longer as wide"):
        Bundle.from_files({**files, "calibration.npz": moved.to_bytes()}, KerasNetwork.from_bytes)
