"""The recipe of a pattern when only its name is given, and the checks of a recipe against the table it names."""

from collections.abc import Sequence

from models_store.errors import BundleUnreadable, PatternServerError, UnknownPattern
from models_store.storage.store import Store
from models_store.tables.column_facts import ColumnFacts
from models_store.wording import unlike
from training.recipe.base import RecipeError
from training.recipe.data import TableData
from training.recipe.spec import NO_FORMULA_OF_LABELS, PatternSpec, shipped

# A target that is said to be of these kinds is labels, unless the task says otherwise.
KINDS_OF_LABELS = frozenset({"boolean", "category", "text"})


def recipe_of_pattern(store: Store, name: str) -> PatternSpec:
    """Return the recipe of the newest undamaged version, else the shipped one.

    Raises UnknownPattern, and BundleUnreadable where a version cannot be read at this moment.
    """
    published, known = store.patterns(), shipped()
    for version in reversed(store.versions(name)) if name in published else ():
        try:
            return PatternSpec.parse(store.describe(name, version).recipe)
        except BundleUnreadable:
            raise  # it may be undamaged: training by an older recipe would be a surprise
        except PatternServerError:
            continue
    if name not in known:
        raise UnknownPattern(sorted({*published, *known}))
    return known[name]


def check_columns(spec: PatternSpec, data: TableData, columns: Sequence[ColumnFacts]) -> None:
    """Raise RecipeError where the recipe names a column that the table lacks, before anything is queued."""
    names = [column.name for column in columns]
    fields = {
        "data.target": data.target,
        "data.columns": tuple(data.columns),
        "data.date_format": tuple(data.date_format),
        "data.weight": (data.weight,),
        "split.group": (spec.split.group,),
        "split.time": (spec.split.time,),
    }
    for field, named in fields.items():
        for name in filter(None, named):
            if name not in names:
                several = set(map(str.strip, name.split(","))) <= {*names}
                hint = "a list names several columns (--target a --target b); " if several else ""
                raise RecipeError(f"{field}: the table has no such column; {hint}{unlike(name, names)}")


def check_test_columns(data: TableData, columns: Sequence[ColumnFacts]) -> None:
    """Raise RecipeError where the table of test rows lacks the target or the weight. The trainer looks at the rest."""
    names = [column.name for column in columns]
    for name in filter(None, (*data.target, data.weight)):
        if name not in names:
            what = "weight" if name == data.weight else "target"
            raise RecipeError(f"data.test: this table lacks the {what} that rows are tested by; {unlike(name, names)}")


def check_formula(spec: PatternSpec, data: TableData, columns: Sequence[ColumnFacts]) -> None:
    """Raise RecipeError where rows outside are to be answered by a formula, and the target is labels."""
    if spec.outside != "formula" or data.task == "regression" or len(data.target) > 1:
        return
    said = data.columns.get(data.target[0])
    found = any(column.labels for column in columns if column.name == data.target[0])
    if said in KINDS_OF_LABELS or (said is None and found):
        raise RecipeError(NO_FORMULA_OF_LABELS)


def check_ambiguity(data: TableData, columns: Sequence[ColumnFacts]) -> None:
    """Raise RecipeError where the kind of a column is ambiguous and the recipe does not say it."""
    said = data.columns.keys() | data.date_format.keys()
    ambiguities = [column.ambiguity for column in columns if column.ambiguity and column.name not in said]
    if ambiguities:
        raise RecipeError(ambiguities[0])
