"""Aliases of versions: where they point, who moves the champion, and that damage to them costs no version."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from models_store.errors import (
    AliasesDamaged,
    ChampionMoved,
    ChampionStays,
    NoGoodVersion,
    NothingToRollBack,
    StoreUnwritable,
    UnknownAlias,
    UnknownPattern,
)
from models_store.names import LARGEST_VERSION
from models_store.storage import manifest
from models_store.storage.aliases import MOST_ALIASES
from models_store.storage.store import InPlaceOf, Store
from tests.fakes import LinearNetwork, line
from tests.models_store.storage.lines import NO_FILES, publish


def test_a_label_points_where_it_was_set(store: Store) -> None:
    publish(store, 10, 20)
    store.set_alias("line", "challenger", 1)
    store.set_alias("line", "champion", 1)
    assert store.aliases("line") == {"champion": 1, "challenger": 1}
    assert store.champion("line") == 1


def test_a_label_that_is_removed_lets_its_version_go(store: Store) -> None:
    publish(store, 10, 20)
    store.set_alias("line", "challenger", 1)
    store.remove_alias("line", "challenger")
    assert (store.aliases("line"), store.versions("line")) == ({"champion": 2}, [1, 2])
    store.delete("line", 1)
    with pytest.raises(UnknownAlias, match="it has champion"):
        store.remove_alias("line", "challenger")
    with pytest.raises(UnknownPattern):
        store.remove_alias("unheard-of", "challenger")


def test_the_champion_is_moved_but_not_removed(store: Store) -> None:
    publish(store, 10, 20)
    with pytest.raises(ChampionStays, match="line needs a champion"):
        store.remove_alias("line", "champion")
    assert store.aliases("line") == {"champion": 2}


@pytest.mark.parametrize("label", ["", "Champion", "a b", "../labels", "a" * 64, "a\n"])
def test_what_is_no_name_is_no_label(store: Store, label: str) -> None:
    publish(store, 10)
    with pytest.raises(UnknownAlias):
        store.set_alias("line", label, 1)


def test_publishing_without_promotion_leaves_the_champion(store: Store) -> None:
    publish(store, 10, 20)
    publish(store, 30, promote=False)
    assert (store.champion("line"), store.aliases("line")) == (2, {"champion": 2})


def test_a_version_replaces_only_the_champion_that_it_was_meant_to(store: Store) -> None:
    with pytest.raises(ChampionMoved, match=r"no version of line is the champion by now, and not version 1, which"):
        store.publish(line(10), promote=InPlaceOf(1))
    assert store.publish(line(10), promote=InPlaceOf(None)) == 1
    for other in (None, 2):
        with pytest.raises(ChampionMoved, match=r"version 1 of line is the champion by now"):
            store.publish(line(20), promote=InPlaceOf(other))
    assert (store.versions("line"), store.publish(line(20), promote=InPlaceOf(1))) == ([1], 2)
    assert store.aliases("line") == {"champion": 2}


def test_of_many_that_are_to_replace_the_same_champion_one_does(store: Store) -> None:
    publish(store, 10)

    def replaces_it(number: int) -> bool:
        with suppress(ChampionMoved):
            store.publish(line(number), promote=InPlaceOf(1))
            return True
        return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(replaces_it, range(20, 28))) == 1
    assert (store.versions("line"), store.champion("line")) == ([1, 2], 2)


def test_the_first_version_is_champion_even_without_promotion(store: Store) -> None:
    publish(store, 10, promote=False)
    assert store.aliases("line") == {"champion": 1}


def test_rollback_goes_back_one_version_at_a_time_until_there_is_none(store: Store) -> None:
    publish(store, 10, 20, 30)
    assert [store.rollback("line"), store.rollback("line"), store.champion("line")] == [2, 1, 1]
    with pytest.raises(NothingToRollBack, match="version 1 of line is the oldest"):
        store.rollback("line")


def test_the_champion_is_the_nearest_before_a_labelled_one_that_is_gone(store: Store) -> None:
    publish(store, 10, 20, 30)
    store.set_alias("line", "champion", 2)
    shutil.rmtree(store.root / "line" / "2")
    assert store.champion("line") == 1
    shutil.rmtree(store.root / "line" / "1")
    assert store.champion("line") == 3
    shutil.rmtree(store.root / "line" / "3")
    with pytest.raises(NoGoodVersion):
        store.champion("line")


INFINITE = b'{"labels": {"champion": Infinity}, "highest": 2}'
DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff", b'{"labels": []}', b'{"labels": {"a": "b"}}', INFINITE, DEEP]
)
def test_labels_that_cannot_be_read_let_the_newest_version_serve(store: Store, content: bytes) -> None:
    publish(store, 10, 20)
    (store.root / "line" / "labels.json").write_bytes(content)
    assert (store.champion("line"), store.aliases("line"), store.has_damaged_aliases("line")) == (2, {}, True)
    assert store.publish(line()) == 3
    assert (store.aliases("line"), store.has_damaged_aliases("line")) == ({"champion": 3}, False)


@pytest.mark.parametrize("kind", NO_FILES)
def test_labels_that_are_no_file_are_damaged_and_moved_aside(store: Store, kind: str) -> None:
    publish(store, 10, 20)
    (store.root / "line" / "labels.json").unlink()
    NO_FILES[kind](store.root / "line" / "labels.json")
    assert (store.champion("line"), store.aliases("line"), store.has_damaged_aliases("line")) == (2, {}, True)
    assert store.signature() == {"line": ([1, 2], None, False)}
    assert store.publish(line()) == 3
    assert (store.aliases("line"), store.has_damaged_aliases("line")) == ({"champion": 3}, False)
    (kept,) = store.root.glob(".quarantine/line-labels-????????")
    assert kept.with_name(f"{kept.name}.reason.txt").read_text() == "the labels are no regular file, or too large"


def test_a_label_too_many_is_refused_and_those_there_are_can_be_moved(store: Store) -> None:
    publish(store, 10, 20)
    labels = {f"label-{number}": 1 for number in range(MOST_ALIASES - 1)} | {"champion": 2}
    (store.root / "line" / "labels.json").write_bytes(manifest.sealed({"labels": labels, "highest": 2}))
    with pytest.raises(StoreUnwritable, match="which is the most"):
        store.set_alias("line", "one-more", 1)
    store.set_alias("line", "label-0", 2)
    assert store.aliases("line") == {**labels, "label-0": 2}


@pytest.fixture
def scratched(tmp_path: Path) -> Store:
    """Three versions, of which the labels said that the first is champion; two are kept."""
    store = Store(tmp_path / "scratched", LinearNetwork.from_bytes, keep=2)
    publish(store, 10)
    publish(store, 20, 30, promote=False)
    labels = store.root / "line" / "labels.json"
    labels.write_bytes(labels.read_bytes().replace(b'"champion": 1', b'"champion": 3'))
    return store


def test_damaged_labels_cost_no_version_and_are_kept_for_who_can_read_them(scratched: Store) -> None:
    damaged = (scratched.root / "line" / "labels.json").read_bytes()
    publish(scratched, 40)
    assert (scratched.versions("line"), scratched.aliases("line")) == ([1, 2, 3, 4], {"champion": 4})
    (kept,) = scratched.root.glob(".quarantine/line-labels-????????")
    assert kept.read_bytes() == damaged
    assert kept.with_name(f"{kept.name}.reason.txt").read_text() == "the seal of the labels is broken"


def test_what_is_published_beside_damaged_labels_without_promotion_leaves_them_to_who_knows_better(
    scratched: Store,
) -> None:
    publish(scratched, 40, promote=False)
    assert (scratched.versions("line"), scratched.has_damaged_aliases("line")) == ([1, 2, 3, 4], True)


def test_labels_that_are_damaged_are_not_changed_until_somebody_says_which_is_champion(scratched: Store) -> None:
    changes: list[Callable[[], object]] = [
        lambda: scratched.rollback("line"),
        lambda: scratched.delete("line", 1),
        lambda: scratched.set_alias("line", "challenger", 1),
        lambda: scratched.remove_alias("line", "challenger"),
    ]
    for change in changes:
        with pytest.raises(AliasesDamaged, match="set the label champion"):
            change()
    scratched.set_alias("line", "champion", 2)
    assert (scratched.versions("line"), scratched.aliases("line")) == ([1, 2, 3], {"champion": 2})
    assert scratched.rollback("line") == 1


def test_a_signature_changes_with_every_version_and_label(store: Store) -> None:
    publish(store, 10)
    seen = [store.signature()]
    changes: list[Callable[[], object]] = [
        lambda: publish(store, 20),
        lambda: store.set_alias("line", "challenger", 1),
        lambda: publish(store, 30, promote=False),
        lambda: store.delete("line", 3),
    ]
    for change in changes:
        _let_the_clock_tick(store)
        change()
        seen.append(store.signature())
    assert all(before != after for before, after in pairwise(seen))
    assert store.signature() == seen[-1]


def test_a_signature_changes_within_one_tick_of_the_clock(store: Store) -> None:
    publish(store, 10, 20)
    before, written = store.signature(), (store.root / "line").stat().st_mtime_ns
    store.set_alias("line", "champion", 1)
    os.utime(store.root / "line", ns=(written, written))
    assert store.signature() != before


def _let_the_clock_tick(store: Store) -> None:
    for pattern in store.patterns():
        os.utime(store.root / pattern, ns=(0, 0))


@pytest.mark.parametrize("impossible", [-1, LARGEST_VERSION + 1, 10**4000])
def test_labels_with_numbers_that_no_version_has_are_damaged(store: Store, impossible: int) -> None:
    publish(store, 10)
    for labels in ({"labels": {"champion": impossible}, "highest": 1}, {"labels": {}, "highest": impossible}):
        (store.root / "line" / "labels.json").write_bytes(manifest.sealed(labels))
        assert store.has_damaged_aliases("line")
    assert store.publish(line(20)) == 2
