"""Large bodies keep neither each other nor anybody else waiting for long, and wait for nobody's disk or database."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock

import httpx
import numpy as np
import pyarrow as pa
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from app.answering.admission import Admission
from app.answering.plan import AT_A_TIME, MOST_BYTES_ON_LOOP, MOST_WAITING
from app.errors import Overloaded
from app.formats import compression
from models_store.arrays import Encoded
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import body_of, in_bytes
from tests.app.over_http import JSON, an_app, arrow_of, client_of, npy_of, outputs_of, refusal
from tests.fakes import LinearNetwork, line
from tests.table_fakes import messages

pytestmark = pytest.mark.anyio

LARGE = MOST_BYTES_ON_LOOP + 1
PLAIN = {"accept-encoding": "identity"}
TWENTY_THOUSAND = list(range(20_000))


@pytest.fixture
def bodies() -> Iterator[Admission]:
    bodies = Admission(answer_seconds=30)
    yield bodies
    bodies.close()


@asynccontextmanager
async def busy_client(store: Store, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has as many large bodies as it takes."""
    app = an_app(store, **changes)
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(app.state.parts.admission.place(LARGE))
        async with client_of(app) as client:
            await app.state.parts.registry.refresh()
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
LONG = {"note": "x" * 5000}
MANY_SMALL = pa.table({"x": np.arange(200_000, dtype=np.int8)})
BYTES = np.array(["12"] * 20_000, dtype=object)


@pytest.mark.parametrize(
    ("address", "content_type", "body", "is_work"),
    [
        ("predict/line", "application/x-npy", npy_of(NUMBERS), False),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE), False),
        ("predict/line?outside=true", "application/x-npy", npy_of(NUMBERS), True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE, rows_a_batch=1000), True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE)[:-8000], True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(TABLE.replace_schema_metadata(LONG)), True),
        ("predict/line", "application/vnd.apache.arrow.stream", arrow_of(MANY_SMALL), True),
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
    ("values", "datatype", "is_work"),
    [(NUMBERS, "FP64", False), (BYTES, "BYTES", True), (BYTES, "\\u0042YTES", True)],
)
async def test_tensors_in_bytes_are_such_numbers_as_well(
    published: Store, values: NDArray[Any], datatype: str, is_work: bool
) -> None:
    async with busy_client(published) as client:
        about, content = in_bytes("x", datatype, values)
        header = json.dumps({"inputs": [about], "parameters": {"binary_data_output": True}}).replace("\\\\", "\\")
        length = {"inference-header-content-length": str(len(header))}
        body = header.encode() + content
        answer = await client.post("/v2/models/line/infer", content=body, headers=length | PLAIN)
        assert answer.status_code == (503 if is_work else 200)


async def test_few_bytes_that_are_many_numbers_need_a_place(published: Store) -> None:
    async with busy_client(published, max_rows=1_000_000) as client:
        for n_rows, is_work in ((100_000, False), (900_000, True)):
            about, content = in_bytes("x", "INT8", np.zeros((n_rows, 1), dtype=np.int8))
            body, length = body_of([about], content, parameters={"binary_data_output": True})
            answer = await client.post("/v2/models/line/infer", content=body, headers={**length, **PLAIN})
            assert answer.status_code == (503 if is_work else 200)


@pytest.mark.parametrize(("accept", "is_written_aside"), [("identity", False), ("gzip", True)])
async def test_an_answer_that_is_compressed_is_work_to_write(
    app: FastAPI, client: httpx.AsyncClient, accept: str, is_written_aside: bool
) -> None:
    app.state.parts.admission.write = AsyncMock(wraps=app.state.parts.admission.write)
    about, content = in_bytes("x", "INT8", np.zeros((30_000, 1), dtype=np.int8))
    body, length = body_of([about], content, parameters={"binary_data_output": True})
    await client.post("/v2/models/line/infer", content=body, headers={**length, "accept-encoding": accept})
    assert bool(app.state.parts.admission.write.await_count) == is_written_aside


