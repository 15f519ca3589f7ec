"""What each version has answered since this process began, and how long each stage of it took.

success = compute_input (read) + queue + compute_infer (network) + compute_output (write)
"""

import time
from dataclasses import dataclass, field
from typing import Any

from models_store.store import Release


@dataclass(slots=True)
class Duration:
    count: int = 0
    ns: int = 0

    def add(self, ns: int, count: int = 1) -> None:
        self.count += count
        self.ns += ns

    def told(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


@dataclass(slots=True)
class Tally:
    """Of one version. Written by the event loop alone."""

    rows: int = 0
    calls: int = 0
    last_ms: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    read: Duration = field(default_factory=Duration)
    predict: Duration = field(default_factory=Duration)
    """From handing the rows over to having the answers."""
    network: Duration = field(default_factory=Duration)
    """The part of it that the network's call took, once for every request that shared the call."""
    write: Duration = field(default_factory=Duration)

    def called(self, ns: int, requests: int) -> None:
        self.calls += 1
        self.network.add(ns * requests, requests)

    def failed(self, began: int) -> None:
        self.fail.add(time.perf_counter_ns() - began)

    def succeeded(self, began: int, was_read: int, was_predicted: int, rows: int) -> None:
        ended = time.perf_counter_ns()
        self.rows += rows
        self.last_ms = time.time_ns() // 1_000_000
        self.read.add(was_read - began)
        self.write.add(ended - was_predicted)
        self.success.add(ended - began)

    def told(self) -> dict[str, Any]:
        """As the statistics extension of the Open Inference Protocol has it."""
        return {
            "last_inference": self.last_ms,
            "inference_count": self.rows,
            "execution_count": self.calls,
            "inference_stats": {
                "success": self.success.told(),
                "fail": self.fail.told(),
                "queue": Duration(self.predict.count, max(0, self.predict.ns - self.network.ns)).told(),
                "compute_input": self.read.told(),
                "compute_infer": self.network.told(),
                "compute_output": self.write.told(),
                "cache_hit": Duration().told(),
                "cache_miss": Duration().told(),
            },
            "batch_stats": [],
        }


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
