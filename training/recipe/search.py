"""The part of a recipe that says how its own fields are to be chosen: by which method, from which values, how long."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, JsonValue, model_validator

from models_store.card import SearchMetric
from training.recipe.base import Part

SearchMethod = Literal["grid", "random", "bayesian", "hyperband"]
Pruning = Literal["none", "median", "halving", "hyperband"]
MOST_TRIALS = 1000
MOST_CHOICES = 1000
MOST_FIELDS = 64
LARGEST_WHOLE = 2**53

FieldPath = Annotated[str, Field(pattern=r"^[a-z_0-9.*]{1,100}$")]


def _several(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Accepted = Annotated[
    tuple[JsonValue, ...],
    BeforeValidator(_several, json_schema_input_type=JsonValue),
    Field(min_length=1, strict=False),
]
When = Annotated[dict[FieldPath, Accepted], Field(max_length=MOST_FIELDS)]


class Choices(Part):
    """Values to choose from."""

    values: Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=MOST_CHOICES, strict=False)]
    when: When = Field(default={})
    """Other fields, and the values of theirs with which this one is chosen at all; else the recipe's own stays."""


class Range(Part):
    """Numbers from `low` to `high`, both included."""

    low: int | FiniteFloat
    high: int | FiniteFloat
    step: int | FiniteFloat | None = None
    """None: any number between them; whole numbers only, where the recipe takes no others."""
    log: bool = False
    """True: each factor is as likely as any other, as suits a learning rate."""
    when: When = Field(default={})

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, and {self.low:g} is not below {self.high:g}")
        if max(abs(self.low), abs(self.high)) > LARGEST_WHOLE:
            raise ValueError("low and high: at most 2^53 in size, beyond which numbers lose their last digits")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError("step: must be above 0, and at most as large as the range")
        if self.step is not None and (self.high - self.low) / self.step > LARGEST_WHOLE:
            raise ValueError("step: is too small for the range; leave it out for any number in the range")
        if self.log and self.low <= 0:
            raise ValueError("log: needs a low above 0")
        if self.log and self.step is not None:
            raise ValueError("log: has no step; leave out one of them, or list the values")
        return self


def _dimension(written: Any) -> Any:
    """Read `[8, 16, 32]` as choices, and tell a range from choices by its fields."""
    if isinstance(written, list | tuple):
        return Choices(values=tuple(written)) if written else _empty()
    if isinstance(written, Mapping):
        return Choices.model_validate(dict(written)) if "values" in written else Range.model_validate(dict(written))
    if isinstance(written, Choices | Range):
        return written
    raise ValueError('give a list of values, or a range such as {"low": 0.001, "high": 0.1, "log": true}')


def _empty() -> Any:
    raise ValueError("the list is empty: give at least one value")


Dimension = Annotated[
    Choices | Range, BeforeValidator(_dimension, json_schema_input_type=Choices | Range | list[JsonValue])
]


class Search(Part):
    """A search: trials of the recipe with some of its fields changed, scored on rows that are not test rows.

    The recipe of the best trial is then trained, tested and published.
    """

    method: SearchMethod = "bayesian"
    """bayesian: TPE, which learns from the trials before. hyperband: TPE, and most trials are ended early."""
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    """None: 40, or all combinations of a grid."""
    seconds: Annotated[FiniteFloat, Field(gt=0, le=10_000_000)] | None = None
    """No trial begins after so long."""
    space: Annotated[dict[FieldPath, Dimension], Field(max_length=MOST_FIELDS)] | None = None
    """Fields of the recipe by their paths, and the values they may take; None: a space that suits the recipe."""
    metric: Literal["auto", SearchMetric] = "auto"
    """auto: rmse of numbers, log_loss of labels."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """Each trial is scored on so many folds of the rows that are not test rows; None: on the validation rows."""
    pruning: Pruning | None = None
    """None: trials run to their end; with the method hyperband, hyperband."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Draws the trials; the networks' own seed is the recipe's."""

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.space is not None and not self.space:
            raise ValueError("space: is empty; name at least one field, or leave it out for the default space")
        if self.method == "grid" and self.space is None:
            raise ValueError("space: a grid needs the values to combine; list them, or choose another method")
        if self.method == "hyperband" and self.pruning not in (None, "hyperband"):
            raise ValueError("pruning: the method hyperband prunes by itself; leave pruning out")
        return self
