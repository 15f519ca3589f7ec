"""Calls that the protocol answers itself: status, headers and body are those that the same bytes get through ASGI."""

import asyncio
import json
import logging
import random
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest
import uvicorn
from uvicorn.server import ServerState

from app.answering.plan import MOST_BYTES_ON_LOOP
from app.http import heads
from app.http.direct import Direct
from app.http.limits import MOST_DIRECT, MOST_PIPELINED, LimitedProtocol
from app.main import PatternServer
from app.parts import parts_of
from models_store.storage.store import Store
from tests.app.dialects.oip.requests import body_of, in_bytes
from tests.app.over_http import an_app, fork, pair
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line
from tests.table_fakes import flowers, messages, passengers, rents

pytestmark = pytest.mark.anyio

ROUNDS = 4000
# Seconds. Far longer than any of it takes.
PATIENCE = 20
KEY = "open-sesame"
STATES = ["usual", "keys", "overloaded", "draining"]
HEAD = b"POST /predict/line HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
BODY = b'{"inputs": [[1]]}'


class ThroughAsgi(LimitedProtocol):
    """The protocol without its direct calls."""

    def _direct_call(self) -> None:
        return None

    def _begins_unparsed(self, _data: bytes) -> bool:
        return False


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.n_writes = 0
        self.is_closed = False
        self.arrived = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.n_writes += 1
        self.arrived.set()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        self.is_closed = True
        self.arrived.set()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


@asynccontextmanager
async def running(store: Store, log_level: str = "warning", **changes: Any) -> AsyncIterator[PatternServer]:
    """An app that serves what the store holds."""
    app = cast(PatternServer, an_app(store, log_level=log_level, **changes))
    async with app.router.lifespan_context(app):
        await parts_of(app).registry.refresh()
        yield app


@asynccontextmanager
async def running_in(state: str, store: Store) -> AsyncIterator[PatternServer]:
    """An app with few rows at most, in one of the STATES."""
    changes: dict[str, Any] = {"predict_key": KEY, "admin_key": "another"} if state == "keys" else {}
    async with running(store, max_rows=1000, **changes) as app:
        if state == "draining":
            parts_of(app).jobs.drain()
        if state == "overloaded":
            app.front.under_way = parts_of(app).settings.max_in_flight
        yield app


@asynccontextmanager
async def connection(app: PatternServer, kind: type[LimitedProtocol]) -> AsyncIterator[tuple[LimitedProtocol, Wire]]:
    config = uvicorn.Config(app, log_config=None, http=kind)
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    protocol = kind(
        config=config, server_state=state, app_state={"settings": parts_of(app).settings, "edge": app.front}
    )
    wire = Wire()
    protocol.connection_made(wire)
    yield protocol, wire
    protocol.connection_lost(None)


