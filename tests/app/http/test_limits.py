"""Checks before the routes: request ids, size, how many at once, keys, and pages from elsewhere."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, cast
from unittest import mock

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from app.envelopes import NATIVE
from app.http.keys import check_predictor
from app.http.limits import CLOSING_RESPONSE, LimitedProtocol
from app.main import PatternServer
from models_store.storage.store import Store
from tests.app.over_http import JSON, addresses, an_app, message, outputs_of, refusal, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20
QUESTION = b'{"inputs": [1]}'
TOO_LONG = "431 Request Header Fields Too Large"


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


class Clock:
    """A stand-in for an event loop; `pass_by` does at once what is to be done later."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, mock.Mock, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, act: Callable[..., object], *parts: object) -> mock.Mock:
        handle = mock.Mock()
        self.due.append((self.now + seconds, handle, partial(act, *parts)))
        return handle

    def pass_by(self) -> None:
        """Until everything that is due now has been done."""
        due, self.due = self.due, []
        self.now = max([self.now, *(when for when, _, _ in due)])
        for _, handle, act in due:
            if not handle.cancel.called:
                act()

    def create_task(self, work: Coroutine[Any, Any, None]) -> mock.Mock:
        """Whatever is to be done about a request, nobody does it."""
        work.close()
        return mock.Mock()


@pytest.mark.parametrize(
    ("unread", "is_aborted"),
    [((8, 7, 6), False), ((9,), True), ((8, 8), True)],
    ids=["reads slowly", "reads nothing", "reads no further"],
)
def test_an_answer_is_broken_off_only_for_who_does_not_read_on(
    store: Store, unread: tuple[int, ...], is_aborted: bool
) -> None:
    clock: Any = Clock()
    transport = mock.Mock()
    protocol = protocol_of(store, clock, transport)
    protocol.pause_writing()
    for left in unread:
        assert not transport.abort.called
        transport.get_write_buffer_size.return_value = left
        clock.pass_by()
    assert transport.abort.called == is_aborted


def protocol_of(store: Store, clock: Any, transport: mock.Mock) -> LimitedProtocol:
    app = an_app(store)
    protocol = LimitedProtocol(
        config=uvicorn.Config(app, log_config=None),
        server_state=ServerState(),
        app_state={"settings": app.state.parts.settings, "edge": cast(PatternServer, app).front},
        _loop=clock,
    )
    transport.get_extra_info.return_value = None
    transport.get_write_buffer_size.return_value = 9
    transport.is_closing.return_value = False
    protocol.connection_made(transport)
    return protocol


POSTED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"


def test_what_comes_after_a_body_is_no_header(store: Store) -> None:
    protocol = protocol_of(store, Clock(), mock.Mock())
    protocol.data_received(POSTED + b"Authorization: Bearer sesame\r\nContent-Type: application/json\r\n\r\n")
    assert not protocol.cycle.more_body
    assert [name for name, _ in protocol.scope["headers"]] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("pieces", [[b"a" * 40_000 + b"\r\n\r\n"], [b"a" * 1000] * 40, [b"a\r\nX: " * 7000]])
def test_what_comes_after_a_body_has_an_end(store: Store, pieces: list[bytes]) -> None:
    transport = mock.Mock()
    protocol = protocol_of(store, Clock(), transport)
    transport.close.side_effect = lambda: setattr(transport.is_closing, "return_value", True)
    for piece in (POSTED + b"X: ", *pieces):
        protocol.data_received(piece)
    assert transport.write.call_args_list == [mock.call(CLOSING_RESPONSE.format(status=TOO_LONG).encode())]


def test_a_body_in_very_many_chunks_is_not_taken_for_an_endless_header(store: Store) -> None:
    transport = mock.Mock()
    protocol = protocol_of(store, Clock(), transport)
    protocol.data_received(POSTED.removesuffix(b"0\r\n"))
    for _ in range(20_000):
        for piece in (b"1\r\n", b"x", b"\r\n"):
            protocol.data_received(piece)
    assert not transport.write.called


def test_a_blank_line_keeps_no_idle_connection_open_for_ever(store: Store) -> None:
    clock: Any = Clock()
    transport = mock.Mock()
    protocol = protocol_of(store, clock, transport)
    protocol._due_in(None)  # as when a request has been answered
    protocol.data_received(b"\r\n")
    clock.pass_by()
    clock.pass_by()
    assert transport.write.call_args_list == [mock.call(CLOSING_RESPONSE.format(status="408 Request Timeout").encode())]


