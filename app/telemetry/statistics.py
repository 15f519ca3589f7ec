"""Statistics of each version since this process began: requests, rows, calls of the network, and time in each stage.

success = compute_input (read) + queue + compute_infer (network) + compute_output (write)
"""

import time
from dataclasses import dataclass
from math import inf
from typing import Any

# Rows. The fixed part of a call no longer matters in calls of more, so they tell how long a row takes. Requests of more
# rows share no call, so its time is that of their rows.
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
    network_ns: int = 0
    """The time of the network call that answered it, be it shared with other requests or not."""
    calls: int = 0
    """1 for one of the requests that shared a call, so that each call is counted once; 0 for the others."""
    predicted_at: int = 0
    """The moment at which it had its answers; 0 until then."""
    rows: int = 0


@dataclass(slots=True)
class Counters:
    """The counters of one version. Only the event loop writes them, all at once when a request ends.

    So whoever reads them finds counts that agree. Names that end in `_ns` are sums of nanoseconds.
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
    queue_ns: int = 0
    """Time to wait for a thread that predicts, for the turn of the batch, and for the loop to take the answers up."""
    network_ns: int = 0
    """Time in the network, that of a shared call once for every request that shared it."""
    write_ns: int = 0
    """Time to write answers, with the wait for a thread that writes."""
    failed: int = 0
    """Requests that were refused, or failed, after their version was found."""
    failed_ns: int = 0
    ns_per_row: float = inf
    """Nanoseconds a row takes in calls of many rows, the shortest of late; infinite before the first such call."""

    def count_failure(self, timeline: Timeline) -> None:
        """Count a request that fails now."""
        self._count_call(timeline)
        self.failed += 1
        self.failed_ns += time.perf_counter_ns() - timeline.began

    def count_answer(self, timeline: Timeline) -> None:
        """Count a request whose answer has been written now."""
        ended = time.perf_counter_ns()
        self._count_call(timeline)
        self.rows += timeline.rows
        self.answered += 1
        self.answered_ns += ended - timeline.began
        self.read_ns += timeline.read_at - timeline.began - timeline.waited
        self.queue_ns += timeline.waited + timeline.predicted_at - timeline.read_at - timeline.network_ns
        self.network_ns += timeline.network_ns
        self.write_ns += ended - timeline.predicted_at
        self.last_ms = time.time_ns() // 1_000_000

    def _count_call(self, timeline: Timeline) -> None:
        self.calls += timeline.calls
        if timeline.rows > MANY_ROWS and timeline.calls:
            self.ns_per_row = min(timeline.network_ns / timeline.rows, FORGETTING * self.ns_per_row)

    def to_oip(self) -> dict[str, Any]:
        """Return what the statistics extension of the Open Inference Protocol says of a version."""
        return {
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.calls,
            "inference_stats": {
                "success": _duration(self.answered, self.answered_ns),
                "fail": _duration(self.failed, self.failed_ns),
                "queue": _duration(self.answered, self.queue_ns),
                "compute_input": _duration(self.answered, self.read_ns),
                "compute_infer": _duration(self.answered, self.network_ns),
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
        """Return the counters of a version. Any thread may ask first."""
        return self._counters.setdefault((pattern, version), Counters())