async def answers_to(app: PatternServer, kind: type[LimitedProtocol], pieces: list[bytes], n_requests: int) -> bytes:
    async with connection(app, kind) as (protocol, wire):
        for piece in pieces:
            protocol.data_received(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while not wire.is_closed and count_of_answers(wire.written) < n_requests:
                wire.arrived.clear()
                await wire.arrived.wait()
    return wire.written


def count_of_answers(written: bytes) -> int:
    """Return the number of whole answers; each says its length."""
    count = 0
    while (end := written.find(b"\r\n\r\n")) >= 0:
        length = re.search(rb"content-length: (\d+)", written[:end])
        assert length is not None, written[:200]
        is_head = b"x-request-id: head" in written[:end]
        size = 0 if is_head else int(length[1])
        if len(written) < end + 4 + size:
            break
        written = written[end + 4 + size :]
        count += 1
    return count


# -- generated requests --------------------------------------------------------------------------------------------

PATHS = [
    *(f"/predict/{name}" for name in ("line", "pair", "fork", "passengers", "flowers", "messages", "rents", "nobody")),
    "/predict/line?version=1",
    "/predict/line?label=champion&outside=true",
    "/predict/flowers?probabilities=true",
    "/predict/line?nothing=1",
    "/predict/l%69ne",
    "/predict/line/more",
    "/predict/",
    "/v2/models/line/infer",
    "/v2/models/pair/versions/1/infer",
    "/v2/models/line/versions/9/infer",
    "/v2/models/flowers/infer",
    "/v2/health/live",
    "/v2/models/line",
    "/v2/repository/index",
    "/v1/models/line:predict",
    "/v1/models/pair:predict",
    "/v1/models/flowers:classify",
    "/v1/models/line:regress",
    "/v1/models/line",
    "/v1/models/line/labels/champion:predict",
    "/invocations?pattern=pair",
    "/invocations?pattern=passengers",
    "/invocations",
    "/ping",
    "/version",
    "/livez",
    "/patterns/line/sample",
    "/sesame",
]
BODIES = [
    b'{"inputs": [[1, 2]]}',
    b'{"inputs": [[1], [2.5]]}',
    b'{"inputs": [1, 2, 5]}',
    b'{"inputs": {"x": 4}}',
    b'{"inputs": {"x1": [1, 2], "x2": [3, 4]}}',
    b'{"inputs": [{"x1": 1, "x2": 2}]}',
    b'{"inputs": [[null]]}',
    b'{"inputs": [[1e400]]}',
    b'{"inputs": [[1e39]]}',
    b'{"inputs": []}',
    b'{"inputs": [[1]], "inputs": [[2]]}',
    b'{"inputs": [[NaN]]}',
    b'{"instances": [1.0, 2.0]}',
    b'{"instances": [{"x1": 1, "x2": 2}]}',
    b'{"dataframe_split": {"columns": ["x1", "x2"], "data": [[1, 2]]}}',
    b'{"examples": [{"x": 1}]}',
    b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}',
    b'{"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}], "id": "7"}',
    b"x\n1\n2\n",
    b"x1,x2\n1,2\n",
    b"",
    b"{",
    b"\xff\xfe",
    b'{"inputs": [[' + b"9" * 5000 + b"]]}",
    b'{"inputs": ' + b"[" * 2000,
    b'{"inputs": [' + b"[1]," * 2000 + b"[1]]}",
    b'{"inputs": [' + b"[1]," * 900 + b" " * MOST_BYTES_ON_LOOP + b"[1]]}",
    b'{"inputs": [' + b"[1]," * 20_000 + b"[1]]}",
]
TYPES = ["application/json", "application/json; charset=utf-8", "text/csv", "application/x-npy", "text/plain", ""]
METHODS = ["POST"] * 8 + ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"]


def a_request(rng: random.Random, number: int, *, is_last: bool) -> bytes:
    method, path = rng.choice(METHODS), rng.choice(PATHS)
    name = f"head-{number}" if method == "HEAD" else f"id-{number}"
    headers = [("host", "localhost"), ("x-request-id", name)]
    body = bytearray(rng.choice(BODIES)) if method in ("POST", "PUT") else bytearray()
    if path.startswith("/v2") and rng.random() < 0.2:
        about, content = in_bytes("x", "FP32", np.array([[1.0], [2.0]], dtype=np.float32))
        binary, length = body_of([about], content)
        body = bytearray(binary)
        headers += length.items()
    if body and rng.random() < 0.3:  # a slip of the pen
        place = rng.randrange(len(body))
        body[place : place + rng.randrange(3)] = rng.choice([b"", b"[", b'"', b"0", b",", b"\x00", b"{}"])
    if rng.random() < 0.9:
        headers.append(("content-type", rng.choice(TYPES[:1] * 6 + TYPES)))
    if rng.random() < 0.3:
        headers.append(("authorization", rng.choice([f"Bearer {KEY}", "Bearer wrong", "Basic x", f"bearer  {KEY}"])))
    if rng.random() < 0.1:
        headers.append(rng.choice([("content-encoding", "gzip"), ("content-encoding", "identity")]))
    if rng.random() < 0.1:
        headers.append(rng.choice([("origin", "http://elsewhere"), ("origin", ""), ("accept", "text/csv")]))
    if rng.random() < 0.1:
        headers.append(("accept-encoding", "gzip"))
    if is_last and rng.random() < 0.2:
        headers.append(("connection", rng.choice(["close", "keep-alive"])))
    if body or method in ("POST", "PUT"):
        headers.append(("content-length", str(len(body))))
    version = "1.0" if is_last and rng.random() < 0.05 else "1.1"
    rng.shuffle(headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{method} {path} HTTP/{version}\r\n{head}\r\n".encode() + bytes(body)


def cut(rng: random.Random, sent: bytes) -> list[bytes]:
    """The bytes as they may arrive: at once, or in pieces."""
    places = sorted(rng.randrange(len(sent) + 1) for _ in range(rng.choice([0, 0, 0, 1, 2, 5])))
    return [sent[start:end] for start, end in zip([0, *places], [*places, len(sent)], strict=True)]


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("direct") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), pair(), fork(), passengers(), flowers(), messages(), rents()):
        store.publish(bundle)
    return store