@pytest.mark.parametrize("is_refused", [True, False])
def test_whoever_was_refused_and_asks_on_at_once_is_not_heard_for_a_while(store: Store, is_refused: bool) -> None:
    clock: Any = Clock()
    transport = mock.Mock()
    protocol = protocol_of(store, clock, transport)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    protocol.scope["state"]["is_refused"] = is_refused
    protocol.on_response_complete()
    assert transport.pause_reading.called == is_refused
    clock.pass_by()
    assert transport.resume_reading.called == is_refused


# -- how many at once ----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def held_up(client: httpx.AsyncClient, requests: int) -> AsyncIterator[None]:
    """While inside, so many requests are under way, each in the middle of its body; then all are answered."""
    arrived = asyncio.Semaphore(0)
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        arrived.release()
        yield QUESTION[:5]
        await go_on.wait()
        yield QUESTION[5:]

    async def ask() -> httpx.Response:
        return await client.post("/predict/line", content=body(), headers={"content-type": JSON})

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask()) for _ in range(requests)]
        for _ in range(requests):
            await arrived.acquire()
        yield
        go_on.set()
    assert [task.result().status_code for task in asked] == [200] * requests


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


# -- keys ----------------------------------------------------------------------------------------------------------

PREDICT = ("POST", "/predict/line", QUESTION, 200)
# With the status that the request has when the key is right.
CHANGES = [
    ("POST", "/train", b"[]", 400),
    ("DELETE", "/train/nothing", b"", 404),
    ("PUT", "/patterns/line/labels/beta", b'{"version": 1}', 200),
    ("DELETE", "/patterns/line/labels/nothing", b"", 404),
    ("POST", "/patterns/line/rollback", b"", 409),
    ("DELETE", "/patterns/line/versions/1", b"", 409),
    ("DELETE", "/patterns/nothing", b"", 404),
    ("POST", "/datasets", b"[]", 415),
    ("DELETE", "/datasets/nothing", b"", 404),
]
LOOKS = ["/", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/patterns", "/patterns/line", "/train"]


async def ask(
    client: httpx.AsyncClient, request: tuple[str, str, bytes, int], key: str | None, **headers: str
) -> httpx.Response:
    method, path, body, _ = request
    authorization = {"authorization": key} if key is not None else {}
    headers |= {"content-type": JSON, **authorization}
    return await client.request(method, path, content=body, headers=headers)


@pytest.fixture(scope="module")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client without keys of an app with both, on a store with one version of `line`."""
    store = Store(tmp_path_factory.mktemp("locked") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    store.publish(line())
    async with serving(store, admin_key="the-admin-key", predict_key="the-predict-key") as client:
        yield client


async def test_without_keys_everything_is_open(client: httpx.AsyncClient) -> None:
    for request in (PREDICT, *CHANGES):
        for key in (None, "Bearer anything", "Basic YTpi"):
            assert (await ask(client, request, key)).status_code == request[3], request


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "key_missing"),
        ("", 401, "key_missing"),
        ("Bearer", 401, "key_missing"),
        ("Bearer ", 401, "key_missing"),
        ("the-predict-key", 401, "key_missing"),
        ("Basic the-predict-key", 401, "key_missing"),
        ("Bearer sesame", 403, "key_wrong"),
        ("Bearer the-predict-ke", 403, "key_wrong"),
        ("Bearer the-predict-keyy", 403, "key_wrong"),
        ("Bearer THE-PREDICT-KEY", 403, "key_wrong"),
        ("Bearer the-predict-key the-admin-key", 403, "key_wrong"),
        ("Bearer the-predict-key", 200, None),
        ("bearer  the-predict-key ", 200, None),
        ("Bearer the-admin-key", 200, None),
    ],
)
async def test_predictions_ask_for_either_key(
    locked: httpx.AsyncClient, key: str | None, status: int, code: str | None
) -> None:
    answer = await ask(locked, PREDICT, key)
    assert answer.status_code == status
    if code is not None:
        assert refusal(answer) == (status, code)
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: f"{request[0]} {request[1]}")
async def test_changes_ask_for_the_admin_key(locked: httpx.AsyncClient, request_: tuple[str, str, bytes, int]) -> None:
    missing = await ask(locked, request_, None)
    assert refusal(missing) == (401, "key_missing")
    assert missing.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer sesame", "Bearer the-predict-key"):
        assert refusal(await ask(locked, request_, wrong)) == (403, "key_wrong")
    assert (await ask(locked, request_, "Bearer the-admin-key")).status_code == request_[3]


async def test_the_words_for_a_missing_key_are_whole(locked: httpx.AsyncClient) -> None:
    assert "?" not in message(await ask(locked, PREDICT, None))


async def test_a_key_in_bytes_that_are_no_text_is_wrong(locked: httpx.AsyncClient) -> None:
    headers = [(b"authorization", b"Bearer \xff\x80"), (b"content-type", JSON.encode())]
    answer = await locked.post("/predict/line", content=QUESTION, headers=headers)
    assert refusal(answer) == (403, "key_wrong")


@pytest.mark.parametrize("path", LOOKS)
async def test_looking_is_open(locked: httpx.AsyncClient, path: str) -> None:
    assert (await locked.get(path)).status_code == 200


def test_no_route_that_changes_something_was_forgotten(store: Store) -> None:
    app = an_app(store)
    own = [(method, path) for method, path in addresses(app) if app.state.parts.dialects.envelope(path) is NATIVE]
    changing = {(method, path) for method, path in own if method not in ("GET", "HEAD", "OPTIONS")}
    # What predicts, in whatever protocol, changes nothing, and has a key of its own.
    predicting = [address for address in app.state.parts.dialects.addresses if address.guard is check_predictor]
    assert ("POST", "/predict/{pattern}") in {(address.method, address.path) for address in predicting}
    changing -= {(address.method, address.path) for address in predicting}
    listed = {re.sub("nothing|beta|line|1$", "", f"{method} {path}") for method, path, _, _ in CHANGES}
    assert {re.sub("{[a-z]+}", "", f"{method} {path}") for method, path in changing} == listed


async def test_without_a_predict_key_predictions_are_open(published: Store) -> None:
    async with serving(published, admin_key="the-admin-key") as client:
        assert await outputs_of(client, [1]) == [2.0]
        assert refusal(await ask(client, CHANGES[0], None)) == (401, "key_missing")


async def test_the_key_is_asked_for_before_the_body_is_looked_at(locked: httpx.AsyncClient) -> None:
    answer = await locked.put("/patterns/line/labels/beta", content=b"{", headers={"content-type": JSON})
    assert refusal(answer) == (401, "key_missing")


# -- pages from elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://elsewhere.example",
        "https://elsewhere.example",
        "http://testserver.elsewhere.example",
        "http://testserver:81",
        "http://sesame@testserver",
        "http://TESTSERVE",
        "file://",
        "null",
        "testserver",
        "",
    ],
)
@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: f"{request[0]} {request[1]}")
async def test_a_page_from_elsewhere_changes_nothing(
    shared: httpx.AsyncClient, request_: tuple[str, str, bytes, int], origin: str
) -> None:
    assert refusal(await ask(shared, request_, None, origin=origin)) == (403, "foreign_origin")


async def test_our_own_page_may_make_changes(client: httpx.AsyncClient) -> None:
    client.base_url = httpx.URL("http://localhost")
    for request in CHANGES:
        assert (await ask(client, request, None, origin="http://localhost")).status_code == request[3]


async def test_without_a_key_no_page_is_ours_under_another_name_of_this_machine(client: httpx.AsyncClient) -> None:
    client.base_url = httpx.URL("http://rebound.example")
    answer = await ask(client, CHANGES[0], None, origin="http://rebound.example")
    assert refusal(answer) == (403, "foreign_origin")


async def test_the_right_key_does_not_make_a_foreign_page_ours(locked: httpx.AsyncClient) -> None:
    answer = await ask(locked, CHANGES[0], "Bearer the-admin-key", origin="http://elsewhere.example")
    assert refusal(answer) == (403, "foreign_origin")


async def test_predictions_are_not_changes(shared: httpx.AsyncClient) -> None:
    assert (await ask(shared, PREDICT, None, origin="http://elsewhere.example")).status_code == 200
