"""The recipe of a pattern: the same object in YAML, over HTTP, and inside the bundle that it made.

PatternSpec = data + split + scaling + network + fit + seed
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from models_store.errors import PatternServerError
from training.formula import Formula, FormulaError

CATALOGUE = Path(__file__).parent / "catalogue"
LARGEST_FILE = 1 << 20
MOST_INPUT_FEATURES = 10_000
MOST_NUMBERS = 200_000_000
MOST_PARAMETERS = 10_000_000


KINDS = frozenset(
    {"formula", "sequence", "integers", "uniform", "normal", "sgd", "momentum", "adagrad", "rmsprop", "adam"}
)


class _RecipeLoader(yaml.SafeLoader):
    """YAML 1.1 reads `1e-3` as text; everybody who writes a learning rate means the number."""


_RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class RecipeError(PatternServerError):
    """A recipe that cannot be used; the message names each wrong field."""

    code = "bad_recipe"

    @classmethod
    def from_validation(cls, error: ValidationError, most: int = 8) -> Self:
        """One short phrase a wrong field; what was given is not repeated, it may be anything."""
        wrong = error.errors(include_url=False, include_input=False)
        phrases = [_phrase(_place(fault), _said(fault)) for fault in wrong[:most]]
        if len(wrong) > most:
            phrases.append(f"and {len(wrong) - most} more")
        return cls("; ".join(phrases))


def _place(fault: ErrorDetails) -> tuple[int | str, ...]:
    """A field that nobody knows is named if it looks like one; otherwise only where it stands is told."""
    looks_like_a_field = re.fullmatch(r"[A-Za-z0-9_-]{1,40}", str(fault["loc"][-1])) if fault["loc"] else None
    return fault["loc"] if fault["type"] != "extra_forbidden" or looks_like_a_field else fault["loc"][:-1]


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_not_found":
        return f"say which with the field {fault['ctx']['discriminator']}"
    if fault["type"] == "string_pattern_mismatch" and fault["loc"] == ("name",):
        return "must be a lower-case letter, then up to 62 lower-case letters, digits and dashes"
    if fault["type"] == "extra_forbidden":
        return "there is no such field"
    if fault["type"] == "union_tag_invalid":
        return f"must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] in ("model_type", "model_attributes_type"):
        return "must be an object"
    return fault["msg"].removeprefix("Value error, ")[:200]


def _phrase(location: tuple[int | str, ...], message: str) -> str:
    """`fit.epochs: must be …`; which kind of data, distribution or optimiser it was is no part of the place."""
    named: list[str] = []
    kind_left_out_at = 0
    for part in map(str, location):
        is_kind = part in KINDS and ({"data", "optimizer"} & {*named[-1:]} or "inputs" in named[-2:-1])
        if is_kind and kind_left_out_at != len(named):
            kind_left_out_at = len(named)
        else:
            named.append(part[:64])
    return f"{'.'.join(named)}: {message}" if named else message


def _is_pattern_name(name: str) -> str:
    if name in ("stats", "docs"):
        raise ValueError("this name is reserved")
    return name


def _one_spelling(method: object) -> object:
    return "minmax" if method == "min-max" else method


PatternName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$"), AfterValidator(_is_pattern_name)]
ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Fraction = Annotated[FiniteFloat, Field(ge=0, lt=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
# ints are fine for floats, but "3" and true are not numbers.
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Part(BaseModel):
    model_config = STRICT


# -- data ----------------------------------------------------------------------------------------------------------


class Integers(Part):
    """Whole numbers, uniformly from [low, high)."""

    distribution: Literal["integers"] = "integers"
    low: Annotated[int, Field(ge=-(2**53), le=2**53)]
    high: Annotated[int, Field(ge=-(2**53), le=2**53)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.low, self.high)
        return self


class Uniform(Part):
    """Real numbers, uniformly from [low, high)."""

    distribution: Literal["uniform"] = "uniform"
    low: Annotated[FiniteFloat, Field(ge=-1e300, le=1e300)]
    high: Annotated[FiniteFloat, Field(ge=-1e300, le=1e300)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        _check_order(self.low, self.high)
        return self


class Normal(Part):
    """Real numbers around `mean` with standard deviation `sd`."""

    distribution: Literal["normal"] = "normal"
    mean: FiniteFloat = 0.0
    sd: Positive = 1.0


def _check_order(low: float, high: float) -> None:
    if low >= high:
        raise ValueError("low must be below high")


Distribution = Annotated[Integers | Uniform | Normal, Field(discriminator="distribution")]
Outputs = Annotated[dict[ColumnName, str], Field(min_length=1, max_length=64)]


class HeldOutRegion(Part):
    """Test rows drawn from a region of their own, to see what the network does where it was not trained."""

    rows: Annotated[int, Field(ge=1, le=10_000_000)]
    inputs: Annotated[dict[ColumnName, Distribution], Field(min_length=1, max_length=256)]


class FormulaData(Part):
    """Rows drawn from `inputs`, labelled by formulas. `test` rows, if given, come from a region of their own.

    Columns are drawn one after another from NumPy's legacy generator, seeded with `seed` (the recipe's, if None).
    """

    kind: Literal["formula"] = "formula"
    inputs: Annotated[dict[ColumnName, Distribution], Field(min_length=1, max_length=256)]
    outputs: Outputs
    rows: Annotated[int, Field(ge=2, le=10_000_000)]
    unique: bool = False
    """Drop rows whose inputs occurred before, so that no test row is a training row as well."""
    test: HeldOutRegion | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None

    @model_validator(mode="after")
    def _same_inputs(self) -> Self:
        if self.test is not None and set(self.test.inputs) != set(self.inputs):
            raise ValueError("test.inputs must name the same columns as inputs")
        return self

    def columns(self) -> tuple[str, ...]:
        return tuple(self.inputs)


class SequenceData(Part):
    """Consecutive windows: row i is `start + step*i` plus each input's offset, labelled by formulas."""

    kind: Literal["sequence"] = "sequence"
    start: FiniteFloat = 0.0
    step: FiniteFloat = 1.0
    rows: Annotated[int, Field(ge=2, le=10_000_000)]
    inputs: Annotated[dict[ColumnName, FiniteFloat], Field(min_length=1, max_length=256)]
    outputs: Outputs
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None

    def columns(self) -> tuple[str, ...]:
        return tuple(self.inputs)


