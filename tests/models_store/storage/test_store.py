"""The store: numbers, labels and retention; and whatever fails or dies in it, what was acknowledged is there, whole."""

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise
from pathlib import Path

import pytest

from models_store.bundle import Bundle
from models_store.errors import (
    AliasesDamaged,
    BundleDamaged,
    BundleUnreadable,
    ChampionStays,
    DiskFull,
    NoGoodVersion,
    NotFinite,
    NothingToRollBack,
    PatternServerError,
    PublishUnconfirmed,
    StoreUnwritable,
    UnknownAlias,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.names import LARGEST_VERSION, is_name
from models_store.storage import manifest
from models_store.storage.aliases import MOST_ALIASES
from models_store.storage.disk import Disk, writing
from models_store.storage.store import Release, Store
from tests.disks import HastyDisk, LedgerDisk, UnconfirmingDisk, When, fails, no_more_files
from tests.dying import ACTS, KEEP, opened, stocked
from tests.fakes import LinearNetwork, line, rows


def publish(store: Store, *slopes: float, promote: bool = True) -> None:
    for slope in slopes:
        store.publish(line(slope), promote=promote)


def slope(release: Release) -> float:
    """The number that tells one line from another."""
    return release.bundle.predict(rows(1)).item()


def damage(store: Store, version: int) -> None:
    (store.root / "line" / str(version) / "golden.json").write_bytes(b"scratched")


def hidden(store: Store) -> list[str]:
    """Entries of the root beside patterns and the lock."""
    return sorted(path.name for path in store.root.iterdir() if path.name.startswith(".") and path.name != ".lock")


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


def test_a_store_has_a_name_of_its_own_and_keeps_it(store: Store, tmp_path: Path) -> None:
    name = store.identity()
    store.recover()
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert Store(store.root, LinearNetwork.from_bytes).identity() == name
    assert Store(tmp_path / "other", LinearNetwork.from_bytes).identity() != name


@pytest.mark.parametrize("content", [b"", b"0" * 31, b"0" * 33, b"\xff" * 32, b"G" * 32, b"0" * 31 + b"\n"])
def test_a_name_that_a_store_did_not_give_itself_is_refused(store: Store, content: bytes) -> None:
    store.identity()
    (store.root / ".identity").write_bytes(content)
    with pytest.raises(BundleUnreadable, match="restore or delete it"):
        store.identity()
    assert (store.root / ".identity").read_bytes() == content
    (store.root / ".identity").unlink()
    assert re.fullmatch("[0-9a-f]{32}", store.identity())


# What may lie in the place of a small file that a store wrote.
NO_FILES: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "directory": Path.mkdir,
    "socket": lambda path: os.mknod(path, stat.S_IFSOCK | 0o600),
    "huge": lambda path: path.write_bytes(bytes((1 << 20) + 1)),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_name_is_only_read_from_a_file(store: Store, kind: str) -> None:
    store.recover()
    NO_FILES[kind](store.root / ".identity")
    with pytest.raises(BundleUnreadable):
        store.identity()


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


@pytest.mark.parametrize("impossible", [-1, LARGEST_VERSION + 1, 10**4000])
def test_labels_with_numbers_that_no_version_has_are_damaged(store: Store, impossible: int) -> None:
    publish(store, 10)
    for labels in ({"labels": {"champion": impossible}, "highest": 1}, {"labels": {}, "highest": impossible}):
        (store.root / "line" / "labels.json").write_bytes(manifest.sealed(labels))
        assert store.has_damaged_aliases("line")
    assert store.publish(line(20)) == 2


# -- a store that goes away ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mount_point", ["gone", "empty", "used by others"])
def test_a_store_whose_disk_goes_away_is_not_an_empty_one(store: Store, mount_point: str) -> None:
    publish(store, 10)
    seen = store.signature()
    elsewhere = store.root.rename(store.root.with_name("unmounted"))
    if mount_point != "gone":
        store.root.mkdir()
    if mount_point == "used by others":
        (store.root / "jobs.sqlite3").touch()
    for ask in (store.patterns, store.signature, lambda: store.versions("line"), lambda: store.load("line", 1)):
        with pytest.raises(BundleUnreadable):
            ask()
    for change in (lambda: publish(store, 20), lambda: store.set_alias("line", "champion", 1), store.recover):
        with pytest.raises(StoreUnwritable):
            change()
    assert store.root.exists() == (mount_point != "gone")
    shutil.rmtree(store.root, ignore_errors=True)
    elsewhere.rename(store.root)
    assert (store.signature(), store.publish(line(20))) == (seen, 2)


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


# -- labels --------------------------------------------------------------------------------------------------------


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


# -- recovery ------------------------------------------------------------------------------------------------------


def test_recovery_sweeps_what_was_left_half_written(store: Store) -> None:
    publish(store, 10)
    (store.root / ".tmp-torn").mkdir()
    (store.root / ".tmp-torn" / "bundle.json").write_bytes(b"{")
    (store.root / ".tmp-labels").write_bytes(b"{")
    assert store.recover() == []
    assert (hidden(store), store.versions("line")) == ([], [1])


def test_recovery_forgets_a_pattern_that_never_had_a_version(store: Store) -> None:
    publish(store, 10)
    (store.root / "other").mkdir()
    store.recover()
    assert store.patterns() == ["line"]


def test_recovery_quarantines_what_is_damaged_and_the_version_before_serves(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    (moved,) = store.recover()
    quarantine = store.root / ".quarantine"
    assert (
        quarantine / f"{moved}.reason.txt"
    ).read_text() == "golden.json does not have the size it was published with"
    assert (quarantine / moved / "golden.json").read_bytes() == b"scratched"
    assert (store.versions("line"), store.champion("line"), slope(store.load("line", 1))) == ([1], 1, 10)


def test_recovery_a_second_time_finds_nothing_to_do(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    store.recover()
    before = _tree(store.root)
    assert store.recover() == []
    assert _tree(store.root) == before


def test_a_pattern_without_a_good_version_is_still_there_to_be_trained_again(store: Store) -> None:
    publish(store, 10)
    damage(store, 1)
    store.recover()
    assert (store.patterns(), store.versions("line")) == (["line"], [])
    with pytest.raises(NoGoodVersion, match="train it again"):
        store.champion("line")
    assert store.publish(line(20)) == 2
    assert store.champion("line") == 2


def test_only_what_is_damaged_is_quarantined_on_request(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    store.quarantine_damaged("line", 1)
    store.quarantine_damaged("line", 2)
    assert (store.versions("line"), len(hidden(store))) == ([1], 1)


def test_what_cannot_be_read_is_left_where_it_is(store: Store) -> None:
    publish(store, 10)
    (store.root / "line" / "2").write_bytes(b"not a directory")
    assert store.recover() == []
    assert store.versions("line") == [1]
    assert (store.root / "line" / "2").read_bytes() == b"not a directory"


def test_recovery_goes_on_where_one_pattern_cannot_be_read(store: Store) -> None:
    class HalfReadable(Store):
        def versions(self, pattern: str) -> list[int]:
            if pattern == "another":
                raise BundleUnreadable("the store cannot be read (Input/output error)")
            return super().versions(pattern)

    store.publish(line(pattern="another"))
    publish(store, 10, 20)
    damage(store, 2)
    assert len(HalfReadable(store.root, LinearNetwork.from_bytes).recover()) == 1
    assert (store.versions("another"), store.versions("line")) == ([1], [1])


def test_nothing_is_done_through_a_link(store: Store) -> None:
    publish(store, 10)
    (store.root / "other").symlink_to(store.root / "line")
    (store.root / "line" / "2").symlink_to(store.root / "line" / "1")
    assert store.recover() == []
    assert (store.patterns(), store.versions("line")) == (["line"], [1])


def _tree(root: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}


# -- a disk that will not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_a_read_only_store_serves_and_refuses_to_be_written(tmp_path: Path, act: str) -> None:
    read_only = opened(stocked(tmp_path), 1, fails(errno.EROFS), "before")
    with pytest.raises(StoreUnwritable, match="what it holds is still served"):
        ACTS[act](read_only)
    assert slope(read_only.load("line", read_only.champion("line"))) == 3


def test_a_root_that_cannot_be_made_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "store", LinearNetwork.from_bytes)
    with pytest.raises(StoreUnwritable):
        store.publish(line())
    with pytest.raises(StoreUnwritable):
        store.recover()


def test_a_disk_without_room_to_spare_is_full_before_anything_is_written(store: Store) -> None:
    free = shutil.disk_usage("/").free
    with pytest.raises(DiskFull):
        Disk().check_space(Path("/"), 2 * free)

    class Small(Disk):
        def check_space(self, directory: Path, size: int) -> None:
            super().check_space(directory, size + 2 * shutil.disk_usage(directory).free)

    with pytest.raises(DiskFull):
        Store(store.root, LinearNetwork.from_bytes, disk=Small()).publish(line())
    assert (store.patterns(), hidden(store)) == ([], [])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EIO, StoreUnwritable),
        (errno.EACCES, StoreUnwritable),
        (None, StoreUnwritable),
    ],
)
def test_what_the_operating_system_says_is_told_in_words_of_the_store(code: int | None, said: type[Exception]) -> None:
    with pytest.raises(said), writing():
        raise OSError(code, "as the system says it")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.patterns(),
        lambda store: store.versions("line"),
        lambda store: store.aliases("line"),
        lambda store: store.champion("line"),
        lambda store: store.load("line", 1),
        lambda store: store.describe("line", 1),
        lambda store: store.hold("line", 1).__enter__(),
        lambda store: store.signature(),
        lambda store: store.identity(),
    ],
)
def test_a_store_that_cannot_be_read_just_now_says_so(store: Store, ask: Callable[[Store], object]) -> None:
    publish(store, 10)
    store.identity()
    with no_more_files(), pytest.raises(BundleUnreadable, match="Too many open files"):
        ask(store)


