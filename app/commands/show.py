"""`patterns list` and `patterns show`: the patterns of the store, read without their networks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from app.answering.challengers import Challengers
from app.commands import card_tables
from app.commands.store import open_store
from app.commands.wording import curve, folding_table, number, share, value_of, words
from models_store.bundle import Description
from models_store.card import AnyScore, Card, LabelScore
from models_store.errors import PatternServerError
from models_store.plots.draw import Picture, draw, plots_of
from models_store.storage.aliases import CHAMPION
from models_store.storage.datasets import ID, Datasets
from models_store.storage.store import Store
from models_store.wording import counted

MOST_NAMED = 8
MOST_LETTERS = 24


class PlotsUnwritable(PatternServerError):
    def __init__(self, directory: Path, error: OSError) -> None:
        super().__init__(f"plots cannot be written into {directory}: {error.strerror}; name another directory")


@dataclass(frozen=True)
class Shown:
    pattern: str
    version: int
    described: Description
    challengers: list[dict[str, Any]] = field(default_factory=list)
    """What was decided on later versions beside this one."""

    def to_json(self) -> dict[str, Any]:
        card = self.described.card.model_dump(mode="json")
        known = {"pattern": self.pattern, "version": self.version, "card": card, "recipe": self.described.recipe}
        return known | ({"challengers": self.challengers} if self.challengers else {})

    def write_plots(self, directory: Path) -> list[Path]:
        """Write all plots of the version, and return their files. Raises PlotsUnwritable."""
        try:
            return self._written_into(directory)
        except OSError as error:
            raise PlotsUnwritable(directory, error) from None

    def _written_into(self, directory: Path) -> list[Path]:
        directory.mkdir(parents=True, exist_ok=True)
        pictures: tuple[Picture, ...] = get_args(Picture)
        written = []
        for kind in plots_of(self.described.card):
            for picture in pictures:
                path = directory / f"{self.pattern}-{self.version}-{kind}.{picture}"
                path.write_bytes(draw(kind, self.described, picture, title=f"{self.pattern}, version {self.version}"))
                written.append(path)
        return written


def describe(pattern: str, version: int | None) -> Shown:
    """Read a version, or the champion. Raises UnknownPattern, UnknownVersion, NoGoodVersion, BundleDamaged."""
    store = open_store()
    number = store.champion(pattern) if version is None else version
    challengers = Challengers(store).of(pattern, number, store.versions(pattern))
    return Shown(pattern, number, store.describe(pattern, number), challengers)


# -- all patterns --------------------------------------------------------------------------------------------------


def summaries() -> list[dict[str, Any]]:
    store = open_store()
    return [_summary(store, name) for name in store.patterns()]


def _summary(store: Store, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "pattern": name,
        "versions": store.versions(name),
        "labels": store.aliases(name),
        "champion": None,
        "rmse": None,
        "r2": None,
    }
    try:
        champion = store.champion(name)
        described = store.describe(name, champion)
    except PatternServerError:
        return facts
    source = _source(store, described.recipe["data"])
    return facts | {"champion": champion} | _figures(described.card.test.overall) | source


def _figures(test: AnyScore) -> dict[str, float | None]:
    return {"accuracy": test.accuracy} if isinstance(test, LabelScore) else {"rmse": test.rmse, "r2": test.r2}


def _source(store: Store, data: dict[str, Any]) -> dict[str, Any]:
    if data["kind"] == "table":
        return {"dataset": data["dataset"], "table": _table_named(store, data["dataset"]), "target": data["target"]}
    return {"formulas": data["outputs"]}


def _table_named(store: Store, dataset: str) -> str:
    """Return the name of the uploaded file, "" if it has been deleted; a well-known table's name is its id."""
    if not ID.fullmatch(dataset):
        return dataset
    try:
        return Datasets(store.root).get(dataset).name
    except PatternServerError:
        return ""


