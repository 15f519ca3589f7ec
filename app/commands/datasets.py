"""`patterns train --csv FILE --target COLUMN`: stores the file as a dataset, and makes a recipe that learns from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.commands.store import open_datasets
from app.commands.wording import folding_table, words
from app.jobs.recipes import check_ambiguity, check_columns, check_formula, check_test_columns
from models_store.storage.datasets import Stored
from models_store.tables.column_facts import ColumnFacts, Form
from models_store.tables.csv_dialect import DELIMITERS, PLAIN, CsvDialect
from models_store.tables.kinds import KINDS
from models_store.wording import counted
from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec

err = Console(stderr=True)

FORMS: dict[str, Form] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "json-lines"),
    ".parquet": "parquet",
    **dict.fromkeys((".arrow", ".feather"), "arrow"),
    **dict.fromkeys((".xlsx", ".xlsm", ".ods"), "workbook"),
    ".arff": "arff",
    **dict.fromkeys((".sav", ".zsav"), "spss"),
    ".dta": "stata",
}
TEXT_FORMS: tuple[Form, ...] = ("csv", "json-lines", "arff")
COMPRESSED = (".gz", ".zst")
LONGEST_NAME = 63
LONGEST_EXAMPLES = 40


@dataclass(frozen=True)
class AskedRows:
    """The options that say how much rows count, and which are test rows."""

    weight: str | None = None
    test: Path | None = None
    group: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class Asked:
    """The options of the command line that are about a table."""

    path: Path
    target: list[str]
    name: str | None = None
    columns: list[str] = field(default_factory=list)
    task: str | None = None
    folds: int | None = None
    missing: list[str] = field(default_factory=list)
    dates: str | None = None
    dialect: CsvDialect = PLAIN
    date_formats: list[str] = field(default_factory=list)
    rows: AskedRows = AskedRows()

    def changes(self, dataset: str, test: str | None) -> dict[str, Any]:
        """Return what the options change in a recipe for tables; `test` is the table of its test rows."""
        said = {"target": self.target, "columns": assigned(self.columns), "task": self.task}
        said |= {"missing": self.missing, "dates": self.dates, "date_format": formats_in(self.date_formats)}
        said |= {"weight": self.rows.weight, "test": test}
        data = {"kind": "table", "dataset": dataset, **{key: value for key, value in said.items() if value}}
        changes: dict[str, Any] = {"data": data}
        split = {"group": self.rows.group, "time": self.rows.time}
        if any(split.values()):
            changes["split"] = split
        if self.name is not None:
            changes["name"] = self.name
        if self.folds is not None:
            changes["cross_validate"] = {"folds": self.folds}
        return changes


def recipe_for(asked: Asked, base: PatternSpec | None) -> PatternSpec:
    """Store the table, print its columns, and return a recipe for it: `base` with changes, else one of defaults.

    Raises RecipeError, TableError, and all that `Datasets.add` raises.
    """
    if base is not None and not isinstance(base.data, TableData):
        raise RecipeError(f"{base.name}: its recipe is for a formula, and not for a table")
    if base is None and not asked.target:
        raise RecipeError("--target: name the column that is to be predicted")
    stored = add(asked.path, asked.dialect)
    test = None if asked.rows.test is None else add(asked.rows.test, asked.dialect)
    changes = asked.changes(stored.id, None if test is None else test.id)
    if base is not None:
        spec = base.overridden(changes)
    else:
        described = f"{', '.join(asked.target)} from {asked.path.name}"
        spec = PatternSpec.parse({"name": name_of(asked.path), "description": described[:500], **changes})
    assert isinstance(spec.data, TableData)
    check_columns(spec, spec.data, stored.columns)
    if test is not None:
        check_test_columns(spec.data, test.columns)
    columns = _columns_of(stored, spec.data)
    err.print(columns_table(stored, columns, spec))
    check_ambiguity(spec.data, columns)
    check_formula(spec, spec.data, columns)
    return spec


def _columns_of(stored: Stored, data: TableData) -> Sequence[ColumnFacts]:
    """Return the facts of the columns, inferred again where the recipe says how they are to be read."""
    if not (data.missing or data.columns or data.date_format or data.dates != "auto"):
        return stored.columns
    from models_store.tables import inference  # deferred: polars, only where columns are inferred again

    frame = inference.without(open_datasets().frame(stored.id), data.missing)
    dates = None if data.dates == "auto" else data.dates
    return inference.facts(frame, data.columns, dates, data.missing, data.date_format)


def add(path: Path, dialect: CsvDialect = PLAIN) -> Stored:
    form = form_of(path)
    if not path.is_file():
        raise RecipeError(f"{path.name}: no such file")
    with err.status(f"reading {path.name}"):
        return open_datasets().add(path, form, path.name[:100], dialect)


def form_of(path: Path) -> Form:
    """Return the form that the ending of a file says: `sales.csv.gz` is CSV. Raises RecipeError for another ending."""
    suffix = path.suffix.lower()
    form = FORMS.get(path.with_suffix("").suffix.lower() if suffix in COMPRESSED else suffix)
    if form is None or (suffix in COMPRESSED and form not in TEXT_FORMS):
        texts = ", ".join(ending for ending, of_text in FORMS.items() if of_text in TEXT_FORMS)
        raise RecipeError(
            f"{path.name}: a table is a file that ends with {', '.join(FORMS)}; {texts} may have "
            f"{' or '.join(COMPRESSED)} behind it"
        )
    return form


def assigned(columns: list[str]) -> dict[str, str]:
    """`zip=category` -> {"zip": "category"}"""
    pairs = [column.rpartition("=") for column in columns]
    for name, separator, kind in pairs:
        if not (name and separator and kind):
            raise RecipeError("--column: write NAME=KIND, such as zip=category, notes=text or id=drop")
        if kind not in (*KINDS, "drop"):
            kinds = ", ".join(KINDS)
            raise RecipeError(f"--column: {kind} is no kind; there are {kinds}, and drop, which leaves the column out")
    return {name: kind for name, _, kind in pairs}


def formats_in(said: list[str]) -> dict[str, str]:
    """`day=%d%m%y` -> {"day": "%d%m%y"}"""
    pairs = [column.partition("=") for column in said]
    if not all(name and written for name, _, written in pairs):
        raise RecipeError("--date-format: write NAME=FORMAT, such as day=%d.%m.%y")
    return {name: written for name, _, written in pairs}


def name_of(path: Path) -> str:
    """A pattern's name made of a file's: `Sales 2024.csv.gz` -> sales-2024."""
    stem = Path(path.stem).stem if path.suffix.lower() in COMPRESSED else path.stem
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:LONGEST_NAME]
    return name if re.match("[a-z]", name) else f"table-{name}"[:LONGEST_NAME].rstrip("-")


def datasets_table(datasets: Sequence[Stored]) -> Table:
    table = folding_table("id", "name", "rows", "columns", "uploaded (UTC)")
    table.columns[0].no_wrap = True
    for stored in datasets:
        table.add_row(stored.id, words(stored.name), str(stored.rows), str(len(stored.columns)), stored.created[:16])
    return table


def columns_table(stored: Stored, columns: Sequence[ColumnFacts], spec: PatternSpec) -> Table:
    """A line for each column: its kind, missing values and examples."""
    data = spec.data
    assert isinstance(data, TableData)
    roles = {spec.split.time: "time", spec.split.group: "group", data.weight: "weight"}
    roles |= dict.fromkeys(data.target, "target")
    between = f", {DELIMITERS[stored.delimiter]} between fields" if stored.delimiter != "," else ""
    title = "\n".join(
        [f"{counted(stored.rows, 'row', 'rows')}{between}, data set {stored.id}", *map(words, stored.remarks)]
    )
    table = folding_table("column", "kind", "missing", "examples", title=title, title_justify="left")
    for column in columns:
        role = roles.get(column.name)
        table.add_row(
            words(column.name) if role is None else f"{words(column.name)} ({role})",
            _taken_for(column, data),
            str(column.missing or ""),
            _remarked(column) if role in (None, "time") else _shown(column),
        )
    return table


def _remarked(column: ColumnFacts) -> str:
    """Return the examples of an input column and what to know about it, or why it is left out."""
    if column.dropped is not None:
        return f"left out: {words(column.dropped)}"
    return _shown(column) if column.note is None else f"{_shown(column)}\n{words(column.note)}"


def _shown(column: ColumnFacts) -> str:
    examples = ", ".join(map(str, column.examples))
    return words(examples if len(examples) <= LONGEST_EXAMPLES else f"{examples[: LONGEST_EXAMPLES - 1]}…")


def _taken_for(column: ColumnFacts, data: TableData) -> str:
    """Return the kind of a column; of the target, the number of its labels, or that it is a number."""
    if column.ambiguity is not None and column.name not in data.columns:
        return "unclear"
    if column.name not in data.target:
        return "" if data.columns.get(column.name) == "drop" else column.kind
    is_labels = column.labels and len(data.target) == 1
    if data.task == "classification" or (data.task == "auto" and is_labels):
        return f"{column.distinct} labels"
    return "a number"
