"""Costs: numbers in JSON are never longer than they are counted, and arrays cost far less."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.answering.cost import ARRAY_DISCOUNT, COST_OF_ARRAY_NUMBER, COST_OF_JSON_NUMBER


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-1.2345678901234567e-308)
@example(-1.7976931348623157e308)
def test_no_number_in_json_is_longer_than_it_is_counted(number: float) -> None:
    assert len(orjson.dumps(number)) <= COST_OF_JSON_NUMBER


def test_a_number_in_an_array_costs_its_eight_bytes_at_the_discount() -> None:
    assert pytest.approx(8 / ARRAY_DISCOUNT) == COST_OF_ARRAY_NUMBER
    assert COST_OF_ARRAY_NUMBER < COST_OF_JSON_NUMBER
