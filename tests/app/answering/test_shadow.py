"""The questions that wait for a shadow: few at a time, dropped where too many come, in the time that is left."""

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.answering.shadow import MOST_CREDIT_NS, MOST_OF_A_QUESTION, MOST_WAITING, PAUSE_SECONDS, Copies, Live, Pair
from app.telemetry.likeness import COPIED, DROPPED, N_BEFORE, QUESTIONS, Likeness, SystematicSampling
from models_store.arrays import Encoded
from models_store.bundle import Bundle
from models_store.comparison.agreement import ROWS, Agreement
from models_store.storage.store import Release
from models_store.tables.table import Table, take
from tests.fakes import LinearNetwork, line, rows
from tests.table_fakes import messages

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    now: int = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def copies(clock: Clock) -> Iterator[Copies]:
    copies = Copies(clock)
    yield copies
    copies.close()


def pair_of(champion: Bundle, shadow: Bundle, share: Fraction = Fraction(1)) -> Pair:
    agreement = Agreement.between(champion, shadow)
    return Pair(Release(1, champion), Release(2, shadow), agreement, Likeness(agreement.n_sums, share))


def counted(pair: Pair, what: int) -> int:
    pair.likeness.tick()
    return int(sum(slot.counts[what] for slot in pair.likeness.slots.values()))


async def until_compared(pair: Pair, n_rows: int) -> None:
    async with asyncio.timeout(10):
        while True:
            if counted(pair, N_BEFORE + ROWS) >= n_rows:
                return
            await asyncio.sleep(PAUSE_SECONDS / 5)


async def test_questions_that_wait_share_a_call(copies: Copies) -> None:
    pair = pair_of(line(2), line(3))
    for value in range(10):
        copies.add(pair, rows(value), rows(2 * value))
    assert counted(pair, COPIED) == 10
    assert counted(pair, N_BEFORE + ROWS) == 0  # not before their answers are out
    await until_compared(pair, 10)


@pytest.mark.parametrize(
    ("share", "copied"),
    [
        ("0.1", [10, 20, 30]),
        ("0.15", [7, 14, 20, 27]),
        ("0.9", [*range(2, 11), *range(12, 21), *range(22, 31)]),
        ("1", [*range(1, 31)]),
        ("0", []),
    ],
)
async def test_questions_are_counted_off(copies: Copies, share: str, copied: list[int]) -> None:
    pair, live = pair_of(line(2), line(3), Fraction(share)), Live(copies)
    live.pair = pair
    places = []
    for place in range(1, 31):
        before = counted(pair, COPIED)
        live.note(pair.champion, [rows(1)], [rows(2)])
        places += [place] * (counted(pair, COPIED) - before)
    assert places == copied
    assert counted(pair, QUESTIONS) == 30


@given(share=st.fractions(0, 1, max_denominator=50), sizes=st.lists(st.integers(1, 64), max_size=20))
def test_questions_that_share_a_call_are_counted_off_as_one_by_one(share: Fraction, sizes: list[int]) -> None:
    together, alone = SystematicSampling(share), SystematicSampling(share)
    for size in sizes:
        assert together.count_off(size) == [place for place in range(size) if alone.count_off(1)]
    assert together.seen == alone.seen == sum(sizes)


async def test_an_answer_of_a_champion_that_is_none_any_more_is_not_copied(copies: Copies) -> None:
    pair, live = pair_of(line(2), line(3)), Live(copies)
    live.pair = pair
    live.note(Release(1, line(2)), [rows(1)], [rows(2)])
    live.pair = None
    live.note(pair.champion, [rows(1)], [rows(2)])
    assert counted(pair, QUESTIONS) == 0


