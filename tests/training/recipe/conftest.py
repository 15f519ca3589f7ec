"""A recipe that the tests of this folder change."""

import pytest

from training.recipe.spec import PatternSpec


@pytest.fixture
def recipe() -> PatternSpec:
    return PatternSpec.parse(
        {
            "name": "line",
            "data": {
                "kind": "formula",
                "inputs": {"x": {"distribution": "integers", "low": 0, "high": 100}},
                "outputs": {"y": "x + 10"},
                "rows": 100,
            },
        }
    )