FAILURES = {errno.ENOSPC: DiskFull, errno.EIO: StoreUnwritable}
PUBLISHED = {"publish": "line/4", "publish unpromoted": "line/4", "publish first": "other/1"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stocked(tmp_path_factory.mktemp("template") / "store")


@pytest.mark.parametrize("when", ["before", "halfway", "after"])
@pytest.mark.parametrize("code", FAILURES, ids=errno.errorcode.get)
@pytest.mark.parametrize("act", ACTS)
def test_a_disk_that_fails_at_any_operation_leaves_a_whole_store(
    template: Path, tmp_path: Path, act: str, code: int, when: When
) -> None:
    for root, error in _failures(template, tmp_path, act, code, when):
        assert type(error) in (FAILURES[code], PublishUnconfirmed)
        check_whole(root, act)


@pytest.mark.parametrize("act", PUBLISHED)
def test_a_version_in_place_is_never_said_to_be_unpublished(template: Path, tmp_path: Path, act: str) -> None:
    said = [
        (type(error), (root / PUBLISHED[act]).exists())
        for root, error in _failures(template, tmp_path, act, errno.ENOSPC, "before")
    ]
    assert set(said) == {(DiskFull, False), (PublishUnconfirmed, True)}


def _failures(
    template: Path, folder: Path, act: str, code: int, when: When
) -> Iterator[tuple[Path, PatternServerError]]:
    """A copy of the store for every operation of the act that can fail, and what was said when it did."""
    for strike_at in count(1):
        root = Path(shutil.copytree(template, folder / str(strike_at)))
        try:
            ACTS[act](opened(root, strike_at, fails(code), when))
        except PatternServerError as error:
            yield root, error
        else:
            assert strike_at > 1, "the disk never failed"
            return


def test_a_process_that_dies_at_any_operation_leaves_a_whole_store(template: Path, tmp_path: Path) -> None:
    deaths = subprocess.run(
        [sys.executable, "-m", "tests.dying", template, tmp_path], stdout=subprocess.PIPE, check=True, text=True
    ).stdout.splitlines()
    assert len(deaths) > 150  # so many operations there are, at which it may die
    for death in map(json.loads, deaths):
        check_whole(Path(death["root"]), death["act"])


def check_whole(root: Path, act: str) -> None:
    """After a restart nothing is torn or lost, the act is done or not done, and the store can be used as ever."""
    store = Store(root, LinearNetwork.from_bytes, keep=KEEP, disk=HastyDisk())
    assert store.recover() == []
    assert hidden(store) == []
    versions, labels = store.versions("line"), store.aliases("line")
    assert [slope(store.load("line", version)) for version in versions] == versions
    assert (versions, labels) in OUTCOMES[act]
    for other in set(store.patterns()) - {"line"}:
        assert (other, store.versions(other), slope(store.load(other, store.champion(other)))) == ("other", [1], 1)
    assert store.publish(line(slope=5.0)) == max(versions) + 1
    assert store.champion("line") == max(versions) + 1


UNTOUCHED = ([1, 2, 3], {"champion": 3})
OUTCOMES = {
    # Renamed, then labelled, then the oldest goes: a death in between leaves the part that was done.
    "publish": [
        UNTOUCHED,
        ([1, 2, 3, 4], {"champion": 3}),
        ([1, 2, 3, 4], {"champion": 4}),
        ([2, 3, 4], {"champion": 4}),
    ],
    "publish unpromoted": [UNTOUCHED, ([1, 2, 3, 4], {"champion": 3}), ([2, 3, 4], {"champion": 3})],
    "publish first": [UNTOUCHED],
    "set label": [UNTOUCHED, ([1, 2, 3], {"champion": 3, "challenger": 1})],
    "remove label": [UNTOUCHED, ([1, 2, 3], {"champion": 3, "challenger": 1})],
    "rollback": [UNTOUCHED, ([1, 2, 3], {"champion": 2})],
    "delete": [UNTOUCHED, ([2, 3], {"champion": 3})],
    "recover": [UNTOUCHED],
}


@pytest.mark.parametrize("when", ["before", "halfway", "after"])
def test_a_recovery_that_fails_anywhere_is_finished_by_the_next(template: Path, tmp_path: Path, when: When) -> None:
    for strike_at in count(1):
        root = Path(shutil.copytree(template, tmp_path / str(strike_at)))
        damage(Store(root, LinearNetwork.from_bytes), 3)
        try:
            opened(root, strike_at, fails(errno.EIO), when).recover()
        except StoreUnwritable:
            store = Store(root, LinearNetwork.from_bytes)
            store.recover()
            assert (store.versions("line"), store.champion("line"), hidden(store)) == ([1, 2], 2, [".quarantine"])
            assert store.publish(line()) == 4
        else:
            assert strike_at > 1, "the disk never failed"
            return


def test_whatever_is_in_quarantine_has_its_reason_beside_it(template: Path, tmp_path: Path) -> None:
    reasons: list[str] = []
    for strike_at in count(1):
        root = Path(shutil.copytree(template, tmp_path / str(strike_at)))
        damage(Store(root, LinearNetwork.from_bytes), 3)
        try:
            opened(root, strike_at, fails(errno.EIO), "before").recover()
        except StoreUnwritable:
            Store(root, LinearNetwork.from_bytes).recover()
        else:
            break
        for moved in (root / ".quarantine").glob("line-3-????????"):
            reasons.append(moved.with_name(f"{moved.name}.reason.txt").read_text())
    assert len(reasons) == strike_at - 1 > 0  # one for each recovery that failed
    assert set(reasons) == {"golden.json does not have the size it was published with"}


def test_a_publish_that_fails_sweeps_up_behind_itself(template: Path, tmp_path: Path) -> None:
    for root, error in _failures(template, tmp_path, "publish", errno.ENOSPC, "halfway"):
        assert isinstance(error, DiskFull | PublishUnconfirmed)
        assert set(hidden(Store(root, LinearNetwork.from_bytes))) <= {".tmp-torn", ".tmp-labels"}


# -- a power cut ---------------------------------------------------------------------------------------------------


def test_nothing_that_was_acknowledged_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    disk = LedgerDisk()
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=2, disk=disk)
    acts: list[Callable[[], object]] = [
        lambda: publish(store, 10),
        lambda: publish(store, 20, 30),
        lambda: store.set_alias("line", "challenger", 2),
        lambda: store.remove_alias("line", "challenger"),
        lambda: store.rollback("line"),
        lambda: store.delete("line", 3),
    ]
    for act in acts:
        act()
        assert disk.lost_in_a_power_cut() == set()


def test_nothing_that_was_acknowledged_after_a_failure_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    for strike_at in range(1, 17):
        disk = LedgerDisk(strike_at)
        store = Store(tmp_path / str(strike_at), LinearNetwork.from_bytes, disk=disk)
        store.root.mkdir()
        with pytest.raises(PatternServerError):
            store.publish(line())
        store.publish(line())
        assert disk.lost_in_a_power_cut() == set()


def test_a_root_that_was_made_is_not_lost_in_a_power_cut(tmp_path: Path) -> None:
    disk = LedgerDisk()
    Store(tmp_path / "store", LinearNetwork.from_bytes, disk=disk).publish(line())
    assert disk.lost_in_a_power_cut() == set()


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
