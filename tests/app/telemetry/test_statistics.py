"""Statistics: the stages of a request add up to the whole, and a version is counted for itself."""

import time

import pytest

from app.telemetry.statistics import FORGETTING, MANY_ROWS, Counters, Statistics, Timeline


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
    timeline.waited = 5
    timeline.read_at = clock.ns + 25
    timeline.rows, timeline.calls, timeline.network_ns = 3, 1, 300
    timeline.predicted_at = clock.ns + 325
    clock.ns += 325
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
    counters = Counters()
    timelines = [Timeline(clock.ns, read_at=clock.ns, network_ns=60, calls=calls, rows=2) for calls in (1, 0)]
    clock.ns += 100
    for timeline in timelines:
        timeline.predicted_at = clock.ns
        counters.count_answer(timeline)
    counted = stages(counters)
    assert (counted["queue"], counted["compute_infer"], counters.calls, counters.rows) == ((2, 80), (2, 120), 1, 4)


def test_what_has_failed_is_counted_with_its_time_and_with_the_call_that_it_began(clock: Clock) -> None:
    counters, timeline = Counters(), Timeline(clock.ns, calls=1)
    clock.ns += 50
    counters.count_failure(timeline)
    assert stages(counters)["fail"] == (1, 50)
    assert stages(counters)["success"] == (0, 0)
    assert counters.calls == 1


def test_a_row_takes_as_long_as_in_the_shortest_call_of_many_rows_of_late() -> None:
    counters, n_rows = Counters(), 2 * MANY_ROWS

    def count_call(ns: float, rows: int) -> None:
        counters.count_answer(Timeline(0, network_ns=int(ns), calls=1, rows=rows))

    count_call(1, MANY_ROWS)
    assert counters.ns_per_row == float("inf")
    for ns_per_row, shortest in ((10, 10), (1000, 10 * FORGETTING), (2, 2), (2.5, 2.5)):
        count_call(ns_per_row * n_rows, n_rows)
        assert counters.ns_per_row == shortest


def test_each_version_has_counters_of_its_own() -> None:
    statistics = Statistics()
    first, second = (statistics.of("line", version) for version in (1, 2))
    first.count_answer(Timeline(0, calls=1))
    assert (first.calls, second.calls) == (1, 0)
    assert statistics.of("line", 1) is first
