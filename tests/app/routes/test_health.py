"""Alive, ready, metrics, and what is logged of a request."""

import io
import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from app.telemetry.logs import JsonLines
from models_store.storage.store import Store
from tests.app.over_http import an_app, client_of, message, outputs_of, refusal, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio


async def test_alive_before_anything_is_loaded_ready_only_then(published: Store) -> None:
    async with client_of(app := an_app(published)) as client:
        assert (await client.get("/livez")).json() == {"live": True}
        answer = await client.get("/readyz")
        assert refusal(answer) == (503, "not_loaded")
        assert message(answer) == "the store is not loaded yet; try again in a moment"
        await app.state.parts.served.refresh()
        assert (await client.get("/readyz")).json() == {
            "ready": True,
            "patterns": ["line"],
            "without_good_version": [],
            "unloaded": [],
        }


async def test_a_store_that_does_not_exist_yet_is_ready_and_empty(store: Store) -> None:
    async with serving(store) as client:
        assert (await client.get("/readyz")).json() == {
            "ready": True,
            "patterns": [],
            "without_good_version": [],
            "unloaded": [],
        }
        assert (await client.get("/patterns")).json() == {"patterns": []}
        assert refusal(await client.post("/predict/line", json={"inputs": [1]})) == (404, "unknown_pattern")


async def test_told_to_stop_it_is_not_ready_but_alive_and_answers_what_still_comes(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    app.state.parts.jobs.drain()
    assert refusal(await client.get("/readyz")) == (503, "draining")
    assert (await client.get("/livez")).json() == {"live": True}
    assert await outputs_of(client, [1]) == [2.0]


# -- metrics -------------------------------------------------------------------------------------------------------


async def metrics_of(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in samples}


async def test_requests_rows_and_calls_are_counted(store: Store) -> None:
    requests = 'patterns_requests_total{method="POST",route="/predict/{pattern}",status="200"}'
    rows = 'patterns_rows_total{pattern="counted"}'
    calls = 'patterns_network_calls_total{pattern="counted"}'
    store.publish(line(pattern="counted"))
    async with serving(store) as client:
        before = await metrics_of(client)
        await outputs_of(client, [1, 2, 3], "counted")
        await outputs_of(client, [1, 2], "counted")
        after = await metrics_of(client)
    counted = {name: after[name] - before.get(name, 0) for name in (requests, rows, calls)}
    assert counted == {requests: 2, rows: 5, calls: 2}
    assert after['patterns_served_version{pattern="counted"}'] == 1


async def test_metrics_are_in_the_format_of_prometheus(shared: httpx.AsyncClient) -> None:
    answer = await shared.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "# TYPE patterns_request_seconds histogram" in answer.text


async def test_no_label_of_a_metric_is_what_a_client_sent(shared: httpx.AsyncClient) -> None:
    for path in ("/sesame", "/predict/sesame", "/patterns/sesame/versions/1", "/train/sesame", "/page/sesame"):
        await shared.get(path)
        await shared.post(path, content=b"sesame", headers={"x-request-id": "sesame", "content-type": "sesame/sesame"})
    assert "sesame" not in (await shared.get("/metrics")).text


async def test_a_method_that_nobody_knows_is_not_counted_by_its_name(shared: httpx.AsyncClient) -> None:
    for path in ("/predict/line", "/livez", "/sesame"):
        assert (await shared.request("SESAME", path)).status_code in (404, 405)
    assert "SESAME" not in (await shared.get("/metrics")).text


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