Data = Annotated[FormulaData | SequenceData, Field(discriminator="kind")]

# -- split, scaling, network, fit ----------------------------------------------------------------------------------


class Split(Part):
    """Shares of the rows, drawn by seed. `test` is not used where the data bring a test region."""

    test: Fraction = 0.2
    validation: Fraction = 0.0
    """Share of the rows that are not test rows."""
    shuffle: bool = True


class Scaling(Part):
    """Learned from training rows alone. `shared` gives the outputs the inputs' own two numbers."""

    method: Annotated[Literal["standard", "minmax", "none"], BeforeValidator(_one_spelling)] = "standard"
    scope: Literal["per-column", "global"] = "per-column"
    outputs: Literal["own", "shared", "none"] = "own"

    @model_validator(mode="after")
    def _two_numbers(self) -> Self:
        if self.outputs == "shared" and self.scope != "global" and self.method != "none":
            raise ValueError("outputs: shared needs scope: global, because only that has one pair of numbers to share")
        return self


Activation = Literal[
    "linear", "relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid", "leaky_relu", "softsign"
]


class Dense(Part):
    units: Annotated[int, Field(ge=1, le=8192)]
    activation: Activation = "relu"


class NetworkSpec(Part):
    """Hidden dense layers; the output layer has one unit an output column."""

    layers: Annotated[tuple[Dense, ...], Field(max_length=32, strict=False)] = (Dense(units=32), Dense(units=32))
    output_activation: Activation = "linear"
    polynomial_degree: Annotated[int, Field(ge=1, le=8)] = 1
    """2 adds every square and product of two inputs as an input feature, and so on."""
    dtype: Literal["float32", "float64"] = "float32"


LearningRate = Annotated[FiniteFloat, Field(gt=0, le=1e9)]
Decay = Annotated[FiniteFloat, Field(ge=0, lt=1)]


class Sgd(Part):
    name: Literal["sgd"]
    learning_rate: LearningRate = 0.01


class Momentum(Part):
    name: Literal["momentum"]
    learning_rate: LearningRate = 0.01
    momentum: Decay = 0.9
    nesterov: bool = False


class Adagrad(Part):
    name: Literal["adagrad"]
    learning_rate: LearningRate = 0.01
    initial_accumulator_value: Annotated[FiniteFloat, Field(ge=0)] = 0.1
    epsilon: Positive = 1e-7


class RmsProp(Part):
    name: Literal["rmsprop"]
    learning_rate: LearningRate = 0.001
    rho: Decay = 0.9
    momentum: Decay = 0.0
    epsilon: Positive = 1e-7


class Adam(Part):
    name: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7


Optimizer = Annotated[Sgd | Momentum | Adagrad | RmsProp | Adam, Field(discriminator="name")]


class EarlyStopping(Part):
    """Stop after `patience` epochs without an improvement of at least `min_delta`."""

    monitor: Literal["loss", "val_loss"] = "val_loss"
    mode: Literal["min", "max"] = "min"
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    restore_best: bool = True


class Fit(Part):
    loss: Literal["mse", "mae", "huber", "log_cosh"] = "mse"
    optimizer: Optimizer = Adam()
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    early_stopping: EarlyStopping | None = None


