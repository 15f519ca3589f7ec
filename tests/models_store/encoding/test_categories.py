"""Categories as network inputs: one a value, the most frequent first."""

import numpy as np
import pytest

from models_store.encoding.categories import FEWEST_OF_A_CATEGORY, MOST_CATEGORIES, CategoryEncoder
from models_store.errors import BundleDamaged
from models_store.tables.table import column_of


def test_a_category_has_a_slot_of_its_own_the_most_frequent_first() -> None:
    encoder = CategoryEncoder.fit(column_of("category", ["b", "a", "a", "c", "b", "b", None]))
    assert encoder.values == ("b", "a")  # c stands there once
    asked = column_of("category", ["b", "a", "c", "sesame", None])
    assert encoder.encode(asked).argmax(axis=1).tolist() == [0, 1, 2, 2, 3]
    assert encoder.unknown(asked).tolist() == [False, False, True, True, False]


def test_no_more_categories_are_learned_than_there_is_room_for() -> None:
    many = [f"{place:04}" for place in range(MOST_CATEGORIES + 10)] * FEWEST_OF_A_CATEGORY
    assert CategoryEncoder.fit(column_of("category", many)).values == tuple(sorted(many)[::FEWEST_OF_A_CATEGORY][:256])


def test_a_category_is_told_by_the_mean_targets_of_its_rows_beside_its_slot() -> None:
    encoder = CategoryEncoder(("a",), takes_missing=True, means={"a": (0.5, -1.0), "b": (2.0, 0.25)})
    asked = column_of("category", ["a", "b", "sesame", None])
    np.testing.assert_array_equal(
        encoder.encode(asked), [[1, 0, 0, 0.5, -1], [0, 1, 0, 2, 0.25], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    )
    assert (encoder.width, encoder.n_means) == (5, 2)
    assert encoder.unknown(asked).tolist() == [False, False, True, False]
    assert encoder.decode(encoder.encode(asked)).tolist() == ["a", None, None, None]
    assert CategoryEncoder.from_dict(encoder.to_dict()) == encoder


@pytest.mark.parametrize("means", [{"a": [1.0], "b": []}, {"a": [float("nan")]}, {"a": ["1"]}])
def test_means_that_are_no_numbers_are_damage(means: object) -> None:
    saved = CategoryEncoder(("a",), takes_missing=False).to_dict()
    assert "means" not in saved
    with pytest.raises(BundleDamaged, match="means must be finite numbers"):
        CategoryEncoder.from_dict({**saved, "means": means})
