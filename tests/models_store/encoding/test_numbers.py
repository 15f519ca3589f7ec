"""Numbers as network inputs: scaled, piecewise linear, and with an input that says when one is missing."""

import numpy as np
import pytest

from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.scaler import Method
from models_store.tables.table import (
    column_of,
)


def test_a_number_is_scaled_and_says_when_it_is_missing() -> None:
    encoder = NumberEncoder.fit(column_of("number", [2, 4, None, 6]), "minmax")
    assert encoder.encode(column_of("number", [2, 6, 8, None])).tolist() == [[0, 0], [1, 0], [1.5, 0], [0.5, 1]]
    assert encoder.unknown(column_of("number", [2, 6, 8, 1.5, None])).tolist() == [False, False, True, True, False]


def test_a_piecewise_number_rises_from_edge_to_edge_and_goes_on_beyond() -> None:
    encoder = NumberEncoder.fit(column_of("number", [0, 1, 2, 3, 4]), "none", bins=2)
    assert encoder.edges.tolist() == [0, 2, 4]
    pieces = encoder.encode(column_of("number", [-2, 0, 1, 2, 3, 4, 8]))[:, 1:]
    assert pieces.tolist() == [[-1, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [1, 3]]


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("bins", [0, 2, 4])
def test_a_number_is_learned_however_large_it_is(method: Method, bins: int) -> None:
    small = column_of("number", [1.0, -1.0, 0.5, None, 0.25])
    large = small.astype(np.float64) * 1e300
    encoded = NumberEncoder.fit(large, method, bins).encode(large)
    np.testing.assert_allclose(encoded, NumberEncoder.fit(small, method, bins).encode(small), atol=1e-12)