class AuthorFigure(Part):
    """The error that the pattern's original author reports, and how it was counted."""

    figure: FiniteFloat
    metric: Literal["rmse", "mae", "rmse_over_root_n"] = "rmse"


class PatternSpec(Part):
    """Everything that a training run needs, and nothing that it does not."""

    name: PatternName
    description: Annotated[str, Field(max_length=500)] = ""
    data: Data
    split: Split = Split()
    scaling: Scaling = Scaling()
    network: NetworkSpec = NetworkSpec()
    fit: Fit = Fit()
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    author: AuthorFigure | None = None

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        overlap = set(self.data.columns()) & set(self.data.outputs)
        if overlap:
            raise ValueError(f"data: {sorted(overlap)[0]} is both an input and an output")
        for output, formula in self.data.outputs.items():
            try:
                Formula.parse(formula, self.data.columns())
            except FormulaError as error:
                raise ValueError(f"data.outputs.{output}: {error}") from None
        stopping = self.fit.early_stopping
        if stopping is not None and stopping.monitor == "val_loss" and self.split.validation == 0:
            raise ValueError("fit.early_stopping: val_loss needs split.validation above 0")
        has_test_region = isinstance(self.data, FormulaData) and self.data.test is not None
        if self.split.test == 0 and not has_test_region:
            raise ValueError("split.test: must be above 0, or the card could not say how good the pattern is")
        self._check_size()
        return self

    def _check_size(self) -> None:
        from models_store.encoding import n_monomials  # deferred: NumPy is not needed to read `--help`

        n_features = n_monomials(len(self.data.columns()), self.network.polynomial_degree)
        if n_features > MOST_INPUT_FEATURES:
            raise ValueError(f"network.polynomial_degree: more than {MOST_INPUT_FEATURES} input features")
        widths = [n_features, *(layer.units for layer in self.network.layers), len(self.data.outputs)]
        region = self.data.test if isinstance(self.data, FormulaData) else None
        if region is not None and region.rows * len(self.data.inputs) > MOST_NUMBERS:
            raise ValueError(f"data.test.rows: more than {MOST_NUMBERS} numbers in the test table")
        if self.data.rows * (len(self.data.columns()) + n_features + len(self.data.outputs)) > MOST_NUMBERS:
            raise ValueError(f"data.rows: more than {MOST_NUMBERS} numbers in the training table")
        if sum((before + 1) * after for before, after in pairwise(widths)) > MOST_PARAMETERS:
            raise ValueError(f"network.layers: more than {MOST_PARAMETERS} parameters")

    @classmethod
    def parse(cls, recipe: object) -> Self:
        """From parsed JSON or YAML; RecipeError names each wrong field."""
        try:
            return cls.model_validate(recipe)
        except ValidationError as error:
            raise RecipeError.from_validation(error) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a YAML (or JSON) file."""
        if path.stat().st_size > LARGEST_FILE:
            raise RecipeError(f"{path.name} is larger than {LARGEST_FILE} bytes")
        try:
            recipe = yaml.load(path.read_text(encoding="utf-8"), Loader=_RecipeLoader)  # noqa: S506  # a SafeLoader
        except (yaml.YAMLError, ValueError, RecursionError):
            raise RecipeError(f"{path.name} is not YAML") from None
        return cls.parse(recipe)

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def overridden(self, changes: Mapping[str, object]) -> Self:
        """The recipe with some fields replaced, however deep: `{"fit": {"epochs": 300}}`."""
        return self.parse(_merged(self.to_json(), changes))


def _merged(recipe: Mapping[str, Any], changes: Mapping[str, Any], *path: str) -> dict[str, Any]:
    return {**recipe, **{key: _replaced(recipe.get(key), change, *path, key) for key, change in changes.items()}}


def _replaced(part: object, change: object, *path: str) -> object:
    if not isinstance(part, Mapping) or not isinstance(change, Mapping):
        return change
    # Another optimiser, distribution or kind of data has other fields: nothing of the old one may stay.
    tag = _tag_at(path)
    return change if tag in change and change[tag] != part.get(tag) else _merged(part, change, *path)


def _tag_at(path: tuple[str, ...]) -> str | None:
    """The field that says which kind of part stands at this place of a recipe."""
    match path:
        case ("data",):
            return "kind"
        case ("data", "inputs", _) | ("data", "test", "inputs", _):
            return "distribution"
        case ("fit", "optimizer"):
            return "name"
    return None


def catalogue() -> dict[str, PatternSpec]:
    """The recipes that ship with the server, by name."""
    specs = [PatternSpec.read(path) for path in sorted(CATALOGUE.glob("*.yaml"))]
    return {spec.name: spec for spec in specs}
