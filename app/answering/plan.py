"""Where the work of a request runs: on the event loop, in a thread, or nowhere. All limits, with their reasons.

body -> read -> rows -> predict -> answers -> write -> body

A cost is the number of bytes of JSON that take as long to read. Work is the multiplications of the network.
"""

from typing import NamedTuple

# -- costs ---------------------------------------------------------------------------------------------------------

# Bytes of an array that cost as much to read as one byte of JSON. An array's are copied and checked; JSON is parsed
# digit by digit: measured, 0.033 ns and 1.05 ns a byte.
ARRAY_DISCOUNT = 32
# Admission counts an answer this much less than a body: up to 1 MiB of JSON, which takes about 2 ms, needs no place.
ANSWER_DISCOUNT = 32
# The longest float64 in JSON has 24 bytes: -1.2345678901234567e-308.
COST_OF_JSON_NUMBER = 24.0
# A float64 of an array has 8.
COST_OF_ARRAY_NUMBER = 8 / ARRAY_DISCOUNT
# Looking up the words of a text takes as long as so many multiplications for each character.
WORK_OF_CHARACTER = 64

# -- limits of the event loop --------------------------------------------------------------------------------------

# A cost. Up to here reading or writing takes less time than handing it to a thread and back would.
MOST_BYTES_ON_LOOP = 1 << 15
# Rows. A call of up to so many takes less time than handing it to a thread and back would.
MOST_ROWS_ON_LOOP = 1024
# More rows of numbers stay on the loop as well if they are at most so many numbers, 1 MiB of float64, and by the
# measured time of a row take at most so many nanoseconds: the loop took about as long to receive them.
MOST_NUMBERS_ON_LOOP = 1 << 17
MOST_NS_ON_LOOP = 1_000_000
# Multiplications; so many take a few milliseconds.
MOST_WORK_ON_LOOP = 4 << 20
# Requests that share one call. Each is some work beside its rows, and a turn of the loop should take 20 ms at most.
MOST_REQUESTS_A_TURN = 64

# -- limits of threads ---------------------------------------------------------------------------------------------

# Reading or writing a large body holds the GIL for up to a second, so at most two run at once.
AT_A_TIME = 2
# Requests. The last of eight waits about four seconds; a client that would wait longer had better come back.
MOST_WAITING = 8

# -- limits of everything ------------------------------------------------------------------------------------------

# Numbers in one answer: rows × outputs of the network. In float64 they take 64 MB.
MOST_NUMBERS = 8_000_000
# The same where each label is written beside its probability.
MOST_LABELS_ANSWERED = 1_000_000


class Shape(NamedTuple):
    """The facts of a version that tell how much its answers are to compute and to write."""

    n_columns: int
    n_outputs: int
    n_parameters: int
    is_table: bool = False


class Plan(NamedTuple):
    """Where rows that were read on the event loop are predicted and written, and what admission counts."""

    predicts_on_loop: bool
    writes_on_loop: bool
    cost: float
    """A cost above MOST_BYTES_ON_LOOP needs a place of admission, or is refused."""


def cost_of_array(n_bytes: int) -> int:
    """Return the cost of reading numbers as they are in memory."""
    return n_bytes // ARRAY_DISCOUNT


def cost_of_unpacking(n_bytes: int) -> int:
    """Return the cost of reading what may unpack to far more than its bytes: always too much for the event loop."""
    return max(n_bytes, MOST_BYTES_ON_LOOP + 1)


def reads_on_loop(cost: float) -> bool:
    """True if a body of this cost is read on the event loop; otherwise one thread reads, predicts and writes."""
    return cost <= MOST_BYTES_ON_LOOP


def plan_of(shape: Shape, n_rows: int, work: int, ns_per_row: float, *, is_array: bool) -> Plan:
    """Return the plan for rows. `is_array` is true for an answer that is written as numbers in memory are.

    `work` is that of all rows, `ns_per_row` the measured time of a row in nanoseconds, infinite if not known.
    """
    cost_of_number = COST_OF_ARRAY_NUMBER if is_array else COST_OF_JSON_NUMBER
    to_write = n_rows * shape.n_outputs * cost_of_number
    in_memory = n_rows * max(shape.n_columns, shape.n_outputs) * COST_OF_ARRAY_NUMBER
    return Plan(
        _predicts_on_loop(shape, n_rows, work, ns_per_row),
        writes_on_loop=max(to_write, in_memory) <= MOST_BYTES_ON_LOOP,
        cost=max(to_write / ANSWER_DISCOUNT, in_memory),
    )


def _predicts_on_loop(shape: Shape, n_rows: int, work: int, ns_per_row: float) -> bool:
    if n_rows <= MOST_ROWS_ON_LOOP or shape.is_table:
        return n_rows <= MOST_ROWS_ON_LOOP and work <= MOST_WORK_ON_LOOP
    return n_rows * shape.n_columns <= MOST_NUMBERS_ON_LOOP and n_rows * ns_per_row <= MOST_NS_ON_LOOP


def few_rows(shape: Shape) -> int:
    """Return a number of rows up to which everything happens on the event loop, without a plan for each request.

    Zero for a table: the work of its rows depends on their texts.
    """
    if shape.is_table:
        return 0
    of_answer = int(MOST_BYTES_ON_LOOP / (COST_OF_JSON_NUMBER * max(shape.n_columns, shape.n_outputs)))
    return min(MOST_ROWS_ON_LOOP, MOST_WORK_ON_LOOP // shape.n_parameters, of_answer)


def is_refused(cost: float, under_way: int) -> bool:
    """True if a request of this cost finds no place beside the large ones that are under way."""
    return not reads_on_loop(cost) and under_way >= AT_A_TIME + MOST_WAITING


def size_of_batch(n_rows: list[int], work: list[int]) -> int:
    """Return the number of requests, from the first on, that are one short turn of the loop together; at least one.

    `n_rows` and `work` have an element for each request.
    """
    all_rows = all_work = 0
    for place, (its_rows, its_work) in enumerate(zip(n_rows[:MOST_REQUESTS_A_TURN], work, strict=False)):
        all_rows += its_rows
        all_work += its_work
        if place and (all_rows > MOST_ROWS_ON_LOOP or all_work > MOST_WORK_ON_LOOP):
            return place
    return min(len(n_rows), MOST_REQUESTS_A_TURN)
