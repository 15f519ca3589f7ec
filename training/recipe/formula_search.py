"""The part of a recipe that says how the formula behind its rows is looked for."""

from typing import Annotated, Literal

from pydantic import Field

from training.recipe.base import Part


class FormulaSearch(Part):
    """How the formula behind the rows is looked for."""

    search: Literal["sparse", "symbolic", "none"] = "sparse"
    """sparse: by sparse regression over a library of terms. symbolic: where that finds nothing, also by genetic
    programming, with the extra `symbolic`. none: it is not looked for."""
    seconds: Annotated[int, Field(ge=1, le=600)] = 60
    """The most that genetic programming may take for an output; it finds nothing where it would take longer."""
