"""The internals of uvicorn's protocol that app/http/limits.py relies on; another release of uvicorn may change them."""

import ast
import asyncio
import inspect
import textwrap
from typing import Any
from unittest import mock

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.http.direct import Direct
from app.http.limits import LimitedProtocol

pytestmark = pytest.mark.anyio

OVERRIDDEN = {
    "__init__",
    "connection_lost",
    "connection_made",
    "data_received",
    "on_body",
    "on_header",
    "on_headers_complete",
    "on_message_begin",
    "on_message_complete",
    "on_response_complete",
    "on_url",
    "pause_writing",
    "resume_writing",
    "send_400_response",
    "shutdown",
}
READ = {
    "_unset_keepalive_if_required",
    "app_state",
    "expect_100_continue",
    "flow",
    "headers",
    "loop",
    "parser",
    "pipeline",
    "root_path",
    "scope",
    "server_state",
    "timeout_keep_alive",
    "transport",
    "url",
}
OF_PROTOCOL = {"flow", "loop", "on_direct_complete", "pause_reading", "server_state", "tasks", "transport"}
# What uvicorn reads and sets of the cycle of a request, and so of a direct call in its place.
AS_CYCLE = {"body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete"}
OF_CYCLE = {"keep_alive", "response_complete"}
OF_FLOW = {"pause_reading", "resume_reading"}


def test_what_limits_use_of_uvicorn_is_all_named_here() -> None:
    attributes = [
        (ast.unparse(node.value), node.attr, isinstance(node.ctx, ast.Store))
        for node in ast.walk(ast.parse(inspect.getsource(LimitedProtocol)))
        if isinstance(node, ast.Attribute)
    ]
    own = vars(LimitedProtocol).keys() | {name for of, name, is_set in attributes if of == "self" and is_set}
    assert {name for of, name, _ in attributes if of == "self"} - own == READ
    assert {name for of, name, _ in attributes if of == "self.cycle"} == OF_CYCLE
    assert {name for of, name, _ in attributes if of == "self.flow"} == OF_FLOW


def test_what_a_direct_call_uses_of_uvicorn_is_all_named_here() -> None:
    tree = ast.parse(inspect.getsource(Direct))
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert {node.attr for node in used if ast.unparse(node.value) in ("self._protocol", "protocol")} == OF_PROTOCOL


def test_a_direct_call_has_all_that_uvicorns_protocol_uses_of_a_cycle() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(HttpToolsProtocol)))
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    of_cycle = {node.attr for node in used if ast.unparse(node.value) in ("self.cycle", "existing_cycle")}
    assert of_cycle == AS_CYCLE
    assert set(Direct.__slots__) >= AS_CYCLE


def test_every_method_that_limits_override_is_one_of_uvicorn_with_the_same_arguments() -> None:
    ours = {name for name, value in vars(LimitedProtocol).items() if inspect.isfunction(value)}
    assert ours & vars(HttpToolsProtocol).keys() == OVERRIDDEN
    for name in OVERRIDDEN - {"__init__"}:
        of_uvicorn, of_limits = (
            list(inspect.signature(getattr(kind, name)).parameters) for kind in (HttpToolsProtocol, LimitedProtocol)
        )
        assert of_uvicorn == of_limits, name
    assert list(inspect.signature(HttpToolsProtocol.__init__).parameters) == [
        "self",
        "config",
        "server_state",
        "app_state",
        "_loop",
    ]


async def test_a_request_leaves_in_a_protocol_what_limits_read() -> None:
    transport = mock.Mock()
    transport.get_extra_info.return_value = None
    transport.is_closing.return_value = False
    state = {"settings": "as the lifespan yields them"}
    protocol = HttpToolsProtocol(uvicorn.Config(answer, log_config=None), ServerState(), state)
    assert protocol.app_state == state
    assert protocol.loop is asyncio.get_running_loop()
    assert not protocol.cycle
    protocol.connection_made(transport)
    protocol.data_received(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    assert protocol.transport is transport
    assert (protocol.scope["path"], protocol.scope["state"]) == ("/livez", state)
    assert protocol.headers == [(b"host", b"a")]
    assert list(protocol.pipeline) == []
    # The end of an answer is told to the method that limits override.
    assert protocol.cycle.on_response == protocol.on_response_complete
    assert (protocol.cycle.keep_alive, protocol.cycle.response_complete) == (True, False)
    await asyncio.gather(*protocol.tasks)
    assert (protocol.cycle.keep_alive, protocol.cycle.response_complete) == (True, True)
    protocol.flow.pause_reading()
    protocol.flow.resume_reading()
    assert transport.pause_reading.called
    assert transport.resume_reading.called
    protocol.connection_lost(None)


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
