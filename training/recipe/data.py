"""The part of a recipe that says where its rows come from: a formula, a sequence, or a table."""

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, model_validator

from models_store.card import Task
from models_store.encoding.texts import Weighting
from models_store.tables.date_formats import form_of, kind_of_format
from models_store.tables.spelling import DateOrder
from models_store.tables.table import Kind
from models_store.tables.words import Terms
from models_store.wording import shortened, shortened_name
from training.recipe.base import Part, Positive, TableColumn

ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


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
        raise ValueError("low must be below high: numbers are drawn from [low, high)")


Distribution = Annotated[Integers | Uniform | Normal, Field(discriminator="distribution")]
Outputs = Annotated[dict[ColumnName, str], Field(min_length=1, max_length=64)]


class HeldOutRegion(Part):
    """Test rows drawn from a region of their own, to see what the network does where it was not trained."""

    rows: Annotated[int, Field(ge=1, le=10_000_000)]
    inputs: Annotated[dict[ColumnName, Distribution], Field(min_length=1, max_length=256)]


class FormulaData(Part):
    """Rows drawn from the distributions in `inputs`; formulas give their outputs.

    Test rows are a share of them, or come from a region of their own, `test`. Columns are drawn one after another from
    NumPy's legacy generator, seeded with `seed` (None: the recipe's).
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
            raise ValueError(f"test.inputs must name the same columns as inputs: {shortened(self.inputs)}")
        return self

    def columns(self) -> tuple[str, ...]:
        return tuple(self.inputs)


class SequenceData(Part):
    """Consecutive windows: row i holds `start + step*i` plus the offset of each input; formulas give its outputs."""

    kind: Literal["sequence"] = "sequence"
    start: FiniteFloat = 0.0
    step: FiniteFloat = 1.0
    rows: Annotated[int, Field(ge=2, le=10_000_000)]
    inputs: Annotated[dict[ColumnName, FiniteFloat], Field(min_length=1, max_length=256)]
    outputs: Outputs
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None

    def columns(self) -> tuple[str, ...]:
        return tuple(self.inputs)


def _listed(target: object) -> object:
    return (target,) if isinstance(target, str) else target


WellKnown = Literal["iris", "boston-housing", "california-housing", "imdb-reviews"]


def _dataset(name: str) -> str:
    if name not in get_args(WellKnown) and not re.fullmatch("[0-9a-f]{32}", name):
        raise ValueError(
            f"give the id of a table that was uploaded (GET /datasets), or {', '.join(get_args(WellKnown))}"
        )
    return name


Word = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(str.strip)]
Targets = Annotated[tuple[TableColumn, ...], BeforeValidator(_listed), Field(min_length=1, max_length=64, strict=False)]


def _format(written: str) -> str:
    form_of(written)
    return written


DateFormat = Annotated[str, Field(min_length=2, max_length=100), AfterValidator(_format)]


ColumnPair = Annotated[tuple[TableColumn, TableColumn], Field(strict=False)]


class TableData(Part):
    """Rows of a table, uploaded (its id) or well-known (its name). The kinds of columns not named are inferred."""

    kind: Literal["table"] = "table"
    dataset: Annotated[str, AfterValidator(_dataset)]
    target: Targets
    """The column to predict, or several columns of numbers."""
    task: Literal["auto", Task] = "auto"
    columns: Annotated[dict[TableColumn, Kind | Literal["drop"]], Field(max_length=10_000)] = Field(default={})
    numbers: Literal["auto", "piecewise", "scaled"] = "auto"
    """piecewise: numbers are scaled and encoded piecewise linearly between quantiles of the training rows.

    auto: piecewise, unless the encoded training rows would be too large.
    """
    bins: Annotated[int, Field(ge=2, le=256)] | Literal["auto"] = "auto"
    """Pieces of a number's piecewise linear encoding; auto: 4 to 32, one for every 150 training rows.

    For every 300 where members learn labels, for every 50 in a network of one.
    """
    pairs: Annotated[tuple[ColumnPair, ...], Field(max_length=20, strict=False)] | Literal["auto"] = ()
    """Pairs of columns of numbers that are also encoded by their place in the plane, such as longitude and latitude.

    auto: the pair that most tells more together than apart, if one clearly does and numbers are piecewise.
    """
    categories: Literal["auto", "one-hot", "target-means"] = "auto"
    """target-means: beside one input for each frequent category, one that tells the mean target of its training rows.

    auto: one-hot, and target-means for columns of more than 256 categories.
    """
    words: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """The most terms of each text column that become network inputs, the most frequent first."""
    terms: Terms | Literal["auto"] = "words"
    """What is counted of texts: words; words-and-pairs: also how words begin, alone and in pairs of neighbours.

    auto: words-and-pairs for texts of many words that labels weight, words for others.
    """
    weighting: Weighting | Literal["by-label", "auto"] = "multi-hot"
    """by-label: tf-idf, and words count the more the more their share differs between labels.

    auto: by-label for labels, multi-hot for numbers.
    """
    missing: Annotated[tuple[Word, ...], BeforeValidator(_listed), Field(max_length=20, strict=False)] = ()
    """Words that mean a missing value in this table, beside those that always do."""
    dates: Literal["auto"] | DateOrder = "auto"
    """Order of day and month in dates that are not ISO 8601; auto: inferred from a day beyond the 12th."""
    date_format: Annotated[dict[TableColumn, DateFormat], Field(max_length=10_000)] = Field(default={})
    """The format of columns of dates or times, in directives of `strftime`: %d.%m.%y; such columns are of that kind."""
    weight: TableColumn | None = None
    """The column that says how much each row counts, above 0: in the loss, the scores and the baselines.

    It is no input. None: all rows count alike.
    """
    test: Annotated[str, AfterValidator(_dataset)] | None = None
    """The table whose rows are the test rows; None: they are a share of the rows of `dataset`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Seed of the split; None: the recipe's."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.target)) != len(self.target):
            raise ValueError("target: a column is named twice")
        for name, written in self.date_format.items():
            kind = kind_of_format(written)
            said = self.columns.get(name, kind)
            # A column that is left out may still be what rows are split by.
            if said not in (kind, "drop"):
                raise ValueError(
                    f"date_format: {shortened_name(name)} is to be a {said}, and {written} is the format of a {kind}; "
                    "take out one of the two (columns, date_format)"
                )
        if self.pairs != "auto" and any(first == second for first, second in self.pairs):
            raise ValueError("pairs: a pair is of two different columns")
        if self.weight in self.target:
            raise ValueError("weight: names the target, which is learned; a weight needs a column of its own")
        if self.test == self.dataset:
            raise ValueError(
                "test: is the table that is learned; leave it out, and a share of its rows is kept for tests"
            )
        if self.task == "classification" and len(self.target) > 1:
            raise ValueError(
                f"target: labels can be learned for one column at a time, and {len(self.target)} are named"
            )
        return self


Data = Annotated[FormulaData | SequenceData | TableData, Field(discriminator="kind")]
