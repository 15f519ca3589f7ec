"""Tables of losses and ratios, in Markdown: a line for each table that was learned, a column for each contender."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.accuracy.contenders import OURS
from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.scores import Ratio, geometric_mean, is_solved, ratio

Figures = dict[str, Any]
NAMES = {OURS: "ours", **PEERS}
COSTS = {"cpu_s": "CPU seconds of a fit", "us_a_row": "µs a row, of the held-out rows"}


@dataclass(frozen=True)
class Compared:
    """What was measured of one table."""

    name: str
    facts: Mapping[str, Any]
    runs: Mapping[str, Sequence[Mapping[str, float]]]
    failed: Mapping[str, str]

    @property
    def losses(self) -> dict[str, float]:
        return {name: fmean(run["loss"] for run in runs) for name, runs in self.runs.items()}

    @property
    def best_peer(self) -> str | None:
        peers = {name: loss for name, loss in self.losses.items() if name != OURS}
        return min(peers, key=lambda name: peers[name]) if peers else None

    @property
    def ratio(self) -> Ratio | None:
        """Ours to the best peer; None where one of them has no answers."""
        return None if self.best_peer is None else self.ratio_to(self.best_peer)

    def ratio_to(self, peer: str) -> Ratio | None:
        if OURS not in self.runs or peer not in self.runs:
            return None
        ours, theirs = ([run["loss"] for run in self.runs[name]] for name in (OURS, peer))
        return ratio(ours, theirs, self.facts["in_folds"])

    @property
    def is_solved(self) -> bool:
        return is_solved(self.runs, self.facts["repeats"])


def compared(figures: Figures) -> list[Compared]:
    return [
        Compared(
            name,
            found["facts"],
            {one: found["runs"][one] for one in NAMES if one in found["runs"]},
            found["failed"],
        )
        for name, found in figures["tables"].items()
    ]


def text(figures: Figures) -> str:
    """Return the report: losses, ratios to each peer, costs, and what failed with its reason."""
    tables = compared(figures)
    shown = [name for name in NAMES if any(name in table.runs or name in table.failed for table in tables)]
    parts = [_losses(tables, shown), *_means(tables, shown)]
    parts += [f"{title}:\n\n{_costs(tables, shown, cost)}" for cost, title in COSTS.items()]
    parts += list(_failures(figures, tables))
    return "\n\n".join(parts)


def _losses(tables: Iterable[Compared], shown: Sequence[str]) -> str:
    def cells(table: Compared) -> Iterator[str]:
        yield table.name + (" *" if table.is_solved else "")
        yield f"{table.facts['rows']:,}".replace(",", " ")
        yield table.facts["loss"]
        for name in shown:
            loss = table.losses.get(name)
            told = "failed" if name in table.failed else "" if loss is None else _number(loss)
            yield f"**{told}**" if loss is not None and loss == min(table.losses.values()) else told
        yield _told(table.ratio)

    return _markdown(["", "rows", "", *(NAMES[name] for name in shown), "ours / best peer"], map(cells, tables))


def _means(tables: Sequence[Compared], shown: Sequence[str]) -> Iterator[str]:
    counted = [table for table in tables if not table.is_solved]
    best = [table.ratio for table in counted if table.ratio is not None]
    yield f"Geometric mean of ours / best peer over {len(best)} tables: {_told(geometric_mean(best))}"
    each = {
        peer: [found for table in counted if (found := table.ratio_to(peer)) is not None]
        for peer in shown
        if peer != OURS
    }
    if each:
        yield "Of ours / each peer: " + ", ".join(
            f"{NAMES[peer]} {_told(geometric_mean(ratios))} ({len(ratios)})" for peer, ratios in each.items()
        )
    if len(counted) < len(tables):
        yield "Tables with * are left out of the means: everybody solves them."


def _costs(tables: Iterable[Compared], shown: Sequence[str], cost: str) -> str:
    def cells(table: Compared) -> Iterator[str]:
        yield table.name
        for name in shown:
            yield _number(fmean(run[cost] for run in table.runs[name])) if name in table.runs else ""

    return _markdown(["", *(NAMES[name] for name in shown)], map(cells, tables))


def _failures(figures: Figures, tables: Iterable[Compared]) -> Iterator[str]:
    lines = [f"- {NAMES[name]}: not installed: {reason}" for name, reason in figures["absent"].items()]
    lines += [f"- {name}: {reason}" for name, reason in figures["left_out"].items()]
    lines += [f"- {NAMES[name]} on {table.name}: {why}" for table in tables for name, why in table.failed.items()]
    if lines:
        yield "\n".join(["Not compared:", "", *lines])


def _markdown(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _told(ratio: Ratio | None) -> str:
    if ratio is None or not ratio.value > 0:
        return ""
    return f"{ratio.value:.3f}" + (f" ± {ratio.error:.3f}" if ratio.error >= 0 else "")


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 1000 else f"{value:.3g}" if value >= 1 else f"{value:.3f}"
