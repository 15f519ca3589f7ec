"""Rows that arrive at the same moment join one call of their network, and no request notices the others."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.answering.plan import MOST_BYTES_ON_LOOP, MOST_NUMBERS_ON_LOOP, MOST_REQUESTS_A_TURN, MOST_ROWS_ON_LOOP
from app.answering.registry import Served
from app.errors import DeadlinePassed
from models_store.arrays import Array, Encoded
from models_store.bundle import Bundle, Predictor
from models_store.errors import NotFinite
from models_store.networks.architecture import Network
from models_store.tables.table import take
from tests.app.answering.asking import Asker, served
from tests.app.over_http import pair
from tests.fakes import line, rows
from tests.table_fakes import messages, passengers, table_of

pytestmark = pytest.mark.anyio

MANY = MOST_NUMBERS_ON_LOOP + 1


@dataclass(frozen=True, eq=False)
class WatchedNetwork:
    """Returns its inputs, and notes the rows and the thread of each call."""

    batches: list[int] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    device: str = "/CPU:0"

    def __call__(self, encoded: Encoded) -> Encoded:
        self.batches.append(len(encoded))
        self.threads.append(threading.current_thread().name)
        return self.answer(encoded)

    def answer(self, encoded: Encoded) -> Encoded:
        return encoded

    def each(self, encoded: Encoded) -> Encoded:
        return self(encoded)[None]

    def to_bytes(self) -> bytes:
        return b""


class SlowNetwork(WatchedNetwork):
    def answer(self, encoded: Encoded) -> Encoded:
        time.sleep(0.005)
        return encoded


class BrokenNetwork(WatchedNetwork):
    def answer(self, encoded: Encoded) -> Encoded:
        raise RuntimeError("the device is gone")


@dataclass(frozen=True, eq=False)
class WatchedLinear(WatchedNetwork):
    """Answers as another network does, and notes its calls."""

    watched: Network = field(kw_only=True)

    def answer(self, encoded: Encoded) -> Encoded:
        return self.watched(encoded)


@dataclass(frozen=True, eq=False)
class StuckNetwork(WatchedNetwork):
    """Answers when `let_go` is set."""

    let_go: threading.Event = field(default_factory=threading.Event)

    def answer(self, encoded: Encoded) -> Encoded:
        assert self.let_go.wait(10)
        return encoded


def release(network: WatchedNetwork, version: int = 1) -> Served:
    """Return y = 2x: the scaling doubles, and the network returns its inputs."""
    return served(with_network(line(), network), version)


def with_network(bundle: Bundle, network: WatchedNetwork) -> Bundle:
    predictor = bundle.predictor
    return replace(bundle, predictor=Predictor(predictor.encoder, network, predictor.decoder))


@pytest.fixture
def network() -> WatchedNetwork:
    return WatchedNetwork()


@pytest.fixture
def asker() -> Iterator[Asker]:
    asker = Asker()
    yield asker
    asker.close()


async def outcomes(*asked: "asyncio.Future[Array]") -> list[Array | BaseException]:
    return await asyncio.gather(*asked, return_exceptions=True)


# -- joining -------------------------------------------------------------------------------------------------------


async def test_fifty_requests_of_one_moment_are_one_call(asker: Asker, network: WatchedNetwork) -> None:
    asked_of = release(network)
    answers = await asyncio.gather(*(asker.predict(asked_of, rows(x)) for x in range(50)))
    assert [answer.tolist() for answer in answers] == [[[2.0 * x]] for x in range(50)]
    assert network.batches == [50]


async def test_requests_one_after_another_are_a_call_each(asker: Asker, network: WatchedNetwork) -> None:
    asked_of = release(network)
    for x in range(3):
        assert (await asker.predict(asked_of, rows(x, x))).tolist() == [[2.0 * x], [2.0 * x]]
    assert network.batches == [2, 2, 2]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=12))
async def test_every_request_gets_its_own_rows_in_order_however_they_are_joined(sizes: list[int]) -> None:
    asker, network = Asker(), WatchedNetwork()
    asked_of = release(network)
    ends = np.cumsum(sizes)
    asked = [rows(*range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
    answers = await asyncio.gather(*(asker.predict(asked_of, part) for part in asked))
    for part, answer in zip(asked, answers, strict=True):
        np.testing.assert_array_equal(answer, 2 * part)
    assert sum(network.batches) == sum(sizes)
    assert max(network.batches) <= MOST_ROWS_ON_LOOP
    # No two neighbouring batches would have fitted into one.
    assert all(sum(pair) > MOST_ROWS_ON_LOOP - 200 for pair in zip(network.batches, network.batches[1:], strict=False))
    asker.close()


async def test_a_crowd_is_answered_over_several_turns_and_nobody_comes_before_whoever_was_first(
    asker: Asker, network: WatchedNetwork
) -> None:
    crowd, other = release(network), release(WatchedNetwork())
    answered: list[int] = []

    async def ask(asked_of: Served, number: int) -> None:
        await asker.predict(asked_of, rows(number))
        answered.append(number)

    size = 2 * MOST_REQUESTS_A_TURN + 1
    await asyncio.gather(*(ask(crowd, number) for number in range(size)), ask(other, size))
    assert network.batches == [MOST_REQUESTS_A_TURN, MOST_REQUESTS_A_TURN, 1]
    assert [number for number in answered if number != size] == list(range(size))
    # The request for another pattern waits for one batch of the crowd, and not for all of them.
    assert answered.index(size) == MOST_REQUESTS_A_TURN


async def test_several_columns_stay_beside_each_other(asker: Asker) -> None:
    asked_of = served(pair())
    first, second = await asyncio.gather(
        asker.predict(asked_of, np.array([[2.0, 1.0]])), asker.predict(asked_of, np.array([[0.0, 0.0], [5.0, 3.0]]))
    )
    assert (first.tolist(), second.tolist()) == ([[4, 1]], [[0, 0], [11, 2]])


async def test_a_batch_never_mixes_releases(asker: Asker) -> None:
    networks = [WatchedNetwork(), WatchedNetwork(), WatchedNetwork()]
    asked_of = [release(network, version) for version, network in enumerate(networks, 1)]
    # The same version number of another bundle is another release.
    asked_of.append(release(other := WatchedNetwork(), 1))
    answers = await asyncio.gather(*(asker.predict(asked_of[x % 4], rows(x)) for x in range(40)))
    assert [answer.item() for answer in answers] == [2 * x for x in range(40)]
    assert [network.batches for network in (*networks, other)] == [[10]] * 4


async def test_rows_of_tables_join_one_call_as_well(asker: Asker) -> None:
    bundle = passengers()
    network = WatchedLinear(watched=bundle.predictor.network)
    asked_of = served(with_network(bundle, network))
    parts = [take(bundle.golden_inputs, part) for part in (slice(0, 3), slice(3, 4), slice(4, 8))]
    answers = await asyncio.gather(*(asker.predict(asked_of, part) for part in parts))
    np.testing.assert_array_equal(np.concatenate(answers), bundle.predict(bundle.golden_inputs))
    assert network.batches == [8]


async def test_a_long_text_is_not_read_on_the_loop(asker: Asker) -> None:
    bundle = messages()
    network = WatchedLinear(watched=bundle.predictor.network)
    asked_of = served(with_network(bundle, network))
    for text in ("tea " * 100, "tea " * 100_000):
        await asker.predict(asked_of, table_of(bundle.kinds, [[text]]))
    assert [name == threading.current_thread().name for name in network.threads] == [True, False]


# -- threads -------------------------------------------------------------------------------------------------------


async def test_few_rows_are_answered_on_the_loop_and_many_in_a_thread(asker: Asker, network: WatchedNetwork) -> None:
    asked_of = release(network)
    sizes = [1, MOST_ROWS_ON_LOOP, MANY, 2 * MANY]
    for size in sizes:
        values = rows(*range(size))
        np.testing.assert_array_equal(await asker.predict(asked_of, values), 2 * values)
    here = threading.current_thread().name
    assert network.batches == sizes
    assert [name == here for name in network.threads] == [True, True, False, False]
    assert all(name.startswith("predict") for name in network.threads[2:])


async def test_many_rows_are_answered_on_the_loop_where_calls_of_many_were_short(
    asker: Asker, network: WatchedNetwork
) -> None:
    quick, slow = release(network), release(SlowNetwork(), 2)
    for asked_of in (quick, slow):
        for _ in range(20):
            await asker.predict(asked_of, rows(*range(2000)))
    assert network.threads[0] != threading.current_thread().name
    assert threading.current_thread().name in network.threads
    assert threading.current_thread().name not in slow.bundle.predictor.network.threads  # type: ignore[attr-defined]


async def test_many_rows_of_a_table_are_answered_in_a_thread(asker: Asker) -> None:
    bundle = passengers()
    network = WatchedLinear(watched=bundle.predictor.network)
    asked_of = served(with_network(bundle, network))
    table = take(bundle.golden_inputs, np.zeros(MOST_ROWS_ON_LOOP + 1, dtype=np.intp))
    for part in (take(table, slice(MOST_ROWS_ON_LOOP)), table):
        await asker.predict(asked_of, part)
    assert [name == threading.current_thread().name for name in network.threads] == [True, False]


async def test_small_requests_are_answered_while_a_large_one_is_under_way(asker: Asker) -> None:
    stuck, network = StuckNetwork(), WatchedNetwork()
    large = asyncio.create_task(asker.predict(release(stuck), rows(*range(MANY))))
    assert (await asker.predict(release(network), rows(1))).tolist() == [[2.0]]
    assert not large.done()
    stuck.let_go.set()
    assert (await large).shape == (MANY, 1)


async def test_a_large_request_that_takes_too_long_is_given_up() -> None:
    asker, stuck = Asker(answer_seconds=0.01), StuckNetwork()
    with pytest.raises(DeadlinePassed, match=r"within 0\.01 s"):
        await asker.predict(release(stuck), rows(*range(MANY)))
    stuck.let_go.set()
    asker.close()


# -- failures ------------------------------------------------------------------------------------------------------


async def test_a_row_that_is_not_finite_fails_its_own_request_alone(asker: Asker, network: WatchedNetwork) -> None:
    asked_of = release(network)
    asked = [rows(1), rows(2, 1e300, 3), rows(4, 5)]
    first, refused, last = await outcomes(*(asyncio.ensure_future(asker.predict(asked_of, part)) for part in asked))
    assert (np.asarray(first).tolist(), np.asarray(last).tolist()) == ([[2]], [[8], [10]])
    assert isinstance(refused, NotFinite)
    assert refused.row == 1
    assert network.batches == [6]


async def test_a_row_of_a_large_request_that_is_not_finite_is_named_as_well(
    asker: Asker, network: WatchedNetwork
) -> None:
    values = rows(*range(MANY))
    values[700] = 1e300
    with pytest.raises(NotFinite) as refusal:
        await asker.predict(release(network), values)
    assert refusal.value.row == 700


async def test_what_the_network_fails_with_reaches_everybody_who_waits(asker: Asker) -> None:
    broken, sound = release(BrokenNetwork()), release(WatchedNetwork())
    *failed, answered = await outcomes(
        *(asyncio.ensure_future(asker.predict(broken, rows(x))) for x in range(5)),
        asyncio.ensure_future(asker.predict(broken, rows(*range(MANY)))),
        asyncio.ensure_future(asker.predict(sound, rows(1))),
    )
    assert [str(error) for error in failed] == ["the device is gone"] * 6
    assert np.asarray(answered).tolist() == [[2]]


async def test_after_a_failure_the_next_requests_are_answered(asker: Asker, network: WatchedNetwork) -> None:
    with pytest.raises(RuntimeError):
        await asker.predict(release(BrokenNetwork()), rows(1))
    assert (await asker.predict(release(network), rows(1))).tolist() == [[2]]


async def test_a_client_that_has_gone_breaks_no_other(asker: Asker, network: WatchedNetwork) -> None:
    asked_of = release(network)
    asked = [asyncio.create_task(asker.predict(asked_of, rows(x))) for x in range(5)]
    await asyncio.sleep(0)
    for gone in (asked[0], asked[3]):
        gone.cancel()
    answers = await outcomes(*asked)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False, False, True, False]
    assert [np.asarray(answers[place]).item() for place in (1, 2, 4)] == [2, 4, 8]


class Noted:
    """In place of a tally, and of the live questions of a pattern: what they take note of."""

    def __init__(self) -> None:
        self.counted: list[tuple[Any, Any]] = []
        self.copied: list[tuple[Any, Any]] = []

    def by(self, release: Served) -> Served:
        """Return the release, which takes note here."""
        tally, live = (cast(Any, SimpleNamespace(note=note)) for note in (self._count, self._copy))
        return replace(release, tally=tally, live=live)

    def _count(self, rows: Array, answers: Array) -> None:
        self.counted.append((rows.tolist(), answers.tolist()))

    def _copy(self, _: Served, rows: list[Array], answers: list[Array]) -> None:
        self.copied += [(asked.tolist(), answered.tolist()) for asked, answered in zip(rows, answers, strict=True)]


@pytest.mark.parametrize("failing", [[], [1e300]])
async def test_requests_that_share_a_call_are_noted_as_what_each_of_them_was(
    asker: Asker, network: WatchedNetwork, failing: list[float]
) -> None:
    noted = Noted()
    asked_of = noted.by(release(network))
    asked = [(rows(1), None), (rows(2, 3), None), (rows(9), None), (rows(16), rows(99))]
    asked += [(rows(value), None) for value in failing]
    tasks = [asyncio.create_task(asker.predict(asked_of, each, as_it_was)) for each, as_it_was in asked]
    await asyncio.sleep(0)
    tasks[2].cancel()
    assert [isinstance(one, Exception) for one in (await outcomes(*tasks))[3:]] == [False, *[True] * len(failing)]
    assert network.batches == [4 + len(failing)]
    assert noted.counted == [([[1], [2], [3], [99]], [[2], [4], [6], [32]])]
    assert noted.copied == [([[1]], [[2]]), ([[2], [3]], [[4], [6]]), ([[16]], [[32]])]


@pytest.mark.parametrize("cost", [0, MOST_BYTES_ON_LOOP + 1])
async def test_a_request_with_a_call_of_its_own_is_noted(asker: Asker, network: WatchedNetwork, cost: int) -> None:
    noted = Noted()
    await asker.predict(noted.by(release(network)), np.ones((MANY, 1)), np.full((MANY, 1), 99.0), cost)
    assert network.threads[0] != threading.main_thread().name
    [(counted, answers)], [(copied, _)] = noted.counted, noted.copied
    assert (len(counted), counted[0], answers[0], copied[0]) == (MANY, [99], [2], [1])


async def test_when_all_clients_have_gone_nothing_is_left_behind(asker: Asker) -> None:
    for network in (WatchedNetwork(), BrokenNetwork()):
        asked = [asyncio.create_task(asker.predict(release(network), rows(x))) for x in range(5)]
        await asyncio.sleep(0)
        for gone in asked:
            gone.cancel()
        assert all(isinstance(answer, asyncio.CancelledError) for answer in await outcomes(*asked))
        assert (await asker.predict(release(WatchedNetwork()), rows(1))).tolist() == [[2]]
