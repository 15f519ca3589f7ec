"""Errors of recipes: each names its field as the recipe has it, and repeats nothing that was given."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from training.recipe.base import Fraction, Part, Positive, RecipeError
from training.recipe.spec import PatternSpec

INTEGERS = {"distribution": "integers", "low": 0, "high": 100}


class Sgd(Part):
    name: Literal["sgd"]
    rate: Positive = 0.1


class Whole(Part):
    share: Fraction = 0.0
    epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    optimizer: Sgd | None = None
    size: int | float = 1


def error(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(given)
    return str(RecipeError.from_validation(caught.value))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": "0.5"}, "share: Input should be a valid number"),
        ({"share": True}, "share: Input should be a valid number"),
        ({"share": 1}, "share: Input should be less than 1"),
        ({"optimizer": 3}, "optimizer: must be an object"),
        ({"optimizer": {"name": "sgd", "rate": 0}}, "optimizer.rate: Input should be greater than 0"),
        ({"colour": 1}, "colour: there is no such field"),
        ({"a colour of text": 1}, "there is no such field"),
        ({"epochs": 0}, "epochs: must be greater than or equal to 1 or 'auto'"),
        ({"epochs": "many"}, "epochs: must be a whole number or 'auto'"),
        ({"size": "large"}, "size: must be a number"),
        ({"share": 2, "colour": 1}, "share: Input should be less than 1; colour: there is no such field"),
    ],
)
def test_a_wrong_field_is_named_without_what_the_validator_calls_its_alternatives(given: Any, said: str) -> None:
    assert error(**given) == said


def test_a_part_is_frozen() -> None:
    whole: Any = Whole()
    with pytest.raises(ValidationError, match="frozen"):
        whole.share = 0.5


# -- in a whole recipe ---------------------------------------------------------------------------------------------


def test_every_mistake_is_named_but_not_without_end(recipe: PatternSpec) -> None:
    with pytest.raises(RecipeError) as refusal:
        recipe.overridden(
            {"seed": -1, "fit": {"epochs": 0, "loss": "mape"}, "data": {f"field{i}": 0 for i in range(20)}}
        )
    assert str(refusal.value).count("; ") == 8
    assert str(refusal.value).endswith("and 15 more")


LONG = "secret" * 2000
ECHOES: list[dict[str, Any]] = [
    {"name": LONG},
    {LONG: 1},
    {"seed": LONG},
    {"data": {"outputs": {"y": LONG}}},
    {"data": {"outputs": {LONG: "x"}}},
    {"data": {"inputs": {LONG: INTEGERS}}},
    {"fit": {"loss": LONG}},
]


@pytest.mark.parametrize("wrong", ECHOES, ids=range(len(ECHOES)))
def test_a_refusal_does_not_repeat_what_was_given(recipe: PatternSpec, wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as refusal:
        recipe.overridden(wrong)
    assert str(refusal.value).count("secret") <= 11  # the name of a field, cut to 64 characters
    assert len(str(refusal.value)) < 500


def test_a_refusal_does_not_repeat_the_name_of_an_unknown_optimiser(recipe: PatternSpec) -> None:
    with pytest.raises(RecipeError) as refusal:
        recipe.overridden({"fit": {"optimizer": {"name": LONG}}})
    assert "secret" not in str(refusal.value)
