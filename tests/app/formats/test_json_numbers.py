"""Rows of numbers read fast: the same as the careful reader reads, or left to it."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import json_rows
from app.formats.expected import Expected
from app.formats.json_numbers import FEWEST_BYTES, rows_of_numbers
from models_store.errors import PatternServerError

finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1)
PADDING = " " * FEWEST_BYTES


def body_of(inputs: object, padding: str = PADDING) -> bytes:
    return f'{padding}{{"inputs":{padding}{json.dumps(inputs)}}}\n'.encode()


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(finite, min_size=width, max_size=width), min_size=1)))
def test_rows_are_read_to_the_bit(rows: list[list[float]]) -> None:
    read = rows_of_numbers(body_of(rows), "inputs", len(rows[0]), 1000)
    assert read is not None
    layout, numbers = read
    assert layout == "rows"
    np.testing.assert_array_equal(numbers, np.array(rows, dtype=np.float64))


@given(st.lists(finite, min_size=1))
def test_a_flat_list_is_read_for_one_column(values: list[float]) -> None:
    read = rows_of_numbers(body_of(values), "inputs", 1, 1000)
    assert read is not None
    assert read[0] == "flat"
    np.testing.assert_array_equal(read[1][:, 0], np.array(values, dtype=np.float64))


@pytest.mark.parametrize(
    "body",
    [
        body_of([[1, 2], [3]]),
        body_of([[1, 2, 3], [4]]),
        body_of([[1], [2, 3, 4], [5, 6]]),
        body_of([1, 2]),
        body_of([[[1, 2]]]),
        body_of([[1, [2]]]),
        body_of([[1, 2], []]),
        body_of([]),
        body_of([[]]),
        body_of([[1, None]]),
        body_of([[1, True]]),
        body_of([[1, "2"]]),
        body_of([{"a": 1, "b": 2}]),
        body_of({"a": [1], "b": [2]}),
        body_of([[1, 10**30]]),
        body_of([[1, 2]]).replace(b"2", b"NaN"),
        body_of([[1, 2]]).replace(b"2", b"1e400"),
        body_of([[1, 2]]).replace(b"2", b"02"),
        body_of([[1, 2]]).replace(b"[1", b"[,1"),
        body_of([[1, 2]]).replace(b"2]", b"2],"),
        body_of([[1, 2]]).replace(b"inputs", b"input"),
        body_of([[1, 2]]).replace(b"}", b', "inputs": [[3, 4]]}'),
        body_of([[1, 2]]).replace(b"}", b"}}"),
        body_of([[1, 2]]).replace(b"]]", b"]"),
        b"\xef\xbb\xbf" + body_of([[1, 2]]),
        body_of([[1, 2]]) + b"\x00",
        body_of([[1, 2]]).replace(b"2", b"\xff"),
    ],
)
def test_whatever_is_in_doubt_is_left_to_the_careful_reader(body: bytes) -> None:
    assert rows_of_numbers(body, "inputs", 2, 1000) is None


@pytest.mark.parametrize(
    "inputs", ["[[1],[],[3]]", "[[],[1]]", "[[1],[]]", "[[]]", "[[1],[2],[]]", "[[1],[ ]]", "[1,,2]"]
)
def test_a_row_without_a_number_is_left_to_the_careful_reader_as_well(inputs: str) -> None:
    assert rows_of_numbers(f'{PADDING}{{"inputs":{inputs}}}'.encode(), "inputs", 1, 1000) is None


@given(st.lists(st.lists(st.integers(0, 9), max_size=2), min_size=1, max_size=5), st.integers(1, 2))
def test_lists_of_whatever_length_are_read_as_they_are_or_not_at_all(rows: list[list[int]], width: int) -> None:
    read = rows_of_numbers(body_of(rows), "inputs", width, 1000)
    assert (read is not None) == all(len(row) == width for row in rows)
    assert read is None or read[1].tolist() == rows


@given(st.randoms(use_true_random=False), st.sampled_from([b"[", b"]", b",", b"1", b"-", b"e", b" ", b'"', b"{", b"}"]))
def test_a_slip_of_the_pen_is_never_read_as_something_else(rng: random.Random, slip: bytes) -> None:
    body = bytearray(body_of([[1, 2], [3, 4]]))
    place = rng.randrange(FEWEST_BYTES, len(body))
    body[place : place + rng.randrange(2)] = slip
    read = rows_of_numbers(bytes(body), "inputs", 2, 1000)
    if read is not None:
        assert json.loads(body)["inputs"] == read[1].tolist()


# -- small bodies --------------------------------------------------------------------------------------------------

PAIR = Expected(("a", "b"))
pieces = st.sampled_from(["[", "]", ",", "1", "-", "e", " ", '"', "{", "}", ":", "2.5", "null", "true", "NaN", "1e400"])


def carefully(body: bytes) -> object:
    """Return the layout and rows that the careful reader reads, or None where it refuses the body."""
    try:
        document = json_rows.loads(body, PAIR, 1000)
        layout, rows = json_rows.rows_of(document["inputs"], PAIR, 1000)
        return layout, json_rows.check_finite(json_rows.raw_of(rows, PAIR), PAIR).tolist()  # type: ignore[union-attr]
    except (PatternServerError, KeyError, TypeError):
        return None


@given(st.lists(st.lists(finite, min_size=2, max_size=2), min_size=1, max_size=4))
def test_a_small_body_is_read_to_the_bit(rows: list[list[float]]) -> None:
    read = rows_of_numbers(body_of(rows, padding=""), "inputs", 2, 1000)
    assert read is not None and read[0] == "rows"
    np.testing.assert_array_equal(read[1], np.array(rows, dtype=np.float64))


@pytest.mark.parametrize("number", [2**64, 10**30, -(10**200), 1e-320])
def test_a_small_body_of_any_number_is_read_as_the_careful_reader_reads_it(number: float) -> None:
    body = body_of([[number, 1]], padding="")
    read = rows_of_numbers(body, "inputs", 2, 1000)
    assert read is not None and (read[0], read[1].tolist()) == carefully(body)


@given(st.lists(pieces, max_size=12), st.booleans())
def test_a_small_body_is_never_read_as_something_else(parts: list[str], has_key: bool) -> None:
    text = "".join(parts)
    body = (f'{{"inputs": [{text}]}}' if has_key else text).encode()
    read = rows_of_numbers(body, "inputs", 2, 1000)
    if read is not None and np.isfinite(read[1]).all():
        assert (read[0], read[1].tolist()) == carefully(body)


@given(st.randoms(use_true_random=False), pieces)
def test_a_slip_in_a_small_body_is_never_read_as_something_else(rng: random.Random, slip: str) -> None:
    body = bytearray(body_of([[1, 2], [3, 4]], padding=""))
    place = rng.randrange(len(body))
    body[place : place + rng.randrange(2)] = slip.encode()
    read = rows_of_numbers(bytes(body), "inputs", 2, 1000)
    if read is not None and np.isfinite(read[1]).all():
        assert (read[0], read[1].tolist()) == carefully(bytes(body))
