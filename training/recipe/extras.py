"""What a recipe asks for that not every installation has."""

from importlib.util import find_spec

from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec

PACKAGES = ("pyoperon", "sympy")


def check_extras(spec: PatternSpec) -> None:
    """Raise RecipeError where the recipe asks for a package that is not installed here. Imports none of them."""
    if spec.formula.search != "symbolic":
        return
    missing = next((package for package in PACKAGES if find_spec(package) is None), None)
    if missing is not None:
        raise RecipeError(
            f"formula.search: symbolic needs {missing}, which is not installed here; "
            "pip install 'pattern-server[symbolic]', or leave it at sparse"
        )