@pytest.mark.parametrize("state", STATES)
async def test_the_same_bytes_get_the_same_answer_on_both_ways(store: Store, state: str) -> None:
    rng = random.Random(state)
    async with running_in(state, store) as app:
        for number in range(ROUNDS // 4):
            n_requests = rng.choice([1, 1, 1, 2, 4])
            requests = [a_request(rng, number, is_last=place == n_requests - 1) for place in range(n_requests)]
            pieces = cut(rng, b"".join(requests))
            direct = await answers_to(app, LimitedProtocol, pieces, n_requests)
            through_asgi = await answers_to(app, ThroughAsgi, pieces, n_requests)
            assert direct == through_asgi, (state, pieces)
            assert count_of_answers(direct) >= 1


# -- heads that are sent again -------------------------------------------------------------------------------------


class Parsing(LimitedProtocol):
    """The protocol, with a count of the requests that it has parsed."""

    parsed = 0

    def on_message_begin(self) -> None:
        self.parsed += 1
        super().on_message_begin()


async def one_after_another(
    app: PatternServer, kind: type[LimitedProtocol], requests: list[list[bytes]]
) -> list[bytes]:
    """Return the answers to requests that are sent, each in its pieces, when the one before it has been answered."""
    answers = []
    async with connection(app, kind) as (protocol, wire):
        for request in requests:
            wire.written = b""
            for piece in request:
                protocol.data_received(piece)
            async with asyncio.timeout(PATIENCE):
                while not wire.is_closed and count_of_answers(wire.written) < 1:
                    wire.arrived.clear()
                    await wire.arrived.wait()
            answers.append(re.sub(rb"[0-9a-f]{32}", b"its id", wire.written))
    return answers


def without_a_name(request: bytes) -> bytes:
    return re.sub(rb"x-request-id: [^\r]*\r\n", b"", request)


@pytest.mark.parametrize("state", STATES)
async def test_a_head_that_is_sent_again_means_the_same(store: Store, state: str) -> None:
    rng = random.Random(state)
    async with running_in(state, store) as app:
        for number in range(ROUNDS // 20):
            several = [without_a_name(a_request(rng, number, is_last=False)) for _ in range(4)]
            several = [request for request in several if not request.startswith(b"HEAD")]
            whole = [[request] for request in several]
            sent = whole + whole + [cut(rng, request) for request in several] + whole
            direct = await one_after_another(app, LimitedProtocol, sent)
            assert direct == await one_after_another(app, ThroughAsgi, sent), (state, sent)
        assert app.front.heads


async def test_only_the_first_of_many_equal_heads_is_parsed(store: Store) -> None:
    async with running(store) as app, connection(app, Parsing) as (protocol, wire):
        assert isinstance(protocol, Parsing)
        for body in (b'{"inputs": [[1]]}', b'{"inputs": [[2]]}', b'{"inputs": [[3]]}', b'{"inputs": [3.0]}'):
            wire.arrived.clear()
            protocol.data_received(HEAD % len(body) + body)
            await wire.arrived.wait()
        assert wire.written.endswith(b'"outputs":[6.0]}')
        assert protocol.parsed == 1


async def test_large_bodies_behind_a_known_head_are_not_parsed_either(store: Store) -> None:
    body = BODY.ljust(MOST_DIRECT)
    async with running(store) as app, connection(app, Parsing) as (protocol, wire):
        assert isinstance(protocol, Parsing)
        for _ in range(3):
            wire.arrived.clear()
            sent = HEAD % len(body) + body
            for start in range(0, len(sent), 300_000):
                protocol.data_received(sent[start : start + 300_000])
            await wire.arrived.wait()
        assert wire.written.count(b'"outputs":[[2.0]]}') == 3
        assert protocol.parsed == 1


async def test_who_leaves_within_a_body_behind_a_known_head_leaves_nothing_behind(store: Store) -> None:
    async with running(store) as app:
        await one_after_another(app, LimitedProtocol, [[HEAD % len(BODY) + BODY]])
        async with connection(app, LimitedProtocol) as (protocol, wire):
            protocol.data_received(HEAD % len(BODY) + BODY[:3])
            assert (app.front.under_way, len(protocol.tasks)) == (1, 1)
        assert (wire.written, app.front.under_way, protocol.tasks) == (b"", 0, set())


async def test_a_body_behind_a_known_head_has_its_time(store: Store) -> None:
    async with running(store) as app:
        await one_after_another(app, LimitedProtocol, [[HEAD % len(BODY) + BODY]])
        async with connection(app, LimitedProtocol) as (protocol, wire), asyncio.timeout(PATIENCE):
            protocol.settings = protocol.settings.model_copy(update={"body_seconds": 0})
            protocol.data_received(HEAD % len(BODY) + BODY[:3])
            await wire.arrived.wait()
            assert wire.written.startswith(b"HTTP/1.1 408 ")
            assert wire.is_closed


@pytest.mark.parametrize(
    "sent",
    [
        [HEAD % len(BODY), BODY],
        [HEAD % len(BODY) + BODY[:5], BODY[5:]],
        [HEAD % len(BODY) + BODY + HEAD % len(BODY) + BODY],
        [b"\r\n", HEAD % len(BODY) + BODY],
        [(HEAD % len(BODY))[:9], (HEAD % len(BODY))[9:] + BODY],
    ],
    ids=["head and body apart", "the body in two", "two at once", "after a blank line", "the head in two"],
)
async def test_a_known_head_is_known_however_its_bytes_arrive(store: Store, sent: list[bytes]) -> None:
    async with running(store) as app:
        await one_after_another(app, LimitedProtocol, [[HEAD % len(BODY) + BODY]])
        assert len(app.front.heads) == 1
        n_requests = b"".join(sent).count(BODY)
        written = await answers_to(app, LimitedProtocol, sent, n_requests)
        assert written.count(b'"outputs":[[2.0]]}') == n_requests


async def test_heads_with_an_id_of_their_own_and_long_ones_are_not_kept(store: Store) -> None:
    async with running(store) as app:
        for header in (b"x-request-id: mine", b"traceparent: 00-1-2-01", b"cookie: " + b"x" * heads.LONGEST):
            head = (HEAD % len(BODY)).replace(b"host: a", header)
            await one_after_another(app, LimitedProtocol, [[head + BODY]] * 2)
        assert len(app.front.heads) == 0


async def test_the_heads_that_are_kept_are_limited(store: Store) -> None:
    async with running(store) as app:
        for number in range(2 * heads.MOST):
            head = (HEAD % len(BODY)).replace(b"host: a", b"host: %d" % number)
            [answer] = await one_after_another(app, LimitedProtocol, [[head + BODY]])
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert app.front.heads.of(head) is not None
        assert len(app.front.heads) == heads.MOST


async def test_an_idle_connection_is_closed_in_time_without_a_word(store: Store) -> None:
    async with running(store) as app:
        for _ in range(2):  # first by way of the parser
            async with connection(app, LimitedProtocol) as (protocol, wire), asyncio.timeout(PATIENCE):
                protocol.timeout_keep_alive = 0
                protocol.data_received(HEAD % len(BODY) + BODY)
                await wire.arrived.wait()
                written = wire.written
                wire.arrived.clear()
                await wire.arrived.wait()
                assert (wire.is_closed, wire.written) == (True, written)


# -- single calls --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_bytes", "key", "is_direct"),
    [
        (100, KEY, True),
        (100, "wrong", True),
        (MOST_BYTES_ON_LOOP + 1, KEY, True),
        (MOST_BYTES_ON_LOOP + 1, "wrong", False),
        (MOST_DIRECT, KEY, True),
        (MOST_DIRECT + 1, KEY, False),
    ],
)
async def test_a_call_is_answered_directly_unless_it_is_very_large_or_large_and_without_a_key(
    store: Store, n_bytes: int, key: str, is_direct: bool
) -> None:
    async with running(store, predict_key=KEY, admin_key="another") as app:
        head = (HEAD % n_bytes).replace(b"host: a", b"authorization: Bearer " + key.encode())
        async with connection(app, LimitedProtocol) as (protocol, wire):
            protocol.data_received(head)
            assert isinstance(protocol.cycle, Direct) == is_direct
            body = BODY.ljust(n_bytes)
            for start in range(0, n_bytes, 200_000):
                protocol.data_received(body[start : start + 200_000])
            async with asyncio.timeout(PATIENCE):
                await wire.arrived.wait()
            assert wire.written.startswith(b"HTTP/1.1 200 " if key == KEY else b"HTTP/1.1 403 ")


async def test_a_large_body_for_which_there_is_no_room_is_not_kept(store: Store) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, _):
        app.front.under_way = parts_of(app).settings.max_in_flight
        protocol.data_received(HEAD % (MOST_BYTES_ON_LOOP + 1))
        is_direct = isinstance(protocol.cycle, Direct)
        app.front.under_way = 0
        assert not is_direct


