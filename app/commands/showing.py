"""`patterns list` and `patterns show`: what the store holds, read without any network."""

from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from app.commands.training import _never
from app.settings import load_settings
from models_store.bundle import Description
from models_store.card import Card, Score
from models_store.errors import PatternServerError
from models_store.plots import Kind, Picture, draw
from models_store.store import Store

CURVE_WIDTH, CURVE_HEIGHT = 64, 8


@dataclass(frozen=True)
class Shown:
    pattern: str
    version: int
    described: Description

    def to_json(self) -> dict[str, Any]:
        card = self.described.card.model_dump(mode="json")
        return {"pattern": self.pattern, "version": self.version, "card": card, "recipe": self.described.recipe}

    def write_plots(self, directory: Path) -> list[Path]:
        directory.mkdir(parents=True, exist_ok=True)
        kinds: tuple[Kind, ...] = get_args(Kind)
        pictures: tuple[Picture, ...] = get_args(Picture)
        written = []
        for kind in kinds:
            for picture in pictures:
                path = directory / f"{self.pattern}-{self.version}-{kind}.{picture}"
                path.write_bytes(draw(kind, self.described, picture, title=f"{self.pattern}, version {self.version}"))
                written.append(path)
        return written


def open_store() -> Store:
    return Store(load_settings().store, load_network=_never)


def describe(pattern: str, version: int | None) -> Shown:
    store = open_store()
    number = version or store.champion(pattern)
    return Shown(pattern, number, store.describe(pattern, number))


def summaries() -> list[dict[str, Any]]:
    store = open_store()
    return [_summary(store, name) for name in store.patterns()]


def _summary(store: Store, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "pattern": name,
        "versions": store.versions(name),
        "champion": None,
        "rmse": None,
        "r2": None,
    }
    try:
        champion = store.champion(name)
        test = store.describe(name, champion).card.test.overall
    except PatternServerError:
        return facts
    recipe = store.describe(name, champion).recipe
    return facts | {"champion": champion, "rmse": test.rmse, "r2": test.r2, "formulas": recipe["data"]["outputs"]}


def table(rows: list[dict[str, Any]]) -> Table:
    shown = Table("pattern", "champion", "versions", "test RMSE", "test R²", "data from")
    shown.columns[0].min_width = max((len(row["pattern"]) for row in rows), default=0)
    for row in rows:
        formulas = "; ".join(f"{output} = {text}" for output, text in row.get("formulas", {}).items())
        versions = ", ".join(map(str, row["versions"]))
        shown.add_row(
            row["pattern"], str(row["champion"] or "none"), versions, _number(row["rmse"]), _share(row["r2"]), formulas
        )
    return shown


def print_card(out: Console, shown: Shown) -> None:
    card, recipe = shown.described.card, shown.described.recipe
    out.print(f"[bold]{shown.pattern}[/] version {shown.version}   {recipe.get('description', '')}", highlight=False)
    for output, formula in recipe["data"]["outputs"].items():
        out.print(f"  {output} = {formula}", highlight=False)
    out.print(_scores(card))
    out.print(f"{card.baselines.verdict}", highlight=False)
    for note in card.notes:
        out.print(f"• {note}", highlight=False)
    out.print(_gaps(card))
    out.print(f"loss over {card.fitted.epochs} epochs ({card.fitted.seconds:.1f} s, logarithmic)", style="dim")
    out.print(curve(shown.described.history["loss"]), highlight=False)
    ranges = ", ".join(f"{column.name} {column.minimum:g}…{column.maximum:g}" for column in card.inputs)
    out.print(
        f"trained on {card.fitted.rows} rows ({ranges}) at {card.lineage.trained_at}, seed {card.lineage.seed}",
        style="dim",
    )


def _scores(card: Card) -> Table:
    table = Table("rows", "n", "RMSE", "MAE", "R²", "max error")
    for name, measured in (("train", card.train), ("validation", card.validation), ("test", card.test)):
        if measured is not None:
            table.add_row(name, str(measured.rows), *_columns(measured.overall))
            for output, score in measured.outputs.items() if len(measured.outputs) > 1 else ():
                table.add_row(f"  {output}", "", *_columns(score))
    return table


def _columns(score: Score) -> tuple[str, ...]:
    return _number(score.rmse), _number(score.mae), _share(score.r2), _number(score.max_error)


def _gaps(card: Card) -> Table:
    names = [column.name for column in card.inputs]
    outputs = [column.name for column in card.outputs]
    headings = (f"{output} {kind}" for output in outputs for kind in ("predicted", "label", "gap"))
    table = Table(*names, *headings, title="test rows side by side", title_justify="left")
    for gap in card.gaps[:5]:
        triples = zip(gap.predicted, gap.label, gap.gap, strict=True)
        table.add_row(*map(_number, gap.inputs), *(_number(value) for triple in triples for value in triple))
    return table


def curve(values: list[float]) -> str:
    """A small plot in text: each column the last value of its share of the epochs, on a logarithmic scale."""
    columns = min(CURVE_WIDTH, len(values))
    levels = [log10(max(values[(place + 1) * len(values) // columns - 1], 1e-300)) for place in range(columns)]
    low, high = min(levels), max(levels)
    step = (high - low) / (CURVE_HEIGHT - 1) or 1.0
    heights = [round((level - low) / step) for level in levels]
    lines = ["".join("•" if height == row else " " for height in heights) for row in reversed(range(CURVE_HEIGHT))]
    labels = [f"{10**high:9.2g}", *[" " * 9] * (CURVE_HEIGHT - 2), f"{10**low:9.2g}"]
    return "\n".join(f"{label} ┤{line}" for label, line in zip(labels, lines, strict=True))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"


def _share(value: float | None) -> str:
    """R², with as many nines as it has: 0.999996 is not 1."""
    if value is None or not 0.99 < value < 1:
        return _number(value)
    digits = min(15, 2 - floor(log10(1 - value)))
    return f"{floor(value * 10**digits) / 10**digits:.{digits}f}"
