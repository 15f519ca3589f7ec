"""Categories as network inputs: one a value, the most frequent first."""

from models_store.encoding.categories import FEWEST_OF_A_CATEGORY, MOST_CATEGORIES, CategoryEncoder
from models_store.tables.table import (
    column_of,
)


def test_a_category_has_a_slot_of_its_own_the_most_frequent_first() -> None:
    encoder = CategoryEncoder.fit(column_of("category", ["b", "a", "a", "c", "b", "b", None]))
    assert encoder.values == ("b", "a")  # c stands there once
    asked = column_of("category", ["b", "a", "c", "sesame", None])
    assert encoder.encode(asked).argmax(axis=1).tolist() == [0, 1, 2, 2, 3]
    assert encoder.unknown(asked).tolist() == [False, False, True, True, False]


def test_no_more_categories_are_learned_than_there_is_room_for() -> None:
    many = [f"{place:04}" for place in range(MOST_CATEGORIES + 10)] * FEWEST_OF_A_CATEGORY
    assert CategoryEncoder.fit(column_of("category", many)).values == tuple(sorted(many)[::FEWEST_OF_A_CATEGORY][:256])