@pytest.mark.parametrize(("n_rows", "n_writes"), [(1, 1), (20_000, 2)])
async def test_one_call_is_one_write_and_a_large_answer_is_not_copied_for_it(
    store: Store, n_rows: int, n_writes: int
) -> None:
    body = json.dumps({"inputs": [[1]] * n_rows}).encode()
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.data_received(HEAD % len(body) + body)
        await wire.arrived.wait()
        assert wire.n_writes == n_writes
        [through_asgi] = await one_after_another(app, ThroughAsgi, [[HEAD % len(body) + body]])
        assert re.sub(rb"[0-9a-f]{32}", b"its id", wire.written) == through_asgi


async def test_a_call_that_is_under_way_when_the_server_ends_hears_why(store: Store) -> None:
    """uvicorn cancels what is under way, a direct call among it, when the time to finish has passed."""
    async with running(store) as app:
        async with connection(app, LimitedProtocol) as (protocol, wire):
            protocol.data_received(HEAD % len(BODY) + BODY)
            [under_way] = protocol.tasks
            under_way.cancel()
            async with asyncio.timeout(PATIENCE):
                await wire.arrived.wait()
            assert wire.written.startswith(b"HTTP/1.1 503 ")
            assert b'"draining"' in wire.written
            assert protocol.tasks == set()
        assert app.front.under_way == 0


