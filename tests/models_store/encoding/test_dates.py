"""Dates as network inputs: days, and the place in each cycle."""

import numpy as np

from models_store.encoding.dates import DateEncoder
from models_store.tables.table import (
    column_of,
)


def test_a_date_knows_its_week_and_its_year_but_the_day_only_where_there_are_times() -> None:
    dates = column_of("date", [0, 3.5, 7])
    assert DateEncoder.fit(dates).cycles == ("day", "week", "year")
    assert DateEncoder.fit(dates[[0, 2]]).cycles == ("week", "year")
    monday, next_monday = DateEncoder.fit(dates[[0, 2]]).encode(dates[[0, 2]])[:, :2]
    np.testing.assert_allclose(monday, next_monday, atol=1e-12)
