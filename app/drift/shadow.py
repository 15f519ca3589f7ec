"""How far a shadow's answers were from the champion's: the document of `GET /patterns/…/shadow`, and the metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.telemetry.likeness import COPIED, DROPPED, FAILED, N_BEFORE, QUESTIONS
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.card import LabelScore
from models_store.comparison.agreement import ROWS, Agreement

COUNTED = {
    "questions": (QUESTIONS, "Live questions of the champion"),
    "copied": (COPIED, "Live questions that were copied to the shadow"),
    "dropped": (DROPPED, "Live questions that were to be copied, and were not, because too many waited"),
    "failed": (FAILED, "Copied questions that the shadow could not answer"),
}
OF_OUTPUT = {
    "rmse": "Root mean square of the differences of an output, in raw units",
    "mae": "Mean absolute difference of an output, in raw units",
    "bias": "Mean difference of an output, the shadow's less the champion's, in raw units",
    "agreement": "Share of rows with the same most probable label",
    "distance": "Mean distance of the probabilities, between 0 and 1",
}
# Outputs of a version that are in the metrics.
MOST_OUTPUTS = 100


@dataclass(frozen=True, eq=False)
class Shadowed:
    """What came of the questions to a champion that were copied to its shadow in a window."""

    champion: Bundle
    champion_version: int
    version: int
    """The shadow."""
    agreement: Agreement
    counts: Array
    """Laid out as those of a Likeness, float64 (n,)."""

    @property
    def counted(self) -> dict[str, int]:
        found = {name: int(self.counts[place]) for name, (place, _) in COUNTED.items()}
        return {**found, "rows": int(self.counts[N_BEFORE + ROWS])}

    @property
    def outputs(self) -> dict[str, dict[str, float]]:
        """How far apart the answers are, by output; {} before any rows were compared."""
        return self.agreement.to_json(self.counts[N_BEFORE:])

    def to_json(self, since: float) -> dict[str, Any]:
        outputs = {name: figures | {"card": self._of_card(name)} for name, figures in self.outputs.items()}
        return {
            "pattern": self.champion.pattern,
            "version": self.version,
            "champion": self.champion_version,
            "since": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds"),
            **self.counted,
            "outputs": outputs,
        }

    def _of_card(self, output: str) -> float:
        """Return the RMSE or the accuracy of the champion on its test rows: a small difference is one beside it."""
        score = self.champion.card.test.outputs[output]
        return score.accuracy if isinstance(score, LabelScore) else score.rmse


class ShadowGauges(Collector):
    """The gauges of all pairs in some windows."""

    def __init__(self, of_window: Sequence[tuple[str, Sequence[Shadowed]]]) -> None:
        self._of_window = of_window

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["pattern", "version", "champion", "window"]
        counts = {name: _family(name, words, labels) for name, (_, words) in COUNTED.items()}
        counts["rows"] = _family("rows", "Rows that both have answered", labels)
        figures = {name: _family(name, words, [*labels, "output"]) for name, words in OF_OUTPUT.items()}
        for window, shadowed in self._of_window:
            for one in shadowed:
                own = [one.champion.pattern, str(one.version), str(one.champion_version), window]
                for name, count in one.counted.items():
                    counts[name].add_metric(own, count)
                for output, found in [*one.outputs.items()][:MOST_OUTPUTS]:
                    for name, figure in found.items():
                        figures[name].add_metric([*own, output], figure)
        yield from (*counts.values(), *figures.values())


def _family(name: str, words: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"patterns_shadow_{name}", words, labels=labels)
