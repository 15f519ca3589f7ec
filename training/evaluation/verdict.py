"""The verdict on a network beside its baselines: one sentence with the figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, sqrt
from typing import Literal

from models_store.card import Difference

Metric = Literal["rmse", "accuracy"]
Line = Literal["straight line", "linear model"]

# A network whose error is more than this share of the linear model's is not worth having.
WORTHWHILE = 0.9
# An error is clearly less than another if it is below this share of it.
ALIKE = 0.97
# Least squares are exact if their RMSE is below this share of the targets' size: that much is rounding.
EXACT = 1e-9
WORDS: dict[Metric, str] = {"rmse": "RMSE", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Contest:
    """Figures on the same `n_rows` test rows: of the network, of mean or majority, and of linear and trees if known."""

    metric: Metric
    figures: Mapping[str, float]
    n_rows: int
    size: float = 1.0
    """The largest absolute target, where targets are numbers."""
    line: Line = "linear model"
    is_lost_outside: bool = False
    """Most test rows lie outside the region of the training rows, and there the network is clearly worse."""
    differences: Mapping[str, Difference] = field(default_factory=dict)
    """What the same rows say of the network, the first, and linear and trees, the second; where that is known."""
    spread: float | None = None
    """How far the members of the network differ on a row."""

    def verdict(self) -> str:
        """Return what the figures say, and how sure the rows are of it."""
        return " ".join([self._found(), *self._evidence()])

    def _found(self) -> str:
        ours, linear, trees = (self._error(name) for name in ("network", "linear", "trees"))
        if self._line_is_exact:
            return f"A {self.line} is exact here; the network comes within {self._measured('network')} of it."
        if self.is_lost_outside:
            found = f"{self._measured('network')}{self._others('linear', 'mean')}"
            where = "Most test rows lie outside the region of the training rows, where neither can be trusted"
            return f"{where}: the network has {found}."
        if worse := self._worse_than_guessing():
            return worse
        if trees < linear and self._is_clearly_worse_than("trees"):
            beside = self._others("linear")
            return f"Gradient-boosted trees do better here: {self._against('trees')}{beside}."
        if ours >= WORTHWHILE * linear:
            found = f"{self._measured('linear')} against the network's {self._plain('network')}"
            return f"A {self.line} would have done: {found}{self._others('trees')}."
        if (lead := self._lead_by_chance("linear")) is not None:
            return f"{lead}{self._others('trees')}."
        if trees < ours or self._lead_by_chance("trees") is not None:
            found = f"{self._measured('network')} against their {self._plain('trees')}"
            beside = self._others("linear", "mean", "majority")
            return f"The network does about as well as gradient-boosted trees: {found}{beside}."
        beside = self._others("trees", "linear", "mean", "majority")
        return f"The network earns its place: {self._measured('network')}{beside}."

    @property
    def _line_is_exact(self) -> bool:
        return self.metric == "rmse" and self._error("linear") < EXACT * self.size

    def _worse_than_guessing(self) -> str | None:
        if self.metric == "rmse":
            is_better = self._error("mean") < self._error("network")
            return (
                f"Even the training mean does better on the test rows: {self._against('mean')}." if is_better else None
            )
        gained = self.figures["network"] - self.figures["majority"]
        if gained > 0:
            return None
        how = "better" if gained < 0 else "as well"
        return f"Even always saying the most frequent label does {how} on the test rows: {self._against('majority')}."

    def _is_clearly_worse_than(self, name: str) -> bool:
        """True if the network's error is larger by some percent, and by more than chance.

        Where the same rows were not compared, chance is the standard error of a rate p of n rows, about sqrt(p / n)
        (Poisson).
        """
        ours, theirs = self._error("network"), self._error(name)
        if theirs >= ALIKE * ours:
            return False
        if name in self.differences:
            return self.differences[name].better == "second"
        return self.metric == "rmse" or ours - theirs > sqrt(ours * self.n_rows) / self.n_rows

    def _lead_by_chance(self, name: str) -> str | None:
        """Return that the network's lead may be chance; None where it is not, or where nothing is known of it."""
        found = self.differences.get(name)
        if found is None or found.better is not None or self._error("network") >= self._error(name):
            return None
        lead = f"{self._measured('network')} against its {self._plain(name)}"
        return f"A {self.line} may do as well: {lead}, which {found.rows} test rows may do by chance"

    def _evidence(self) -> list[str]:
        """Say how far the network and its strongest rival differ, and its members."""
        names = {"linear": f"a {self.line}", "trees": "gradient-boosted trees"}
        rivals = [name for name in names if name in self.differences and name in self.figures]
        said = []
        if rivals and not (self.is_lost_outside or self._line_is_exact):
            rival = min(rivals, key=self._error)
            found = self.differences[rival]
            least, most = (self._signed(bound) for bound in (found.low, found.high))
            apart = f"{self._signed(found.difference)} ± {self._size(found.error)} (95 %: {least} to {most})"
            said.append(f"On the same rows, its {WORDS[self.metric]} less that of {names[rival]} is {apart}.")
        if self.spread is not None:
            what = "probabilities of its members differ" if self.metric == "accuracy" else "its members differ"
            said.append(f"On a row, {what} by {self._size(self.spread)}.")
        return said

    def _signed(self, value: float) -> str:
        return f"{'−' if value < 0 else ''}{self._size(abs(value))}"

    def _size(self, value: float) -> str:
        return plain(value) if self.metric == "rmse" else f"{value:.2g}"

    def _error(self, name: str) -> float:
        if name not in self.figures:
            return inf
        return self.figures[name] if self.metric == "rmse" else 1 - self.figures[name]

    def _against(self, name: str) -> str:
        return f"{self._measured(name)}, the network {self._plain('network')}"

    def _others(self, *names: str) -> str:
        """Return `; gradient-boosted trees have 1, a linear model 2` for the figures that are known."""
        called = {
            "trees": "gradient-boosted trees have",
            "linear": f"a {self.line} has",
            "mean": "the mean has",
            "majority": "the most frequent label has",
        }
        present = [name for name in names if name in self.figures]
        verbs = [called[name] if place == 0 else called[name].rsplit(" ", 1)[0] for place, name in enumerate(present)]
        listed = ", ".join(f"{verb} {self._plain(name)}" for verb, name in zip(verbs, present, strict=True))
        return f"; {listed}" if listed else ""

    def _measured(self, name: str) -> str:
        return f"{WORDS[self.metric]} {self._plain(name)}"

    def _plain(self, name: str) -> str:
        return plain(self.figures[name]) if self.metric == "rmse" else f"{self.figures[name]:.4g}"


def plain(value: float) -> str:
    """Return a number with three significant digits, and no exponent from 0.001 to a million."""
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{float(f'{value:.3g}'):,.15g}"
