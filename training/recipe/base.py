"""The base class of every part of a recipe, frozen and strict, and the error that names its wrong fields."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic_core import ErrorDetails

from models_store.errors import PatternServerError
from models_store.names import NAME_RULE

# Discriminators of unions: pydantic puts them into the location of an error, where no field has such a name.
KINDS = frozenset(
    {
        *("formula", "sequence", "table", "integers", "uniform", "normal"),
        *("sgd", "momentum", "adagrad", "rmsprop", "adam", "cosine", "exponential"),
    }
)
# Names that pydantic puts at the end of a location for the alternatives of a field that takes several types.
ALTERNATIVE = re.compile(r"(constrained-|literal\[|dict\[|function-).*|int|float|str|bool")
# What messages of pydantic begin with, and its words for kinds of values.
ASKED = "Input should be "
WHOLE, NUMBER = "a whole number", "a number"
KINDS_OF_VALUES = {
    "a valid integer": WHOLE,
    "a valid number": NUMBER,
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid list": "a list",
}
# What a check of a whole part begins with, if it is about one field of it.
FIELD = re.compile(r"[a-z_]+(\.[a-z_]+)*: ")

TableColumn = Annotated[str, Field(min_length=1, max_length=200)]
Fraction = Annotated[FiniteFloat, Field(ge=0, lt=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
# Strict: an int may stand for a float, but "3" and true are not numbers.
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)


class Part(BaseModel):
    """A part of a recipe. Unknown fields are refused."""

    model_config = STRICT


class RecipeError(PatternServerError):
    """A recipe that cannot be used; the message names each wrong field."""

    code = "bad_recipe"

    @classmethod
    def from_validation(cls, error: ValidationError, most: int = 8) -> Self:
        """Say in one short phrase for each wrong field what is wrong, of at most `most` fields.

        The value that was given is not repeated: it may be long, or secret.
        """
        wrong = error.errors(include_url=False, include_input=False)
        said: dict[str, list[str]] = {}
        for fault in wrong:
            said.setdefault(_named(_place(fault)), []).append(_said(fault))
        phrases = [_phrase(place, _either([*dict.fromkeys(words)])) for place, words in list(said.items())[:most]]
        if len(said) > most:
            phrases.append(f"and {len(said) - most} more")
        return cls("; ".join(phrases))


def _place(fault: ErrorDetails) -> tuple[int | str, ...]:
    """Return the location of a fault. An unknown field is named only if it looks like one; else its parent is."""
    looks_like_a_field = re.fullmatch(r"[A-Za-z0-9_-]{1,40}", str(fault["loc"][-1])) if fault["loc"] else None
    return fault["loc"] if fault["type"] != "extra_forbidden" or looks_like_a_field else fault["loc"][:-1]


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "union_tag_not_found":
        return f"must say which it is with the field {fault['ctx']['discriminator']}"
    if fault["type"] == "string_pattern_mismatch" and fault["loc"] == ("name",):
        return f"must be {NAME_RULE}"
    if fault["type"] == "extra_forbidden":
        return "there is no such field"
    if fault["type"] == "union_tag_invalid":
        return f"must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] in ("model_type", "model_attributes_type"):
        return "must be an object"
    return fault["msg"].removeprefix("Value error, ")[:200]


def _either(words: list[str]) -> str:
    """Return as one sentence what the alternatives of a field that takes several types ask for."""
    asked = [word.removeprefix(ASKED) for word in words if word.startswith(ASKED)]
    if len(words) == 1 or len(asked) < len(words):
        return " or: ".join(words)
    kinds = [KINDS_OF_VALUES.get(word, word) for word in asked]
    wider = [kind for kind in kinds if not (kind == WHOLE and NUMBER in kinds)]
    return f"must be {' or '.join(wider)}"


def _named(location: tuple[int | str, ...]) -> str:
    """Return `fit.epochs` for a location of pydantic's, without the names of kinds and alternatives in it."""
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
    """Return `data.weight: …` where a check of the whole part `data` says `weight: …`."""
    joint = "." if FIELD.match(message) else ": "
    return f"{place}{joint}{message}" if place else message
