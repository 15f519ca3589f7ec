"""The recipe of a pattern: the same object in YAML, over HTTP, and in the bundle that was trained by it.

PatternSpec = data + split + scaling + network + fit + seed
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from models_store.card import NUMBER_METRICS, Way, is_none
from models_store.encoding.rows import n_monomials
from models_store.names import NAME, RESERVED
from training.recipe.base import Part, RecipeError
from training.recipe.data import Data, FormulaData, SequenceData, TableData
from training.recipe.fit import (
    NUMBER_LOSSES,
    AuthorFigure,
    CrossValidate,
    Fit,
    NetworkSpec,
    Scaling,
    Shown,
    Split,
)
from training.recipe.formula import Formula, FormulaError
from training.recipe.formula_search import FormulaSearch
from training.recipe.promotion import Promotion
from training.recipe.search import Search
from training.recipe.space import space_of

CATALOGUE = Path(__file__).parents[1] / "catalogue"
LARGEST_FILE = 1 << 20
MOST_INPUT_FEATURES = 10_000
MOST_NUMBERS = 200_000_000
MOST_PARAMETERS = 10_000_000


class _RecipeLoader(yaml.SafeLoader):
    """A safe YAML loader that reads `1e-3` as a number, which YAML 1.1 takes for text."""


_RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def parsed(text: str) -> Any:
    """Return what a text in YAML, or JSON, says. Raises ValueError if it is neither."""
    try:
        return yaml.load(text, Loader=_RecipeLoader)  # noqa: S506  # a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("not YAML") from error


def _is_pattern_name(name: str) -> str:
    if name in RESERVED:
        raise ValueError("this name is reserved")
    return name


def _is_usual(formula: FormulaSearch) -> bool:
    return formula == FormulaSearch()


PatternName = Annotated[str, Field(pattern=f"^{NAME.pattern}$"), AfterValidator(_is_pattern_name)]
# Defaults of recipes for tables: good without tuning. A recipe's own fields take precedence.
MEMBERS: dict[str, Any] = {
    "data": {"kind": "table", "pairs": "auto", "weighting": "auto", "terms": "auto"},
    "split": {"test": 0.2, "validation": 0.0, "refit": True},
    "network": {"layers": [{"units": "auto"}, {"units": 64}], "dropout": "auto", "members": "auto"},
    "fit": {
        "loss": "auto",
        "optimizer": {
            "name": "adam",
            "learning_rate": "auto",
            "beta_1": "auto",
            "beta_2": "auto",
            "weight_decay": 0.01,
        },
        "schedule": {"name": "cosine", "warmup": 0.05},
        "epochs": "auto",
        "batch_size": "auto",
        "early_stopping": {"patience": 20},
        "averaged_epochs": "auto",
        "calibration": "temperature",
    },
}
# Those of a recipe that names a validation share, or a network of one.
ONE_NETWORK: dict[str, Any] = {
    "split": {"test": 0.2, "validation": 0.2, "refit": True},
    "network": {"layers": [{"units": 64}, {"units": 64}], "dropout": 0.2},
    "fit": {
        "loss": "auto",
        "optimizer": {"name": "adam", "learning_rate": 0.001, "weight_decay": 0.01},
        "epochs": 300,
        "batch_size": "auto",
        "early_stopping": {"patience": 20},
    },
}


NO_FORMULA_OF_LABELS = "outside: the target is labels, which no formula answers: use warn, clip or reject"


class PatternSpec(Part):
    """A recipe: all that a training needs to know."""

    name: PatternName
    description: Annotated[str, Field(max_length=500)] = ""
    data: Data
    split: Split = Split()
    scaling: Scaling = Scaling()
    network: NetworkSpec = NetworkSpec()
    fit: Fit = Fit()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    missing: Literal["fill", "refuse"] = "fill"
    """A missing value in a question, in a column of a table that had none in training: filled in, or refused."""
    outside: Way | None = Field(default=None, exclude_if=is_none)
    """What becomes of rows outside what training saw, where a request does not say; None: they are like others."""
    cross_validate: CrossValidate | None = None
    search: Search | None = Field(default=None, exclude_if=is_none)
    """How fields of this recipe are to be chosen; the published version has the chosen recipe, without it."""
    promotion: Promotion | None = Field(default=None, exclude_if=is_none)
    """When a version of this recipe becomes the champion, where the request for its training does not say so."""
    formula: FormulaSearch = Field(default=FormulaSearch(), exclude_if=_is_usual)
    """How the formula behind the rows is looked for."""
    author: AuthorFigure | None = None
    improves: PatternName | None = None
    """The pattern that this recipe improves on, with the same rows."""

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, recipe: Any) -> Any:
        if isinstance(recipe, dict) and isinstance(recipe.get("data"), dict) and recipe["data"].get("kind") == "table":
            return _merged(_table_defaults(recipe), recipe)
        return recipe

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        stopping = self.fit.early_stopping
        is_validated = self.split.validation > 0 or self.network.most_members > 1
        if stopping is not None and stopping.monitor.startswith("val_") and not is_validated:
            raise ValueError(
                f"fit.early_stopping: {stopping.monitor} needs split.validation above 0 or network.members above 1, "
                "or monitor loss or metric"
            )
        by_column = self.split.group or self.split.time
        if by_column and not isinstance(self.data, TableData):
            raise ValueError(f"split.{'group' if self.split.group else 'time'}: names a column of a table")
        if self.cross_validate is not None and self.cross_validate.repeats > 1 and self.split.time:
            raise ValueError("cross_validate.repeats: folds by time are always the same ones; leave it at 1")
        if self.cross_validate is not None and not self.split.shuffle and not by_column:
            raise ValueError(
                "cross_validate: folds are drawn at random, and split.shuffle is false: leave out one of them"
            )
        has_test_rows = isinstance(self.data, FormulaData | TableData) and self.data.test is not None
        if self.split.test == 0 and not has_test_rows:
            raise ValueError("split.test: must be above 0, or the card could not say how good the pattern is")
        if isinstance(self.data, TableData):
            self._check_table(self.data)
        else:
            self._check_formulas(self.data)
            self._check_size(self.data)
        if self.outside == "formula" and self.formula.search == "none":
            raise ValueError("outside: formula needs one, and formula.search is none: change one of them")
        if self.search is not None:
            self._check_search(self.search)
        return self

    def _check_search(self, search: Search) -> None:
        if self.cross_validate is not None:
            raise ValueError("cross_validate: folds of a search stand in search.folds; leave cross_validate out")
        if not isinstance(self.data, TableData) and search.metric not in NUMBER_METRICS | {"auto"}:
            raise ValueError(f"search.metric: {search.metric} is for labels, and a formula gives numbers: try rmse")
        try:
            space_of(self, search)
        except RecipeError as error:
            raise ValueError(str(error)) from None

    def _check_table(self, data: TableData) -> None:
        if self.network.polynomial_degree > 1:
            raise ValueError(
                f"network.polynomial_degree: must be 1 for a table, and is {self.network.polynomial_degree}, "
                "because data.numbers: piecewise already bends its numbers"
            )
        if self.scaling.scope != "per-column" or self.scaling.outputs == "shared":
            raise ValueError(
                "scaling.scope: each column of a table is scaled by itself: use per-column, and outputs own or none"
            )
        for field, name in (("group", self.split.group), ("time", self.split.time)):
            if name is not None and name in (*data.target, data.weight):
                raise ValueError(f"split.{field}: names the target or the weight; rows are split by another column")
        if self.outside == "formula" and (data.task == "classification" or self.fit.is_for_labels):
            raise ValueError(NO_FORMULA_OF_LABELS)
        dropped = [name for name in data.target if data.columns.get(name) == "drop"]
        if dropped:
            raise ValueError(f"data.columns: the target cannot be dropped, and {len(dropped)} of its columns are")

    def _check_formulas(self, data: FormulaData | SequenceData) -> None:
        overlap = set(data.columns()) & set(data.outputs)
        if overlap:
            raise ValueError(f"data: {sorted(overlap)[0]} is both an input and an output: rename one of them")
        for output, formula in data.outputs.items():
            try:
                Formula.parse(formula, data.columns())
            except FormulaError as error:
                raise ValueError(f"data.outputs.{output}: {error}") from None
        if self.fit.loss not in NUMBER_LOSSES | {"auto"}:
            raise ValueError(f"fit.loss: {self.fit.loss} is for labels, and a formula gives numbers: try mse")
        if self.fit.class_weights is not None:
            raise ValueError("fit.class_weights: are for labels, and a formula gives numbers: leave them out")

    def _check_size(self, data: FormulaData | SequenceData) -> None:
        n_features = n_monomials(len(data.columns()), self.network.polynomial_degree)
        if n_features > MOST_INPUT_FEATURES:
            raise ValueError(
                f"network.polynomial_degree: more than {MOST_INPUT_FEATURES} input features: lower the degree"
            )
        widths = [n_features, *(layer.units_for(Shown()) for layer in self.network.layers), len(data.outputs)]
        region = data.test if isinstance(data, FormulaData) else None
        if region is not None and region.rows * len(data.inputs) > MOST_NUMBERS:
            raise ValueError(f"data.test.rows: more than {MOST_NUMBERS} numbers in the test table: ask for fewer rows")
        if data.rows * (len(data.columns()) + n_features + len(data.outputs)) > MOST_NUMBERS:
            raise ValueError(f"data.rows: more than {MOST_NUMBERS} numbers in the training table: ask for fewer rows")
        n_parameters = self.network.most_members * sum((before + 1) * after for before, after in pairwise(widths))
        if n_parameters > MOST_PARAMETERS:
            raise ValueError(
                f"network.layers: more than {MOST_PARAMETERS} parameters ({n_parameters}): use fewer units"
            )

    @classmethod
    def parse(cls, recipe: object) -> Self:
        """Read a recipe from parsed JSON or YAML. Raises RecipeError, which names each wrong field."""
        try:
            return cls.model_validate(recipe)
        except ValidationError as error:
            raise RecipeError.from_validation(error) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a recipe from a YAML or JSON file. Raises RecipeError if it is too large, not YAML, or not a recipe."""
        if path.stat().st_size > LARGEST_FILE:
            raise RecipeError(f"{path.name} is larger than {LARGEST_FILE} bytes; a recipe is a page of text")
        try:
            recipe = parsed(path.read_text(encoding="utf-8"))
        except ValueError:
            raise RecipeError(f"{path.name} is not YAML; recipes are written in YAML or JSON, as UTF-8 text") from None
        return cls.parse(recipe)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def overridden(self, changes: Mapping[str, object]) -> Self:
        """Return the recipe with some fields replaced, however deep: `{"fit": {"epochs": 300}}`.

        Another seed draws other initial weights but the same rows: versions stay comparable on the same test rows.
        Raises RecipeError where the result is not a recipe.
        """
        recipe = self.to_json()
        if "seed" in changes and recipe["data"]["seed"] is None:
            recipe["data"]["seed"] = self.seed
        return self.parse(_merged(recipe, changes))


