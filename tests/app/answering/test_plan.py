"""Where work runs: a table of cases, and what must hold of all others."""

from math import inf

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.answering.plan import (
    AT_A_TIME,
    COST_OF_ARRAY_NUMBER,
    COST_OF_JSON_NUMBER,
    MOST_BYTES_ON_LOOP,
    MOST_REQUESTS_A_TURN,
    MOST_ROWS_ON_LOOP,
    MOST_WAITING,
    MOST_WORK_ON_LOOP,
    WORK_OF_CHARACTER,
    Shape,
    cost_of_array,
    few_rows,
    is_refused,
    plan_of,
    reads_on_loop,
    size_of_batch,
)
from app.telemetry.statistics import MANY_ROWS
from app.telemetry.tally import CHARACTERS_A_CELL, MOST_OF_A_REQUEST, MOST_OF_TEXTS

SMALL = Shape(n_columns=1, n_outputs=1, n_parameters=100)
MANY_OUTPUTS = Shape(n_columns=1, n_outputs=1000, n_parameters=10_000)
WIDE = Shape(n_columns=200, n_outputs=1, n_parameters=10_000)
TABLE = Shape(n_columns=10, n_outputs=1, n_parameters=1000, is_table=True)
LOOP, THREAD = True, False
NO_PLACE, PLACE = False, True

# Shape, rows, work beside that of the parameters, ns a row, is_array -> predicted and written where, with a place?
CASES = [
    ("one row", SMALL, 1, 0, inf, False, LOOP, LOOP, NO_PLACE),
    ("a thousand rows", SMALL, 1000, 0, inf, False, LOOP, LOOP, NO_PLACE),
    ("the last few rows", SMALL, MOST_ROWS_ON_LOOP, 0, inf, False, LOOP, LOOP, NO_PLACE),
    ("more, of unknown speed", SMALL, MOST_ROWS_ON_LOOP + 1, 0, inf, True, THREAD, LOOP, NO_PLACE),
    ("more, known to be fast", SMALL, 10_000, 0, 50, True, LOOP, LOOP, NO_PLACE),
    ("more, known to be slow", SMALL, 10_000, 0, 500, True, THREAD, LOOP, NO_PLACE),
    ("the most of an array", SMALL, 1 << 17, 0, 5, True, LOOP, LOOP, NO_PLACE),
    ("too many of an array", SMALL, (1 << 17) + 1, 0, 5, True, THREAD, THREAD, PLACE),
    ("fast, but many columns", WIDE, 1025, 0, 5, True, THREAD, THREAD, PLACE),
    ("many answers in JSON", SMALL, 5000, 0, 5, False, LOOP, THREAD, NO_PLACE),
    ("very many answers in JSON", SMALL, 50_000, 0, 5, False, LOOP, THREAD, PLACE),
    ("few rows of many outputs", MANY_OUTPUTS, 10, 0, inf, False, LOOP, THREAD, NO_PLACE),
    ("few rows of many outputs as an array", MANY_OUTPUTS, 10, 0, inf, True, LOOP, LOOP, NO_PLACE),
    ("rows of much work", WIDE, 500, 0, inf, False, THREAD, LOOP, NO_PLACE),
    ("rows of a table", TABLE, MOST_ROWS_ON_LOOP, 0, inf, False, LOOP, LOOP, NO_PLACE),
    ("many rows of a table, however fast", TABLE, MOST_ROWS_ON_LOOP + 1, 0, 5, False, THREAD, LOOP, NO_PLACE),
    ("a long text", TABLE, 1, MOST_WORK_ON_LOOP, inf, False, THREAD, LOOP, NO_PLACE),
]


