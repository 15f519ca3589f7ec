"""Large bodies keep neither each other nor anybody else waiting for long, and wait for nobody's disk or database."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from fastapi import FastAPI

from app.errors import Overloaded
from app.large_bodies import AT_A_TIME, MOST_BYTES_ON_LOOP, MOST_WAITING, LargeBodies
from models_store.store import Store
from tests.app.over_http import JSON, an_app, client_of, outputs_of, refusal
from tests.fakes import line

pytestmark = pytest.mark.anyio

LARGE = MOST_BYTES_ON_LOOP + 1
TWENTY_THOUSAND = list(range(20_000))


@pytest.fixture
def bodies() -> Iterator[LargeBodies]:
    bodies = LargeBodies()
    yield bodies
    bodies.close()


@pytest.fixture
async def busy(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has as many large bodies as it takes."""
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(app.state.large_bodies.place(LARGE))
        async with client_of(app) as client:
            yield client


async def test_beyond_those_that_may_wait_large_bodies_are_refused_at_once_and_small_ones_are_not(
    busy: httpx.AsyncClient,
) -> None:
    large = json.dumps({"inputs": TWENTY_THOUSAND})
    answer = await busy.post("/predict/line", content=large, headers={"content-type": JSON})
    assert (refusal(answer), answer.headers["retry-after"]) == ((503, "overloaded"), "2")
    assert await outputs_of(busy, [1]) == [2.0]


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
