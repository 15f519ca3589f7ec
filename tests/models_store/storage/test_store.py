"""The store: publishing, numbers of versions, deleting, retention, and patterns that are not served."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models_store.bundle import Bundle
from models_store.errors import (
    BundleDamaged,
    NotFinite,
    PublishUnconfirmed,
    StoreUnwritable,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.names import LARGEST_VERSION, is_name
from models_store.storage.store import Store
from tests.disks import UnconfirmingDisk
from tests.fakes import LinearNetwork, line, rows
from tests.models_store.storage.lines import damage, hidden, publish, slope

# -- publishing ----------------------------------------------------------------------------------------------------


def test_versions_are_numbered_from_one(store: Store) -> None:
    assert [store.publish(line(slope)) for slope in (10, 20, 30)] == [1, 2, 3]
    assert (store.patterns(), store.versions("line"), store.champion("line")) == (["line"], [1, 2, 3], 3)
    assert [slope(store.load("line", version)) for version in (1, 2, 3)] == [10, 20, 30]


def test_patterns_are_numbered_apart(store: Store) -> None:
    assert [store.publish(line(pattern=name)) for name in ("b", "a", "b", "b-1")] == [1, 1, 2, 1]
    assert store.patterns() == ["a", "b", "b-1"]


def test_another_process_sees_what_is_published(store: Store) -> None:
    publish(store, 10)
    assert slope(Store(store.root, LinearNetwork.from_bytes).load("line", 1)) == 10


def test_a_version_is_described_without_its_network(store: Store, bundle: Bundle) -> None:
    store.publish(bundle)
    described = Store(store.root, _no_network).describe("line", 1)
    assert (described.recipe, described.card, described.history, described.evaluation) == (
        bundle.recipe,
        bundle.card,
        bundle.history,
        bundle.evaluation,
    )


def _no_network(*_: object) -> LinearNetwork:
    raise AssertionError("nobody asked for a network")


def test_the_version_that_a_training_published_is_found_by_its_job(store: Store) -> None:
    for job in ("one", "two", "three"):
        store.publish(line(job=job))
    damage(store, 3)
    assert [store.version_of("line", job) for job in ("one", "two", "three", "four")] == [1, 2, None, None]
    assert store.version_of("unheard-of", "one") is None


def test_publishing_leaves_nothing_beside_the_version(store: Store) -> None:
    publish(store, 10, 20)
    assert hidden(store) == []


@pytest.mark.parametrize("name", ["Line", "../line", "", "a" * 64, "stats", "line\n", ".tmp-1", "1"])
def test_what_is_no_name_is_not_published(store: Store, name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="is not a pattern name"):
        store.publish(line(pattern=name))


def test_a_bundle_that_does_not_load_is_not_published(tmp_path: Path, bundle: Bundle) -> None:
    def damaged(*_: object) -> LinearNetwork:
        raise BundleDamaged("a weight of the network is not a finite number")

    store = Store(tmp_path, damaged)
    with pytest.raises(BundleDamaged):
        store.publish(bundle)
    assert store.patterns() == []


def test_a_bundle_that_cannot_answer_its_golden_rows_is_not_published(store: Store, bundle: Bundle) -> None:
    with pytest.raises(NotFinite):
        store.publish(Bundle(**{**vars(bundle), "golden_inputs": rows(1e300)}))
    assert store.patterns() == []


def test_many_publishers_at_once_get_a_number_each(tmp_path: Path) -> None:
    def publish_one(slope: float) -> tuple[int, float]:
        return Store(tmp_path, LinearNetwork.from_bytes, keep=20).publish(line(slope)), slope

    with ThreadPoolExecutor(8) as pool:
        acknowledged = dict(pool.map(publish_one, range(1, 17)))
    store = Store(tmp_path, LinearNetwork.from_bytes)
    assert {version: slope(store.load("line", version)) for version in range(1, 17)} == acknowledged


# -- numbers that were never given ---------------------------------------------------------------------------------


def test_a_stray_directory_does_not_push_the_numbers(store: Store) -> None:
    publish(store, 10)
    (store.root / "line" / str(LARGEST_VERSION)).mkdir()
    assert [store.publish(line(20)), store.publish(line(30))] == [2, 3]
    assert store.versions("line") == [1, 2, 3, LARGEST_VERSION]
    assert len(store.recover()) == 1
    assert (store.publish(line(40)), store.versions("line")) == (4, [1, 2, 3, 4])


def test_a_number_whose_name_is_taken_is_passed_over(store: Store) -> None:
    publish(store, 10)
    (store.root / "line" / "2").mkdir()
    (store.root / "line" / "3").write_bytes(b"not a directory")
    (store.root / "line" / "4").symlink_to("nowhere")
    assert (store.publish(line(20)), slope(store.load("line", 5))) == (5, 20)


def test_a_number_too_long_to_be_found_again_is_never_given(store: Store) -> None:
    publish(store, 10)
    shutil.copytree(store.root / "line" / "1", store.root / "line" / str(LARGEST_VERSION))
    with pytest.raises(StoreUnwritable, match="the version numbers of line are used up"):
        publish(store, 20)
    assert (store.versions("line"), store.champion("line")) == ([1, LARGEST_VERSION], 1)


def test_stray_directories_cost_no_version_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=2)
    publish(store, 10)
    for number in (900, 901, 902):
        (store.root / "line" / str(number)).mkdir()
    publish(store, 20, 30, promote=False)
    assert store.versions("line") == [1, 2, 3, 900, 901, 902]


# -- what is not there ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["other", "../line", "", ".lock", "Line"])
def test_an_unknown_pattern_is_refused_with_those_that_there_are(store: Store, pattern: str) -> None:
    publish(store, 10)
    with pytest.raises(UnknownPattern, match="there are line"):
        store.load(pattern, 1)


@pytest.mark.parametrize("version", [0, -1, 3])
def test_an_unknown_version_is_refused_with_those_that_there_are(store: Store, version: int) -> None:
    publish(store, 10, 20)
    for ask in (
        store.load,
        store.describe,
        store.delete,
        lambda pattern, version: store.set_alias(pattern, "a", version),
    ):
        with pytest.raises(UnknownVersion, match="it has 1, 2"):
            ask("line", version)


def test_an_unknown_version_cannot_be_held(store: Store) -> None:
    publish(store, 10)
    with pytest.raises(UnknownVersion), store.hold("line", 2):
        pass


def test_a_store_that_does_not_exist_yet_is_empty(store: Store) -> None:
    assert (store.patterns(), store.signature()) == ([], {})
    with pytest.raises(UnknownPattern, match="there are none"):
        store.versions("line")


# -- deleting, retention -------------------------------------------------------------------------------------------


def test_a_deleted_version_is_gone(store: Store) -> None:
    publish(store, 10, 20)
    store.delete("line", 1)
    assert (store.versions("line"), hidden(store)) == ([2], [])
    with pytest.raises(UnknownVersion):
        store.load("line", 1)


def test_a_version_is_not_deleted_while_a_label_points_at_it(store: Store) -> None:
    publish(store, 10, 20, 30)
    store.set_alias("line", "challenger", 1)
    with pytest.raises(VersionInUse, match="version 1 of line is what challenger points at"):
        store.delete("line", 1)
    with pytest.raises(VersionInUse, match="champion"):
        store.delete("line", 3)
    assert store.versions("line") == [1, 2, 3]


def test_the_version_that_serves_for_a_lost_champion_is_not_deleted(store: Store) -> None:
    publish(store, 10, 20)
    shutil.rmtree(store.root / "line" / "2")
    with pytest.raises(VersionInUse):
        store.delete("line", 1)


def test_a_number_is_never_used_again_after_a_delete(store: Store) -> None:
    publish(store, 10, 20)
    store.set_alias("line", "champion", 1)
    store.delete("line", 2)
    assert store.publish(line()) == 3


def test_a_deleted_pattern_is_gone_and_its_numbers_are_not_used_again(store: Store) -> None:
    publish(store, 10, 20)
    with store.hold("line", 2):  # a server has it in memory
        store.delete_pattern("line")
    assert (store.patterns(), store.recover(), hidden(store)) == ([], [], [".deleted"])
    with pytest.raises(UnknownPattern):
        store.delete_pattern("line")
    assert store.publish(line(30)) == 3
    assert (store.versions("line"), store.aliases("line")) == ([3], {"champion": 3})


def test_a_number_is_never_used_again_after_a_quarantine(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    store.recover()
    (store.root / "line" / "labels.json").unlink()
    assert store.publish(line()) == 3


def test_a_number_is_never_used_again_after_an_unconfirmed_publish_was_deleted(store: Store) -> None:
    publish(store, 10)
    with pytest.raises(PublishUnconfirmed):
        Store(store.root, LinearNetwork.from_bytes, disk=UnconfirmingDisk()).publish(line(20))
    assert store.versions("line") == [1, 2]
    store.delete("line", 2)
    assert store.publish(line(30)) == 3


def test_retention_keeps_the_newest_the_labelled_and_the_held(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=2)
    publish(store, 10, 20)
    store.set_alias("line", "challenger", 1)
    with Store(tmp_path, LinearNetwork.from_bytes).hold("line", 2):
        publish(store, 30, 40, 50)
        assert store.versions("line") == [1, 2, 4, 5]
    publish(store, 60)
    assert (store.versions("line"), hidden(store)) == ([1, 5, 6], [])


def test_retention_leaves_other_patterns_alone(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=1)
    store.publish(line(pattern="other"))
    publish(store, 10, 20)
    assert (store.versions("line"), store.versions("other")) == ([2], [1])


def test_holding_and_letting_go_changes_nothing(store: Store) -> None:
    publish(store, 10)
    with store.hold("line", 1), store.hold("line", 1):
        assert slope(store.load("line", 1)) == 10
    assert store.versions("line") == [1]


# -- unloaded ------------------------------------------------------------------------------------------------------


def test_what_is_unloaded_stays_so_until_it_is_loaded(store: Store) -> None:
    store.publish(line())
    store.mark_unloaded("line")
    store.mark_unloaded("line")
    assert Store(store.root, LinearNetwork.from_bytes).is_unloaded("line")
    store.mark_loaded("line")
    store.mark_loaded("line")
    assert not store.is_unloaded("line")


def test_whoever_follows_sees_a_pattern_unloaded_and_loaded(store: Store) -> None:
    store.publish(line())
    before = store.signature()
    store.mark_unloaded("line")
    assert store.signature() != before
    store.mark_loaded("line")
    assert store.signature() == before


def test_what_is_unloaded_keeps_versions_labels_and_trainings(store: Store) -> None:
    store.publish(line())
    store.mark_unloaded("line")
    assert store.publish(line(3)) == 2
    store.set_alias("line", "seen", 1)
    store.recover()
    assert (store.versions("line"), store.aliases("line")) == ([1, 2], {"champion": 2, "seen": 1})
    assert store.is_unloaded("line")


def test_only_what_there_is_can_be_unloaded(store: Store) -> None:
    for change in (store.mark_unloaded, store.mark_loaded):
        with pytest.raises(UnknownPattern):
            change("line")
    assert not store.is_unloaded("../line")
