"""What every part of a recipe is: frozen, strict, and when something is wrong, an error that names the field."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic_core import ErrorDetails

from models_store.errors import PatternServerError
from models_store.names import NAME_RULE

KINDS = frozenset(
    {
        *("formula", "sequence", "table", "integers", "uniform", "normal"),
        *("sgd", "momentum", "adagrad", "rmsprop", "adam", "cosine", "exponential"),
    }
)
# What pydantic calls the alternatives of a field that takes several kinds of value.
ALTERNATIVE = re.compile(r"(constrained-|literal\[|dict\[|function-).*|int|float|str|bool")

Fraction = Annotated[FiniteFloat, Field(ge=0, lt=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
# ints are fine for floats, but "3" and true are not numbers.
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Part(BaseModel):
    model_config = STRICT


class RecipeError(PatternServerError):
    """A recipe that cannot be used; the message names each wrong field."""

    code = "bad_recipe"

    @classmethod
    def from_validation(cls, error: ValidationError, most: int = 8) -> Self:
        """One short phrase a wrong field; what was given is not repeated, it may be anything."""
        wrong = error.errors(include_url=False, include_input=False)
        said: dict[str, list[str]] = {}
        for fault in wrong:
            said.setdefault(_named(_place(fault)), []).append(_said(fault))
        phrases = [_phrase(place, " or: ".join(dict.fromkeys(words))) for place, words in list(said.items())[:most]]
        if len(said) > most:
            phrases.append(f"and {len(said) - most} more")
        return cls("; ".join(phrases))


def _place(fault: ErrorDetails) -> tuple[int | str, ...]:
    """A field that nobody knows is named if it looks like one; otherwise only where it stands is told."""
    looks_like_a_field = re.fullmatch(r"[A-Za-z0-9_-]{1,40}", str(fault["loc"][-1])) if fault["loc"] else None
    return fault["loc"] if fault["type"] != "extra_forbidden" or looks_like_a_field else fault["loc"][:-1]


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_not_found":
        return f"say which with the field {fault['ctx']['discriminator']}"
    if fault["type"] == "string_pattern_mismatch" and fault["loc"] == ("name",):
        return f"must be {NAME_RULE}"
    if fault["type"] == "extra_forbidden":
        return "there is no such field"
    if fault["type"] == "union_tag_invalid":
        return f"must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] in ("model_type", "model_attributes_type"):
        return "must be an object"
    return fault["msg"].removeprefix("Value error, ")[:200]


def _named(location: tuple[int | str, ...]) -> str:
    """`fit.epochs`; which kind of data, distribution, optimiser or value it was is no part of the place."""
    named: list[str] = []
    kind_left_out_at = 0
    for part in map(str, location):
        is_kind = part in KINDS and ({"data", "optimizer", "schedule"} & {*named[-1:]} or "inputs" in named[-2:-1])
        if is_kind and kind_left_out_at != len(named):
            kind_left_out_at = len(named)
        else:
            named.append(part[:64])
    if len(named) > 1 and ALTERNATIVE.fullmatch(named[-1]):
        named.pop()
    return ".".join(named)


def _phrase(place: str, message: str) -> str:
    return f"{place}: {message}" if place else message
