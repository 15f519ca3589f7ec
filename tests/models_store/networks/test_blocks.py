"""Blocks: all rows in order, never more at a time than a block holds."""

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Dtype, Encoded
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.blocks import in_blocks, padded


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(st.integers(0, 30), st.integers(1, 12))
def test_rows_are_computed_in_order_and_a_block_at_a_time(dtype: Dtype, n_rows: int, block: int) -> None:
    architecture = Architecture(2, (Layer(3, "linear"),), dtype)
    kernel = np.array([[1, 2, 3], [10, 20, 30]], dtype=dtype)
    lengths: list[int] = []

    def call(encoded: Encoded) -> Encoded:
        lengths.append(len(encoded))
        return cast(Encoded, encoded @ kernel)

    rows = np.arange(2 * n_rows, dtype=dtype).reshape(n_rows, 2)
    outputs = in_blocks(call, rows, block, architecture)
    assert (outputs.dtype.name, outputs.tolist()) == (dtype, (rows @ kernel).tolist())
    assert sum(lengths) == n_rows
    assert max(lengths) <= block
    assert all(length == block for length in lengths[:-1])


@pytest.mark.parametrize(("n_rows", "expected"), [(2, [[1, 2], [3, 4]]), (4, [[1, 2], [3, 4], [0, 0], [0, 0]])])
def test_rows_are_padded_with_zeros_behind_them(n_rows: int, expected: list[list[float]]) -> None:
    rows = np.array([[1, 2], [3, 4]], dtype=np.float32)
    assert padded(rows, n_rows).tolist() == expected
    assert padded(rows, n_rows).dtype == np.float32
