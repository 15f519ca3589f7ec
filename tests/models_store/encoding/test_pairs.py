"""Pairs of columns: their place in the plane, along six directions."""

from typing import Any

import numpy as np
import pytest

from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.pairs import DIRECTIONS, PairEncoder
from models_store.encoding.rows import TableEncoder
from models_store.errors import BundleDamaged
from models_store.tables.table import Table

RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 2, 200), RNG.normal(-1, 5, 200)
PAIR = PairEncoder.fit(("x", "y"), (X, Y), 4)


def table_encoder() -> TableEncoder:
    return TableEncoder({"x": NumberEncoder.fit(X), "y": NumberEncoder.fit(Y)}, "float64", pairs=(PAIR,))


def test_each_direction_is_a_position_and_its_pieces() -> None:
    encoded = PAIR.encode(X, Y)
    assert encoded.shape == (200, PAIR.width) == (200, len(DIRECTIONS) * 5)
    position = (X - X.mean()) / X.std() + (Y - Y.mean()) / Y.std()
    np.testing.assert_allclose(encoded[:, 0], (position - position.mean()) / position.std())
    assert encoded[:, 2].min() == 0 and encoded[:, 2].max() == 1


def test_a_missing_value_is_in_the_middle() -> None:
    gaps = np.array([np.nan])
    middle = PAIR.encode(np.array([X.mean()]), np.array([Y.mean()]))
    np.testing.assert_allclose(PAIR.encode(gaps, gaps), middle, atol=1e-12)
    nothing = np.full(5, np.nan)
    assert np.isfinite(PairEncoder.fit(("x", "y"), (nothing, nothing), 4).encode(X, Y)).all()


def test_a_pair_stands_beside_its_columns_and_survives_the_bundle() -> None:
    encoder, rows = table_encoder(), Table({"x": X, "y": Y})
    restored = TableEncoder.from_dict(encoder.to_dict())
    assert encoder.n_inputs == restored.n_inputs == 2 + PAIR.width
    np.testing.assert_array_equal(restored.encode(rows), encoder.encode(rows))
    np.testing.assert_array_equal(encoder.encode(rows)[:, 2:], PAIR.encode(X, Y))


def test_an_encoder_without_pairs_is_saved_as_before() -> None:
    assert "pairs" not in TableEncoder({"x": NumberEncoder.fit(X)}).to_dict()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": ["x", "z"]}, "two columns of numbers"),
        ({"positions": []}, "0 positions; expected 2 and 6"),
        ({"scaler": NumberEncoder.fit(X).to_dict()["scaler"]}, "a scaler of 1 columns"),
    ],
)
def test_a_damaged_pair_is_refused(changes: dict[str, Any], words: str) -> None:
    saved = table_encoder().to_dict()
    saved["pairs"][0] |= changes
    with pytest.raises(BundleDamaged, match=words):
        TableEncoder.from_dict(saved)
