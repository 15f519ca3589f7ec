"""Prometheus metrics. Their labels are routes, methods, statuses and names of patterns, never text from a client.

With several worker processes the numbers of all are added up, through the directory in PROMETHEUS_MULTIPROC_DIR.
"""

import os
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client import REGISTRY as ONE_PROCESS

# Seconds: from half a millisecond, a small prediction, to 30 s, the default time for an answer.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("patterns_requests", "Requests answered", ["route", "method", "status"])
SECONDS = Histogram(
    "patterns_request_seconds", "Time from a request's headers to its answer", ["route"], buckets=BUCKETS
)
ROWS = Counter("patterns_rows", "Rows predicted", ["pattern"])
SURE = Counter("patterns_sure_rows", "Rows answered with an interval or a set of labels", ["pattern", "kind"])
CALLS = Counter("patterns_network_calls", "Calls of a network; requests of the same moment share one", ["pattern"])
TRAININGS = Counter("patterns_trainings", "Trainings ended", ["status"])
PROMOTIONS = Counter("patterns_promotions", "Versions that were to be promoted only if better", ["pattern", "outcome"])
REMEMBERED = Counter(
    "patterns_requests_remembered", "Requests whose answers are remembered, for outcomes by request id", ["pattern"]
)
NOT_REMEMBERED = Counter(
    "patterns_requests_not_remembered",
    "Requests whose answers are not remembered: too many at a time, or too large",
    ["pattern"],
)
SERVED = Gauge("patterns_served_version", "The champion that is loaded", ["pattern"], multiprocess_mode="mostrecent")

BUCKET = Gauge(
    "patterns_bucket_reachable", "1 if the bucket of the store answered last", multiprocess_mode="mostrecent"
)


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request; `seconds` passed from its headers to the end of its answer."""
    requests, times = _of_requests(route, method, status)
    requests.inc()
    times.observe(seconds)


@cache
def _of_requests(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Return a route's counter and histogram. Cached, as looking labels up costs more than counting; there are few."""
    return REQUESTS.labels(route, method, status), SECONDS.labels(route)


def count_call(pattern: str, rows: int) -> None:
    """Count a call of the pattern's network for so many rows."""
    calls, counted = _of_pattern(pattern)
    calls.inc()
    counted.inc(rows)


@cache
def _of_pattern(pattern: str) -> tuple[Counter, Counter]:
    """Return the counters of a pattern's network calls and of its rows."""
    return CALLS.labels(pattern), ROWS.labels(pattern)


def count_sure(pattern: str, kind: str, rows: int) -> None:
    """Count rows that were answered with an interval or a set, which `kind` says."""
    SURE.labels(pattern, kind).inc(rows)


def count_remembered(pattern: str, requests: int) -> None:
    """Count requests whose answers are remembered."""
    REMEMBERED.labels(pattern).inc(requests)


def count_not_remembered(pattern: str, requests: int) -> None:
    """Count requests whose answers were to be remembered, and are not."""
    NOT_REMEMBERED.labels(pattern).inc(requests)


def exposition() -> tuple[bytes, str]:
    """Return the text of `/metrics` and its content type."""
    registry: CollectorRegistry = ONE_PROCESS
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
