"""Whether what is trained becomes the champion: as its request says, else as its recipe does."""

from dataclasses import dataclass

from training.messages import IfBetter, Promote
from training.recipe.base import RecipeError
from training.recipe.promotion import Promotion, When
from training.recipe.spec import PatternSpec

ALWAYS = Promotion(when="always")


@dataclass(frozen=True)
class AskedPromotion:
    """What a request says of it; None: nothing."""

    when: When | None = None
    tolerance: float | None = None
    """From 0 to 1."""

    def promote(self, spec: PatternSpec, usual: Promotion = ALWAYS) -> Promote:
        """Return it as the trainer takes it. `usual` is for what neither this nor the recipe says.

        Raises RecipeError where a tolerance goes with nothing.
        """
        by_recipe = spec.promotion or usual
        when = self.when or by_recipe.when
        if when == "if-better":
            return IfBetter(tolerance=by_recipe.tolerance if self.tolerance is None else self.tolerance)
        if self.tolerance is not None:
            raise RecipeError('tolerance: goes only with "promote": "if-better"; say that too, or leave it out')
        return when == "always"


BY_RECIPE = AskedPromotion()