@pytest.mark.parametrize(
    ("shape", "n_rows", "more_work", "ns_per_row", "is_array", "predicts", "writes", "place"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_rows_go_where_the_table_says(
    shape: Shape,
    n_rows: int,
    more_work: int,
    ns_per_row: float,
    is_array: bool,
    predicts: bool,
    writes: bool,
    place: bool,
) -> None:
    plan = plan_of(shape, n_rows, n_rows * shape.n_parameters + more_work, ns_per_row, is_array=is_array)
    assert (plan.predicts_on_loop, plan.writes_on_loop, not reads_on_loop(plan.cost)) == (predicts, writes, place)


@pytest.mark.parametrize(
    ("n_bytes", "under_way", "on_loop", "refused"),
    [
        (0, 0, True, False),
        (MOST_BYTES_ON_LOOP, AT_A_TIME + MOST_WAITING, True, False),
        (MOST_BYTES_ON_LOOP + 1, 0, False, False),
        (MOST_BYTES_ON_LOOP + 1, AT_A_TIME + MOST_WAITING - 1, False, False),
        (MOST_BYTES_ON_LOOP + 1, AT_A_TIME + MOST_WAITING, False, True),
    ],
    ids=["empty", "small, in a crowd", "large", "the last that waits", "one too many"],
)
def test_a_body_is_read_on_the_loop_in_a_thread_or_not_at_all(
    n_bytes: int, under_way: int, on_loop: bool, refused: bool
) -> None:
    assert (reads_on_loop(n_bytes), is_refused(n_bytes, under_way)) == (on_loop, refused)


SHAPES = st.builds(Shape, st.integers(1, 2000), st.integers(1, 2000), st.integers(2, 10**7), st.booleans())


@given(SHAPES, st.floats(0, 1), st.floats(1, 1e9), st.booleans())
def test_few_rows_need_no_plan(shape: Shape, share: float, ns_per_row: float, is_array: bool) -> None:
    n_rows = int(share * few_rows(shape))
    plan = plan_of(shape, n_rows, n_rows * shape.n_parameters, ns_per_row, is_array=is_array)
    assert plan.predicts_on_loop
    assert plan.writes_on_loop
    assert reads_on_loop(plan.cost)


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 10**7)), min_size=1, max_size=100))
def test_a_batch_is_as_many_requests_as_fit_into_a_turn_and_at_least_one(requests: list[tuple[int, int]]) -> None:
    n_rows, work = ([one[place] for one in requests] for place in (0, 1))
    size = size_of_batch(n_rows, work)

    def fits(count: int) -> bool:
        within = sum(n_rows[:count]) <= MOST_ROWS_ON_LOOP and sum(work[:count]) <= MOST_WORK_ON_LOOP
        return count <= MOST_REQUESTS_A_TURN and within

    assert 1 <= size <= len(requests)
    assert size == 1 or fits(size)
    assert size == len(requests) or not fits(size + 1)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(-1.2345678901234567e-308)
@example(-1.7976931348623157e308)
def test_no_number_in_json_is_longer_than_it_is_counted(number: float) -> None:
    assert len(orjson.dumps(number)) <= COST_OF_JSON_NUMBER


def test_a_number_in_an_array_costs_its_eight_bytes_at_the_discount() -> None:
    assert cost_of_array(8 * 4000) == pytest.approx(COST_OF_ARRAY_NUMBER * 4000)
    assert COST_OF_ARRAY_NUMBER < COST_OF_JSON_NUMBER


def test_requests_whose_time_tells_that_of_a_row_share_no_call() -> None:
    assert MANY_ROWS >= MOST_ROWS_ON_LOOP


@pytest.mark.parametrize(("shape", "n_rows"), [(SMALL, 1024), (MANY_OUTPUTS, 1), (WIDE, 6), (TABLE, 0)])
def test_rows_that_need_no_plan_are_as_many_as_can_be(shape: Shape, n_rows: int) -> None:
    assert few_rows(shape) == n_rows


def test_all_rows_and_texts_of_requests_that_share_a_call_may_be_counted() -> None:
    assert MOST_ROWS_ON_LOOP <= MOST_OF_A_REQUEST
    assert MOST_WORK_ON_LOOP / WORK_OF_CHARACTER / CHARACTERS_A_CELL <= MOST_OF_TEXTS
