"""Metrics: what is counted, in the format of Prometheus, and never by a name that a client made up."""

import httpx
import pytest

from app.telemetry import metrics
from models_store.storage.store import Store
from tests.app.over_http import outputs_of, serving
from tests.fakes import line

pytestmark = pytest.mark.anyio


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


def test_a_request_is_counted_by_route_method_and_status() -> None:
    metrics.count_request("/tests/{name}", "GET", 418, 0.003)
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain")
    assert b'patterns_requests_total{method="GET",route="/tests/{name}",status="418"} 1.0' in text
    assert b'patterns_request_seconds_bucket{le="0.0025",route="/tests/{name}"} 0.0' in text
    assert b'patterns_request_seconds_bucket{le="0.005",route="/tests/{name}"} 1.0' in text
