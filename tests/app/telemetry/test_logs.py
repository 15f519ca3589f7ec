"""Log lines: those of requests are written together at the end of a turn of the loop, and look like all others."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio.lowlevel
import httpx
import pytest

from app.telemetry import logs
from app.telemetry.logs import JsonLines

pytestmark = pytest.mark.anyio


@contextmanager
def listening() -> Iterator[io.StringIO]:
    """The stream of our handler, as the only one of the root logger."""
    before, level = logging.root.handlers, logging.root.level
    handler = logs.Lines()
    handler.stream = io.StringIO()
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.INFO)
    yield handler.stream
    logging.root.handlers = before
    logging.root.setLevel(level)


def said(stream: io.StringIO) -> list[object]:
    return [json.loads(line)["event"] for line in stream.getvalue().splitlines()]


async def test_the_requests_of_a_turn_are_written_together_after_it() -> None:
    with listening() as written:
        log = logging.getLogger("patterns.request")
        for number in range(3):
            logs.event(log, "request", {"number": number})
        assert said(written) == []
        await anyio.lowlevel.checkpoint()
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        assert [line["number"] for line in lines] == [0, 1, 2]
        assert lines[0].keys() == {"time", "level", "logger", "event", "number"}


async def test_what_happens_later_is_written_later() -> None:
    with listening() as written:
        logs.event(logging.getLogger("patterns.request"), "request", {})
        logging.getLogger("patterns.served").info("serving")
        assert said(written) == ["request", "serving"]


async def test_a_quiet_log_holds_no_requests() -> None:
    with listening() as written:
        logging.root.setLevel(logging.WARNING)
        logs.event(logging.getLogger("patterns.request"), "request", {})
        await anyio.lowlevel.checkpoint()
        assert said(written) == []


async def test_no_letter_in_a_path_is_one_that_a_terminal_obeys() -> None:
    with listening() as written:
        for path in ("/\x1b[2J", "/\x9b2J", "/\udc80", "/é"):
            logs.event(logging.getLogger("patterns.request"), "request", {"path": path})
        logging.getLogger("patterns.served").info("serving")
        assert written.getvalue().isascii() and "\x1b" not in written.getvalue()
        assert len(said(written)) == 5


async def test_a_log_that_cannot_be_written_is_nobody_elses_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(logging, "raiseExceptions", False)  # else it is told on stderr
    with listening():
        handler = logging.root.handlers[0]
        assert isinstance(handler, logs.Lines)
        handler.stream = Full()
        logs.event(logging.getLogger("patterns.request"), "request", {})
        logging.getLogger("patterns.store").info("published")


# -- log -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of requests, as it is written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logging.getLogger("patterns.request").addHandler(handler)
    yield written
    logging.getLogger("patterns.request").removeHandler(handler)


async def test_a_request_is_one_line_of_json_without_its_body(client: httpx.AsyncClient, log: io.StringIO) -> None:
    headers = {"x-request-id": "mine", "content-type": "application/json"}
    await client.post("/predict/line%0a%1b[31m", content=b'{"inputs": ["sesame"]}', headers=headers)
    [written] = log.getvalue().splitlines()
    said = json.loads(written)
    assert said.pop("time") and said.pop("ms") > 0
    assert said == {
        "level": "info",
        "logger": "patterns.request",
        "event": "request",
        "request_id": "mine",
        "method": "POST",
        "path": "/predict/line\n\x1b[31m",
        "status": 404,
        "bytes_in": 0,
    }
    assert "sesame" not in written
    assert "\x1b" not in written


def test_a_log_line_keeps_fields_traces_and_odd_values_on_one_line() -> None:
    record = logging.makeLogRecord({"name": "patterns", "levelno": 40, "levelname": "ERROR", "msg": "a\nb %s"})
    record.args = ("c\x00",)
    record.path = object
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    written = JsonLines().format(record)
    said = json.loads(written)
    assert written.isprintable()
    assert (said["level"], said["logger"], said["event"]) == ("error", "patterns", "a\nb c\x00")
    assert said["path"] == "<class 'object'>"
    assert said["trace"].endswith("ValueError: two\nlines")