def patterns_table(rows: list[dict[str, Any]]) -> Table:
    headings = ("pattern", "champion", "versions", "on test rows", "data from")
    shown = folding_table(*headings, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    # Names of the catalogue stay whole; longer ones are folded, which leaves room for the other columns.
    shown.columns[0].no_wrap = all(len(row["pattern"]) <= MOST_LETTERS for row in rows)
    shown.columns[0].max_width = MOST_LETTERS
    shown.columns[1].no_wrap = shown.columns[3].no_wrap = True
    for row in rows:
        shown.add_row(row["pattern"], str(row["champion"] or "none"), _versions(row), _scored(row), _from(row))
    return shown


def _versions(row: dict[str, Any]) -> str:
    """`1, 2 (shadow), 3`: the versions with their labels, but for that of the champion, which stands beside them."""
    labels = {version: [label for label, at in row["labels"].items() if at == version] for version in row["versions"]}
    named = {version: [label for label in found if label != CHAMPION] for version, found in labels.items()}
    return ", ".join(f"{version} ({', '.join(found)})" if found else str(version) for version, found in named.items())


def _scored(row: dict[str, Any]) -> str:
    if row.get("accuracy") is not None:
        return f"accuracy {share(row['accuracy'])}"
    return f"RMSE {number(row['rmse'])}\nR² {share(row['r2'])}" if row["rmse"] is not None else "–"


def _from(row: dict[str, Any]) -> str:
    if "target" in row:
        target = ", ".join(map(words, row["target"]))
        return f"{target} of {words(row['table'])}" if row["table"] else target
    return "; ".join(f"{output} = {text}" for output, text in row.get("formulas", {}).items())


# -- one of them ---------------------------------------------------------------------------------------------------


def print_card(out: Console, shown: Shown) -> None:
    card, recipe = shown.described.card, shown.described.recipe
    out.print(
        f"[bold]{shown.pattern}[/] version {shown.version}   {words(recipe.get('description', ''))}", highlight=False
    )
    out.print(_made_from(card, recipe["data"]), highlight=False)
    out.print(card_tables.scores(card))
    if served := card_tables.served(card):
        out.print(served, style="dim", highlight=False)
    if calibration := card_tables.calibration(card):
        out.print(calibration, style="dim", highlight=False)
    if region := card_tables.region(card):
        out.print(region, style="dim", highlight=False)
    if card.outside is not None:
        said = f"rows outside what training saw, unless a request says otherwise: {card.outside}"
        out.print(said, style="dim", highlight=False)
    if isinstance(card.test.overall, LabelScore):
        out.print(card_tables.confusion(card.outputs[0], card.test.overall))
    out.print(card_tables.baselines(card.baselines))
    out.print(words(card.baselines.verdict), highlight=False)
    if card.promotion is not None:
        out.print(words(card.promotion.why), highlight=False)
    for challenger in shown.challengers:
        out.print(words(f"version {challenger['version']} beside it: {challenger['why']}"), highlight=False)
    if "promotion" in recipe:
        out.print(_promoted_by(recipe["promotion"]), style="dim", highlight=False)
    for output, form in card.closed_forms.items():
        out.print(card_tables.closed_form(output, form), highlight=False)
    for note in card.notes:
        out.print(f"• {words(note)}", highlight=False)
    if card.cross_validation is not None:
        out.print(card_tables.crossed(card.cross_validation), highlight=False)
    if card.search is not None:
        out.print(card_tables.trials_table(card.search.trials, card.search.best, card.search.metric))
    if recipe["data"]["kind"] == "table":
        out.print(card_tables.columns(card.inputs, card.baselines.metric))
    if card.gaps:
        out.print(card_tables.gaps(card))
    out.print(
        f"loss over {counted(card.fitted.epochs, 'epoch', 'epochs')} ({card.fitted.seconds:.1f} s, logarithmic)",
        style="dim",
    )
    out.print(curve(shown.described.history["loss"]), highlight=False)
    if card.fitted.chosen:
        said = ", ".join(f"{name} {value_of(value)}" for name, value in card.fitted.chosen.items())
        out.print(f"chosen by size and task: {said}", style="dim", highlight=False)
    out.print(_trained(card, recipe["data"]), style="dim")


def _made_from(card: Card, data: dict[str, Any]) -> str:
    if data["kind"] != "table":
        return "\n".join(f"  {output} = {formula}" for output, formula in data["outputs"].items())
    named = [words(column.name) for column in card.inputs]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"  {', '.join(map(words, data['target']))} from {', '.join(named[:MOST_NAMED])}{more}"


def _trained(card: Card, data: dict[str, Any]) -> str:
    said = f"trained on {card.fitted.rows} rows"
    if data["kind"] != "table":
        ranges = ", ".join(f"{column.name} {column.minimum:g}…{column.maximum:g}" for column in card.inputs)
        said = f"{said} ({ranges})"
    return f"{said} at {card.lineage.trained_at}, seed {card.lineage.seed}"


def _promoted_by(rule: dict[str, Any]) -> str:
    """`versions of this recipe become champion if they are not worse on the same rows, by more than 2 % …`"""
    when = {
        "always": "always, unless a request says otherwise",
        "never": "only by hand",
        "if-better": "if they are not worse on the same rows",
    }
    allowed = f", by more than {rule['tolerance'] * 100:.3g} % of the champion's error" if rule["tolerance"] else ""
    return f"versions of this recipe become champion {when[rule['when']]}{allowed}"
