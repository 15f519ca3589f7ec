"""Limits of the HTTP protocol: what a client may send, and read, before and after the app has looked at it."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast
from unittest import mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.http.limits import CLOSING_RESPONSE, LimitedProtocol
from app.main import PatternServer
from models_store.storage.store import Store
from tests.app.over_http import an_app

TOO_LONG = "431 Request Header Fields Too Large"


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