def _table_defaults(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the defaults of a recipe for a table: recipes of earlier releases name a validation share, and keep it."""
    split, network = recipe.get("split"), recipe.get("network")
    names_validation = isinstance(split, dict) and "validation" in split
    is_of_one = isinstance(network, dict) and network.get("members") == 1
    if names_validation or is_of_one:
        return ONE_NETWORK
    scaling = recipe.get("scaling")
    # Those that a bundle holds name every field that there was, and learn what they learned.
    is_of_earlier_release = isinstance(scaling, dict) and scaling.keys() >= {"method", "scope", "outputs"}
    return MEMBERS if is_of_earlier_release else MEMBERS | {"scaling": {"targets": "auto"}}


def _merged(recipe: Mapping[str, Any], changes: Mapping[str, Any], *path: str) -> dict[str, Any]:
    return {**recipe, **{key: _replaced(recipe.get(key), change, *path, key) for key, change in changes.items()}}


def _replaced(part: object, change: object, *path: str) -> object:
    # Fields of another space belong to another search.
    if not isinstance(part, Mapping) or not isinstance(change, Mapping) or path == ("search", "space"):
        return change
    # Another optimiser, distribution or kind of data has other fields: nothing of the old one may stay.
    tag = _tag_at(path)
    return change if tag in change and change[tag] != part.get(tag) else _merged(part, change, *path)


def _tag_at(path: tuple[str, ...]) -> str | None:
    """Return the name of the discriminator field of the part at this path of a recipe; None if it has none."""
    match path:
        case ("data",):
            return "kind"
        case ("data", "inputs", _) | ("data", "test", "inputs", _):
            return "distribution"
        case ("fit", "optimizer" | "schedule"):
            return "name"
        case ("promotion",):
            return "when"
    return None


def catalogue() -> dict[str, PatternSpec]:
    """Return the recipes that a new server trains when it starts, by name."""
    return _recipes_in(CATALOGUE)


def shipped() -> dict[str, PatternSpec]:
    """Return the catalogue, and the recipes that improve on it, which are trained only when asked for."""
    return {**catalogue(), **_recipes_in(CATALOGUE / "improved")}


def _recipes_in(folder: Path) -> dict[str, PatternSpec]:
    specs = [PatternSpec.read(path) for path in sorted(folder.glob("*.yaml"))]
    return {spec.name: spec for spec in specs}
