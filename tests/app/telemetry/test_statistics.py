"""Statistics: the stages of a request add up to the whole, and a version is counted for itself."""

import time

import pytest

from app.telemetry.statistics import FORGETTING, MANY_ROWS, Counters, Statistics, Timeline
from models_store.storage.store import Release
from tests.fakes import line


class Clock:
    """A performance counter that stands still until it is moved on, in nanoseconds."""

    def __init__(self) -> None:
        self.ns = 1000

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter_ns", clock)
    return clock


def stages(counters: Counters) -> dict[str, tuple[int, int]]:
    return {name: (stage["count"], stage["ns"]) for name, stage in counters.to_oip()["inference_stats"].items()}


def test_the_stages_of_a_request_in_a_thread_add_up_to_the_whole(clock: Clock) -> None:
    counters, timeline = Counters(), Timeline(clock.ns)
    clock.ns += 5
    timeline.mark_thread()
    clock.ns += 20
    timeline.mark_read(3)
    clock.ns += 300
    timeline.mark_predicted()
    counters.count_alone(timeline)
    clock.ns += 4000
    counters.count_answer(timeline)
    assert stages(counters) == {
        "success": (1, 4325),
        "fail": (0, 0),
        "queue": (1, 5),
        "compute_input": (1, 20),
        "compute_infer": (1, 300),
        "compute_output": (1, 4000),
        "cache_hit": (0, 0),
        "cache_miss": (0, 0),
    }
    assert (counters.rows, counters.calls) == (3, 1)


def test_requests_that_share_a_call_are_each_counted_with_all_of_its_time(clock: Clock) -> None:
    counters, began = Counters(), clock.ns
    clock.ns += 100
    counters.count_call(60, rows=7, requests=2)
    for _ in range(2):
        counters.count_prediction(began)
    counted = stages(counters)
    assert (counted["queue"], counted["compute_infer"], counters.calls) == ((2, 80), (2, 120), 1)


def test_what_has_failed_is_counted_with_its_time(clock: Clock) -> None:
    counters, began = Counters(), clock.ns
    clock.ns += 50
    counters.count_failure(began)
    assert stages(counters)["fail"] == (1, 50)
    assert stages(counters)["success"] == (0, 0)


def test_a_row_takes_as_long_as_in_the_shortest_call_of_many_rows_of_late() -> None:
    counters, rows = Counters(), 2 * MANY_ROWS
    counters.count_call(1, rows=MANY_ROWS, requests=1)
    assert counters.ns_per_row == float("inf")
    for ns_per_row, shortest in ((10, 10), (1000, 10 * FORGETTING), (2, 2), (2.5, 2.5)):
        counters.count_call(int(ns_per_row * rows), rows=rows, requests=1)
        assert counters.ns_per_row == shortest


def test_each_version_has_counters_of_its_own() -> None:
    statistics = Statistics()
    first, second = (statistics.of_release(Release(version, line())) for version in (1, 2))
    first.count_call(1, rows=1, requests=1)
    assert (first.calls, second.calls) == (1, 0)
    assert statistics.of("line", 1) is first
