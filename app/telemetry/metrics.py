"""What `/metrics` shows. Labels come from routes and from names that are registered, never from what a client sent.

With several workers the numbers of all are added up, through the directory in PROMETHEUS_MULTIPROC_DIR.
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

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("patterns_requests", "Requests answered", ["route", "method", "status"])
SECONDS = Histogram(
    "patterns_request_seconds", "Time from a request's headers to its answer", ["route"], buckets=BUCKETS
)
ROWS = Counter("patterns_rows", "Rows predicted", ["pattern"])
CALLS = Counter("patterns_network_calls", "Calls of a network; requests of the same moment share one", ["pattern"])
TRAININGS = Counter("patterns_trainings", "Trainings ended", ["status"])
SERVED = Gauge("patterns_served_version", "The champion that is loaded", ["pattern"], multiprocess_mode="mostrecent")


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    requests, times = _of_requests(route, method, status)
    requests.inc()
    times.observe(seconds)


@cache
def _of_requests(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Looking labels up costs more than counting; there are few."""
    return REQUESTS.labels(route, method, status), SECONDS.labels(route)


@cache
def of_pattern(pattern: str) -> tuple[Counter, Counter]:
    """Calls of its network, and rows."""
    return CALLS.labels(pattern), ROWS.labels(pattern)


def exposition() -> tuple[bytes, str]:
    """The text of `/metrics` and its content type."""
    registry: CollectorRegistry = ONE_PROCESS
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