async def test_a_call_whose_body_is_not_complete_when_the_server_ends_hears_why(store: Store) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.data_received(HEAD % len(BODY) + BODY[:3])
        protocol.shutdown()
        for waiting in protocol.tasks:  # as uvicorn does
            waiting.cancel()
        await asyncio.sleep(0)
        assert wire.written.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in wire.written
        assert (wire.is_closed, protocol.tasks, app.front.under_way) == (True, set(), 0)


@pytest.mark.parametrize("n_bytes", [0, 3, len(BODY)], ids=["after the headers", "within the body", "after the body"])
async def test_who_leaves_before_the_answer_leaves_nothing_behind(
    store: Store, n_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(store, log_level="info") as app:
        logging.root.addHandler(caplog.handler)  # the app has set its own handler since the test began
        async with connection(app, LimitedProtocol) as (protocol, wire):
            protocol.data_received(HEAD % len(BODY) + BODY[:n_bytes])
            assert app.front.under_way == 1
        for _ in range(5):
            await asyncio.sleep(0)
        logging.root.removeHandler(caplog.handler)
        assert (wire.written, app.front.under_way, protocol.tasks) == (b"", 0, set())
    [said] = [vars(record)["status"] for record in caplog.records if record.name == "patterns.request"]
    assert said == (200 if n_bytes == len(BODY) else 499)


async def test_a_body_that_is_complete_before_the_refusal_is_answered_once(store: Store) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.data_received(HEAD % len(BODY) + BODY[:3])
        for waiting in protocol.tasks:
            waiting.cancel()
        protocol.data_received(BODY[3:])
        for _ in range(5):
            await asyncio.sleep(0)
        assert wire.written.startswith(b"HTTP/1.1 200 ")
        assert count_of_answers(wire.written) == 1
        assert (protocol.tasks, app.front.under_way) == (set(), 0)


@pytest.mark.parametrize("pieces", [[BODY[:0]], [BODY[:3], BODY[3:5]]], ids=["the head alone", "a part of the body"])
async def test_a_connection_on_which_the_next_call_has_begun_is_not_taken_for_an_idle_one(
    store: Store, pieces: list[bytes]
) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.settings = protocol.settings.model_copy(update={"body_seconds": 0.05})
        protocol.data_received(b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n" + HEAD % len(BODY) + pieces[0])
        assert count_of_answers(wire.written) == 1
        for piece in pieces[1:]:
            protocol.data_received(piece)
        async with asyncio.timeout(PATIENCE):
            while not wire.is_closed:
                wire.arrived.clear()
                await wire.arrived.wait()
        assert b"HTTP/1.1 408 " in wire.written


async def test_a_connection_keeps_no_body_that_has_been_answered(store: Store) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        body = BODY.ljust(MOST_DIRECT)
        protocol.data_received(HEAD % len(body) + body)
        await wire.arrived.wait()
        assert protocol.cycle.body == b""


@pytest.mark.parametrize("kind", [LimitedProtocol, ThroughAsgi])
@pytest.mark.parametrize("is_whole", [True, False], ids=["at once", "head and body apart"])
async def test_a_wish_to_upgrade_is_ignored_and_the_body_is_read(
    store: Store, kind: type[LimitedProtocol], is_whole: bool
) -> None:
    """Java's HTTP client asks for HTTP/2 with the first request of each connection."""
    wish = b"host: a\r\nconnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c"
    head = (HEAD % len(BODY)).replace(b"host: a", wish)
    async with running(store) as app:
        pieces = [head + BODY] if is_whole else [head, BODY]
        first, second = await one_after_another(app, kind, [pieces, [HEAD % len(BODY) + BODY]])
        assert first.startswith(b"HTTP/1.1 200 ") and second == first
        assert b'"outputs":[[2.0]]}' in first


async def test_a_body_is_never_taken_for_a_request_whatever_its_head_wishes(store: Store) -> None:
    wish = b"host: a\r\nconnection: Upgrade\r\nupgrade: websocket"
    body = b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n"
    head = (HEAD % len(body)).replace(b"host: a", wish)
    async with running(store) as app:
        for pieces in ([head, body], [head[:70], head[70:], body]):
            written = await answers_to(app, LimitedProtocol, pieces, 1)
            assert b'"live"' not in written
            assert count_of_answers(written) == 1


async def test_a_connection_whose_request_was_refused_before_its_body_came_does_not_stay_open_for_ever(
    store: Store,
) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.data_received(b"POST /nowhere HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1")
        async with asyncio.timeout(PATIENCE):
            await wire.arrived.wait()
            assert wire.written.startswith(b"HTTP/1.1 404 ")
            protocol.timeout_keep_alive = 0
            wire.arrived.clear()
            protocol.data_received(b"1")
            while not wire.is_closed:
                wire.arrived.clear()
                await wire.arrived.wait()


async def test_the_largest_body_that_the_settings_allow_is_answered_on_both_ways(store: Store) -> None:
    body = BODY.ljust(MOST_DIRECT)
    request = HEAD % len(body) + body
    async with running(store, max_body_mb=1) as app:
        for kind in (LimitedProtocol, ThroughAsgi):
            [answer] = await one_after_another(app, kind, [[request[:600_000], request[600_000:]]])
            assert answer.startswith(b"HTTP/1.1 200 ")


async def test_of_very_many_calls_in_one_piece_of_data_only_some_are_answered_at_once(store: Store) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.data_received(b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\n\r\n" * 1000)
        assert count_of_answers(wire.written.partition(b"HTTP/1.1 429")[0]) == MOST_PIPELINED
        assert wire.is_closed


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_an_answer_waits_for_who_has_not_read_the_one_before(store: Store, is_cancelled: bool) -> None:
    async with running(store) as app, connection(app, LimitedProtocol) as (protocol, wire):
        protocol.pause_writing()
        protocol.data_received(HEAD % len(BODY) + BODY)
        for _ in range(5):
            await asyncio.sleep(0)
        assert (wire.written, app.front.under_way) == (b"", 1)
        for waiting in protocol.tasks if is_cancelled else ():
            waiting.cancel()
        protocol.resume_writing()
        for _ in range(5):
            await asyncio.sleep(0)
        assert count_of_answers(wire.written) == (0 if is_cancelled else 1)
        assert (wire.is_closed, app.front.under_way, protocol.tasks) == (is_cancelled, 0, set())


@pytest.mark.parametrize("last", ["HTTP/1.0\r\nconnection: keep-alive", "HTTP/1.1\r\nhost: a\r\nconnection: close"])
async def test_a_request_after_the_last_answer_of_a_connection_is_not_carried_out(store: Store, last: str) -> None:
    async with running(store) as app:
        async with connection(app, LimitedProtocol) as (protocol, wire):
            unload = b"POST /v2/repository/models/line/unload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n"
            protocol.data_received(f"GET /ping {last}\r\n\r\n".encode() + unload)
            for _ in range(50):
                await asyncio.sleep(0.001)
            assert count_of_answers(wire.written) == 1
            assert wire.is_closed
        await parts_of(app).registry.refresh()
        assert not parts_of(app).registry.shelf("line").is_unloaded
