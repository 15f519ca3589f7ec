"""The edge of the app: request ids, sizes of bodies, clients that leave, and how many requests at once."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from models_store.storage.store import Store
from tests.app.over_http import JSON, message, outputs_of, refusal, serving

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20
QUESTION = b'{"inputs": [1]}'


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


# -- request ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["a", "0", "3f-A_b.c", "x" * 64, "00-4bf92f3577b34da6a3ce929d0e0e4736-01"])
async def test_a_sane_request_id_comes_back(shared: httpx.AsyncClient, given: str) -> None:
    for path in ("/livez", "/sesame"):
        assert (await shared.get(path, headers={"x-request-id": given})).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "x" * 65, "a b", "a\tb", "é", "<script>", 'a"b', "a/b", "a,b", "sesame;", "x" * 5000]
)
async def test_any_other_request_id_is_replaced(shared: httpx.AsyncClient, given: str) -> None:
    answer = await shared.get("/nowhere", headers=[(b"x-request-id", given.encode())])
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])
    assert refusal(answer) == (404, "not_found")


async def test_every_request_without_an_id_gets_its_own(shared: httpx.AsyncClient) -> None:
    ids = {(await shared.get("/livez")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


async def test_no_answer_is_sniffed_for_another_type(shared: httpx.AsyncClient) -> None:
    for path in ("/livez", "/nowhere", "/patterns", "/metrics", "/"):
        assert (await shared.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_no_other_origin_is_let_in_to_read(shared: httpx.AsyncClient) -> None:
    asked = {"origin": "http://elsewhere.example", "access-control-request-method": "POST"}
    answer = await shared.options("/predict/line", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


# -- sizes ---------------------------------------------------------------------------------------------------------


async def test_a_body_that_says_it_is_too_large_is_not_read(shared: httpx.AsyncClient) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append("a piece")
        yield QUESTION

    headers = {"content-type": JSON, "content-length": str(MEGABYTE + 1)}
    answer = await shared.post("/predict/line", content=body(), headers=headers)
    assert refusal(answer) == (413, "body_too_large")
    assert message(answer) == "the body is larger than the limit of 1048576 bytes"
    assert read == []


async def test_a_body_that_grows_too_large_is_not_read_to_its_end(shared: httpx.AsyncClient) -> None:
    sent = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b" " * 65536

    answer = await shared.post("/predict/line", content=body(), headers={"content-type": JSON})
    assert refusal(answer) == (413, "body_too_large")
    assert len(sent) == 17


async def test_a_body_as_large_as_the_limit_is_read(shared: httpx.AsyncClient) -> None:
    padded = QUESTION.ljust(MEGABYTE)
    for body in (padded, in_pieces(padded[:-1], padded[-1:])):
        answer = await shared.post("/predict/line", content=body, headers={"content-type": JSON})
        assert answer.status_code == 200


async def test_a_body_in_many_pieces_is_one_body(shared: httpx.AsyncClient) -> None:
    pieces = in_pieces(*(QUESTION[place : place + 1] for place in range(len(QUESTION))))
    answer = await shared.post("/predict/line", content=pieces, headers={"content-type": JSON})
    assert answer.json()["outputs"] == [2.0]


@pytest.mark.parametrize("declared", ["-1", "sesame", "", "1e9", "²"])
async def test_a_length_that_is_no_number_is_not_believed(shared: httpx.AsyncClient, declared: str) -> None:
    headers = [(b"content-type", JSON.encode()), (b"content-length", declared.encode())]
    answer = await shared.post("/predict/line", content=in_pieces(QUESTION), headers=headers)
    assert answer.json()["outputs"] == [2.0]


async def test_a_length_of_5_000_digits_is_too_large(shared: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-length": "9" * 5000}
    answer = await shared.post("/predict/line", content=in_pieces(QUESTION), headers=headers)
    assert refusal(answer) == (413, "body_too_large")


async def test_the_limit_holds_on_every_route_that_reads_a_body(shared: httpx.AsyncClient) -> None:
    too_large = (b" " * 65536 for _ in range(17))
    answer = await shared.put(
        "/patterns/line/labels/beta", content=in_pieces(*too_large), headers={"content-type": JSON}
    )
    assert refusal(answer) == (413, "body_too_large")


# -- clients that leave --------------------------------------------------------------------------------------------


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    arriving = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(arriving)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict/line",
        "raw_path": b"/predict/line",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", JSON.encode())],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    await app(scope, receive, send)
    assert [record.__dict__.get("status") for record in caplog.records if record.message == "request"] == [499]
    assert "bug" not in caplog.messages
    assert sent == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/predict/line", {"code": "draining", "message": "the server is about to stop", "request_id": "a"}),
        ("/v2/models/line/infer", "the server is about to stop"),
        ("/train", {"code": "draining", "message": "the server is about to stop", "request_id": "a"}),
    ],
)
async def test_whoever_has_not_finished_asking_when_the_server_ends_hears_why(
    client: httpx.AsyncClient, path: str, said: object
) -> None:
    arrived = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        arrived.set()
        await asyncio.Event().wait()

    asking = asyncio.create_task(client.post(path, content=body(), headers={"content-type": JSON, "x-request-id": "a"}))
    await arrived.wait()
    asking.cancel()  # as uvicorn does in the end
    answer = await asking
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"error": said}, "2")


# -- how many at once ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def held_up(
    client: httpx.AsyncClient, requests: int, path: str = "/predict/line", status: int = 200
) -> AsyncIterator[None]:
    """Keep so many requests under way, each in the middle of its body; let all be answered at the end."""
    arrived = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        arrived.release()
        yield QUESTION[:5]
        await go_on.wait()
        yield QUESTION[5:]

    async def ask() -> httpx.Response:
        return await client.post(path, content=body(), headers={"content-type": JSON})

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask()) for _ in range(requests)]
        for _ in range(requests):
            await arrived.acquire()
        yield
        go_on.set()
    assert [task.result().status_code for task in asked] == [status] * requests


async def test_beyond_the_most_at_once_requests_are_refused_and_health_is_not(published: Store) -> None:
    async with serving(published, max_in_flight=3) as client:
        async with held_up(client, 3):
            for path in ("/patterns", "/nowhere", "/docs"):
                answer = await client.get(path)
                assert refusal(answer) == (503, "overloaded")
            assert refusal(await client.post("/predict/line", json={"inputs": [1]})) == (503, "overloaded")
            for path in ("/livez", "/readyz", "/metrics"):
                assert (await client.get(path)).status_code == 200
        assert await outputs_of(client, [1]) == [2.0]


async def test_requests_that_wait_elsewhere_leave_places_to_predictions(published: Store) -> None:
    async with serving(published, max_in_flight=4) as client:
        async with held_up(client, 3, "/patterns/line/outcomes", 422):
            assert refusal(await client.get("/patterns")) == (503, "overloaded")
            assert (await client.get("/metrics")).status_code == 200
            assert refusal(await client.get(f"/train/{'0' * 32}/events")) == (404, "unknown_job")
            assert await outputs_of(client, [1]) == [2.0]
        assert (await client.get("/patterns")).status_code == 200


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/models/line/ready", "/v2/models/line/versions/1/ready"])
async def test_probes_of_every_protocol_are_answered_however_many_are_under_way(published: Store, path: str) -> None:
    async with serving(published, max_in_flight=1) as client, held_up(client, 1):
        for method in ("GET", "HEAD"):
            for probe in (path, "/v1/models/line", "/v1/models/line/versions/1", "/ping"):
                assert (await client.request(method, probe)).status_code == 200
        for other in ("/v2", "/v2/models/line", "/v2/models/stats", "/v1/models", "/v1/models/line/metadata"):
            assert (await client.get(other)).status_code == 503


async def test_only_streams_of_events_take_no_place(published: Store) -> None:
    async with serving(published, max_in_flight=1) as client, held_up(client, 1):
        for path in ("/events", "/patterns/events", f"/train/{'0' * 31}/events"):
            assert refusal(await client.get(path)) == (503, "overloaded")
        assert refusal(await client.get(f"/train/{'0' * 32}/events")) == (404, "unknown_job")


async def test_health_checks_take_no_place_from_others_once_they_are_answered(published: Store) -> None:
    async with serving(published, max_in_flight=2) as client, held_up(client, 1):
        for _ in range(5):
            assert (await client.get("/livez")).status_code == 200
        assert await outputs_of(client, [1]) == [2.0]


async def test_a_request_that_failed_leaves_its_place(published: Store) -> None:
    async with serving(published, max_in_flight=1) as client:
        for _ in range(3):
            assert refusal(await client.get("/nowhere")) == (404, "not_found")
            assert refusal(await client.post("/predict/line", content=b"")) == (415, "unsupported_content_type")
        assert await outputs_of(client, [1]) == [2.0]