async def test_a_large_body_is_not_unpacked_by_the_loop(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    decoded = compression.decoded

    def watched(*parts: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return decoded(*parts)

    monkeypatch.setattr(compression, "decoded", watched)
    # Deflate blocks that hold nothing, as many as one likes.
    body = b"\x78\x01" + b"\x00\x00\x00\xff\xff" * MOST_BYTES_ON_LOOP
    async with client_of(app) as client:
        answer = await client.post("/v2/models/line/infer", content=body, headers={"content-encoding": "deflate"})
    assert answer.status_code == 400
    assert threads
    assert threading.current_thread().name not in threads


# -- networks that take their time -----------------------------------------------------------------------------------


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    let_go = threading.Event()
    yield let_go
    let_go.set()


def an_app_that_is_stuck(store: Store, let_go: threading.Event, **changes: Any) -> FastAPI:
    """Return an app whose network waits, for ten thousand rows and more, until `let_go` is set."""

    class Stuck(LinearNetwork):
        def __call__(self, encoded: Encoded) -> Encoded:
            assert len(encoded) < 10_000 or let_go.wait(60)
            return super().__call__(encoded)

    return an_app(store, Stuck.from_bytes, **changes)


async def test_a_large_body_that_takes_too_long_is_given_up(published: Store, let_go: threading.Event) -> None:
    app = an_app_that_is_stuck(published, let_go, answer_seconds=0.05)
    async with client_of(app) as client:
        await app.state.parts.registry.refresh()
        answer = await client.post("/predict/line", json={"inputs": TWENTY_THOUSAND})
        assert refusal(answer) == (504, "deadline_passed")
        assert await outputs_of(client, [1]) == [2.0]


async def test_answers_are_written_while_large_bodies_are_stuck_in_a_network(
    published: Store, let_go: threading.Event
) -> None:
    app = an_app_that_is_stuck(published, let_go)
    async with client_of(app) as client:
        await app.state.parts.registry.refresh()
        stuck = [asyncio.create_task(outputs_of(client, TWENTY_THOUSAND)) for _ in range(2)]
        assert await outputs_of(client, [1] * 2000) == [2.0] * 2000
        assert not any(task.done() for task in stuck)
        let_go.set()
        assert await asyncio.gather(*stuck) == [[2.0 * x for x in TWENTY_THOUSAND]] * 2


async def test_a_place_is_free_again_however_its_request_ended(client: httpx.AsyncClient) -> None:
    for body in (json.dumps({"inputs": TWENTY_THOUSAND}), "[" * LARGE) * (AT_A_TIME + MOST_WAITING):
        answer = await client.post("/predict/line", content=body, headers={"content-type": JSON})
        assert answer.status_code == (200 if body[0] == "{" else 400)


def test_a_small_body_takes_no_place(bodies: Admission) -> None:
    with ExitStack() as places:
        for _ in range(AT_A_TIME + MOST_WAITING):
            places.enter_context(bodies.place(LARGE))
        with bodies.place(MOST_BYTES_ON_LOOP):
            pass
        with pytest.raises(Overloaded), bodies.place(LARGE):
            pass


async def test_two_are_written_at_a_time_and_in_threads(bodies: Admission) -> None:
    names: set[str] = set()
    together = threading.Barrier(AT_A_TIME)

    def work() -> None:
        together.wait(10)
        names.add(threading.current_thread().name)

    await asyncio.gather(*(bodies.write(work) for _ in range(3 * AT_A_TIME)))
    assert names == {f"body_{number}" for number in range(AT_A_TIME)}


async def test_predictions_are_answered_while_all_other_threads_wait_for_a_disk(published: Store) -> None:
    published.publish(line(20))
    let_go = threading.Event()
    async with client_of(app := an_app(published)) as client:
        await app.state.parts.registry.refresh()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        stuck = asyncio.create_task(asyncio.to_thread(let_go.wait, 60))
        assert await outputs_of(client, TWENTY_THOUSAND) == [20.0 * x for x in TWENTY_THOUSAND]
        assert await outputs_of(client, [1], version=1) == [2.0]
        published.publish(line(200))
        await app.state.parts.registry.refresh()
        assert await outputs_of(client, [1]) == [200.0]
        assert not stuck.done()
        let_go.set()
        await stuck
