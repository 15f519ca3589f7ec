"""What each version has answered since this process began, and how long each stage of it took.

success = compute_input (read) + queue + compute_infer (network) + compute_output (write)
"""

import time
from dataclasses import dataclass
from math import inf
from typing import Any

from models_store.storage.store import Release

# What a call costs beside its rows says nothing any more.
MANY_ROWS = 1024
FORGETTING = 1.5


@dataclass(slots=True)
class Course:
    """How far one request has come, and when: nanoseconds of the performance counter."""

    began: int
    waited: int = 0
    """For a thread that does it all."""
    was_read: int = 0
    was_predicted: int = 0
    rows: int = 0

    def in_thread(self) -> None:
        self.waited = time.perf_counter_ns() - self.began

    def read(self, rows: int) -> None:
        self.rows, self.was_read = rows, time.perf_counter_ns()

    def predicted(self) -> None:
        self.was_predicted = time.perf_counter_ns()


@dataclass(slots=True)
class Tally:
    """Of one version. Written by the event loop alone, for every request: plain numbers, added to in place."""

    rows: int = 0
    calls: int = 0
    last_ms: int = 0
    answered: int = 0
    answered_ns: int = 0
    read_ns: int = 0
    write_ns: int = 0
    failed: int = 0
    failed_ns: int = 0
    predicted: int = 0
    predicted_ns: int = 0
    """From handing the rows over to having the answers."""
    shared: int = 0
    shared_ns: int = 0
    """The part of it that the network's call took, once for every request that shared the call."""
    ns_a_row: float = inf
    """Of calls with many rows, the shortest of late."""

    def count_call(self, ns: int, rows: int, requests: int) -> None:
        self.calls += 1
        if rows > MANY_ROWS:
            self.ns_a_row = min(ns / rows, FORGETTING * self.ns_a_row)
        self.shared += requests
        self.shared_ns += ns * requests

    def count_prediction(self, began: int) -> None:
        self.predicted += 1
        self.predicted_ns += time.perf_counter_ns() - began

    def count_failure(self, began: int) -> None:
        self.failed += 1
        self.failed_ns += time.perf_counter_ns() - began

    def count_alone(self, course: Course) -> None:
        """A prediction that was a call of its own, in a thread that it had to wait for."""
        ns = course.was_predicted - course.was_read
        self.count_call(ns, course.rows, requests=1)
        self.predicted += 1
        self.predicted_ns += course.waited + ns

    def count_answer(self, course: Course) -> None:
        ended = time.perf_counter_ns()
        self.answered += 1
        self.answered_ns += ended - course.began
        self.read_ns += course.was_read - course.began - course.waited
        self.write_ns += ended - course.was_predicted
        self.rows += course.rows
        self.last_ms = time.time_ns() // 1_000_000

    def told(self) -> dict[str, Any]:
        """As the statistics extension of the Open Inference Protocol has it."""
        return {
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.calls,
            "inference_stats": {
                "success": _duration(self.answered, self.answered_ns),
                "fail": _duration(self.failed, self.failed_ns),
                "queue": _duration(self.predicted, max(0, self.predicted_ns - self.shared_ns)),
                "compute_input": _duration(self.answered, self.read_ns),
                "compute_infer": _duration(self.shared, self.shared_ns),
                "compute_output": _duration(self.answered, self.write_ns),
                "cache_hit": _duration(0, 0),
                "cache_miss": _duration(0, 0),
            },
            "batch_stats": [],
        }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}


class Statistics:
    """One for the app: of each worker process its own."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, int], Tally] = {}

    def of(self, pattern: str, version: int) -> Tally:
        tally = self._tallies.get((pattern, version))
        if tally is None:
            tally = self._tallies[pattern, version] = Tally()
        return tally

    def of_release(self, release: Release) -> Tally:
        return self.of(release.bundle.pattern, release.version)
