"""What versions were asked in the last hour and in the last day, for Prometheus.

They are worked out when they are asked for, of the counts of all processes, so they need no file of each process.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.drift.outcomes import RunningError
from app.drift.report import ColumnDrift
from app.drift.shadow import Shadowed, ShadowGauges
from models_store.profiles.histogram import MISSING, OUTSIDE, UNSEEN

# Columns of a version, inputs before outputs: each is ten series.
MOST_COLUMNS = 100
OF_COLUMN = ["pattern", "version", "window", "column"]


class Looked(NamedTuple):
    """The columns of a version in a window, and its rows that were counted."""

    pattern: str
    version: int
    window: str
    rows: int
    columns: Sequence[ColumnDrift]


class Erred(NamedTuple):
    """How far the answers of a version were off in a window."""

    window: str
    version: int
    error: RunningError


class Gauges(Collector):
    """The gauges of some windows."""

    def __init__(self, looked: Sequence[Looked], erred: Sequence[Erred]) -> None:
        self._looked = looked
        self._erred = erred

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from self._of_columns()
        yield from self._of_errors()

    def _of_errors(self) -> Iterator[GaugeMetricFamily]:
        labels = [*OF_COLUMN[:3], "metric"]
        rows = GaugeMetricFamily("patterns_outcomes_rows", "Rows whose right answers are known", labels=labels)
        value = GaugeMetricFamily(
            "patterns_outcomes_error", "RMSE, or accuracy, of rows whose right answers are known", labels=labels
        )
        card = GaugeMetricFamily(
            "patterns_outcomes_card", "RMSE, or accuracy, of the test rows of the card", labels=labels
        )
        worse = GaugeMetricFamily(
            "patterns_outcomes_worse",
            "1 where the error of known rows is worse than the card's; nothing without enough rows",
            labels=labels,
        )
        for window, version, error in self._erred:
            own = [error.bundle.pattern, str(version), window, error.metric]
            rows.add_metric(own, error.rows)
            value.add_metric(own, error.value or 0.0)
            card.add_metric(own, error.card)
            if error.is_worse is not None:
                worse.add_metric(own, error.is_worse)
        yield from (rows, value, card, worse)

    def _of_columns(self) -> Iterator[GaugeMetricFamily]:
        rows = GaugeMetricFamily("patterns_drift_rows", "Rows that were counted", labels=OF_COLUMN[:3])
        psi = GaugeMetricFamily("patterns_drift_psi", "Population stability index of a column", labels=OF_COLUMN)
        js = GaugeMetricFamily("patterns_drift_js", "Jensen-Shannon divergence of a column, in bits", labels=OF_COLUMN)
        drifted = GaugeMetricFamily(
            "patterns_drift_drifted", "1 where a column has drifted; nothing without enough rows", labels=OF_COLUMN
        )
        shares = {
            cell: GaugeMetricFamily(f"patterns_drift_{name}", f"Share of rows {what}", labels=OF_COLUMN)
            for cell, name, what in (
                (MISSING, "missing", "without a value"),
                (UNSEEN, "unseen", "with a value that no training row had"),
                (OUTSIDE, "outside", "with a number beyond the range of the training rows"),
            )
        }
        for one in self._looked:
            of_version = [one.pattern, str(one.version), one.window]
            rows.add_metric(of_version, one.rows)
            for column in one.columns[:MOST_COLUMNS]:
                labels = [*of_version, column.histogram.name]
                distance, limit = column.psi, column.threshold
                if distance is None or column.js is None:
                    continue
                psi.add_metric(labels, distance)
                js.add_metric(labels, column.js)
                if limit is not None:
                    drifted.add_metric(labels, distance > limit)
                for cell, family in shares.items():
                    family.add_metric(labels, column.share(cell) or 0.0)
        yield from (rows, psi, js, drifted, *shares.values())


def exposition(
    looked: Sequence[Looked], erred: Sequence[Erred], shadowed: Sequence[tuple[str, Sequence[Shadowed]]] = ()
) -> bytes:
    registry = CollectorRegistry()
    registry.register(Gauges(looked, erred))
    registry.register(ShadowGauges(shadowed))
    return generate_latest(registry)
