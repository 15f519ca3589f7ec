"""`patterns reproduce`: the catalogue over several seeds, the authors' figures beside ours.

A recipe that improves on an author's one stands below it, and is scored by the same author's metric.
"""

import asyncio
import statistics
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from app.commands.train import NotTrained, Trained, measurements
from app.commands.wording import folding_table
from app.settings import Settings, load_settings
from models_store.card import Card
from models_store.errors import UnknownPattern
from training.messages import Measure
from training.recipe.spec import PatternSpec, catalogue, shipped

METRICS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "rmse_over_root_n": "RMSE/√n",
    "log_loss": "log loss",
    "accuracy": "accuracy",
}


@dataclass(frozen=True)
class Spread:
    """One figure over the seeds."""

    median: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One recipe: figures in the output's raw units, and seconds of a fit, compiling included."""

    pattern: str
    improves: str | None
    """The pattern of the catalogue that this recipe improves on, whose author's figure is shown."""
    metric: str
    author: float | None
    figures: dict[str, Spread]
    """Figures by metric; the author's own metric comes first."""
    seconds: Spread | None
    seeds: int
    failures: list[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def reproduced(names: list[str], seeds: int) -> list[Row]:
    """Train the catalogue, or the patterns named, with seeds 0, 1, …. Raises UnknownPattern."""
    known = shipped()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownPattern(known)
    authors = [name for name, spec in catalogue().items() if spec.improves is None]
    chosen = dict.fromkeys(one for name in names or authors for one in (name, *_improving(name)))
    return asyncio.run(_reproduced([known[name] for name in chosen], seeds))


def _improving(name: str) -> list[str]:
    return [spec.name for spec in shipped().values() if spec.improves == name]


async def _reproduced(specs: list[PatternSpec], seeds: int) -> list[Row]:
    settings = load_settings()
    seeded = [[spec.overridden({"seed": seed}) for seed in range(seeds)] for spec in specs]
    cards: dict[str, list[Card]] = {spec.name: [] for spec in specs}
    failures: dict[str, list[str]] = {spec.name: [] for spec in specs}
    async for outcome in measurements(seeded, lambda spec: _measure(spec, settings)):
        match outcome:
            case Trained(spec=spec, card=card):
                cards[spec.name].append(card)
            case NotTrained(spec=spec, reason=reason):
                failures[spec.name].append(f"seed {spec.seed}: {reason}")
    return [row(spec, cards[spec.name], failures[spec.name]) for spec in specs]


def _measure(spec: PatternSpec, settings: Settings) -> Measure:
    root = settings.store.absolute()
    return Measure(id=uuid.uuid4().hex, recipe=spec.to_json(), device=settings.device, root=root)


def row(spec: PatternSpec, cards: list[Card], failures: list[str]) -> Row:
    counted = [card.author_metrics for card in cards]
    author = shipped()[spec.improves].author if spec.improves else spec.author
    metric = author.metric if author else next(iter(counted[0]), "rmse") if counted else "rmse"
    usual = [name for name in ("rmse", "log_loss", "accuracy") if counted and name in counted[0]]
    names = dict.fromkeys([metric, *usual])
    return Row(
        pattern=spec.name,
        improves=spec.improves,
        metric=metric,
        author=author.figure if author else None,
        figures={name: Spread.of([figures[name] for figures in counted]) for name in names} if counted else {},
        seconds=Spread.of([card.fitted.seconds for card in cards]) if cards else None,
        seeds=len(cards),
        failures=failures,
    )


def figures_table(rows: list[Row]) -> Table:
    """A line for each figure, the author's first; fits into 80 columns."""
    headings = ("pattern", "figure", "author", "ours", "min", "max", "s")
    shown = folding_table(*headings, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    shown.columns[0].min_width = max((len(_titled(row)) for row in rows), default=0)
    for column in shown.columns[2:]:
        column.justify = "right"
    for row in rows:
        figures: dict[str, Spread | None] = {**(row.figures or {row.metric: None})}
        for place, (metric, spread) in enumerate(figures.items()):
            first = place == 0
            seconds = f"{row.seconds.median:.1f}" if first and row.seconds else ""
            numbers = _numbers(spread) if spread else ("–",) * 3
            shown.add_row(
                _titled(row) if first else "", METRICS[metric], _author(row, spread) if first else "", *numbers, seconds
            )
    seeds = max((row.seeds for row in rows), default=0)
    shown.caption = (
        f"ours: median of {seeds} seeds; s: seconds of a fit, compiling included\n"
        "+ improves on the pattern above it; / 3: an error of a third of the author's"
    )
    return shown


def _titled(row: Row) -> str:
    return row.pattern if row.improves is None else f"+ {row.pattern}"


def _author(row: Row, ours: Spread | None) -> str:
    """The author's figure; for a recipe that improves on it, how many times smaller the error is."""
    if row.author is None or (row.improves and ours is None):
        return ""
    return f"/ {row.author / max(ours.median, 1e-300):.2g}" if row.improves and ours else f"{row.author:.4g}"


def _numbers(spread: Spread) -> tuple[str, str, str]:
    return f"{spread.median:.4g}", _short(spread.minimum), _short(spread.maximum)


def _short(value: float) -> str:
    """Return at most seven characters, so that the longest pattern name has room beside them."""
    if 0.001 <= value < 1000:
        return f"{value:.3g}"
    return f"{value:.0f}" if 1000 <= value < 1e6 else f"{value:.2g}"
