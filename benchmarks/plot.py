"""The picture in the README, from figures that `make bench ARGS="--json FILE"` wrote.

python -m benchmarks.plot FILE.json PICTURE.svg
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.bodies import CROWD
from benchmarks.contenders import CEILING, ours_name
from benchmarks.report import SPEED, peers_of

OURS, OTHERS, TOP = "#0b7285", "#adb5bd", "#e9ecef"
LABELS = {CEILING: "uvicorn + orjson, no model", "by hand": "FastAPI + tf.function", "first try": "FastAPI + predict"}
INK = "#212529"


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    least: float
    most: float
    color: str = OTHERS


def main() -> None:
    source, target = sys.argv[1:3]
    draw(json.loads(Path(source).read_text()), Path(target))


def draw(figures: Mapping[str, Any], target: Path) -> None:
    panels = [("1 row, 32 connections: requests/s", "more is better", request_bars(figures))]
    panels += [
        (f"Training, {recipe} × 100 epochs: seconds", "less is better", fitting_bars(runs))
        for recipe, runs in figures.get("fitting", {}).items()
    ]
    panels = [panel for panel in panels if panel[2]]
    heights = [len(bars) + 1.6 for _, _, bars in panels]
    with mpl.rc_context({"font.family": "sans-serif", "svg.fonttype": "none", "text.color": INK, "font.size": 10}):
        figure = Figure(figsize=(8, 0.3 * sum(heights) + 0.4))
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        axes = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axis, (title, better, bars) in zip(axes, panels, strict=True):
            _draw_bars(axis, bars, title, better)
        figure.supxlabel(caption(figures["machine"]), fontsize=8, color="#6c757d")
        figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=150)


def request_bars(figures: Mapping[str, Any]) -> list[Bar]:
    """Return the bars of requests per second, fastest first."""
    runs = figures.get("requests", {}).get("workloads", {}).get(CROWD.name, {})
    own = {ours_name(engine) for engine in figures["how"]["engines"]}
    colors = {CEILING: TOP} | dict.fromkeys(own, OURS)
    bars = [
        _bar(LABELS.get(name, name), [run[SPEED] for run in measured], colors.get(name, OTHERS))
        for name, measured in runs.items()
    ]
    return sorted([*bars, *_peer_bars(figures, runs)], key=lambda bar: -bar.value)


def _peer_bars(figures: Mapping[str, Any], runs: Mapping[str, Any]) -> Iterator[Bar]:
    """Yield the bars of peers. Each was measured with ours at another time, so its ratio to ours is drawn."""
    ours = ours_name(figures["how"]["engines"][0])
    if ours not in runs:
        return
    here = median(run[SPEED] for run in runs[ours])
    for peer, workloads in peers_of(figures).items():
        if peer in (pair := workloads.get(CROWD.name, {})):
            rounds = zip(pair[peer], pair[ours], strict=True)
            yield _bar(peer, [here * theirs[SPEED] / own[SPEED] for theirs, own in rounds])


def fitting_bars(runs: Mapping[str, Any]) -> list[Bar]:
    """Return the bars of seconds, slowest last."""
    bars = [
        _bar(name, [run["seconds"] for run in measured], OURS if name == "ours" else OTHERS)
        for name, measured in runs.items()
    ]
    return sorted(bars, key=lambda bar: bar.value)


def _bar(label: str, values: list[float], color: str = OTHERS) -> Bar:
    return Bar(label, median(values), min(values), max(values), color)


def caption(machine: Mapping[str, Any]) -> str:
    versions = machine["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("tensorflow", "keras", "onnxruntime") if name in versions)
    return f"{machine['cpu']}, {machine['cores']} cores · Python {machine['python']}, {named} · {machine['date']}"


def _draw_bars(axis: Axes, bars: list[Bar], title: str, better: str) -> None:
    places = range(len(bars))
    values = [bar.value for bar in bars]
    spread = [[bar.value - bar.least for bar in bars], [bar.most - bar.value for bar in bars]]
    axis.barh(places, values, 0.72, color=[bar.color for bar in bars])
    axis.errorbar(values, places, xerr=spread, fmt="none", ecolor="#495057", elinewidth=1, capsize=2)
    for place, bar in enumerate(bars):
        axis.annotate(_number(bar.value), (bar.most, place), (6, 0), textcoords="offset points", va="center")
    axis.set_xscale("log")
    axis.set_xlim(min(bar.least for bar in bars) / 3, max(bar.most for bar in bars) * 4)
    axis.set_yticks(places, [bar.label for bar in bars])
    for tick, bar in zip(axis.get_yticklabels(), bars, strict=True):
        tick.set_fontweight("bold" if bar.color == OURS else "normal")
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axis.set_title(f"{better}, logarithmic", loc="right", fontsize=8, color="#6c757d")
    axis.invert_yaxis()
    axis.tick_params(length=0, which="both")
    axis.tick_params(axis="x", labelbottom=False, which="both")
    axis.spines[["top", "right", "bottom"]].set_visible(False)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.3g}"


if __name__ == "__main__":
    main()
