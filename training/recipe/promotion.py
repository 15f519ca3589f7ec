"""The part of a recipe that says when what is trained by it becomes the champion, if its request does not say so."""

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from training.recipe.base import Part

When = Literal["always", "never", "if-better"]


class Promotion(Part):
    when: When
    """`if-better`: if the new version is not worse than the champion, for sure, on the same rows."""
    tolerance: Annotated[FiniteFloat, Field(ge=0, le=1)] = 0.0
    """With `if-better`, how much worse it may be, as a share of the champion's figure."""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.tolerance and self.when != "if-better":
            raise ValueError("tolerance: goes only with when: if-better; say that, or leave it out")
        return self
