"""The picture of ratios in the README, from figures that `python -m benchmarks.accuracy --json FILE` wrote.

python -m benchmarks.accuracy.plot FILE.json PICTURE.svg
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.accuracy.contenders import OURS
from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.report import Compared, Figures, compared
from benchmarks.accuracy.scores import Ratio, geometric_mean

COLOR, OTHERS, INK = "#0b7285", "#868e96", "#212529"
MARKS = dict(zip(PEERS, "osD^vP", strict=True))
# Beyond it a mark stands at the edge: one bad learner must not press all others together.
FURTHEST = 2.0


def main() -> None:
    source, target = sys.argv[1:3]
    draw(json.loads(Path(source).read_text()), Path(target))


def draw(figures: Figures, target: Path) -> None:
    """Draw a line for each table: the loss of each contender to that of the best peer there."""
    tables = [table for table in compared(figures) if table.ratio is not None]
    with mpl.rc_context({"font.family": "sans-serif", "svg.fonttype": "none", "text.color": INK, "font.size": 10}):
        figure = Figure(figsize=(8, 0.34 * len(tables) + 1.7))
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        _draw(figure.subplots(), tables)
        figure.supxlabel(caption(figures), fontsize=8, color="#6c757d")
        figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None, dpi=150)


def caption(figures: Figures) -> str:
    machine = figures["machine"]
    return f"nobody is tuned, same folds · {machine['commit']} · {machine['date']}"


def _draw(axis: Axes, tables: Sequence[Compared]) -> None:
    axis.axvline(1, color="#ced4da", zorder=0)
    for peer, mark in MARKS.items():
        places = [place for place, table in enumerate(tables) if peer in table.runs]
        at = [min(_to_best(tables[place], peer), FURTHEST) for place in places]
        if at:
            axis.scatter(at, places, 22, color=OTHERS, marker=mark, label=PEERS[peer], alpha=0.75, linewidths=0)
    for place, table in enumerate(tables):
        found = table.ratio or Ratio(1, 0)
        error = found.error if found.error >= 0 else 0
        axis.errorbar(min(found.value, FURTHEST), place, xerr=error, fmt="none", ecolor=COLOR, elinewidth=1, capsize=2)
    own = [min(_to_best(table, OURS), FURTHEST) for table in tables]
    axis.scatter(own, range(len(tables)), 48, color=COLOR, label="ours", zorder=3)
    axis.set_yticks(range(len(tables)), [table.name + (" *" if table.is_solved else "") for table in tables])
    axis.set_xscale("log")
    ticks = [tick for tick in (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2) if axis.get_xlim()[0] <= tick <= FURTHEST]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.grid(axis="y", color="#f1f3f5")
    axis.set_axisbelow(True)
    axis.invert_yaxis()
    mean = geometric_mean(each for table in tables if not table.is_solved and (each := table.ratio) is not None)
    title = f"Loss to that of the best peer (ours: {mean.value:.2f})"
    axis.set_title(title, loc="left", fontweight="bold", fontsize=10)
    axis.set_title("less is better, logarithmic", loc="right", fontsize=8, color="#6c757d")
    axis.tick_params(length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=7, frameon=False, fontsize=8, handletextpad=0.1)


def _to_best(table: Compared, name: str) -> float:
    best = table.best_peer
    return 1.0 if best is None else table.losses[name] / table.losses[best]


if __name__ == "__main__":
    main()
