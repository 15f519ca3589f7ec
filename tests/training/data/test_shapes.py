"""Tables of unusual shapes: each is trained on, or refused with the reason."""

from typing import Any

import polars as pl
import pytest

from training.data import tables
from training.data.dataset import DataError, Dataset
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

HUNDRED = [float(n % 7) for n in range(100)]


def made(columns: dict[str, Any]) -> Dataset:
    data = {"kind": "table", "dataset": "0" * 32, "target": "y"}
    spec = PatternSpec.parse({"name": "shapes", "data": data})
    assert isinstance(spec.data, TableData)
    return tables.make(spec, spec.data, pl.DataFrame(columns))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"y": HUNDRED}, "data.target: the table has no other column"),
        ({"x": [1.0], "y": [2.0]}, "data.target: only 1 row has a value there; a training needs 10 at least"),
        ({"x": HUNDRED, "y": [None] * 99 + [1.0]}, "data.target: only 1 row has a value there"),
        ({"x": HUNDRED}, "y: there is no such column; there are x"),
        ({"x": [1.0] * 100, "y": HUNDRED}, "data.columns: no column is left to predict from, of 2"),
    ],
)
def test_a_table_without_anything_to_learn_is_refused(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as refusal:
        made(columns)
    assert str(refusal.value).startswith(said)


def test_a_table_of_ten_thousand_columns_is_made_into_rows() -> None:
    columns = {f"x{place}": [float((row * place) % 5) for row in range(20)] for place in range(9_999)}
    made_of = made(columns | {"y": [float(row % 5) for row in range(20)]})
    assert len(made_of.kinds) > 5_000
