"""Statistics of each version since this process began: requests, rows, calls of the network, and time in each stage.

success = compute_input (read) + queue + compute_infer (network) + compute_output (write)
"""

import time
from dataclasses import dataclass
from math import inf
from typing import Any

from models_store.storage.store import Release

# Rows. The fixed part of a call no longer matters in calls of more, so they tell how long a row takes.
MANY_ROWS = 1024
# The shortest time of a row may grow by half with every call, so one lucky call is soon forgotten.
FORGETTING = 1.5


@dataclass(slots=True)
class Timeline:
    """The stages of one request. Moments and durations are nanoseconds of `time.perf_counter_ns`."""

    began: int
    """The moment at which its body was complete."""
    waited: int = 0
    """The time that it waited for a thread; 0 if the event loop answers it."""
    read_at: int = 0
    """The moment at which its rows had been read; 0 until then."""
    predicted_at: int = 0
    """The moment at which it had its answers; 0 until then."""
    rows: int = 0

    def mark_thread(self) -> None:
        """Note that a thread has begun with it."""
        self.waited = time.perf_counter_ns() - self.began

    def mark_read(self, rows: int) -> None:
        self.rows, self.read_at = rows, time.perf_counter_ns()

    def mark_predicted(self) -> None:
        self.predicted_at = time.perf_counter_ns()


@dataclass(slots=True)
class Counters:
    """The counters of one version. Only the event loop writes them, once a request: plain integers, added to in place.

    Names that end in `_ns` are sums of nanoseconds.
    """

    rows: int = 0
    """Rows of all requests that were answered."""
    calls: int = 0
    """Calls of the network."""
    last_ms: int = 0
    """The moment of the latest answer: milliseconds since 1970, 0 before the first."""
    answered: int = 0
    """Requests that were answered."""
    answered_ns: int = 0
    """Time from the complete body to the written answer."""
    read_ns: int = 0
    """Time to read rows from bodies, without waiting for a thread."""
    write_ns: int = 0
    """Time to write answers."""
    failed: int = 0
    """Requests that were refused, or failed, after their version was found."""
    failed_ns: int = 0
    predicted: int = 0
    """Requests whose rows were handed over for prediction."""
    predicted_ns: int = 0
    """Time from handing the rows over to having the answers."""
    shared: int = 0
    """Requests whose rows went through the network."""
    shared_ns: int = 0
    """The part of `predicted_ns` that network calls took, counted once for every request that shared the call."""
    ns_per_row: float = inf
    """Nanoseconds a row takes in calls of many rows, the shortest of late; infinite before the first such call."""

    def count_call(self, ns: int, rows: int, requests: int) -> None:
        """Count a call of the network that took `ns` nanoseconds."""
        self.calls += 1
        if rows > MANY_ROWS:
            self.ns_per_row = min(ns / rows, FORGETTING * self.ns_per_row)
        self.shared += requests
        self.shared_ns += ns * requests

    def count_prediction(self, began: int) -> None:
        """Count a prediction that ends now; `began` is in nanoseconds of `time.perf_counter_ns`."""
        self.predicted += 1
        self.predicted_ns += time.perf_counter_ns() - began

    def count_failure(self, began: int) -> None:
        """Count a request that fails now; `began` is in nanoseconds of `time.perf_counter_ns`."""
        self.failed += 1
        self.failed_ns += time.perf_counter_ns() - began

    def count_alone(self, timeline: Timeline) -> None:
        """Count a prediction that was a network call of its own, in a thread that it had to wait for."""
        ns = timeline.predicted_at - timeline.read_at
        self.count_call(ns, timeline.rows, requests=1)
        self.predicted += 1
        self.predicted_ns += timeline.waited + ns

    def count_answer(self, timeline: Timeline) -> None:
        """Count a request whose answer has been written now."""
        ended = time.perf_counter_ns()
        self.answered += 1
        self.answered_ns += ended - timeline.began
        self.read_ns += timeline.read_at - timeline.began - timeline.waited
        self.write_ns += ended - timeline.predicted_at
        self.rows += timeline.rows
        self.last_ms = time.time_ns() // 1_000_000

    def to_oip(self) -> dict[str, Any]:
        """Return what the statistics extension of the Open Inference Protocol says of a version."""
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
    """The counters of all versions. One for the app: each worker process counts for itself."""

    def __init__(self) -> None:
        self._counters: dict[tuple[str, int], Counters] = {}

    def of(self, pattern: str, version: int) -> Counters:
        counters = self._counters.get((pattern, version))
        if counters is None:
            counters = self._counters[pattern, version] = Counters()
        return counters

    def of_release(self, release: Release) -> Counters:
        return self.of(release.bundle.pattern, release.version)
