"""A few rows are encoded all at once, and many column by column: to the same bits."""

import numpy as np
import pytest

from models_store.arrays import Dtype
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.numbers import BooleanEncoder, NumberEncoder
from models_store.encoding.pairs import PairEncoder
from models_store.encoding.rows import FEW_ROWS, TableEncoder
from models_store.tables.table import Table, take

N_ROWS = 5 * FEW_ROWS
RNG = np.random.default_rng(0)
WIDE, NARROW = RNG.normal(3, 200, N_ROWS), RNG.integers(0, 3, N_ROWS).astype(np.float64)
GAPPED = np.where(RNG.random(N_ROWS) < 0.2, np.nan, RNG.normal(size=N_ROWS))
KINDS = np.array(["red", "green"], dtype=object)[RNG.integers(0, 2, N_ROWS)]
FLAGS = RNG.integers(0, 2, N_ROWS).astype(np.float64)


def encoder(dtype: Dtype) -> TableEncoder:
    columns: dict[str, ColumnEncoder] = {
        "wide": NumberEncoder.fit(WIDE, bins=8),
        "kind": CategoryEncoder.fit(KINDS),
        "narrow": NumberEncoder.fit(NARROW, bins=8),
        "plain": NumberEncoder.fit(NARROW),
        "flag": BooleanEncoder(takes_missing=False),
        "gapped": NumberEncoder.fit(GAPPED, bins=4),
    }
    pairs = (PairEncoder.fit(("wide", "gapped"), (WIDE, GAPPED), 4),)
    return TableEncoder(columns, dtype, fills={"wide": 5.0, "narrow": 1.0, "plain": 2.0}, pairs=pairs)


def rows() -> Table:
    """Rows with gaps, and with numbers beyond those that were seen."""
    wide, narrow = WIDE.copy(), NARROW.copy()
    wide[::7], wide[1], narrow[::3] = np.nan, 1e300, np.nan
    wide[2:4] = -1e4, 1e4
    return Table(
        {"wide": wide, "kind": KINDS, "narrow": narrow, "plain": narrow - 1, "flag": FLAGS, "gapped": GAPPED * 9}
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, FEW_ROWS])
def test_few_rows_are_encoded_as_many_are(count: int, dtype: Dtype) -> None:
    many = encoder(dtype).encode(rows())
    for start in range(0, N_ROWS, FEW_ROWS):
        some = take(rows(), np.arange(start, start + count))
        np.testing.assert_array_equal(encoder(dtype).encode(some), many[start : start + count])


def test_rows_without_numbers_are_encoded_as_well() -> None:
    only = TableEncoder({"kind": CategoryEncoder.fit(KINDS)})
    few, many = only.encode(Table({"kind": KINDS[:2]})), only.encode(Table({"kind": KINDS}))
    np.testing.assert_array_equal(few, many[:2])
