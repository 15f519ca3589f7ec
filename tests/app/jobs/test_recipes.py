"""The recipe of a pattern: that of its newest undamaged version, or the catalogue's where it has none."""

import pytest

from app.jobs.recipes import recipe_of_pattern
from models_store.errors import BundleUnreadable, UnknownPattern
from models_store.storage.store import Store
from tests.app.over_http import fork, pair
from tests.disks import no_more_files
from training.recipe.spec import PatternSpec, catalogue


def test_a_damaged_newest_version_gives_way_to_the_one_before(store: Store) -> None:
    for bundle in (pair("fork"), fork()):
        store.publish(bundle)
    assert recipe_of_pattern(store, "fork") == PatternSpec.parse(fork().recipe)
    (store.root / "fork" / "2" / "bundle.json").write_bytes(b"scratched")
    assert recipe_of_pattern(store, "fork") == PatternSpec.parse(pair("fork").recipe)


def test_a_pattern_that_has_no_version_is_trained_by_the_catalogue(store: Store) -> None:
    assert recipe_of_pattern(store, "add-ten") == catalogue()["add-ten"]
    store.publish(fork("add-ten"))
    assert recipe_of_pattern(store, "add-ten") == PatternSpec.parse(fork("add-ten").recipe)


def test_a_store_that_cannot_be_read_does_not_make_it_the_catalogues(store: Store) -> None:
    store.publish(fork("add-ten"))
    with no_more_files(), pytest.raises(BundleUnreadable):
        recipe_of_pattern(store, "add-ten")


def test_an_unknown_pattern_is_refused_with_all_that_could_be_trained(store: Store) -> None:
    store.publish(fork())
    with pytest.raises(UnknownPattern, match=r"there are add-ten, .*fork"):
        recipe_of_pattern(store, "unheard-of")