async def test_what_comes_when_too_much_waits_is_dropped_and_counted(copies: Copies) -> None:
    pair = pair_of(line(2), line(3))
    many = np.ones((MOST_OF_A_QUESTION, 1))
    for _ in range(MOST_WAITING // MOST_OF_A_QUESTION + 5):
        copies.add(pair, many, 2 * many)
    assert (counted(pair, COPIED), counted(pair, DROPPED)) == (MOST_WAITING // MOST_OF_A_QUESTION, 5)


async def test_long_texts_wait_as_so_many_values(copies: Copies) -> None:
    pair = pair_of(messages(), messages())
    asked = pair.champion.bundle.golden_inputs
    assert not isinstance(asked, np.ndarray)
    asked.columns["message"][0] = "tea " * (2 * MOST_WAITING)
    copies.add(pair, asked, pair.champion.bundle.predict(asked))
    assert (counted(pair, COPIED), counted(pair, DROPPED)) == (0, 1)


@dataclass(frozen=True, eq=False)
class Slow(LinearNetwork):
    """Takes as much time on a core as the thread may take in so many seconds."""

    seconds: float = 1.5

    def __call__(self, encoded: Encoded) -> Encoded:
        began = time.thread_time_ns()
        while time.thread_time_ns() - began < self.seconds * MOST_CREDIT_NS:
            pass
        return super().__call__(encoded)


@dataclass(frozen=True, eq=False)
class Seen(LinearNetwork):
    """Keeps the threads that it was asked by."""

    threads: list[int] = field(default_factory=list)

    def __call__(self, encoded: Encoded) -> Encoded:
        self.threads.append(threading.get_ident())
        return super().__call__(encoded)


@pytest.mark.parametrize(("most_on_loop_ns", "is_on_loop"), [(math.inf, [False, True]), (0, [False, False])])
async def test_a_shadow_that_is_known_to_be_quick_needs_no_thread(
    most_on_loop_ns: float, is_on_loop: list[bool]
) -> None:
    copies, quick, network = Copies(most_on_loop_ns=most_on_loop_ns), line(3), Seen(np.array([[1.5]], dtype=np.float32))
    pair = pair_of(line(2), replace(quick, predictor=replace(quick.predictor, network=network)))
    for questions in (1, 2):
        copies.add(pair, rows(1), rows(2))
        await until_compared(pair, questions)
    copies.close()
    assert [thread == threading.get_ident() for thread in network.threads] == is_on_loop


async def test_a_long_text_is_left_to_the_thread_also_where_short_ones_are_quick() -> None:
    # Far more than a short text takes, and less than it would be for each of a long one's values.
    copies, bundle = Copies(most_on_loop_ns=50_000_000), messages()
    champion = bundle.predictor.network
    assert isinstance(champion, LinearNetwork)
    network = Seen(champion.k, champion.activation)
    pair = pair_of(bundle, replace(bundle, predictor=replace(bundle.predictor, network=network)))

    async def is_compared_here(text: str) -> bool:
        asked = take(bundle.golden_inputs, [0])
        assert isinstance(asked, Table)
        asked.columns["message"][0] = text
        copies.add(pair, asked, bundle.predict(asked))
        await until_compared(pair, len(network.threads) + 1)
        return network.threads[-1] == threading.get_ident()

    texts = ["tea", "tea", "tea " * MOST_WAITING]
    assert [await is_compared_here(text) for text in texts] == [False, True, False]
    copies.close()


@pytest.mark.parametrize("seconds", [1, 3])
async def test_what_took_too_much_time_waits_until_that_has_passed(copies: Copies, clock: Clock, seconds: int) -> None:
    slow = line(3)
    network = Slow(np.array([[1.5]], dtype=np.float32), seconds=seconds + 0.5)
    pair = pair_of(line(2), replace(slow, predictor=replace(slow.predictor, network=network)))
    copies.add(pair, rows(1), rows(2))
    await until_compared(pair, 1)
    clock.now += (seconds - 1) * 1_000_000_000
    copies.add(pair, rows(1), rows(2))
    await asyncio.sleep(3 * PAUSE_SECONDS)
    assert counted(pair, N_BEFORE + ROWS) == 1
    clock.now += 1_000_000_000
    await until_compared(pair, 2)


async def test_nothing_is_compared_after_the_end(copies: Copies) -> None:
    pair = pair_of(line(2), line(3))
    copies.add(pair, rows(1), rows(2))
    copies.close()
    copies.add(pair, rows(1), rows(2))
    await asyncio.sleep(2 * PAUSE_SECONDS)
    assert (counted(pair, COPIED), counted(pair, DROPPED), counted(pair, N_BEFORE + ROWS)) == (1, 1, 0)
