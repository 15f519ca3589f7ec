"""Large bodies keep neither each other nor anybody else waiting for long, and wait for nobody's disk or database."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from app.errors import Overloaded
from app.large_bodies import AT_A_TIME, MOST_BYTES_ON_LOOP, MOST_WAITING, LargeBodies
from models_store.encoding import Encoded
from models_store.store import Store
from tests.app.oip import in_bytes
from tests.app.over_http import JSON, an_app, arrow_of, client_of, npy_of, outputs_of, refusal
from tests.fakes import LinearNetwork, line
from tests.table_fakes import messages

pytestmark = pytest.mark.anyio

LARGE = MOST_BYTES_ON_LOOP + 1
TWENTY_THOUSAND = list(range(20_000))


@pytest.fixture
def bodies() -> Iterator[LargeBodies]:
    bodies = LargeBodies()
    yield bodies
    bodies.close()


@asynccontextmanager
async def busy_client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has as many large bodies as it takes."""
    app = an_app(store)
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(app.state.large_bodies.place(LARGE))
        async with client_of(app) as client:
            await app.state.served.refresh()
            yield client


async def test_beyond_those_that_may_wait_large_bodies_are_refused_at_once_and_small_ones_are_not(
    published: Store,
) -> None:
    large = json.dumps({"inputs": TWENTY_THOUSAND})
    async with busy_client(published) as busy:
        answer = await busy.post("/predict/line", content=large, headers={"content-type": JSON})
        assert (refusal(answer), answer.headers["retry-after"]) == ((503, "overloaded"), "2")
        assert await outputs_of(busy, [1]) == [2.0]


NUMBERS = np.arange(100_000.0).reshape(-1, 1)
TABLE = pa.table({"x": NUMBERS[:, 0]})
BYTES = np.array(["12"] * 20_000, dtype=object)


@pytest.mark.parametrize(
    ("address", "content_type", "body", "is_work"),
    [
        ("predict/line", "application/x-npy", npy_of(NUMBERS), False),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE), False),
        ("predict/line?outside=true", "application/x-npy", npy_of(NUMBERS), True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE, rows_a_batch=1000), True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE)[:-8000], True),
        ("predict/line", "application/x-npy", npy_of(np.zeros((400_000, 1))), True),
        ("predict/messages", "application/x-npy", npy_of(NUMBERS), True),
        ("predict/line", "text/csv", b"x\n" + b"12\n" * 20_000, True),
    ],
)
async def test_where_all_places_are_taken_numbers_that_need_no_reading_are_answered(
    published: Store, address: str, content_type: str, body: bytes, is_work: bool
) -> None:
    published.publish(messages())
    async with busy_client(published) as client:
        answer = await client.post(f"/{address}", content=body, headers={"content-type": content_type})
        assert answer.status_code == (503 if is_work else 200)


@pytest.mark.parametrize(
    ("values", "datatype", "headers", "is_work"),
    [
        (NUMBERS, "FP64", {}, False),
        (NUMBERS, "FP64", {"accept-encoding": "gzip"}, True),
        (BYTES, "BYTES", {}, True),
        (BYTES, "\\u0042YTES", {}, True),
    ],
)
async def test_tensors_in_bytes_are_such_numbers_as_well(
    published: Store, values: NDArray[Any], datatype: str, headers: dict[str, str], is_work: bool
) -> None:
    async with busy_client(published) as client:
        about, content = in_bytes("x", datatype, values)
        header = json.dumps({"inputs": [about], "parameters": {"binary_data_output": True}}).replace("\\\\", "\\")
        length = {"inference-header-content-length": str(len(header)), "accept-encoding": ""}
        body = header.encode() + content
        answer = await client.post("/v2/models/line/infer", content=body, headers=length | headers)
        assert answer.status_code == (503 if is_work else 200)


async def test_a_large_body_that_takes_too_long_is_given_up(published: Store) -> None:
    let_go = threading.Event()

    class Stuck(LinearNetwork):
        def __call__(self, encoded: Encoded) -> Encoded:
            assert len(encoded) < 1000 or let_go.wait(60)
            return super().__call__(encoded)

    app = an_app(published, Stuck.from_bytes, answer_seconds=0.05)
    async with client_of(app) as client:
        await app.state.served.refresh()
        answer = await client.post("/predict/line", json={"inputs": TWENTY_THOUSAND})
        let_go.set()
        assert refusal(answer) == (504, "deadline_passed")
        assert await outputs_of(client, [1]) == [2.0]


async def test_a_place_is_free_again_however_its_request_ended(client: httpx.AsyncClient) -> None:
    for body in (json.dumps({"inputs": TWENTY_THOUSAND}), "[" * LARGE) * (AT_A_TIME + MOST_WAITING):
        answer = await client.post("/predict/line", content=body, headers={"content-type": JSON})
        assert answer.status_code == (200 if body[0] == "{" else 400)


def test_a_small_body_takes_no_place(bodies: LargeBodies) -> None:
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(bodies.place(LARGE))
        with bodies.place(MOST_BYTES_ON_LOOP):
            pass
        with pytest.raises(Overloaded), bodies.place(LARGE):
            pass


async def test_two_are_worked_on_at_a_time_and_in_threads(bodies: LargeBodies) -> None:
    names: set[str] = set()
    together = threading.Barrier(AT_A_TIME)

    def work() -> None:
        together.wait(10)
        names.add(threading.current_thread().name)

    await asyncio.gather(*(bodies.computed(LARGE, work) for _ in range(3 * AT_A_TIME)))
    assert names == {f"body_{number}" for number in range(AT_A_TIME)}
    assert await bodies.computed(MOST_BYTES_ON_LOOP, threading.current_thread) is threading.current_thread()


async def test_predictions_are_answered_while_all_other_threads_wait_for_a_disk(published: Store) -> None:
    published.publish(line(20))
    let_go = threading.Event()
    async with client_of(app := an_app(published)) as client:
        await app.state.served.refresh()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        stuck = asyncio.create_task(asyncio.to_thread(let_go.wait, 60))
        assert await outputs_of(client, TWENTY_THOUSAND) == [20.0 * x for x in TWENTY_THOUSAND]
        assert await outputs_of(client, [1], version=1) == [2.0]
        published.publish(line(200))
        await app.state.served.refresh()
        assert await outputs_of(client, [1]) == [200.0]
        assert not stuck.done()
        let_go.set()
        await stuck
